"""Reading what a checkpoint directory says of itself, for its row as an engine."""

import json
import re
from pathlib import Path

from webapp.accounts.models import User
from webapp.engines.actions import register_local
from webapp.engines.models import Engine as EngineRow

DESCRIPTION_CHARS = 3_000


def register(path: Path, name: str, *, by: User | None) -> EngineRow:
    """Check a checkpoint by loading it, and register it. Raises ValueError saying what is wrong with which file."""
    from inference import Engine  # noqa: PLC0415  # torch: only whoever registers or generates loads it

    engine = Engine.load(path.resolve())
    vocabulary = range(engine.config.vocab_size)
    longest = max(len(engine.tokenizer.token_bytes(token)) for token in vocabulary)  # tells a page what can not fit
    return register_local(
        name=name, location=str(path.resolve()), facts={**engine.facts(), "longest_token_bytes": longest}, checkpoint_hash=engine.hash(), by=by,
        description=description(path), examples=examples(path),
    )  # fmt: skip


def description(path: Path) -> str:
    """The model card in plain words: its text up to the first table or code, front matter, title and marks left out, in whole
    paragraphs of at most `DESCRIPTION_CHARS` together.
    """
    card = path / "README.md"
    if not card.exists():
        return ""
    text = re.sub(r"\A---\n.*?\n---\n", "", card.read_text(encoding="utf-8"), flags=re.DOTALL)
    body = re.split(r"^(?:\||```)", text, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = [
        block.strip() for block in re.split(r"\n\s*\n", body) if block.strip() and not block.lstrip().startswith("# ")
    ]
    kept: list[str] = []
    for block in blocks:
        words = re.sub(r"\n(?![-*] )", " ", re.sub(r"\*\*|`", "", block.lstrip("# ")))
        if sum(map(len, kept)) + len(words) > DESCRIPTION_CHARS:
            break
        kept.append(words)
    return "\n\n".join(kept)


def examples(path: Path) -> list[dict[str, str]]:
    """Example prompts from `examples.json`. Raises ValueError when it is not a list of {"family", "prompt", "note"}."""
    file = path / "examples.json"
    if not file.exists():
        return []
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("prompt"), str) for row in rows
    ):
        raise ValueError(f"{file} must be a list of objects with a prompt")
    return [{key: str(row.get(key, "")) for key in ("family", "prompt", "note")} for row in rows]
