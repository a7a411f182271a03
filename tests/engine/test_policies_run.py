"""Runs and frames in which a column decides who survives and who is compared, against plain Python."""

import datetime
import itertools
import json
import math
import random
import shutil

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from tables import assert_same_results

import gpurefine
from gpurefine.cli import app
from gpurefine.config import dedup_kind, pipeline_from_data
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import ConfigError, InputError

UTC = datetime.UTC
BANDED = "banded_stage:Words"
COUNT = 240


def rows():
    """Documents alike in the first word or the whole text; many values in the columns that decide are equal."""
    generator = random.Random(4)
    dates = [None, *(datetime.datetime(2020 + year, 1, 1, 0, 0, 0, year, UTC) for year in range(3))]
    return [
        {
            "id": f"<urn:uuid:{number}>",
            "text": f"{generator.choice('abcdefghijkl')} ä{'ö' * generator.randrange(3)}",
            "date": generator.choice(dates),
            "file": generator.choice(["x", "y"]),
            "offset": number,
            "language": generator.choice([None, "", "en", "de"]),
            "score": generator.choice([None, math.nan, -2.0, 0.0, 1.5]),
            "votes": generator.choice([None, 0, 3, 2**64 - 1]),
            "crawl": generator.choice([None, 1, 2]),
        }
        for number in generator.sample(range(COUNT), COUNT)
    ]


SCHEMA = pa.schema(
    {"id": pa.string(), "text": pa.string(), "date": pa.timestamp("us", tz="UTC"), "file": pa.string()}
    | {"offset": pa.int64(), "language": pa.string(), "score": pa.float64(), "votes": pa.uint64(), "crawl": pa.int16()}
)


# --- the oracle: nothing of ours


def descending(value):
    return (1,) if value is None or value != value else (0, -value)


def leading(each, keep):
    if keep == "first":
        return each["file"], each["offset"]
    if keep == "longest":
        return -len(each["text"])
    if keep == "newest":
        return descending(each["date"] and (each["date"] - datetime.datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return descending(each[keep.removeprefix("best:")]) if keep.startswith("best:") else ()


def survivors(documents, kind, keep, scope, seed):
    """Ids of members of clusters -> id of the survivor; a cluster has equal texts, or equal first words."""
    clusters = [{row} for row in range(len(documents))]
    for one, other in itertools.combinations(range(len(documents)), 2):
        first, second = documents[one], documents[other]
        words = [first["text"].split(), second["text"].split()]
        alike = first["text"] == second["text"] if kind == "exact" else words[0][0] == words[1][0]
        if alike and (scope is None or first[scope] == second[scope]) and clusters[one] is not clusters[other]:
            clusters[one] |= clusters[other]
            for row in clusters[other]:
                clusters[row] = clusters[one]
    found = {}
    for cluster in clusters:
        if len(cluster) > 1:
            members = [documents[row] for row in cluster]
            best = min(
                members, key=lambda each: (leading(each, keep), xxhash.xxh3_64_intdigest(each["id"].encode(), seed))
            )
            found |= {each["id"]: best["id"] for each in members}
    return found


# --- runs

CASES = [
    ("exact", "random", "language"),
    ("exact", "first", None),
    ("exact", "newest", "crawl"),
    ("exact", "best:votes", None),
    ("banded", "longest", "language"),
    ("banded", "best:score", None),
    ("banded", "best:votes", "crawl"),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two tables; what decides is in columns of the documents and in those of the tables."""
    folder = tmp_path_factory.mktemp("tables")
    table = pa.Table.from_pylist(rows(), SCHEMA)
    pq.write_table(table.slice(0, 90), folder / "b.parquet", row_group_size=30)
    pq.write_table(table.slice(90), folder / "a.parquet", row_group_size=40)
    return [folder / "a.parquet", folder / "b.parquet"]


def pipeline_of(kind, keep, scope, **output):
    stage = {"exact": "dedup.exact", "banded": "banded_stage:Words"}[kind]
    parameters = {"keep": keep, "scope": scope} | ({"bands": 1} if kind == "banded" else {})
    output = {"tokens": False} | output
    return pipeline_from_data({"name": "policies", "seed": 7, "stages": [{stage: parameters}], "output": output})


@pytest.mark.parametrize(("kind", "keep", "scope"), CASES)
def test_a_run_keeps_what_the_columns_say(inputs, kind, keep, scope, scheduler, tmp_path):
    expected = survivors(rows(), kind, keep, scope, 7)
    assert 4 < len(set(expected.values())) < len(expected) - 4
    runs = [
        gpurefine.run(
            pipeline_of(kind, keep, scope), order, tmp_path / str(size), scheduler=scheduler, quiet=True,
            partition_bytes=size,
        )
        for order, size in ((inputs, 1 << 20), (inputs[::-1], 700))
    ]  # fmt: skip
    assert len(runs[1].manifest["steps"][0]["partitions"]) > 3
    for run in runs:
        clusters = run.clusters()
        assert dict(zip(clusters["member"], clusters["survivor"], strict=True)) == expected
        removed = run.removed()
        assert dict(zip(removed["id"], removed["survivor"], strict=True)) == {
            member: survivor for member, survivor in expected.items() if member != survivor
        }
        refined = pa.concat_tables(pq.read_table(path) for path in sorted(run.store.root.glob("refined/*.parquet")))
        assert not {"text_hash", "text_characters"} & set(refined.column_names)
        assert {*SCHEMA.names} <= set(refined.column_names)
    assert_same_results(*runs)


def test_a_policy_holds_for_each_dedup_of_a_pipeline_alone(inputs, scheduler, tmp_path):
    stages = [{"dedup.exact": {"keep": "first"}}, {"banded_stage:Words": {"bands": 1, "keep": "longest"}}]
    data = {"name": "two", "seed": 7, "stages": stages, "output": {"tokens": False}}
    run = gpurefine.run(pipeline_from_data(data), inputs, tmp_path / "run", scheduler=scheduler, quiet=True)
    documents = rows()
    for kind, keep in (("exact", "first"), ("banded", "longest")):
        found = survivors(documents, kind, keep, None, 7)
        documents = [each for each in documents if found.get(each["id"], each["id"]) == each["id"]]
    assert set(run.refined()["id"]) == {each["id"] for each in documents}


def test_keys_and_members_that_are_lost_are_made_again_in_their_scopes(inputs, scheduler, tmp_path):
    pipeline = pipeline_of("banded", "longest", "crawl", keep_work=True)
    options = {"scheduler": scheduler, "quiet": True, "partition_bytes": 700}
    whole = gpurefine.run(pipeline, inputs, tmp_path / "whole", **options)
    for lost in (("keys-0", "part-000001*"), ("keys-0", "*"), ("dedup-0", "members-*")):
        output = tmp_path / f"{lost[0]}-{len(lost[1])}"
        shutil.copytree(whole.store.root, output)
        (output / "summary.json").unlink()
        for folder in ("refined", "clusters", "work/dedup-0" if lost[0] == "keys-0" else "work/documents-1"):
            shutil.rmtree(output / folder, ignore_errors=True)
        for path in (*output.glob("removed/part-1-*"), *output.glob("work/dedup-0/removals-*")):
            path.unlink()
        paths = list((output / "work" / lost[0]).glob(lost[1]))
        assert paths
        for path in paths:
            path.unlink()
        manifest = json.loads((output / "manifest.json").read_text())
        manifest["state"], manifest["steps"] = "running", manifest["steps"][:1]
        manifest["steps"][0]["dedup"] = {"state": "planned"}
        (output / "manifest.json").write_text(json.dumps(manifest))
        assert_same_results(gpurefine.run(pipeline, inputs, output, **options), whole)


def test_a_damaged_key_file_is_made_again_in_its_scopes(inputs, scheduler, tmp_path):
    pipeline = pipeline_of("exact", "best:score", "language", keep_work=True)
    options = {"scheduler": scheduler, "quiet": True, "partition_bytes": 700}
    whole = gpurefine.run(pipeline, inputs, tmp_path / "whole", **options)
    output = tmp_path / "damaged"
    shutil.copytree(whole.store.root, output)
    (output / "summary.json").unlink()
    for folder in ("refined", "clusters", "work/dedup-0"):
        shutil.rmtree(output / folder)
    for path in output.glob("removed/part-1-*"):
        path.unlink()
    key_path = output / "work/keys-0/part-000001.keys"
    data = bytearray(key_path.read_bytes())
    data[len(data) // 3] ^= 1
    key_path.write_bytes(data)
    manifest = json.loads((output / "manifest.json").read_text())
    manifest["state"], manifest["steps"] = "running", manifest["steps"][:1]
    manifest["steps"][0]["dedup"] = {"state": "planned"}
    (output / "manifest.json").write_text(json.dumps(manifest))
    assert_same_results(gpurefine.run(pipeline, inputs, output, **options), whole)
    assert key_path.read_bytes() == (whole.store.root / "work/keys-0/part-000001.keys").read_bytes()


def test_another_policy_is_another_run(inputs, scheduler, tmp_path):
    options = {"scheduler": scheduler, "quiet": True}
    gpurefine.run(pipeline_of("exact", "random", None), inputs, tmp_path / "run", **options)
    with pytest.raises(gpurefine.errors.OutputError, match=r"keep \(random -> first\)"):
        gpurefine.run(pipeline_of("exact", "first", None), inputs, tmp_path / "run", **options)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["keep=best:stars"], r"dedup\.exact: keep names the column 'stars', which documents do not have: .*score"),
        (["keep=best:file"], r"keep names the column 'file', which holds large_string, expected numbers"),
        (["scope=stars"], r"scope names the column 'stars', which documents do not have"),
        (["scope=score"], r"scope names the column 'score', which holds double, expected strings, integers"),
        (["keep=oldest"], r"'oldest' is no policy"),
    ],
)
def test_what_documents_do_not_have_is_refused_before_anything_is_written(inputs, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message) as caught:
        gpurefine.run(dedup_pipeline("exact", overrides), inputs, tmp_path / "run", workers=1, quiet=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_column_with_the_name_of_the_length_stays_under_another(scheduler, tmp_path):
    table = pa.table({"text": ["a", "a", "b"], "text_characters": [5, 9, 7]})
    pq.write_table(table, tmp_path / "t.parquet")
    pipeline = dedup_pipeline("exact", ["keep=best:input_text_characters"])
    run = gpurefine.run(pipeline, tmp_path / "t.parquet", tmp_path / "run", scheduler=scheduler, quiet=True)
    assert sorted(run.refined()["input_text_characters"]) == [7, 9]


def test_the_command_takes_policy_and_scope(inputs, tmp_path):
    from typer.testing import CliRunner

    arguments = ["dedup", "exact", *map(str, inputs), "--plan"]
    assert CliRunner().invoke(app, [*arguments, "--keep", "best:votes", "--scope", "language"]).exit_code == 0
    assert CliRunner().invoke(app, [*arguments, "--keep", "best:stars"]).exit_code != 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"keep": "shortest"}, r"'shortest' is no policy: use random, first, longest, newest or best:COLUMN"),
        ({"keep": "best:"}, r"'best:' is no policy"),
        ({"scope": "text"}, r"'text' would part all documents"),
    ],
)
def test_unknown_words_are_refused(parameters, message):
    for kind in ("exact", "minhash"):
        entry = {"name": "p", "stages": [{dedup_kind(kind): parameters}]}
        with pytest.raises(ConfigError, match=message):
            pipeline_from_data(entry, origin="here")


# --- frames


def frames(cut=60):
    frame = pa.Table.from_pylist(rows(), SCHEMA).to_pandas(types_mapper=pd.ArrowDtype)
    return [frame, dd.from_pandas(frame, npartitions=-(-COUNT // cut))]


def survivors_of(marked):
    marked = marked.compute(scheduler="synchronous") if hasattr(marked, "compute") else marked
    members = marked[marked["cluster"].notna()]
    return dict(zip(members["id"], members["cluster"], strict=True))


@pytest.mark.parametrize(("kind", "keep", "scope"), CASES)
def test_frames_keep_what_a_run_keeps(kind, keep, scope):
    expected = survivors(rows(), kind, keep, scope, 7)
    parameters = {"bands": 1} if kind == "banded" else {}
    for frame in frames():
        name = "exact" if kind == "exact" else BANDED
        marked = gpurefine.deduplicate(frame, name, seed=7, keep=keep, scope=scope, **parameters)
        assert survivors_of(marked) == expected


@pytest.mark.parametrize(("kind", "keep", "scope"), CASES)
def test_cudf_frames_keep_what_a_run_keeps(cudf, kind, keep, scope):
    frame = cudf.DataFrame.from_arrow(pa.Table.from_pylist(rows(), SCHEMA))
    parameters = {"bands": 1} if kind == "banded" else {}
    name = "exact" if kind == "exact" else BANDED
    marked = gpurefine.deduplicate(frame, name, seed=7, keep=keep, scope=scope, **parameters).to_pandas()
    assert survivors_of(marked) == survivors(rows(), kind, keep, scope, 7)


@pytest.mark.parametrize(
    ("keep", "columns", "survivor"),
    [
        ("first", {}, 0),
        ("first", {"file": ["b", "c", "a"], "offset": [1, 2, 3]}, 2),
        ("longest", {}, 1),
        ("best:n", {"n": [5, 4, 7]}, 2),
        ("best:n", {"n": [5.0, math.nan, 4.0]}, 0),
        ("newest", {"date": pd.to_datetime(["2023-01-02", "2023-01-03", "2023-01-01"])}, 1),
    ],
)
def test_rows_without_ids_have_policies_too(keep, columns, survivor):
    frame = pd.DataFrame({"text": ["a b", "a long", "a c"]}).assign(**columns)
    for each in (frame, dd.from_pandas(frame, npartitions=3)):
        marked = gpurefine.deduplicate(each, BANDED, bands=1, keep=keep)
        marked = marked.compute(scheduler="synchronous") if hasattr(marked, "compute") else marked
        assert np.flatnonzero(marked["keep"]).tolist() == [survivor]


@pytest.mark.parametrize("meta", ["float64", "int64", "Int64"])
def test_partitions_with_nulls_compare_with_those_without(meta):
    # as pandas reads files of integers of which some have nulls
    parts = [pd.DataFrame({"text": ["a"], "n": [5]}), pd.DataFrame({"text": ["a", "a"], "n": [7.0, None]})]
    frame = dd.from_delayed(
        [dask.delayed(part) for part in parts], meta=parts[0].iloc[:0].astype({"n": meta}), verify_meta=False
    )
    marked = gpurefine.deduplicate(frame, "exact", keep="best:n").compute(scheduler="synchronous")
    assert np.flatnonzero(marked["keep"]).tolist() == [1]


def test_partitions_of_other_types_are_refused():
    parts = [pd.DataFrame({"text": ["a"], "n": [5]}), pd.DataFrame({"text": ["a"], "n": ["x"]})]
    frame = dd.from_delayed([dask.delayed(part) for part in parts], meta=parts[0].iloc[:0], verify_meta=False)
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(InputError, match=r"column 'n' holds .*string in some"),
    ):
        gpurefine.deduplicate(frame, "exact", keep="best:n")


@pytest.mark.parametrize(
    "values",
    [
        ["x", None, "x", None],
        [True, False, True, False],
        pd.array([True, None] * 2, "boolean"),
        pd.Categorical(list("abab")),
    ],
)
def test_scopes_of_any_type_that_parts_documents(values):
    frame = pd.DataFrame({"text": ["a"] * 4, "part": values})
    assert gpurefine.deduplicate(frame, "exact", scope="part")["keep"].sum() == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"keep": "newest"}, r"no column 'date'.*: name one with keep="),
        ({"keep": "best:n"}, r"no column 'n'"),
        ({"keep": "best:text"}, r"column 'text' holds .*string, expected numbers, timestamps or dates"),
        ({"keep": "best:mixed"}, r"column 'mixed' holds .*, expected numbers"),
        ({"scope": "n"}, r"no column 'n'"),
        ({"scope": "half"}, r"column 'half' holds double, expected strings, integers or truth values"),
        ({"scope": "mixed"}, r"column 'mixed' holds values of several types, expected strings"),
    ],
)
def test_what_a_frame_does_not_have_is_refused(parameters, message):
    frame = pd.DataFrame({"text": ["a", "a"], "half": [0.5, 0.5], "mixed": ["a", 1]})
    with pytest.raises(InputError, match=message):
        gpurefine.deduplicate(frame, "exact", **parameters)
