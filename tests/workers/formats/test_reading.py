"""Formats: recognised by content, records as their fields say."""

import json

import pytest

from workers.formats import Rejected, detect, read_problems, read_traces
from workers.formats.plain_problems import VERIFIERS


@pytest.fixture
def write(tmp_path):
    def write_rows(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write_rows


def test_gsm8k(shared_data):
    path = shared_data / "gsm8k/test.jsonl"
    problems = list(read_problems(path))

    assert detect(path, "problems") == "gsm8k"
    assert len(problems) == 1319
    assert (problems[0].answer, problems[0].verifier, problems[0].source) == ("18", "math", "GSM8K")
    assert problems[0].metadata["solution"].endswith("#### 18")
    assert not [p for p in problems if isinstance(p, Rejected) or "," in p.answer]


def test_math500(shared_data):
    path = shared_data / "math500/math500.jsonl"
    problems = list(read_problems(path))

    assert detect(path, "problems") == "math500"
    assert len(problems) == 500
    assert problems[0].answer == r"\left( 3, \frac{\pi}{2} \right)"
    assert problems[0].tags == ("precalculus", "level-2")
    assert problems[0].metadata["unique_id"] == "test/precalculus/807.json"
    assert {"subject", "level", "solution"} <= problems[0].metadata.keys()


def test_plain_problems(write):
    plain, numeric, bare, talk, lone = read_problems(
        write(
            {"prompt": "1+1?", "answer": "2", "tags": ["Easy one"], "extra": [1]},
            {"problem": "2+2?", "answer": 4, "verifier": "numeric", "verifier_args": {"tolerance": 0.1}},
            {"question": "Why?"},
            {
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
                "answer": "Hello",
            },
            {"prompt": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        )
    )

    assert (plain.prompt, plain.answer, plain.verifier, plain.tags, plain.metadata) == (
        "1+1?",
        "2",
        "math",
        ("easy-one",),
        {"extra": [1]},
    )
    assert (numeric.answer, numeric.verifier, numeric.verifier_args) == ("4", "numeric", {"tolerance": 0.1})
    assert (bare.answer, bare.verifier) == (None, "none")
    assert talk.messages[0] == {"role": "system", "content": "Be brief."}
    assert "Be brief." in talk.prompt
    assert (lone.prompt, lone.messages) == ("Hi", None)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "Q", "verifier": "guess"}, "unknown verifier 'guess'"),
        ({"prompt": " "}, "empty"),
        ({"prompt": 7}, "messages must be a list"),
        (
            {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
            "ends with an answer",
        ),
    ],
)
def test_plain_problem_that_is_none(write, row, words):
    [rejected] = read_problems(write(row), "plain_problems")

    assert words in rejected.why


def test_seed_traces(shared_data):
    path = shared_data / "traces_seed/traces_seed.jsonl"
    traces = list(read_traces(path))
    rows = [json.loads(line) for line in path.read_text().splitlines()]

    assert detect(path, "traces") == "seed_traces"
    assert len(traces) == len(rows) == 525
    for trace, row in zip(traces, rows, strict=True):
        assert (trace.completion, trace.reasoning, trace.prompt) == (row["raw"], row["reasoning"], row["problem"] or "")
        assert trace.provenance["id"] == row["id"] == trace.source_id
        assert trace.provenance.get("upstream_verdict") == row["upstream_correct"]
        assert trace.metadata["shape"] == row["shape"]
        assert trace.problem.prompt or trace.problem.key_extra


def test_seed_trace_gold_written_by_python_is_no_gold(write):
    row = {"id": 1, "source": "s", "problem": "Q", "raw": "A", "gold": "None"}
    [trace] = read_traces(write(row))

    assert (trace.problem.answer, trace.problem.verifier, trace.metadata["gold"]) == (None, "none", "None")


def test_plain_traces(write):
    row = {
        "prompt": "<s>1+1?<think>", "problem": "1+1?", "completion": "one</think>2", "answer": 2, "id": 7, "model": "m",
        "finish_reason": "MAX_TOKENS", "seed": 5, "correct": True, "extra": None,
    }  # fmt: skip
    [trace] = read_traces(write(row))

    assert (trace.prompt, trace.problem.prompt, trace.completion) == ("<s>1+1?<think>", "1+1?", "one</think>2")
    assert (trace.problem.answer, trace.problem.verifier) == ("2", "math")
    assert (trace.source_id, trace.model_name, trace.seed, trace.finish_reason) == ("7", "m", 5, "length")
    assert trace.provenance == {"id": 7, "upstream_verdict": True}
    assert trace.metadata == {"finish_reason": "MAX_TOKENS", "extra": None}


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content", "thinking"])
def test_reasoning_in_any_spelling_and_place(write, key):
    beside = {"prompt": "Q", "completion": "A", key: "r"}
    inside = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", key: "r"}]}
    trl = {
        "prompt": [{"role": "user", "content": "Q"}],
        "completion": [{"role": "assistant", "content": "A", key: "r"}],
    }

    for trace in read_traces(write(beside, inside, trl)):
        assert (trace.prompt, trace.reasoning, trace.completion) == ("Q", "r", "A")
        assert trace.metadata == {}
        assert trace.lost == ()


def test_conversation_before_the_answer_is_kept(write):
    talk = [{"role": role, "content": role[0]} for role in ("system", "user", "assistant")]
    [trace] = read_traces(write({"messages": talk}))

    assert trace.problem.messages == talk[:2]
    assert trace.completion == "a"


def test_message_keys_without_a_place_are_named(write):
    talk = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", "tool_calls": [1]}]
    [trace] = read_traces(write({"messages": talk}))

    assert trace.lost == ("messages.tool_calls",)


def test_a_mistaken_field_costs_one_row(write):
    good, bad = read_traces(write({"prompt": "Q", "completion": "A"}, {"prompt": "Q", "completion": 7}))

    assert good.completion == "A"
    assert (bad.line, "messages must be a list" in bad.why) == (2, True)


def test_fields_that_fit_no_format_are_shown(write):
    with pytest.raises(ValueError, match=r"fields of line 1: name, size"):
        list(read_traces(write({"name": 1, "size": 2})))


def test_traces_offered_as_problems_and_the_other_way(write):
    with pytest.raises(ValueError, match="imported as problems"):
        list(read_traces(write({"prompt": "Q", "answer": "A"})))


def test_unknown_format_name(write):
    with pytest.raises(ValueError, match="unknown format 'x' of traces"):
        list(read_traces(write({"prompt": "Q", "completion": "A"}), "x"))


def test_verifier_names_are_the_models():
    from webapp.problems.models import Verifier

    assert set(VERIFIERS) == set(Verifier.values)
