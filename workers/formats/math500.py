"""MATH-500's own lines: {problem, solution, answer, subject, level, unique_id}. Subject and level become tags."""

from workers.formats.fields import Fields, tag_words
from workers.formats.records import Format, ProblemRecord, Row, RowError, Value


def _matches(value: Value) -> bool:
    return (
        all(isinstance(value.get(name), str) for name in ("problem", "solution", "answer", "subject"))
        and "level" in value
    )


def _read(row: Row) -> ProblemRecord:
    fields = Fields(row)
    problem, answer = fields.text("problem"), fields.text("answer")
    if not problem or answer is None:
        raise RowError("a MATH-500 row needs the fields problem and answer")
    level = row.value.get("level")
    tags = [row.value.get("subject"), f"level-{level}" if level is not None else ""]
    return ProblemRecord(
        row.line,
        problem,
        answer,
        verifier="math",
        source="MATH-500",
        tags=tag_words(tags),
        metadata=fields.rest,
        lost=fields.lost,
    )


FORMAT = Format("math500", "MATH-500", "problems", _matches, _read)
