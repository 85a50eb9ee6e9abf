"""Choose the starter content from the folder of real data: `prepare-starter.py DATA OUT`.

Problems: the first 200 of GSM8K's test file and the first 100 of MATH-500. Traces: for each shape and source a few of moderate length whose
licence is MIT or Apache-2.0, and one whole group. Rows are copied as they are, with their source, commit and licence.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LICENCES = {"MIT", "Apache-2.0"}
PER_SHAPE_AND_SOURCE = 3
MAX_CHARS = 9_000
GROUP_SAMPLES = 16


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def write(path: Path, chosen: list[dict[str, Any]]) -> None:
    """Write rows as JSONL, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    partial.replace(path)
    print(f"{path}: {len(chosen)} rows, {path.stat().st_size:,} bytes")


def traces(data: Path) -> list[dict[str, Any]]:
    """A small choice that shows every shape."""
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for row in rows(data / "traces_seed" / "traces_seed.jsonl"):
        place = (row["shape"], row["source"])
        size = len(row["raw"]) + len(row["reasoning"] or "")
        if row["licence"] in LICENCES and size <= MAX_CHARS and taken[place] < PER_SHAPE_AND_SOURCE:
            taken[place] += 1
            chosen.append(row)
    return chosen


def group(data: Path) -> list[dict[str, Any]]:
    """The first samples of one question."""
    found = list(rows(data / "groups" / "groups.jsonl"))
    return [row for row in found if row["group"] == found[0]["group"]][:GROUP_SAMPLES]


def main() -> None:
    data, out = map(Path, sys.argv[1:3])
    write(out / "problems" / "gsm8k-test-200.jsonl", list(rows(data / "gsm8k" / "test.jsonl"))[:200])
    write(out / "problems" / "math-500-first-100.jsonl", list(rows(data / "math500" / "math500.jsonl"))[:100])
    write(out / "traces" / "real-traces.jsonl", traces(data))
    write(out / "traces" / "one-problem-16-samples.jsonl", group(data))


main()
