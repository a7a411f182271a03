"""JSON lines as input: each object comes out whole, in columns that its file's beginning decides, or is a removal."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from warc_tools import frame

from gpurefine.documents import DOCUMENT_SCHEMA, TEXT
from gpurefine.errors import InputError
from gpurefine.read import jsonl, jsonsample
from gpurefine.read.batches import SplitCounts
from gpurefine.read.inputs import find_inputs
from gpurefine.read.jsonl import read_lines
from gpurefine.read.jsonsample import REST
from gpurefine.read.options import InputOptions
from gpurefine.read.parts import Part
from gpurefine.read.schemas import OF_JSON, check_columns

OURS = {field.name for field in DOCUMENT_SCHEMA}


def write(path, *objects, end: bytes = b"\n") -> None:
    """Lines of objects, or of bytes as they are."""
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in objects]
    path.write_bytes(b"".join(line + end for line in lines))


def read(folder, cuts=None, part=None, **options):
    """All of the folder's files: rows, removals, the other columns, counts."""
    given = InputOptions(**options)
    files = find_inputs([folder / "*"])
    others = check_columns(files, given)
    rows, removed, counts = [], [], SplitCounts()
    for file in files:
        if file.kind == "jsonl":
            for begin, end in itertools.pairwise(cuts or [0, file.size]):
                for batch in read_lines(file, begin, end, given, others, counts, part):
                    assert batch.pages.schema == pa.schema([*DOCUMENT_SCHEMA, *others])
                    rows += batch.pages.to_pylist()
                    removed += batch.removed.to_pylist()
    return rows, removed, others, counts


def kinds(others: pa.Schema) -> dict[str, pa.DataType | str]:
    return {field.name: "json" if field.metadata == OF_JSON else field.type for field in others}


def test_a_document(tmp_path):
    line = {"id": 5, "url": "http://a", "text": "Ü", "date": "2024-01-02T03:04:05Z", "n": 1, "tags": ["x"]}
    write(tmp_path / "a.jsonl", line, {"text": "second"})
    (first, second), removed, others, counts = read(tmp_path, dump="CC")
    size = len(json.dumps(line)) + 1
    assert removed == [] and counts.records == 2
    assert first == {
        "id": "5",
        "url": "http://a",
        "dump": "CC",
        "segment": None,
        "date": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        "file": "a.jsonl",
        "offset": 0,
        "length": size,
        "language": None,
        "language_score": None,
        "text": "Ü",
        "n": 1,
        "tags": '["x"]',
        REST: None,
    }
    assert (second["id"], second["offset"], second["length"]) == (f"a.jsonl:{size}", size, 19)
    assert kinds(others) == {"n": pa.int64(), "tags": "json", REST: "json"}


def test_names_and_places_as_for_tables(tmp_path):
    """Columns can be named; where a record came from is taken whole; what only has our name is renamed."""
    lines = [
        {"content": "a", "key": "k", "link": "l", "text": "t", "file": "f", "offset": 3, "length": 4, "segment": 7},
        {"content": "b", "key": 2, "file": "f"},
        {"content": None, "language_score": 1, "language": "de", "n_tokens": 6},
    ]
    write(tmp_path / "a.jsonl", *lines)
    rows, removed, others, _ = read(tmp_path, text_column="content", id_column="key", url_column="link")
    assert removed == []
    assert [row["text"] for row in rows] == ["a", "b", None]
    assert [row["id"] for row in rows][:2] == ["k", "2"] and rows[0]["url"] == "l"
    size = len(json.dumps(lines[0])) + 1
    assert [rows[0][key] for key in ("file", "offset", "length")] == ["f", 3, 4]
    assert [rows[1][key] for key in ("file", "offset", "length")] == ["a.jsonl", size, len(json.dumps(lines[1])) + 1]
    assert (rows[2]["language_score"], rows[2]["language"], rows[2]["n_tokens"]) == (1.0, "de", 6)
    assert rows[0]["input_text"] == "t" and rows[0]["input_segment"] == 7
    assert list(kinds(others)) == ["input_text", "input_segment", "n_tokens", REST]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None, False], pa.bool_()),
        ([1, -5, None], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([(1 << 53) + 1, 2], pa.int64()),
        ([(1 << 53) + 1, 2.5], "json"),
        ([1 << 63], "json"),
        (["a", "b"], TEXT),
        (["a", 1], "json"),
        ([True, 1], "json"),
        ([[1], {"a": 1}], "json"),
        ([None], "json"),
    ],
)
def test_types_hold_all_values_of_the_beginning(tmp_path, values, kind):
    write(tmp_path / "a.jsonl", *({"text": "t", "x": value} for value in values))
    rows, removed, others, _ = read(tmp_path)
    assert removed == [] and kinds(others)["x"] == kind
    found = [row["x"] for row in rows]
    if kind == "json":
        found = [None if value is None else json.loads(value) for value in found]
        assert list(map(type, found)) == list(map(type, values))
    assert found == values


def test_types_are_those_of_all_files_together(tmp_path):
    write(tmp_path / "a.jsonl", {"text": "t", "x": 1, "y": "a", "z": None})
    write(tmp_path / "b.jsonl", {"text": "t", "x": 1.5, "y": 1, "z": True, "only": 1})
    rows, removed, others, _ = read(tmp_path)
    assert removed == []
    assert kinds(others) == {"x": pa.float64(), "y": "json", "z": pa.bool_(), "only": pa.int64(), REST: "json"}
    assert [row["y"] for row in rows] == ['"a"', "1"]


def test_beside_tables_a_column_has_the_type_of_the_table(tmp_path):
    table = pa.table({"text": ["t"], "n": pa.array([1], pa.int8()), "s": ["a"], "f": [1.5], "none": pa.nulls(1)})
    pq.write_table(table, tmp_path / "b.parquet")
    write(tmp_path / "a.jsonl", {"text": "t", "n": 5, "s": "b", "f": 2}, {"text": "t", "n": 200})
    rows, removed, others, _ = read(tmp_path)
    assert kinds(others) == {"n": pa.int8(), "s": TEXT, "f": pa.float64(), "none": pa.null(), REST: "json"}
    assert [(row["n"], row["s"], row["f"]) for row in rows] == [(5, "b", 2.0)]
    assert [row["evidence"] for row in removed] == ["line 2: 'n' holds an integer, expected int8"]


@pytest.mark.parametrize(("value", "said"), [("x", "string"), (1.5, "double"), ([1], "of mixed values")])
def test_types_that_do_not_go_together_are_refused(tmp_path, value, said):
    pq.write_table(pa.table({"text": ["t"], "n": pa.array([1], pa.int8())}), tmp_path / "b.parquet")
    write(tmp_path / "a.jsonl", {"text": "t", "n": value})
    with pytest.raises(InputError, match=f"the column 'n' is int8 in .*b.parquet and .*{said}.* in .*a.jsonl"):
        read(tmp_path)


def test_what_comes_after_the_beginning_fits_or_is_on_record(tmp_path, monkeypatch):
    """Ours are found late, too; other keys that come late stand in one column; a misfit is never null in silence."""
    monkeypatch.setattr(jsonsample, "SAMPLE_BYTES", 30)
    late = {"text": "t", "url": "u", "id": "i", "new": [1], "file": "f", "date": "2024-01-01T00:00:00Z"}
    write(tmp_path / "a.jsonl", {"text": "beginning", "n": 1}, late, {"text": "t", "n": 2.5}, {"text": "t", "url": 1})
    rows, removed, others, _ = read(tmp_path)
    assert kinds(others) == {"n": pa.int64(), REST: "json"}
    assert (rows[1]["url"], rows[1]["id"], rows[1]["date"].year) == ("u", "i", 2024)
    assert json.loads(rows[1][REST]) == {"new": [1], "file": "f"}
    assert [(row["rule"], row["evidence"]) for row in removed] == [
        ("line", "line 3: 'n' holds a number, expected int64"),
        ("line", "line 4: 'url' holds an integer, expected a string"),
    ]


def test_no_more_columns_than_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonsample, "MOST_COLUMNS", 3)
    write(tmp_path / "a.jsonl", {"text": "t", "a": 1, "b": 2, "c": 3, "": 4, "\ud800": 5}, {"text": "t", "d": None})
    rows, removed, others, _ = read(tmp_path)
    assert removed == [] and list(others.names) == ["a", "b", REST]
    assert json.loads(rows[0][REST]) == {"c": 3, "": 4, "\ud800": 5}
    assert json.loads(rows[1][REST]) == {"d": None}


BROKEN = [
    (b'{"text": "a"', "line 2: no JSON: Expecting ',' delimiter at character 13"),
    (b"[]", "line 2: an array, expected an object"),
    (b'{"id": "i"}', "line 2: no key 'text'"),
    (b'{"text": 5}', "line 2: 'text' holds an integer, expected a string"),
    (b'{"text": ["a"]}', "line 2: 'text' holds an array, expected a string"),
    (b'{"text": "a", "id": 1.5}', "line 2: 'id' holds a number, expected a string or an integer"),
    (b'{"text": "a", "n": "\x1b[0m"}', "line 2: no JSON: Invalid control character at at character 21"),
    (b"\x1b" * 300, "line 2: no JSON: Expecting value at character 1"),
]


@pytest.mark.parametrize(("line", "evidence"), BROKEN)
def test_broken_lines_are_removals_with_their_number(tmp_path, monkeypatch, line, evidence):
    monkeypatch.setattr(jsonsample, "SAMPLE_BYTES", 1)
    first = {"text": "a", "id": "x", "n": "s"}
    write(tmp_path / "a.jsonl", first, line, b" \r", {"text": "b"}, end=b"\r\n")
    rows, (removed,), _, counts = read(tmp_path)
    start = len(json.dumps(first)) + 2
    assert [row["text"] for row in rows] == ["a", "b"] and counts.records == 3
    assert removed["evidence"] == evidence
    assert (removed["stage"], removed["rule"], removed["file"]) == ("read", "line", "a.jsonl")
    assert (removed["offset"], removed["length"], removed["id"]) == (start, len(line) + 2, f"a.jsonl:{start}")


def test_what_is_known_of_a_line_stands_in_its_removal(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonsample, "SAMPLE_BYTES", 1)
    write(tmp_path / "a.jsonl", {"text": "a", "n": 1}, {"id": 7, "url": "u", "text": "b", "n": 1.5})
    _, (removed,), _, _ = read(tmp_path)
    assert (removed["id"], removed["url"], removed["rule"]) == ("7", "u", "line")


def test_halves_of_characters_in_any_place(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonsample, "SAMPLE_BYTES", 1)
    half = "\ud800"
    write(
        tmp_path / "a.jsonl", {"text": half, "id": half, "url": half, "n": half}, {"id": half, "url": half, "text": 1}
    )
    for part in (None, Part.of("1/1", 0)):
        (row,), (removed,), _, _ = read(tmp_path, part=part)
        assert {row[name] for name in ("text", "id", "url", "n")} == {"\ufffd"}
        assert (removed["id"], removed["url"]) == ("\ufffd", "\ufffd")


def test_a_line_longer_than_a_body_may_be(tmp_path):
    write(tmp_path / "a.jsonl", {"text": "a"}, {"text": "x" * 90}, {"text": "b"}, {"text": "y" * 88})
    rows, removed, _, counts = read(tmp_path, max_body=100)
    assert [row["text"] for row in rows] == ["a", "b", "y" * 88] and counts.records == 4
    assert [(row["rule"], row["value"], row["limit"], row["evidence"]) for row in removed] == [
        ("too_large", 103.0, 100.0, "line 2")
    ]


@pytest.mark.parametrize("wrap", [gzip.compress, frame])
def test_where_a_compressed_file_breaks_off(tmp_path, wrap):
    data = b"".join(json.dumps({"text": f"{number} {number**9}"}).encode() + b"\n" for number in range(20_000))
    (tmp_path / "a.jsonl").write_bytes(wrap(data)[:-500])
    rows, removed, _, counts = read(tmp_path)
    assert len(rows) + 1 == counts.records and len(rows) > 100
    assert [row["text"] for row in rows] == [f"{number} {number**9}" for number in range(len(rows))]
    assert removed[0]["rule"] == "damaged" and removed[0]["offset"] == sum(row["length"] for row in rows)
    assert removed[0]["evidence"].startswith(f"line {len(rows) + 1}: ")
    assert removed[0]["evidence"].endswith("at byte 0 of the file, and nothing behind it is read")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{"content": "a", "b": 1}], "has no column 'text'; it has content, b: choose one by"),
        ([{"text": 1}], "column 'text' must hold strings, found int64"),
        ([b"a", b"b"], "none of the 2 lines in its first 1 MiB is an object"),
        ([{"text": "t", "input_rest": 1}], "'input_rest'"),
        ([{"text": "t", "url": 1, "input_url": 1}], "two columns that would both be called 'input_url'"),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_a_sentence(tmp_path, lines, words):
    write(tmp_path / "a.jsonl", *lines)
    with pytest.raises(InputError, match=words) as refused:
        read(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_column_that_a_dedup_compares_must_be_there(tmp_path):
    write(tmp_path / "a.jsonl", {"text": "a"})
    with pytest.raises(InputError, match="no column 'url' of strings"):
        check_columns(find_inputs([tmp_path / "a.jsonl"]), InputOptions(), ["url"])


def test_a_file_that_breaks_off_at_once_is_a_removal(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 10)[:20])
    rows, (removed,), _, counts = read(tmp_path)
    assert rows == [] and counts.records == 1
    assert (removed["rule"], removed["evidence"][:8]) == ("damaged", "line 1: ")


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n"])
def test_a_file_without_lines(tmp_path, content):
    (tmp_path / "a.jsonl").write_bytes(content)
    rows, removed, others, counts = read(tmp_path)
    assert rows == removed == [] and counts.records == 0 and others.names == [REST]


def test_parts_are_cut_by_ids_of_lines(tmp_path):
    write(tmp_path / "a.jsonl", *({"text": "t", "id": f"i{number}"} for number in range(50)), b"broken", b"too")
    found = []
    for number in (1, 2, 3):
        rows, removed, _, counts = read(tmp_path, part=Part.of(f"{number}/3", 0))
        assert counts.records == len(rows) + len(removed) and counts.skipped["of other parts"] == 52 - counts.records
        found += [row["id"] for row in rows + removed]
    assert len(found) == len(set(found)) == 52


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=2), each, max_size=3),
    max_leaves=4,
)  # fmt: skip
OBJECTS = st.fixed_dictionaries(
    {"text": st.text(max_size=9) | st.none()}, optional=dict.fromkeys(("a", "b", "url", "id", "date", "é"), VALUES)
)


@given(st.lists(OBJECTS, min_size=1, max_size=9), st.integers(1, 300), st.integers(1, 300))
def test_every_value_of_every_line_comes_out_or_the_line_is_removed(tmp_path_factory, objects, sample, step):
    """Whatever the beginning shows and however the file is cut: rows give their objects again."""
    folder = tmp_path_factory.mktemp("lines")
    write(folder / "a.jsonl", *objects)
    size = (folder / "a.jsonl").stat().st_size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonsample, "SAMPLE_BYTES", sample)
        rows, removed, others, counts = read(folder)
        assert read(folder, [*range(0, size, step), size])[:2] == (rows, removed)
    assert counts.records == len(objects) == len(rows) + len(removed)
    places = [sum(len(json.dumps(each)) + 1 for each in objects[:number]) for number in range(len(objects))]
    gone = {row["offset"]: row["evidence"] for row in removed}
    for number, place in enumerate(places):
        if place in gone:
            assert gone[place].startswith(f"line {number + 1}: ") and " holds " in gone[place]
        else:
            row = next(row for row in rows if row["offset"] == place)
            assert object_of(row, others) == without_nulls(objects[number])


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"\n", b'{"text": "b"}\n', b" \r\n"])), st.integers(1, 40))
def test_any_bytes_are_documents_removals_or_blank_lines(tmp_path_factory, pieces, step):
    """Behind a first line that is one: nothing is lost, whatever stands there and however it is cut."""
    data = b'{"text": "a"}\n' + b"".join(pieces)
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "a.jsonl").write_bytes(data)
    rows, removed, _, counts = read(folder)
    assert read(folder, [*range(0, len(data), step), len(data)])[:2] == (rows, removed)
    lines = [line for line in data.split(b"\n") if line.strip()]
    assert counts.records == len(rows) + len(removed) == len(lines)
    places = sorted((row["offset"], row["length"]) for row in rows + removed)
    assert [data[offset : offset + length].rstrip(b"\n") for offset, length in places] == lines


@pytest.mark.parametrize("wrap", [gzip.compress, frame])
def test_no_flipped_bit_of_a_compressed_file_goes_unnoticed(tmp_path, wrap):
    generator = random.Random(2)
    lines = [{"text": generator.randbytes(20).hex(), "id": number} for number in range(200)]
    write(tmp_path / "a.jsonl", *lines)
    whole = wrap((tmp_path / "a.jsonl").read_bytes())
    (tmp_path / "a.jsonl").write_bytes(whole)
    good, none, _, _ = read(tmp_path)
    assert len(good) == 200 and not none
    # flips in the header can leave all as it is, but for the checksum's flag of zstd, which no checksum covers
    for place in generator.sample(range(8 * 12, 8 * len(whole)), 150):
        broken = bytearray(whole)
        broken[place // 8] ^= 1 << place % 8
        (tmp_path / "a.jsonl").write_bytes(broken)
        rows, removed, _, counts = read(tmp_path)
        assert counts.records == len(rows) + len(removed)
        assert rows == good or [row["rule"] for row in removed][-1:] == ["damaged"], place


def object_of(row: dict, others: pa.Schema) -> dict:
    """The object that a row was made of, but for nulls."""
    found = {key: row[key] for key in ("text", "url", "date") if row[key] is not None}
    if row["id"] != f"a.jsonl:{row['offset']}":
        found["id"] = row["id"]
    if "date" in found:
        found["date"] = f"{found['date']:%Y-%m-%dT%H:%M:%SZ}"
    for field in others:
        if row[field.name] is not None:
            value = json.loads(row[field.name]) if field.metadata == OF_JSON else row[field.name]
            found |= value if field.name == REST else {field.name.removeprefix("input_"): value}
    return without_nulls(found)


def without_nulls(values: dict) -> dict:
    """Integers of ids are written out; everything else is as it was."""
    return {
        key: str(value) if key == "id" and type(value) is int else value
        for key, value in values.items()
        if value is not None
    }


def test_batches_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BATCH_BYTES", 10_000)
    write(tmp_path / "a.jsonl", *({"text": "x" * number} for number in range(3000)))
    (file,) = find_inputs([tmp_path / "a.jsonl"])
    batches = list(read_lines(file, 0, file.size, InputOptions(), pa.schema([]), SplitCounts()))
    texts = [text for batch in batches for text in batch.pages["text"].to_pylist()]
    assert texts == ["x" * number for number in range(3000)]
    assert all(sum(batch.pages["length"].to_pylist()) < 10_000 + 3_100 for batch in batches)
    assert all(batch.pages.num_rows <= jsonl.BATCH_LINES for batch in batches) and len(batches) > 100
