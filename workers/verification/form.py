"""The R1 form of a completion: one think, closed, then an answer. Says what is not so.

Not a judgement of the answer: a trace's verdict is that of its problem's own verifier. A prompt that opens the think itself
leaves the completion without the opening tag, which is then in form. Left out: other tags than <think> (workers/parsing
finds those); for R1's form they are a fault.
"""

from collections.abc import Mapping
from typing import Any

from workers.verification.outcome import Outcome, shortened

OPEN, CLOSE = "<think>", "</think>"


def check_format(args: Mapping[str, Any], completion: str) -> Outcome:
    """Whether the whole completion is in R1 form: "correct" is in form. args["prompt"]: what the model saw, if known."""
    prefilled = is_prefilled(str(args.get("prompt", "")))
    fault = find_fault(completion, prefilled=prefilled)
    answer = shortened(completion.rpartition(CLOSE)[2].strip()) if CLOSE in completion else ""
    method = "prefilled" if prefilled else "whole"
    return Outcome("wrong" if fault else "correct", 0.0 if fault else 1.0, answer, "", method, fault)


def is_prefilled(prompt: str) -> bool:
    """Whether the prompt ends with an opened think."""
    return prompt.rstrip().endswith(OPEN)


def find_fault(completion: str, *, prefilled: bool) -> str:
    """The first fault of a completion in words; "" when it is in form."""
    opened, closed = completion.count(OPEN), completion.count(CLOSE)
    begins = completion.lstrip().startswith(OPEN)
    faults = [
        (not closed and (opened or prefilled), "the think is never closed"),
        (not closed, "there is no think"),
        (closed > 1, f"the think is closed {closed} times"),
        (prefilled and opened, "the prompt opened the think and the completion opens it again"),
        (not prefilled and not opened, "the think is closed and was never opened"),
        (opened > 1, f"the think is opened {opened} times"),
        (not prefilled and not begins, "there is text before the think"),
    ]
    for found, words in faults:
        if found:
            return words
    think, _, answer = completion.partition(CLOSE)
    if not think.replace(OPEN, "").strip():
        return "the think is empty"
    return "" if answer.strip() else "the answer is empty"
