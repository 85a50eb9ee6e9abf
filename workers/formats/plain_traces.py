"""Traces in the plain form: {prompt, completion}, in the field's many spellings, or one conversation that ends with the answer.

Read as well: a gold answer, the reasoning in a field of its own (beside the completion or inside its message), id, model, seed,
finish_reason. `prompt` is taken for what the model saw, `problem` for the question; one stands in for the other.
Left out: completions of several messages (tool use).
"""

from workers.formats.fields import (
    ANSWER,
    COMPLETION,
    PROBLEM,
    PROMPT,
    REASONING,
    VERDICT,
    Fields,
    has,
    prompt_of,
    read_messages,
)
from workers.formats.records import Format, ProblemRecord, Row, RowError, TraceRecord, Value

Messages = list[dict[str, str]]


def _matches(value: Value) -> bool:
    if has(value, COMPLETION):
        return has(value, ("messages", *PROMPT, *PROBLEM))
    messages = value.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") == "assistant"


def _read(row: Row) -> TraceRecord:
    fields = Fields(row)
    completion, inner = _completion(fields)
    reasoning = fields.text(*REASONING)
    if reasoning is None:
        reasoning = inner
    question, messages = _question(fields)
    seen = fields.text(*PROMPT)
    prompt = question if seen is None else seen
    gold = fields.gold(*ANSWER)
    source, licence = fields.text("source") or "", fields.text("licence", "license") or ""
    identity, seed = fields.take("id", "uuid"), fields.rest.get("seed")
    provenance: Value = {
        "id": identity,
        "source": source,
        "licence": licence,
        "upstream_verdict": fields.take(*VERDICT),
    }
    problem = ProblemRecord(
        row.line,
        question or prompt,
        gold,
        messages,
        "none" if gold is None else "math",
        source=source[:500],
        licence=licence[:200],
    )
    has_seed = isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < 2**63
    return TraceRecord(
        row.line, problem, prompt, completion,
        reasoning=reasoning, finish_reason=fields.finish_reason(), source_id="" if identity is None else str(identity),
        model_name=(fields.text("model", "model_name") or "")[:300], seed=int(str(fields.take("seed"))) if has_seed else None,
        provenance={key: value for key, value in provenance.items() if value not in (None, "")},
        metadata=fields.rest, lost=fields.lost,
    )  # fmt: skip


def _completion(fields: Fields) -> tuple[str, str | None]:
    """The completion and the reasoning inside its message; takes a conversation's last message where there is no other completion."""
    raw = fields.take(*COMPLETION)
    if isinstance(raw, str):
        return raw, None
    if raw is None:
        conversation = fields.take("messages")
        if not isinstance(conversation, list) or len(conversation) < 2:
            raise RowError(
                "there is no completion: neither a field of that name nor a conversation that ends with an answer"
            )
        fields.rest["messages"], raw = conversation[:-1], conversation[-1:]
    message = read_messages(raw, fields)
    if len(message) != 1 or message[0]["role"] != "assistant":
        raise RowError("the completion must be one message of the assistant")
    inner = (
        next((raw[0][name] for name in REASONING if isinstance(raw[0].get(name), str)), None)
        if isinstance(raw, list)
        else None
    )
    return message[0]["content"], inner


def _question(fields: Fields) -> tuple[str, Messages | None]:
    """The question as a person reads it, and the conversation where it is one; "" where only a prompt text is there."""
    question = fields.text(*PROBLEM)
    conversation = fields.take("messages")
    name = next((name for name in PROMPT if isinstance(fields.rest.get(name), list)), None)
    if conversation is None and name is not None:
        conversation = fields.take(name)
    if conversation is None:
        return question or "", None
    read, messages = prompt_of(read_messages(conversation, fields))
    return question or read, messages


FORMAT = Format("plain_traces", "prompt and completion", "traces", _matches, _read)
