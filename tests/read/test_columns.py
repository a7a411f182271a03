"""Which column of a table is what, and tables that do not fit together."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpurefine.errors import InputError
from gpurefine.read.columns import map_columns
from gpurefine.read.inputs import find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.read.schemas import check_columns


def mapped(options=None, **types):
    schema = pa.schema([pa.field(name, kind) for name, kind in types.items()])
    return map_columns(schema, InputOptions(**options or {}), "a.parquet")


def checked(folder, *tables, **options):
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet")
    return check_columns(find_inputs([folder / "*.parquet"]), InputOptions(**options))


def test_columns_with_our_names_are_taken_and_others_kept_in_order():
    found = mapped(
        zebra=pa.int8(),
        text=pa.string(),
        url=pa.large_string(),
        language=pa.dictionary(pa.int8(), pa.string()),
        date=pa.timestamp("ns"),
        language_score=pa.float32(),
        length=pa.uint16(),
        apple=pa.list_(pa.string()),
    )
    assert found.taken == {name: name for name in ("url", "date", "length", "language", "language_score", "text")}
    assert list(found.others) == ["zebra", "apple"]


def test_a_column_with_our_name_and_another_type_is_kept_under_another_name():
    found = mapped(text=pa.string(), date=pa.string(), id=pa.struct([]), text_hash=pa.string(), n_tokens=pa.float64())
    assert found.taken == {"text": "text"}
    assert found.others == {f"input_{name}": name for name in ("date", "id", "text_hash", "n_tokens")}


def test_where_a_record_came_from_is_taken_whole_or_not_at_all():
    assert mapped(text=pa.string(), file=pa.string()).others == {"input_file": "file"}
    assert mapped(text=pa.string(), offset=pa.int32(), file=pa.int32()).others == {
        "input_offset": "offset",
        "input_file": "file",
    }
    assert mapped(text=pa.string(), offset=pa.int32(), file=pa.string()).others == {}


def test_n_tokens_of_another_run_stays():
    assert mapped(text=pa.string(), n_tokens=pa.uint32()).others == {"n_tokens": "n_tokens"}


def test_columns_can_be_named():
    options = {"text_column": "content", "id_column": "no", "url_column": "address"}
    found = mapped(options, content=pa.string(), no=pa.int64(), address=pa.string(), text=pa.string(), url=pa.int8())
    assert found.taken == {"text": "content", "id": "no", "url": "address"}
    assert found.others == {"input_text": "text", "input_url": "url"}


@pytest.mark.parametrize(
    ("options", "types", "words"),
    [
        ({}, {"content": pa.string(), "id": pa.int64()}, "no column 'text'; it has content, id: .*input.text_column"),
        ({}, {}, "it has none"),
        ({}, {"text": pa.list_(pa.string())}, "'text' must hold strings, found list.*input.text_column"),
        ({}, {"text": pa.binary()}, "'text' must hold strings, found binary"),
        ({"id_column": "key"}, {"text": pa.string(), "id": pa.string()}, "no column 'key'.*input.id_column"),
        ({"id_column": "key"}, {"text": pa.string(), "key": pa.float32()}, "strings or integers, found float"),
        ({}, {"text": pa.string(), "date": pa.string(), "input_date": pa.string()}, "both be called 'input_date'"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_a_sentence(options, types, words):
    with pytest.raises(InputError, match=f"a.parquet.*{words}") as caught:
        mapped(options, **types)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["text", "other", "n_tokens"])
def test_two_columns_of_one_name_are_refused(name):
    fields = [pa.field("text", pa.string()), pa.field(name, pa.int64()), pa.field(name, pa.int64())]
    with pytest.raises(InputError, match=name):
        map_columns(pa.schema(fields), InputOptions(), "a.parquet")


def test_many_columns_are_not_all_shown():
    with pytest.raises(InputError, match=r"column_0, .*column_11, \.\.\.: choose"):
        mapped(**{f"column_{i}": pa.int8() for i in range(1000)})


def test_columns_of_all_files_together(tmp_path):
    text = pa.array(["a"])
    others = checked(
        tmp_path,
        pa.table({"text": text, "x": pa.array([1], pa.int8()), "s": pa.array(["s"]), "nothing": pa.nulls(1)}),
        pa.table({"s": pa.array(["s"], pa.large_string()), "text": text, "nothing": pa.array([2.5])}),
        pa.table({"text": text, "coded": pa.array(["a"]).dictionary_encode(), "x": pa.nulls(1)}),
    )
    assert [(field.name, field.type) for field in others] == [
        ("x", pa.int8()),
        ("s", pa.large_string()),
        ("nothing", pa.float64()),
        ("coded", pa.string()),
    ]


def test_a_column_of_two_types_is_refused_with_both_files(tmp_path):
    tables = [pa.table({"text": ["a"], "score": pa.array([1], kind)}) for kind in (pa.int64(), pa.float64())]
    with pytest.raises(InputError, match=r"'score' is int64 in \S*/0.parquet and double in \S*/1.parquet"):
        checked(tmp_path, *tables)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "cut.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cut\.parquet is damaged or no whole Parquet file"):
        check_columns(find_inputs([path]), InputOptions())
