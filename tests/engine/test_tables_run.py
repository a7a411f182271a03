"""Runs on tables: what stays is the table without its duplicates, every row is accounted for, one answer always."""

import datetime
import decimal
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import ConfigError, InputError, RunError

SOURCE = ["id", "url", "dump", "segment", "date", "file", "offset", "length", "language", "language_score", "text"]


def dedup(inputs, output, scheduler, kind="exact", overrides=(), **options):
    pipeline = dedup_pipeline(kind, overrides)
    return gpurefine.run(pipeline, inputs, output, scheduler=scheduler, quiet=True, **options)


def refined_table(run):
    """The Parquet files of ``refined/`` as one table."""
    return pa.concat_tables(pq.read_table(path) for path in sorted(run.store.root.glob("refined/*.parquet")))


def texts(n, distinct, seed):
    """Random texts with repetitions, the empty one and null among them."""
    generator = random.Random(seed)
    return [generator.choice([None, "", *(f"text {i} " * 5 for i in range(distinct))]) for _ in range(n)]


def write_tables(folder, row_group=50, files=3, rows=300):
    """Tables with ids that repeat, a column of row numbers, and some of different columns."""
    folder.mkdir()
    for number in range(files):
        columns = {
            "n": pa.array(range(number * rows, (number + 1) * rows), pa.int32()),
            "text": pa.array(texts(rows, 60, number), pa.string()),
            "id": pa.array([i % 7 for i in range(rows)], pa.int64()),
            f"only-{number}": pa.array([f"{number} {i}" for i in range(rows)]),
        }
        pq.write_table(pa.table(columns), folder / f"{number}.parquet", row_group_size=row_group)
    return sorted(folder.glob("*.parquet"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("inputs") / "three")


@pytest.fixture(scope="module")
def exact(inputs, scheduler, tmp_path_factory):
    """The run that others are compared with."""
    return dedup(inputs, tmp_path_factory.mktemp("exact") / "run", scheduler)


def test_one_row_of_each_text_stays_and_every_row_is_accounted_for(exact, inputs):
    given = pa.concat_tables((pq.read_table(path) for path in inputs), promote_options="default")
    summary = exact.summary()
    kept, removed = exact.refined(), exact.removed()
    assert summary["records"] == given.num_rows == len(kept) + len(removed) == 900
    assert set(kept["text"].fillna("")) == set(given["text"].fill_null("").to_pylist())
    assert not kept["text"].fillna("").duplicated().any()
    places = pd.concat([kept[["file", "offset"]], removed[["file", "offset"]]]).itertuples(index=False, name=None)
    assert sorted(places) == [(path.name, row) for path in inputs for row in range(300)]
    assert [entry["left"] for entry in summary["waterfall"]] == [900, len(kept)]
    assert summary["tokens"] is None
    assert kept["n_tokens"].isna().all()
    assert summary["input_bytes"] > 0.9 * sum(path.stat().st_size for path in inputs)


def test_clusters_and_explain(exact):
    clusters = exact.clusters()
    found = exact.summary()["steps"][0]["dedup"]
    assert found["duplicates"] == len(exact.removed())
    assert found["duplicates"] + found["clusters"] == len(clusters)
    assert set(clusters["evidence"]) == {"exact"}
    removed = exact.removed()
    assert (removed["rule"] == "duplicate").all()
    sizes = clusters.groupby(["file", "offset"]).size()
    assert (sizes == 1).all()
    told = exact.explain("3")
    assert set(told["outcome"]) == {"kept", "removed"}
    assert len(told) == sum(i % 7 == 3 for i in range(300)) * 3
    assert len(exact.sample(n=5, kept=True)) >= 5


def test_other_columns_are_null_where_a_file_has_none(exact):
    kept = exact.refined()
    for number in range(3):
        of_file = kept["file"] == f"{number}.parquet"
        expected = f"{number} " + kept.loc[of_file, "offset"].astype("string[pyarrow]")
        assert (kept.loc[of_file, f"only-{number}"] == expected).all()
        assert kept.loc[~of_file, f"only-{number}"].isna().all()


@pytest.mark.parametrize("how", ["parts of row groups", "one partition a file", "row groups", "order", "one worker"])
def test_one_answer(exact, inputs, scheduler, tmp_path, how):
    """Ids repeat, so even the choice among rows that differ in nothing but other columns must be the same."""
    options = {}
    if how == "parts of row groups":
        options["partition_bytes"] = 400
    elif how == "one partition a file":
        options["partition_bytes"] = 1 << 40
    elif how == "row groups":
        inputs = write_tables(tmp_path / "three", row_group=7)
        options["partition_bytes"] = 4000
    elif how == "order":
        inputs = inputs[::-1]
    else:
        scheduler, options["workers"] = None, 1
    run = dedup(inputs, tmp_path / "run", scheduler, **options)
    partitions = len(run.manifest["steps"][0]["partitions"])
    assert partitions == 3 if how not in ("parts of row groups", "row groups") else partitions > 3
    assert how != "parts of row groups" or partitions > 18
    assert_same_results(exact, run)
    assert refined_table(run).sort_by("n").equals(refined_table(exact).sort_by("n"))


def near_duplicates(rows, seed):
    """Texts of which some differ from others in a word or two, with some that have no word."""
    generator = random.Random(seed)
    words = [f"w{i}" for i in range(500)]
    originals = [generator.choices(words, k=60) for _ in range(rows // 5)]
    result = []
    for _ in range(rows):
        text = list(generator.choice(originals))
        for _ in range(generator.choice([0, 1, 2, 30])):
            text[generator.randrange(60)] = generator.choice(words)
        result.append(generator.choice([" ".join(text)] * 9 + [None, "", " .,!"]))
    return result


def test_minhash_is_one_answer_and_keeps_what_has_no_text(scheduler, tmp_path):
    """Against bands that are compared pairwise in plain Python, for two cuts and budgets."""
    rows = 240
    given = pa.table({"n": pa.array(range(rows)), "text": near_duplicates(rows, 1)})
    pq.write_table(given, tmp_path / "a.parquet", row_group_size=20)
    overrides = ["bands=6", "rows=3", "shingle=word-2"]
    runs = [
        dedup(
            tmp_path / "a.parquet", tmp_path / str(size), scheduler, "minhash", overrides,
            partition_bytes=size, memory=memory,
        )
        for size, memory in ((2500, 64 << 20), (1 << 40, None))
    ]  # fmt: skip
    assert_same_results(*runs)
    tables = [refined_table(run).sort_by("n") for run in runs]
    assert tables[0].equals(tables[1])
    kept = dict(zip(tables[0]["n"].to_pylist(), tables[0]["text"].to_pylist(), strict=True))
    assert len(kept) + len(runs[0].removed()) == rows
    clusters = expected_clusters(given["text"].to_pylist(), dedup_pipeline("minhash", overrides).stages[0])
    found = runs[0].clusters().groupby("cluster")["offset"].agg(frozenset)
    assert set(found) == {cluster for cluster in clusters if len(cluster) > 1}
    assert rows // 4 < len(kept) < rows - rows // 4
    without = [row for row, text in enumerate(given["text"].to_pylist()) if not text or text == " .,!"]
    assert len(without) > 20
    assert set(without) <= kept.keys()
    assert {kept[row] for row in without} == {None, "", " .,!"}
    assert set(runs[0].clusters()["evidence"]) == {"minhash"}


def expected_clusters(texts, stage):
    """Rows that are connected by equal band keys, found pairwise; rows without a key are alone."""
    from gpurefine.dedup.keys import NO_KEY
    from gpurefine.documents import Batch
    from gpurefine.frames import string_column
    from gpurefine.resources.cache import default_resources

    keys = stage.keys(Batch(pd.DataFrame({"text": string_column(texts)})), stage.open(default_resources(offline=True)))
    clusters = [{row} for row in range(len(texts))]
    for one in range(len(texts)):
        for other in range(one):
            equal = (keys[:, one] == keys[:, other]) & (keys[:, one] != NO_KEY)
            if equal.any() and clusters[one] is not clusters[other]:
                clusters[one] |= clusters[other]
                for row in clusters[other]:
                    clusters[row] = clusters[one]
    return {frozenset(cluster) for cluster in clusters}


def every_type(rows):
    """A column of each type that Parquet holds, with nulls."""
    numbers = [None if i % 5 == 4 else i for i in range(rows)]

    def made(kind, convert=lambda i: i):
        return pa.array([None if i is None else convert(i) for i in numbers], kind)

    day = datetime.date(2000, 1, 1)
    return {
        "int8": made(pa.int8(), lambda i: i % 100),
        "uint64": made(pa.uint64(), lambda i: 2**63 + i),
        "float32": made(pa.float32(), lambda i: float("nan") if i % 3 == 0 else i / 7),
        "float16": made(pa.float16()),
        "bool": made(pa.bool_(), lambda i: i % 2 == 0),
        "binary": made(pa.binary(), lambda i: b"\xff\x00" * i),
        "fixed": made(pa.binary(2), lambda i: bytes([i % 256, 255])),
        "day": made(pa.date32(), lambda i: day + datetime.timedelta(i)),
        "moment": made(pa.timestamp("ns", "Europe/Berlin")),
        "time": made(pa.time64("us")),
        "duration": made(pa.duration("ms")),
        "decimal": made(pa.decimal128(20, 3), lambda i: decimal.Decimal(i) / 8),
        "null": pa.nulls(rows),
        "list": made(pa.list_(pa.int64()), lambda i: [i, None]),
        "structs": made(pa.list_(pa.struct([("a", pa.int16()), ("b", pa.string())])), lambda i: [{"a": i, "b": "x"}]),
        "struct": made(pa.struct([("n", pa.struct([("m", pa.large_string())]))]), lambda i: {"n": {"m": str(i)}}),
        "map": made(pa.map_(pa.string(), pa.int32()), lambda i: [("k", i)]),
        "uuid": made(pa.uuid(), lambda i: i.to_bytes(16, "big")),
        "a.dot": made(pa.string(), str),
        # names of columns of removed/ and clusters/
        **{name: made(pa.list_(pa.int64()), lambda i: [i]) for name in ("stage", "rule", "value", "limit")},
        **{name: made(pa.int64()) for name in ("evidence", "cluster", "survivor", "member", "members", "html")},
    }  # fmt: skip


def test_all_other_columns_come_out_as_they_went_in(scheduler, tmp_path):
    rows = 200
    columns = {"row": pa.array(range(rows)), "text": [f"text {i % 120}" for i in range(rows)], **every_type(rows)}
    given = pa.table(columns)
    pq.write_table(given, tmp_path / "a.parquet", row_group_size=30)
    run = dedup(tmp_path / "a.parquet", tmp_path / "run", scheduler)
    kept = refined_table(run).sort_by("row")
    assert kept.schema.names == [*SOURCE, "n_tokens", "row", *every_type(0)]
    assert kept.num_rows == 120
    expected = given.take(kept["row"])
    for name in every_type(0):
        assert kept.schema.field(name).type == given.schema.field(name).type
        # NaN is not equal to itself
        assert str(kept[name].to_pylist()) == str(expected[name].to_pylist()), name
    removed = run.removed()
    assert set(removed["stage"]) == {"dedup.exact"}
    assert set(removed["rule"]) == {"duplicate"}
    assert removed["evidence"].isna().all()
    assert (removed["value"] == 2).all()


def test_map_stages_work_on_tables_and_null_is_no_text(scheduler, tmp_path):
    names = [f"evidence {i}" for i in range(4)]
    long = "This is a sentence that has the words which a text of some length will have. " * 20
    given = {"text": [long, None, "short", ""], "url": ["https://example.com/", None, "x", ""], "evidence": names}
    pq.write_table(pa.table(given), tmp_path / "a.parquet")
    pipeline = pipeline_from_data({"name": "rules", "stages": ["quality"], "output": {"stats": True}})
    run = gpurefine.run(pipeline, tmp_path / "a.parquet", tmp_path / "run", scheduler=scheduler, quiet=True)
    assert list(run.refined()["evidence"]) == ["evidence 0"]
    assert run.refined()["n_tokens"][0] > 100
    removed = run.removed().sort_values("offset")
    assert list(removed["offset"]) == [1, 2, 3]
    assert removed["text"].isna().tolist() == [True, False, False]
    assert removed["evidence"].isna().all()


def test_tokens_are_counted_where_asked_for_and_a_null_has_none(scheduler, tmp_path):
    given = {"text": ["Hello world", None, "", "a b c"], "n_tokens": pa.array([9, 9, 9, 9], pa.int32())}
    pq.write_table(pa.table(given), tmp_path / "a.parquet")
    pipeline = pipeline_from_data({"name": "join", "stages": [{"urls": {"blocklist": "off"}}]})
    run = gpurefine.run(pipeline, tmp_path / "a.parquet", tmp_path / "run", scheduler=scheduler, quiet=True)
    assert list(run.refined()["n_tokens"]) == [2, 0, 0, 3]
    assert run.summary()["tokens"] == 5
    kept = gpurefine.run(
        pipeline.model_copy(update={"output": pipeline.output.model_copy(update={"tokens": False})}),
        tmp_path / "a.parquet",
        tmp_path / "as-it-was",
        scheduler=scheduler,
        quiet=True,
    )
    assert list(kept.refined()["n_tokens"]) == [9, 9, 9, 9]


def test_the_output_of_a_run_is_a_table(demo_crawl, scheduler, tmp_path):
    """Nothing of it is lost, and where a page came from stays known."""
    options = ["urls.blocklist=off"]
    crawl = gpurefine.run(
        "refinedweb", demo_crawl[0], tmp_path / "crawl", overrides=options, scheduler=scheduler, quiet=True
    )
    files = list(crawl.store.root.glob("refined/*.parquet"))
    again = dedup(files, tmp_path / "again", scheduler)
    pd.testing.assert_frame_equal(crawl.refined(), again.refined())
    assert again.refined()["n_tokens"].sum() > 0
    # also with their removed/, which names stages and rules itself
    removed = dedup(crawl.store.root.glob("removed/*.parquet"), tmp_path / "removed", scheduler)
    assert removed.summary()["records"] == len(crawl.removed())
    assert set(removed.refined()["stage"]) <= set(crawl.removed()["stage"])
    assert set(removed.removed()["stage"]) == {"dedup.exact"}


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_with_no_row_or_one(rows, scheduler, tmp_path):
    pq.write_table(pa.table({"text": pa.array(["a"] * rows, pa.string()), "x": pa.nulls(rows)}), tmp_path / "a.parquet")
    run = dedup(tmp_path / "a.parquet", tmp_path / "run", scheduler)
    assert run.summary()["records"] == len(run.refined()) == rows
    assert list(run.refined().columns)[-1] == "x"
    assert len(run.removed()) == 0


def test_rows_without_anything_but_text_are_found_by_file_and_row(scheduler, tmp_path):
    pq.write_table(pa.table({"text": ["a", "b", "a"]}), tmp_path / "a.parquet")
    run = dedup(tmp_path / "a.parquet", tmp_path / "run", scheduler)
    assert Counter(run.explain("a.parquet:1")["outcome"]) == {"kept": 1}
    assert run.removed()["survivor"][0] in ("a.parquet:0", "a.parquet:2")


@pytest.mark.parametrize(
    ("tables", "overrides", "words"),
    [
        ([{"content": ["a"]}], [], "0.parquet has no column 'text'; it has content: .*input.text_column"),
        ([{"text": [["a"]]}], [], "0.parquet: the column 'text' must hold strings"),
        ([{"text": ["a"], "x": [1]}, {"text": ["a"], "x": ["1"]}], [], "'x' is int64 in .*0.parquet and string in .*1"),
        ([{"text": ["a"]}], ["input.text_column=content"], "no column 'content'"),
    ],
)
def test_tables_that_do_not_fit_are_refused_before_anything_is_written(tables, overrides, words, tmp_path):
    for number, columns in enumerate(tables):
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    with pytest.raises(InputError, match=words):
        dedup(tmp_path / "*.parquet", tmp_path / "run", None, overrides=overrides)
    assert not (tmp_path / "run").exists()


def test_files_of_pages_are_refused_without_extract(demo_crawl, inputs, tmp_path):
    with pytest.raises(ConfigError, match=r"\.warc\.gz is no file of texts"):
        dedup([demo_crawl[0], *inputs], tmp_path / "run", None)
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="empty is no file of texts"):
        dedup(tmp_path / "empty", tmp_path / "run", None)
    assert not (tmp_path / "run").exists()


def test_damage_midway_names_the_file(scheduler, tmp_path):
    path = tmp_path / "broken.parquet"
    table = pa.table({"text": [f"{i} {i * i}" for i in range(20_000)]})
    pq.write_table(table, path, write_page_checksum=True, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"cannot read \S*broken\.parquet: .*CRC.*put it right"):
        dedup(path, tmp_path / "run", scheduler)
    assert not list((tmp_path / "run").rglob("part-*"))


def test_a_column_of_texts_of_another_name(scheduler, tmp_path):
    given = {"content": ["a", "b", "a"], "text": [1, 2, 3], "key": pa.array([11, 12, 13])}
    pq.write_table(pa.table(given), tmp_path / "a.parquet")
    overrides = ["input.text_column=content", "input.id_column=key"]
    run = dedup(tmp_path / "a.parquet", tmp_path / "run", scheduler, overrides=overrides)
    kept = run.refined()
    assert sorted(kept["text"]) == ["a", "b"]
    assert (kept["id"].astype(int) == kept["input_text"] + 10).all()


def test_parameters_of_the_stage_and_of_the_pipeline():
    pipeline = dedup_pipeline("exact", ["seed=7", "output.tokens=true", "dedup.exact.as=first"])
    assert (pipeline.seed, pipeline.output.tokens, pipeline.stages[0].name) == (7, True, "first")
    assert dedup_pipeline("exact", ["as=x"]).stages[0].name == "x"
    for overrides, words in (
        (["bandz=3"], "'bandz'"),
        (["output.token=true"], "did you mean 'tokens'"),
        (["=3"], "KEY=VALUE"),
        (["bands"], "KEY=VALUE"),
    ):
        with pytest.raises(ConfigError, match=words):
            dedup_pipeline("exact", overrides)
    with pytest.raises(ConfigError, match="no kind of dedup is called 'exakt': known are exact, line, "):
        dedup_pipeline("exakt")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(inputs, exact, tmp_path):
    """Killed as soon as some of the partitions are done."""
    output = tmp_path / "run"
    command = [sys.executable, "-m", "gpurefine", "dedup", "exact", *map(str, inputs), "-o", str(output)]
    command += ["--workers", "1", "--partition-size", "1500", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not any(output.glob("work/documents-0/part-*")):
        time.sleep(0.002)
    assert process.poll() is None, "it was over before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not gpurefine.open_run(output).complete
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0
    run = gpurefine.open_run(output)
    assert_same_results(exact, run)
    assert pc.sum(refined_table(run)["n"]) == pc.sum(refined_table(exact)["n"])
    assert not list(output.rglob(".unfinished-*"))
