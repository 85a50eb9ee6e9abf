"""Traces gathered from public repositories: {id, source, repo, commit, licence, model, problem, gold, raw, reasoning, ...}.

`raw` is the model's untouched text. What the source judged itself (`upstream_correct`) is provenance, never a verdict of ours.
Where the question is not known, the rows of one group still share one problem.
"""

from workers.formats.fields import Fields
from workers.formats.records import Format, ProblemRecord, Row, RowError, TraceRecord, Value


def _matches(value: Value) -> bool:
    return isinstance(value.get("raw"), str) and all(name in value for name in ("id", "source", "problem"))


def _read(row: Row) -> TraceRecord:
    fields = Fields(row)
    completion = fields.text("raw")
    if completion is None:
        raise RowError("the field raw, the model's text, is missing")
    group = row.value.get("group")
    source_id = str(row.value["id"]) if row.value.get("id") is not None else ""
    prompt = fields.text("problem") or ""
    gold = fields.gold("gold")
    source, licence = fields.text("source") or "", fields.text("licence") or ""
    provenance: Value = {
        "source": source, "repository": fields.take("repo"), "commit": fields.take("commit"), "licence": licence,
        "id": fields.take("id"), "upstream_verdict": fields.take("upstream_correct"),
    }  # fmt: skip
    problem = ProblemRecord(
        row.line, prompt, gold, verifier="none" if gold is None else "math", source=source[:500], licence=licence[:200],
        key_extra="" if prompt else str(group or source_id or row.line),
    )  # fmt: skip
    return TraceRecord(
        row.line, problem, prompt, completion,
        reasoning=fields.text("reasoning"), finish_reason=fields.finish_reason(), source_id=source_id,
        model_name=(fields.text("model") or "")[:300], metadata=fields.rest, lost=fields.lost,
        provenance={key: value for key, value in provenance.items() if value not in (None, "")},
    )  # fmt: skip


FORMAT = Format("seed_traces", "gathered traces (raw, with source)", "traces", _matches, _read)
