"""The frozen rows of a dataset version: their columns, their canonical form, the Parquet file that holds them.

Anyone can check the hash: take the rows in order, write each as JSON with sorted keys, no spaces and no escapes beyond
JSON's own, end each with a line feed, and take SHA-256 over all. Left out: trainers' formats (write_sft.py).
"""

import hashlib
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_VERSION = 1
BATCH = 500  # rows written together
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("trace_id", pa.int64()),
        ("run", pa.string()),
        ("sample_index", pa.int64()),
        ("problem_key", pa.string()),
        ("problem_set", pa.string()),
        ("prompt", pa.string()),  # the question, as a person reads it
        ("messages", _MESSAGES),  # what was asked as a conversation, without the answer
        ("model_prompt", pa.string()),  # exactly what the model saw, where it is known
        ("think", pa.string()),
        ("answer", pa.string()),
        ("reasoning", pa.string()),  # the think as its source kept it in a field of its own, or null
        ("completion", pa.string()),  # exactly what the model wrote
        ("finish_reason", pa.string()),
        ("gold", pa.string()),
        ("verdict", pa.string()),  # correct, wrong, undecidable, or unscored
        ("verifier", pa.string()),
        ("verifier_version", pa.string()),
        ("score", pa.float64()),
        ("engine", pa.string()),
        ("model", pa.string()),
        ("checkpoint_hash", pa.string()),
        ("sampling", pa.string()),  # JSON
        ("seed", pa.int64()),
        ("label", pa.string()),
        ("rating", pa.int64()),
        ("tags", pa.list_(pa.string())),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("provenance", pa.string()),  # JSON
        ("findings", pa.list_(pa.string())),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("think_chars", pa.int64()),
        ("answer_chars", pa.int64()),
        ("mean_logprob", pa.float64()),
        ("mean_entropy", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Written:
    """A whole Parquet file, the number of its rows and their hash (64 hexadecimal digits)."""

    data: bytes
    count: int
    content_hash: str


def canonical(row: dict[str, Any]) -> bytes:
    """The bytes that a row adds to the content hash. Not-a-number and infinities are null, as in the file."""
    clean = {name: _finite(row.get(name)) for name in SCHEMA.names}
    text = json.dumps(clean, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8") + b"\n"


def write(rows: Iterable[dict[str, Any]]) -> Written:
    """Write rows in the order given. Raises ValueError for a row with a column that is not of the schema."""
    digest, count = hashlib.sha256(), 0
    buffer, batch = io.BytesIO(), []
    with pq.ParquetWriter(buffer, SCHEMA, compression="zstd") as writer:
        for row in rows:
            if unknown := set(row) - set(SCHEMA.names):
                raise ValueError(f"not a column of frozen rows: {', '.join(sorted(unknown))}")
            digest.update(canonical(row))
            count += 1
            batch.append({name: _finite(value) for name, value in row.items()})
            if len(batch) == BATCH:
                writer.write_table(pa.Table.from_pylist(batch, SCHEMA))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, SCHEMA))
        content_hash = digest.hexdigest()
        writer.add_key_value_metadata({"sluice_rows": str(ROWS_VERSION), "content_hash": content_hash})
    return Written(buffer.getvalue(), count, content_hash)


def stored_hash(file: pq.ParquetFile) -> str:
    """The content hash that a file of frozen rows carries; "" when it carries none."""
    return (
        (file.schema_arrow.metadata or {}).get(b"content_hash")
        or (file.metadata.metadata or {}).get(b"content_hash")
        or b""
    ).decode()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
