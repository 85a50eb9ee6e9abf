"""Problems in the plain form: {prompt or problem or messages, answer}, with optional verifier, verifier_args, tags, source, licence."""

from workers.formats.fields import ANSWER, PROBLEM, PROMPT, Fields, has, prompt_of, read_messages, tag_words
from workers.formats.records import Format, ProblemRecord, Row, RowError, Value

VERIFIERS = ("none", "math", "exact", "numeric", "reasoning_gym")


def _matches(value: Value) -> bool:
    return has(value, ("messages", *PROMPT, *PROBLEM))


def _read(row: Row) -> ProblemRecord:
    fields = Fields(row)
    raw = fields.take("messages", *PROMPT, *PROBLEM)
    messages = None
    if isinstance(raw, str):
        prompt = raw
    else:
        conversation = read_messages(raw, fields)
        if conversation[-1]["role"] == "assistant":
            raise RowError(
                "the conversation ends with an answer; a problem ends with what is asked (import it as traces)"
            )
        prompt, messages = prompt_of(conversation)
    if not prompt.strip():
        raise RowError("the prompt is empty")
    answer = fields.gold(*ANSWER)
    verifier = fields.text("verifier") or ("math" if answer is not None else "none")
    if verifier not in VERIFIERS:
        raise RowError(f"unknown verifier {verifier!r}; known are {', '.join(VERIFIERS)}")
    args = fields.take("verifier_args") or {}
    if not isinstance(args, dict):
        raise RowError("verifier_args must be an object")
    return ProblemRecord(
        row.line, prompt, answer, messages, verifier, args,
        source=(fields.text("source") or "")[:500], licence=(fields.text("licence", "license") or "")[:200],
        tags=tag_words(fields.take("tags")), metadata=fields.rest, lost=fields.lost,
    )  # fmt: skip


FORMAT = Format("plain_problems", "prompt and answer", "problems", _matches, _read)
