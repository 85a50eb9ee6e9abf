"""Files out of the store: no path leads out of it, and nothing is in memory as a whole."""

import io
import os
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from webapp.curation import storefiles


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path}/store"
    (tmp_path / "store").mkdir()
    (tmp_path / "secret").write_bytes(b"not yours")
    return tmp_path / "store"


@pytest.mark.parametrize(
    "path",
    ["../secret", "a/../../secret", "/etc/passwd", "", "a//b", ".hidden", "a\\..\\b", "a\x00b", "~/x", "http://x/y"],
)
def test_no_path_leads_out_of_the_store(path):
    with pytest.raises(ValueError, match="not a path below"):
        storefiles.open_file(path)


def test_a_file_is_closed_after_its_last_piece(store):
    (store / "a").write_bytes(b"x" * (storefiles.CHUNK + 1))
    file = storefiles.open_file("a")
    assert [len(piece) for piece in storefiles.chunks(file)] == [storefiles.CHUNK, 1]
    assert file.closed


def test_an_archive_begins_before_its_last_file_is_opened(store):
    noise = os.urandom(storefiles.CHUNK * 3)  # does not compress, so it comes out as it goes in
    (store / "first").write_bytes(noise)
    pieces = storefiles.zipped([("first", "first"), ("gone", "gone")])
    begun = [next(pieces) for _ in range(3)]
    assert sum(map(len, begun)) > storefiles.CHUNK
    with pytest.raises(FileNotFoundError):
        list(pieces)


def test_the_same_files_make_the_same_archive(store):
    (store / "a").write_bytes(b"text " * 1000)
    made = [b"".join(storefiles.zipped([("folder/a", "a")])) for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0]) < 1000
    assert zipfile.ZipFile(io.BytesIO(made[0])).read("folder/a") == b"text " * 1000


def test_first_rows_reads_the_columns_that_are_there(store):
    rows = [{"think": f"t{n}", "answer": "4", "heavy": "x" * 100} for n in range(50)]
    pq.write_table(pa.Table.from_pylist(rows), store / "rows.parquet")
    got = storefiles.first_rows("rows.parquet", 2, ["answer", "think", "label"])
    assert got == [{"think": "t0", "answer": "4"}, {"think": "t1", "answer": "4"}]


def test_first_rows_of_an_empty_file_are_none(store):
    pq.write_table(pa.table({"think": pa.array([], pa.string())}), store / "rows.parquet")
    assert storefiles.first_rows("rows.parquet", 2, ["think"]) == []


@pytest.mark.parametrize("content", [None, b"", b"PAR1 not really"])
def test_a_damaged_file_is_named(store, content):
    if content is not None:
        (store / "rows.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=r"rows\.parquet.*cannot be read"):
        storefiles.first_rows("rows.parquet", 2, ["think"])


def test_the_beginning_of_a_text_survives_a_cut_character(store):
    (store / "README.md").write_text("漢字")
    assert storefiles.beginning("README.md", 4) == "漢\ufffd"
