"""What a file is packed in: containers, compression, line endings, limits."""

import gzip
import json
import tracemalloc
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workers.formats import bytestream, jsonrows
from workers.formats.records import Rejected, Row
from workers.formats.rows import Rows

RECORDS = [{"prompt": f'Q{i} " [ {{ , \\ \n', "completion": "é" * i} for i in range(5)]


def read(path, data):
    path.write_bytes(data)
    with closing(Rows(path)) as rows:
        return rows.container, list(rows)


def values(found):
    assert not [row for row in found if isinstance(row, Rejected)]
    return [row.value for row in found]


LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r", b"\n\n  \n"])
def test_json_lines_with_any_line_ending(tmp_path, ending):
    container, found = read(tmp_path / "a", LINES.replace(b"\n", ending))

    assert (container, values(found)) == ("JSON lines", RECORDS)


def test_json_lines_without_a_final_line_break(tmp_path):
    assert values(read(tmp_path / "a", LINES.rstrip())[1]) == RECORDS


def test_json_lines_count_blank_lines(tmp_path):
    assert [row.line for row in read(tmp_path / "a", b'{"a": 1}\n\n{"a": 2}\n')[1]] == [1, 3]


@pytest.mark.parametrize("indent", [None, 2])
def test_json_array(tmp_path, indent, monkeypatch):
    monkeypatch.setattr(jsonrows, "CHUNK", 7)  # every record lies over a border
    container, found = read(tmp_path / "a", json.dumps(RECORDS, indent=indent).encode())

    assert (container, values(found)) == ("JSON array", RECORDS)
    assert [row.line for row in found] == [1, 2, 3, 4, 5]


def test_json_array_with_what_is_no_object(tmp_path):
    _, found = read(tmp_path / "a", b'[{"a": [1, 2]}, 3, "x,y", {"b": "]"}]')

    assert [row.value for row in found if isinstance(row, Row)] == [{"a": [1, 2]}, {"b": "]"}]
    assert [(row.line, "an object" in row.why) for row in found if isinstance(row, Rejected)] == [(2, True), (3, True)]


def test_json_array_cut_off(tmp_path):
    _, found = read(tmp_path / "a", b'[{"a": 1}, {"a": "x')

    assert found[0] == Row(1, {"a": 1})
    assert (found[1].line, "cut off" in found[1].why) == (2, True)


def test_json_objects_over_several_lines(tmp_path):
    container, found = read(tmp_path / "a", "\n".join(json.dumps(record, indent=1) for record in RECORDS).encode())

    assert (container, values(found)) == ("JSON objects", RECORDS)


def test_gzip_and_zstandard(tmp_path):
    assert read(tmp_path / "a", gzip.compress(LINES)) == ("JSON lines (gzip)", read(tmp_path / "b", LINES)[1])
    packed = pa.Codec("zstd").compress(LINES, asbytes=True)
    assert read(tmp_path / "c", packed) == ("JSON lines (zstd)", read(tmp_path / "b", LINES)[1])


def test_damaged_gzip_is_named(tmp_path):
    with pytest.raises(ValueError, match="damaged or cut off"):
        read(tmp_path / "a", gzip.compress(LINES)[:-12])


def test_gzip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(bytestream, "MIN_DECODED_LIMIT", 2**20)
    with pytest.raises(ValueError, match="expands to more than"):
        read(tmp_path / "a", gzip.compress(b'{"a": "' + b"x" * 2**24 + b'"}'))


def test_parquet(tmp_path):
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "source")
    container, found = read(tmp_path / "a", (tmp_path / "source").read_bytes())

    assert (container, values(found)) == ("Parquet", RECORDS)


def test_damaged_parquet_is_named(tmp_path):
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "source")
    with pytest.raises(ValueError, match="Parquet"):
        read(tmp_path / "a", (tmp_path / "source").read_bytes()[:-20])


def test_git_lfs_pointer_is_named(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    with pytest.raises(ValueError, match="Git LFS pointer"):
        read(tmp_path / "a", pointer)


def test_other_encodings_are_named(tmp_path):
    with pytest.raises(ValueError, match="UTF-16"):
        read(tmp_path / "a", LINES.decode().encode("utf-16"))
    _, found = read(tmp_path / "b", b"prompt,completion\nQ,\xa1\nQ,A\n")
    assert [isinstance(row, Rejected) for row in found] == [True, False]


def test_csv_rows(tmp_path):
    container, found = read(tmp_path / "a", b'prompt,completion\n"Q,\n1",A\nB\n')

    assert container == "CSV"
    assert found == [Row(2, {"prompt": "Q,\n1", "completion": "A"}), Rejected(4, "1 columns where the header has 2")]


def test_line_beyond_the_limit_costs_one_row(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonrows, "MAX_RECORD_BYTES", 4_000)
    monkeypatch.setattr(jsonrows, "CHUNK", 1_000)
    _, found = read(tmp_path / "a", b'{"a": 1}\n{"a": "' + b"x" * 9_000 + b'"}\n{"a": 2}\n')

    assert [row.line for row in found] == [1, 2, 3]
    assert isinstance(found[1], Rejected)


def test_numbers_beyond_limits_are_rejected(tmp_path):
    _, found = read(tmp_path / "a", b'{"a": ' + b"9" * 6_000 + b'}\n{"a": 1e400}\n{"a": 9007199254740993}\n')

    assert "too long" in found[0].why
    assert found[1] == Row(2, {"a": None}, ("a (NaN or Infinity, stored as null)",))
    assert found[2].value == {"a": 2**53 + 1}


def test_nul_and_repeated_names_are_noted(tmp_path):
    _, found = read(tmp_path / "a", b'{"a": "x\\u0000y", "b": 1, "b": 2}')

    assert found == [Row(1, {"a": "x\u2400y", "b": 2}, ("b (named twice, the last kept)", "a (NUL, stored as U+2400)"))]


def test_memory_stays_flat(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        for _ in range(40_000):
            file.write(b'{"prompt": "' + b"x" * 1_000 + b'", "completion": "y"}\n')
    rows = Rows(path)
    tracemalloc.start()
    count = sum(1 for _ in rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows.close()

    assert count == 40_000
    assert peak < 12 * 2**20 < path.stat().st_size
