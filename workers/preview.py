"""What an import would make of a file: its first rows as they would be stored, within bounds of time, rows and text."""

import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from workers.formats.reading import Reader
from workers.formats.records import Kind, ProblemRecord, Rejected, TraceRecord
from workers.parsing import parse

MAX_ROWS = 20_000
MAX_SECONDS = 3.0
SHOWN_ROWS = 6
SHOWN_REJECTED = 20
SHOWN_CHARACTERS = 400  # of one text
SHOWN_SEGMENTS = 12


def preview(path: Path, kind: Kind, format_name: str, name: str) -> dict[str, object]:
    """Read the beginning of a file. Raises ValueError, in words, when the file cannot be read as a whole.

    `read` rows were looked at, `complete` says whether that was all, `estimate` is how many there are likely to be.
    """
    rows: list[dict[str, object]] = []
    rejected: list[dict[str, object]] = []
    lost: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    read = refused = with_gold = 0
    until = time.monotonic() + MAX_SECONDS
    with closing(Reader(path, kind, format_name, name)) as reader:
        complete = True
        for record in reader:
            if read >= MAX_ROWS or time.monotonic() > until:
                complete = False
                break
            read += 1
            if isinstance(record, Rejected):
                refused += 1
                if len(rejected) < SHOWN_REJECTED:
                    rejected.append({"line": record.line, "why": record.why[:300]})
                continue
            lost.update(record.lost)
            shown = _problem(record) if isinstance(record, ProblemRecord) else _trace(record, findings)
            with_gold += shown["gold"] is not None
            if len(rows) < SHOWN_ROWS:
                rows.append(shown)
        estimate = _estimate(reader, read, complete=complete)
        return {
            "format": reader.format.name if reader.format else "", "label": reader.format.label if reader.format else "",
            "container": reader.container, "read": read, "complete": complete, "estimate": estimate, "rows": rows,
            "rejected": rejected, "rejected_count": refused, "lost": dict(lost.most_common(50)),
            "findings": dict(findings.most_common()), "with_gold": with_gold,
        }  # fmt: skip


def _estimate(reader: Reader, read: int, *, complete: bool) -> int:
    """Rows in the file: counted, or told by the file, or by the share of bytes that was read."""
    if complete or not reader.position:
        return read
    return reader.count or max(read, round(read * reader.size / reader.position))


def _problem(record: ProblemRecord) -> dict[str, object]:
    return {
        "line": record.line, "prompt": _clip(record.prompt), "gold": _clip(record.answer), "verifier": record.verifier,
        "tags": list(record.tags), "metadata": sorted(record.metadata)[:20],
    }  # fmt: skip


def _trace(record: TraceRecord, findings: Counter[str]) -> dict[str, object]:
    parsed = parse(record.prompt, record.reasoning, record.completion, record.finish_reason)
    kinds = sorted({found.kind for found in parsed.findings})
    findings.update(kinds)
    fields = {"reasoning": record.reasoning or "", "completion": record.completion}
    segments = [
        {"kind": s["kind"], "text": _clip(text), "characters": len(text)}
        for s in parsed.segments
        if s["field"] in fields and (text := fields[str(s["field"])][int(str(s["start"])) : int(str(s["end"]))]).strip()
    ]
    return {
        "line": record.line, "prompt": _clip(record.prompt), "gold": _clip(record.problem.answer), "segments": segments[:SHOWN_SEGMENTS],
        "more_segments": max(0, len(segments) - SHOWN_SEGMENTS), "findings": kinds, "model": record.model_name,
        "source_id": record.source_id[:200], "upstream": record.provenance.get("upstream_verdict"), "metadata": sorted(record.metadata)[:20],
    }  # fmt: skip


def _clip(text: str | None) -> str | None:
    """The text, or its beginning and its end where it is long."""
    if text is None or len(text) <= SHOWN_CHARACTERS:
        return text
    half = SHOWN_CHARACTERS // 2
    return f"{text[:half]} … {text[-half:]}"
