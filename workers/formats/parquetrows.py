"""Rows of a Parquet file, within a budget of decoded bytes.

A file's own figures cannot be trusted (794 bytes can decode to 1 GiB while its metadata says 1 MB), so what counts is what comes out
of the decoder. Left out: a limit inside one compressed page, which pyarrow decodes as a whole.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workers.formats.csvrows import MAX_COLUMNS
from workers.formats.records import Rejected, Row
from workers.formats.values import row_from_value

BATCH_ROWS = 64
MIN_DECODED_LIMIT = 128 * 2**20
EXPANSION = 100  # decoded bytes a stored byte


class ParquetRows:
    """Iterates over the rows. Raises ValueError, in words, for damage, too many columns and a budget that ran out."""

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        self.limit = max(MIN_DECODED_LIMIT, EXPANSION * self.size)
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"not a Parquet file that can be read: {str(error).splitlines()[0][:200]}") from error
        self.count = int(self._file.metadata.num_rows)
        columns = len(self._file.schema_arrow.names)
        if max(columns, self._file.metadata.num_columns) > MAX_COLUMNS:
            raise ValueError(
                f"{max(columns, self._file.metadata.num_columns):,} columns; at most {MAX_COLUMNS:,} are read"
            )
        if not self.count:
            raise ValueError("the file has no records")
        self._done = 0

    @property
    def position(self) -> int:
        """How far reading is, in bytes of the file (by rows, as columns are not read in order)."""
        return self.size * self._done // self.count

    def __iter__(self) -> Iterator[Row | Rejected]:
        decoded = 0
        batches = self._file.iter_batches(batch_size=BATCH_ROWS, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"damaged after row {self._done:,}: {str(error).splitlines()[0][:200]}") from error
            if batch is None:
                return
            for value in batch.to_pylist():
                decoded += _decoded_bytes(value)
                if decoded > self.limit:
                    words = f"the file of {self.size:,} bytes decodes to more than {self.limit // 2**20:,} MiB"
                    raise ValueError(f"stopped after row {self._done:,}: {words}")
                self._done += 1
                yield row_from_value(value, self._done)

    def close(self) -> None:
        self._file.close()


def _decoded_bytes(value: object) -> int:
    """About what a value takes; counted row by row, because a dictionary-encoded batch holds a repeated text only once."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_decoded_bytes(item) for item in value.values())
    return sum(map(_decoded_bytes, value)) if isinstance(value, list) else 8
