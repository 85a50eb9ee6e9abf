"""A checkpoint's chat template: where the formats of transformers keep it, and the prompt that it makes of messages.

Templates are programs of strangers, so they run in Jinja's sandbox, with the names that transformers gives them, save one: `strftime_now`. A prompt
must not depend on the day it is made; templates that know the name fall back on a date of their own where it is absent. Left out: tools, documents.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

FILE = "chat_template.jinja"  # where transformers writes it since 4.51; before, in tokenizer_config.json
DEFAULT = "default"  # of several named templates, the one for a chat without tools


def read_template(path: Path, settings: dict[str, Any]) -> str | None:
    """The template of a checkpoint whose tokenizer_config.json holds `settings`; the file comes first, as it does in transformers. None where it
    has none. Raises ValueError saying what is wrong with it.
    """
    if (path / FILE).is_file():
        try:
            return (path / FILE).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path / FILE} is not UTF-8: {error}") from error
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {each.get("name"): each.get("template") for each in template if isinstance(each, dict)}
        if DEFAULT not in named and len(named) != 1:
            names = ", ".join(map(repr, named)) or "none"
            raise ValueError(
                f"{path / 'tokenizer_config.json'} has several chat templates ({names}), none named {DEFAULT!r}"
            )
        template = named.get(DEFAULT, next(iter(named.values())))
    if template is not None and not isinstance(template, str):
        raise ValueError(f"{path / 'tokenizer_config.json'}: chat_template is no text")
    return template


def render(
    template: str, messages: list[dict[str, str]], special: dict[str, str], *, add_generation_prompt: bool
) -> str:
    """The prompt. `special` are the tokens that a template may name, such as bos_token. Raises ValueError when it is not valid or refuses."""
    compiled = _compiled(template)
    try:
        text = compiled.render(
            messages=messages, add_generation_prompt=add_generation_prompt, tools=None, documents=None, **special
        )
    except Exception as error:  # it is a program: it may fail in any way
        raise ValueError(f"the chat template refused these messages: {error}") from error
    return str(text)


class _Generation(Extension):
    """`{% generation %}`, by which trainers mark what the assistant says: the text within stands as it is."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Replace the tag by its body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(Namespace):
    """Variables that a template may set inside loops, without a way to Python's own attributes."""

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private((name,))
        super().__setitem__(name, value)


def _namespace(*values: Any, **named: Any) -> _Namespace:
    _refuse_private(dict(*values, **named))
    return _Namespace(*values, **named)


def _dict(*values: Any, **named: Any) -> dict[str, Any]:
    """The function without the class, whose methods a template has no need of."""
    return dict(*values, **named)


def _refuse_private(names: Any) -> None:
    if any(str(name).startswith("_") for name in names):
        raise SecurityError("a template may not set names that begin with an underscore")


@cache
def _compiled(template: str) -> Any:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    names = {"namespace": _namespace, "dict": _dict, "raise_exception": _raise}
    environment.globals = {"range": environment.globals["range"], **names}
    try:
        return environment.from_string(template)
    except (TemplateError, RecursionError) as error:
        raise ValueError(f"the checkpoint's chat template is not valid: {error}") from error


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Plain JSON: Jinja's own writes `<` as an escape, which no model has seen."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise(message: str) -> None:
    raise TemplateError(message)
