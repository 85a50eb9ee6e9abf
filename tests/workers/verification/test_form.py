"""The R1 form and the words for each fault."""

import json

import pytest

from workers.verification import check

R1 = "<think>\n1+1=2\n</think>\n\n2"


@pytest.mark.parametrize(
    ("prompt", "completion", "fault"),
    [
        ("", R1, ""),
        ("<|User|>1+1<|Assistant|><think>\n", "1+1=2\n</think>\n\n2", ""),
        ("<think>\n", R1, "the prompt opened the think and the completion opens it again"),
        ("", "1+1=2</think>2", "the think is closed and was never opened"),
        ("", "2", "there is no think"),
        ("", "<think>1+1", "the think is never closed"),
        ("<think>", "1+1", "the think is never closed"),
        ("", "Sure! " + R1, "there is text before the think"),
        ("", R1 + R1, "the think is closed 2 times"),
        ("", "<think><think>1</think>2", "the think is opened 2 times"),
        ("", "<think> </think>2", "the think is empty"),
        ("", "<think>1</think> \n", "the answer is empty"),
        ("", "", "there is no think"),
    ],
)
def test_faults_in_words(prompt, completion, fault):
    outcome = check("format", {"prompt": prompt}, None, completion)
    assert outcome.message == fault
    assert outcome.value == ("wrong" if fault else "correct")


def test_real_traces_by_shape(shared_data):
    """What the source files call balanced is in form; what they call unclosed or untagged is not."""
    verdicts = {}
    for line in (shared_data / "traces_seed" / "traces_seed.jsonl").read_text().splitlines():
        row = json.loads(line)
        verdicts.setdefault(row["shape"], []).append(check("format", {}, None, row["raw"]).message)
    balanced = verdicts["think_balanced"]
    assert sum(not fault for fault in balanced) >= 0.95 * len(balanced)
    assert set(verdicts["think_unclosed"]) == {"the think is never closed"}
    assert set(verdicts["think_no_open"]) == {"the think is closed and was never opened", "the think is closed 2 times"}
    assert set(verdicts["no_tags"]) == {"there is no think"}
    assert set(verdicts["think_balanced_prefix_text"]) == {"there is text before the think"}
