"""Chat templates: where they are found, what they may use, what they may not do."""

import json

import pytest

from inference.chat import read_template, render

MESSAGES = [{"role": "user", "content": "1 < 2 & 3?"}, {"role": "assistant", "content": "yes"}]


def prompt(template, messages=MESSAGES, **special):
    return render(template, messages, special, add_generation_prompt=True)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, None),
        ({"chat_template": None}, None),
        ({"chat_template": "text"}, "text"),
        ({"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]}, "a"),
        ({"chat_template": [{"name": "chat", "template": "only"}]}, "only"),
    ],
)
def test_templates_in_the_settings(tmp_path, settings, found):
    assert read_template(tmp_path, settings) == found


def test_a_file_comes_before_the_settings(tmp_path):
    (tmp_path / "chat_template.jinja").write_text("數", encoding="utf-8")
    assert read_template(tmp_path, {"chat_template": "text"}) == "數"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ([{"name": "rag", "template": "a"}, {"name": "tool_use", "template": "b"}], r"several chat templates \('rag', 'tool_use'\)"),
        ([], r"several chat templates \(none\)"),
        ([{"name": "default", "template": 3}], "is no text"),
        ({"default": "a"}, "is no text"),
        (3, "is no text"),
    ],
)  # fmt: skip
def test_templates_that_cannot_be_told_are_refused(tmp_path, template, words):
    with pytest.raises(ValueError, match=words):
        read_template(tmp_path, {"chat_template": template})


def test_a_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "chat_template.jinja").write_bytes("數".encode("gbk"))
    with pytest.raises(ValueError, match=r"chat_template\.jinja is not UTF-8"):
        read_template(tmp_path, {})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ messages | tojson }}", json.dumps(MESSAGES)),  # Jinja's own filter would write < as \u003c
        ("{{ {'b': '數', 'a': 1} | tojson(indent=1) }}", '{\n "b": "數",\n "a": 1\n}'),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% endfor %}", "yes"),
        ("a{% generation %}{{ messages[1].content }}{% endgeneration %}b", "ayesb"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{{ dict(a=1).a }}{{ tools is none }}{{ documents is none }}{{ bos_token }}", "1TrueTrue"),
        ("  {%- if tools %}\n  x\n  {% endif %}\n{{ messages | length }}\n", "2"),
        ("{% if strftime_now is defined %}today{% else %}26 Jul 2024{% endif %}", "26 Jul 2024"),  # no clock: prompts repeat
        ("{{ messages[0]['content'].strip() | upper | replace('?', '!') }}", "1 < 2 & 3!"),
    ],
)  # fmt: skip
def test_templates_may_use_what_transformers_gives_them(template, text):
    assert prompt(template) == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0].nothing.at_all }}", "has no attribute 'nothing'"),
        ("{{ 'a' + none }}", "refused these messages"),
        ("{{ messages[7]['content'].x }}", "refused these messages"),
        ("{{ 1 / 0 }}", "refused these messages"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "refused these messages"),
        ("{% for i in range(10**9) %}{% endfor %}", "refused these messages"),
        ("{% for", "not valid"),
        ("{% include 'x' %}", "refused these messages"),
        ("{{ '{' * 3 }}{{ {{ }}", "not valid"),
    ],
)
def test_templates_that_fail_say_so(template, words):
    with pytest.raises(ValueError, match=words):
        prompt(template)


@pytest.mark.parametrize(
    "attack",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}{{ (''|attr('__class__')).__mro__ }}",
        "{{ namespace.__globals__ }}{{ namespace.__globals__['sys'] }}",
        "{{ raise_exception.__globals__.os }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
        "{{ '%s' | format(messages.__class__) }}{{ messages.__class__.mro() }}",
        "{% set ns = namespace(__class__=1) %}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{% set ns = namespace({'__x': 1}) %}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ self.__init__.__globals__ }}{{ self._TemplateReference__context.environment }}",
        "{% generation %}{{ dict.__subclasses__() }}{% endgeneration %}",
    ],
)
def test_templates_cannot_leave_their_sandbox(attack):
    with pytest.raises(ValueError, match="chat template"):
        prompt(attack)
