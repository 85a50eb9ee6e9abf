"""Segments and findings, on made-up shapes and on every real trace."""

import json
import random
import time

import pytest

from workers.parsing import answer_text, parse, think_text


def split(completion, *, prompt="", reasoning=None, finish_reason=""):
    """(think, answer, kinds of findings) of a completion."""
    parsed = parse(prompt, reasoning, completion, finish_reason)
    assert_covers(parsed.segments, prompt, reasoning, completion)
    kinds = [finding.kind for finding in parsed.findings]
    return (
        think_text(parsed.segments, reasoning, completion),
        answer_text(parsed.segments, reasoning, completion),
        kinds,
    )


def assert_covers(segments, prompt, reasoning, completion):
    """Every character of every field lies in exactly one segment, in order."""
    for name, text in (("prompt", prompt), ("reasoning", reasoning or ""), ("completion", completion)):
        position = 0
        for segment in (s for s in segments if s["field"] == name):
            assert segment["start"] == position < segment["end"]
            assert set(segment) == {"kind", "field", "start", "end", "token_start", "token_end"}
            position = segment["end"]
        assert position == len(text)


@pytest.mark.parametrize(
    ("completion", "think", "answer", "findings"),
    [
        ("<think>\na\n</think>\n\nThe answer is \\boxed{42}.", "\na\n", "\n\nThe answer is \\boxed{42}.", []),
        ("<think>a</think>\n<answer>5</answer>\n", "a", "5", []),
        ("<think>a</think> so <answer> 5", "a", " 5", []),
        ("<think>put it in <answer> </answer> tags</think>5", "put it in <answer> </answer> tags", "5", []),
        ("a</think>b", "a", "b", ["no_opening_tag"]),
        ("a<answer>x</answer></think>b", "a<answer>x</answer>", "b", ["no_opening_tag"]),
        ("<think>a", "a", "", ["unclosed_think", "empty_answer"]),
        ("<think>a <answer>5</answer>", "a ", "5", ["unclosed_think"]),
        ("<think>\n", "\n", "", ["unclosed_think", "empty_think", "empty_answer"]),
        ("<think><think>a</think></think>x", "a", "x", ["nested_think"]),
        ("<think>a<think>b</think>c</think>x", "a\nb\nc", "x", ["nested_think"]),
        ("<think>a<think>b</think>x", "a\nb", "x", ["nested_think"]),
        ("<think>a</think>x<think>b</think>y", "a\nb", "y", ["repeated_think"]),
        ("<think>a</think>5</think>", "a", "5", ["stray_closing_tag"]),
        ("<think>x</think>Ignore that. </answer>[[10]]", "x", "Ignore that. \n[[10]]", ["stray_closing_tag"]),
        ("Sure. <think>a</think>x", "a", "x", ["text_before_think"]),
        ("<think>\n\n</think>x", "\n\n", "x", ["empty_think"]),
        ("<think></think>", "", "", ["empty_think", "empty_answer"]),
        ("<think>a</think>\n\n", "a", "", ["empty_answer"]),
        ("x", "", "x", ["no_think"]),
        ("", "", "", ["no_think", "empty_answer"]),
        ("<answer>2</answer>", "", "2", ["tag_variant", "no_think"]),
        (
            "<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>\nx\n<|end_of_solution|>",
            "a",
            "\nx\n",
            ["tag_variant"],
        ),
        ("[THINK]a[/THINK]x", "a", "x", ["tag_variant"]),
        ("[think] is prose", "", "[think] is prose", ["no_think"]),
        ("<thought>a</thought>x", "a", "x", ["tag_variant"]),
        ("<thinking>a</thinking>x", "a", "x", ["tag_variant"]),
        ("<reasoning>a</reasoning><answer>x</answer>", "a", "x", ["tag_variant"]),
        ("<THINK>A</THINK>b", "A", "b", ["tag_variant"]),
        ("＜think＞全角＜/think＞答", "全角", "答", ["tag_variant"]),
        ("<thinking>a</think>x", "a", "x", ["tag_variant"]),
        ("<think>an <reasoning> element</think>x</reasoning>", "an <reasoning> element", "x</reasoning>", []),
        ("`<think>` is a tag. <think>real</think> 4", "real", " 4", ["text_before_think"]),
        ("<think>a\n```xml\n</think>\n```\nb</think>x", "a\n```xml\n</think>\n```\nb", "x", []),
        ("<think>a\n```py\nnever closed</think>x", "a\n```py\nnever closed", "x", []),
        ("<think>a\n```py\nopen\n</think>\n```py\nx\n```", "a\n```py\nopen\n", "\n```py\nx\n```", []),
        ("<think>a\n```\nopen\n</think>\n```\nx\n```", "a\n```\nopen\n", "\n```\nx\n```", []),
        ("<think>a\n```\n</think>\n```\nb", "a\n```\n</think>\n```\nb", "", ["unclosed_think", "empty_answer"]),
        (
            "</think>first <think>never closed",
            "never closed",
            "",
            ["no_opening_tag", "empty_think", "repeated_think", "unclosed_think", "empty_answer"],
        ),
    ],
)
def test_parse_names_the_shape(completion, think, answer, findings):
    found_think, found_answer, kinds = split(completion)

    assert (found_think, found_answer) == (think, answer)
    assert kinds == findings


@pytest.mark.parametrize("ending", ["<think>", "<think>\n", "<|Assistant|><think>\n\n"])
def test_parse_prompt_that_opens_the_think(ending):
    parsed = parse("Q: 1+1?" + ending, None, "one\n</think>\n\n2", "stop")

    assert think_text(parsed.segments, None, "one\n</think>\n\n2") == "one\n"
    [finding] = parsed.findings
    assert (finding.kind, finding.field) == ("prefilled_think", "prompt")
    assert ("Q: 1+1?" + ending)[finding.start : finding.end] == "<think>"


def test_parse_prefilled_think_that_never_closes():
    assert split("on and on", prompt="<think>") == (
        "on and on",
        "",
        ["prefilled_think", "unclosed_think", "empty_answer"],
    )


def test_parse_prompt_with_an_earlier_think_is_not_prefilled():
    assert split("x", prompt="<think>a</think> b") == ("", "x", ["no_think"])


def test_parse_prompt_that_closes_the_think_asks_for_none():
    assert split("x", prompt="Q<think>\n\n</think>\n\n") == ("", "x", ["no_think"])


def test_parse_separate_field():
    assert split("x", reasoning="a") == ("a", "x", ["separate_field"])
    assert split("x", reasoning="<think>a</think>") == ("a", "x", ["separate_field"])
    assert split("x", reasoning=" ") == (" ", "x", ["separate_field", "empty_think"])
    assert split("</think>x", reasoning="a")[2] == ["separate_field", "stray_closing_tag"]
    assert split("<think>b</think>x", reasoning="a") == ("a\nb", "x", ["separate_field", "repeated_think"])


def test_parse_separate_field_wins_over_a_prefilled_prompt():
    assert split("x", prompt="<think>\n", reasoning="a") == ("a", "x", ["prefilled_think", "separate_field"])


def test_parse_truncated():
    assert split("<think>a", finish_reason="length")[2] == ["unclosed_think", "empty_answer", "truncated"]


def test_parse_findings_point_at_their_tags():
    text = "<think>a</think>x<think>b</think>y"
    [finding] = parse("", None, text, "").findings

    assert text[finding.start : finding.end] == "<think>" == finding.note
    assert finding.start == 17


def test_parse_covers_any_mixture_of_tags():
    pieces = [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "```\n",
        "\n",
        "`",
        "a b",
        " ",
        "<|end_of_thought|>",
        "[THINK]",
        "中",
    ]
    dice = random.Random(7)
    for _ in range(3_000):
        completion = "".join(dice.choices(pieces, k=dice.randrange(12)))
        split(completion, prompt=dice.choice(["", "Q<think>"]), reasoning=dice.choice([None, "", "r</think>"]))


def test_parse_bounds_the_findings_of_a_degenerate_text():
    findings = parse("", None, "<think>a</think>" * 1_000, "").findings

    assert len(findings) == 51  # and the empty answer
    assert findings[49].note == "<think> (and 949 more)"


@pytest.mark.parametrize(
    "text",
    [
        "<think></think>x" * 30_000,
        "```\n" + "`</think>`" * 40_000,
        "a`<think> b" * 40_000,
        "```\n" * 100_000,
        "<answer>" * 50_000,
    ],
)
def test_parse_degenerate_text_in_linear_time(text):
    began = time.process_time()
    parse("", None, text, "")

    assert time.process_time() - began < 10


def test_parse_long_text_in_linear_time():
    text = "<think>" + "很长的思考。" * 600_000 + "</think>\\boxed{2}"
    began = time.process_time()

    assert split(text)[1] == "\\boxed{2}"
    assert time.process_time() - began < 10


# What each shape of the source's hand-written rules must be called. All of the first set, at least one of the second.
CLEAN = (set(), set())
SHAPES = {
    "think_balanced": CLEAN,
    "think_balanced_prefix_text": ({"text_before_think"}, set()),
    "think_balanced_no_answer": ({"empty_answer"}, set()),
    "think_no_open": ({"no_opening_tag"}, set()),
    "think_unclosed": ({"unclosed_think"}, set()),
    "think_multi_balanced": ({"repeated_think"}, set()),
    "think_multi_unbalanced": (set(), {"nested_think", "stray_closing_tag", "repeated_think"}),
    "bot_balanced": ({"tag_variant"}, set()),
    "bot_balanced_prefix_text": ({"tag_variant", "text_before_think"}, set()),
    "bot_multi_balanced": ({"tag_variant", "repeated_think"}, set()),
    "bot_no_open": ({"tag_variant", "no_opening_tag"}, set()),
    "bot_unclosed": ({"tag_variant", "unclosed_think", "empty_answer"}, set()),
    "tag_variant": ({"tag_variant", "no_think"}, set()),
    "no_tags": ({"no_think"}, set()),
    "separate_field": ({"separate_field"}, set()),
}
# Beside those, a trace may be found to have what its one-word shape does not say:
ALSO = {
    "think_no_open": {"stray_closing_tag"},  # one trace closes its think twice
    "think_multi_balanced": {"empty_answer", "stray_closing_tag", "text_before_think"},
    "think_multi_unbalanced": {"empty_answer", "unclosed_think"},
    "bot_multi_balanced": {"text_before_think"},
    "think_unclosed": {
        "empty_answer",
        "empty_think",
    },  # empty: one trace is the tag alone; some give an answer block though
    "no_tags": {"empty_answer"},  # two completions are the empty text
    "separate_field": {"empty_answer"},  # five have nothing beside their reasoning
}


@pytest.mark.parametrize("path", ["traces_seed/traces_seed.jsonl", "malformed/malformed.jsonl"])
def test_parse_agrees_with_the_shapes_of_real_traces(shared_data, path):
    disagreements = []
    for row in read(shared_data / path):
        _, _, kinds = split(row["raw"], prompt=row["problem"] or "", reasoning=row.get("reasoning"))
        found = set(kinds)
        needed, one_of = SHAPES[row["shape"]]
        allowed = needed | one_of | ALSO.get(row["shape"], set())
        if not (needed <= found <= allowed and (not one_of or found & one_of)):
            disagreements.append((row["id"], row["shape"], found))

    assert disagreements == []


def test_parse_covers_every_group_sample(shared_data):
    for row in read(shared_data / "groups/groups.jsonl"):
        assert split(row["raw"], prompt=row["problem"])[0]


def test_parse_names_every_unbalanced_shape(shared_data):
    for row in read(shared_data / "bad_inputs/27_unbalanced_think.jsonl"):
        _, _, kinds = split(row["response"])
        assert kinds, row["response"]


def read(path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
