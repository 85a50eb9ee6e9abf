"""GSM8K's own lines: {question, answer}, where the answer is a worked solution that ends in `#### 18`."""

import re

from workers.formats.fields import Fields
from workers.formats.records import Format, ProblemRecord, Row, RowError, Value

_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")


def _matches(value: Value) -> bool:
    answer = value.get("answer")
    return isinstance(value.get("question"), str) and isinstance(answer, str) and "####" in answer


def _read(row: Row) -> ProblemRecord:
    fields = Fields(row)
    question, solution = fields.text("question"), fields.text("answer")
    if not question or solution is None:
        raise RowError("a GSM8K row needs the fields question and answer")
    _, mark, gold = solution.rpartition("####")
    if not mark or not gold.strip():
        raise RowError("the answer has no gold after ####")
    gold = gold.strip()
    if _GROUPED.fullmatch(gold):
        gold = gold.replace(",", "")
    metadata = {"solution": solution, **fields.rest}
    return ProblemRecord(row.line, question, gold, verifier="math", source="GSM8K", metadata=metadata, lost=fields.lost)


FORMAT = Format("gsm8k", "GSM8K", "problems", _matches, _read)
