"""Frozen rows alone: their columns, odd text, and that content decides the hash."""

import io

import pyarrow.parquet as pq
import pytest

from workers.formats import write_rows


def test_rows_refuse_an_unknown_column_and_keep_odd_text():
    with pytest.raises(ValueError, match="not a column of frozen rows: colour"):
        write_rows.write([{"colour": "red"}])
    odd = "a\u2028b\u202e😀\\u0000 \ud7ff"
    written = write_rows.write([{"trace_id": 1, "completion": odd, "score": float("nan")}])
    (row,) = pq.read_table(io.BytesIO(written.data)).to_pylist()
    assert (row["completion"], row["score"], written.count) == (odd, None, 1)


def test_the_hash_is_of_content_and_order_and_the_file_carries_it():
    one, two = {"trace_id": 1, "tags": ["a"]}, {"trace_id": 2, "score": 0.5}
    written = write_rows.write([one, two])
    assert write_rows.write([one, two]).content_hash == written.content_hash
    assert write_rows.write([two, one]).content_hash != written.content_hash
    assert write_rows.stored_hash(pq.ParquetFile(io.BytesIO(written.data))) == written.content_hash


def test_no_rows_make_a_file_with_columns():
    written = write_rows.write([])
    assert pq.read_table(io.BytesIO(written.data)).column_names == write_rows.SCHEMA.names


def test_rows_outgrow_a_batch():
    written = write_rows.write({"trace_id": i} for i in range(write_rows.BATCH * 2 + 1))
    assert pq.read_table(io.BytesIO(written.data))["trace_id"].to_pylist() == list(range(write_rows.BATCH * 2 + 1))
