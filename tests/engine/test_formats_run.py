"""Runs on every format: the same documents give the same `refined/`, whatever they come in, alone or mixed."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from format_files import (
    raw_records,
    warc_frames,
    warc_frames_with_dictionary,
    warc_single_frame,
    write_mixed,
    write_texts,
)
from tables import assert_same_results, plain

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine.estimate import estimate_records
from gpurefine.errors import RunError
from gpurefine.read.inputs import find_inputs

#: What differs between formats: where a document lies in its file, and a column that only JSON lines have.
DIFFERENT = ["file", "offset", "length", "input_rest"]
#: Files of texts among the mixed ones.
TEXTS = ["c.warc.wet.gz", "d.parquet", "e.jsonl", "f.jsonl.zst"]
STAGES = ["language", "quality", "dedup.exact"]


def refine(inputs, output, scheduler, stages=("extract", *STAGES), **options):
    data = {"name": "formats", "stages": list(stages), "input": options.pop("input", {}), **options.pop("data", {})}
    return gpurefine.run(pipeline_from_data(data), inputs, output, scheduler=scheduler, quiet=True, **options)


def documents(run) -> pd.DataFrame:
    """What was kept, but for its place, in order of ids."""
    frame = run.refined()
    return plain(frame.drop(columns=DIFFERENT, errors="ignore")).sort_values("id", ignore_index=True)


def removals(run) -> pd.DataFrame:
    """What was removed behind extraction, but for its place, in order of ids."""
    frame = run.removed()
    return plain(frame[~frame["stage"].isin(["read", "extract"])].drop(columns=DIFFERENT, errors="ignore")).sort_values(
        "id", ignore_index=True
    )


@pytest.fixture(scope="module")
def reference(demo_crawl, scheduler, tmp_path_factory):
    """The run on the demo crawl as it is, a WARC of gzip members."""
    return refine(demo_crawl[0], tmp_path_factory.mktemp("formats") / "run", scheduler)


@pytest.fixture(scope="module")
def extracted(demo_crawl, scheduler, tmp_path_factory):
    """All texts of the demo crawl, as extraction made them."""
    output = tmp_path_factory.mktemp("extracted") / "run"
    run = refine(demo_crawl[0], output, scheduler, ["extract"], data={"output": {"tokens": False}})
    frame = run.refined(columns=["id", "url", "date", "text"])
    assert len(frame) > 200
    return plain(frame).sample(frac=1, random_state=1).to_dict("records")


@pytest.mark.parametrize("write", [warc_frames, warc_frames_with_dictionary, warc_single_frame])
def test_warc_zst(reference, demo_crawl, scheduler, tmp_path, write):
    path = tmp_path / "crawl.warc.zst"
    path.write_bytes(write(raw_records(demo_crawl[0])))
    run = refine(path, tmp_path / "run", scheduler, partition_bytes=50_000)
    assert len(run.manifest["steps"][0]["partitions"]) > 3
    pd.testing.assert_frame_equal(documents(run), documents(reference))
    pd.testing.assert_frame_equal(removals(run), removals(reference))
    assert run.summary()["skipped_records"] == reference.summary()["skipped_records"]


@pytest.mark.parametrize(
    ("name", "extracts"),
    [
        ("crawl.warc.wet", False),
        ("crawl.warc.wet.gz", True),
        ("crawl.warc.wet.zst", True),
        ("crawl.parquet", True),
        ("crawl.jsonl", True),
        ("crawl.jsonl", False),
        ("crawl.jsonl.gz", True),
        ("crawl.jsonl.zst", True),
    ],
)
def test_texts(reference, extracted, scheduler, tmp_path, name, extracts):
    """Texts skip extraction, with it in the pipeline or not."""
    write_texts(tmp_path / name, extracted)
    stages = ["extract", *STAGES] if extracts else STAGES
    run = refine(tmp_path / name, tmp_path / "run", scheduler, stages, partition_bytes=30_000)
    partitions = len(run.manifest["steps"][0]["partitions"])
    assert partitions == 1 if ".jsonl." in name else partitions > 3
    assert run.summary()["records"] == len(extracted)
    pd.testing.assert_frame_equal(documents(run), documents(reference))
    pd.testing.assert_frame_equal(removals(run), removals(reference))


@pytest.fixture(scope="module")
def inputs(demo_crawl, extracted, tmp_path_factory):
    """A folder with files of each format, and how many records each holds."""
    folder = tmp_path_factory.mktemp("mixed")
    return folder, write_mixed(folder, demo_crawl[0], extracted)


def refine_mixed(inputs, output, scheduler, lists, data=None, **options):
    stages = [{"urls": {"blocklist": str(lists)}}, "extract", *STAGES, "dedup.url"]
    data = {"output": {"stats": True}} | (data or {})
    return refine(inputs, output, scheduler, stages, data=data, **options)


@pytest.fixture(scope="module")
def mixed(inputs, demo_crawl, scheduler, tmp_path_factory):
    return refine_mixed(inputs[0] / "*", tmp_path_factory.mktemp("all") / "run", scheduler, demo_crawl[1])


def test_every_record_is_kept_or_removed(mixed, inputs):
    rows = pd.concat([mixed.refined(columns=["file"]), mixed.removed()[["file"]]])
    assert rows["file"].value_counts().to_dict() == inputs[1]
    kept = plain(mixed.refined())
    of_table = kept["file"].isin(["d.parquet", "e.jsonl"])
    assert kept.loc[of_table, "n"].notna().all() and kept.loc[~of_table, "n"].isna().all()
    assert kept["tags"].value_counts().to_dict() == {'["x"]': (kept["file"] == "e.jsonl").sum()}
    assert {*kept["file"]} == {*inputs[1]}


def test_urls_are_judged_for_texts_too(mixed, demo_crawl):
    """A stage before `extract` works on all; a document removed by it has its text on record."""
    removed = plain(mixed.removed())
    by_url = removed[removed["stage"] == "urls"]
    assert len({*by_url["file"]}) == 6
    assert by_url.loc[by_url["file"].isin(TEXTS), "text"].notna().all()
    assert not removed.loc[removed["stage"] == "extract", "file"].isin(TEXTS).any()


def test_any_partitions_and_order(mixed, inputs, demo_crawl, scheduler, tmp_path):
    paths = [inputs[0] / name for name in reversed(inputs[1])]
    run = refine_mixed(paths, tmp_path / "run", scheduler, demo_crawl[1], partition_bytes=12_000)
    assert_same_results(mixed, run)


def test_records_are_estimated_by_kind(inputs):
    """Texts are counted by type of record and by rows, pages by the beginning of the first file."""
    files = find_inputs([inputs[0] / "*"])
    pages, texts = [[file for file in files if (file.kind == "warc") == warc] for warc in (True, False)]
    assert estimate_records(texts) == pytest.approx(70 + 60 + 50 + 30, rel=0.1)
    found = sum(inputs[1][file.name] for file in pages)
    assert found / 2 < estimate_records(pages) < found * 2


def test_parts_add_up(inputs, demo_crawl, scheduler, tmp_path):
    records = []
    for part in ("1/2", "2/2"):
        output = tmp_path / part.replace("/", "-")
        run = refine_mixed(inputs[0] / "[b-f]*", output, scheduler, demo_crawl[1], input={"part": part})
        records += run.refined(columns=["file", "offset"]).values.tolist()
        records += run.removed()[["file", "offset"]].values.tolist()
    assert len(records) == len(set(map(tuple, records))) == sum(inputs[1].values()) - inputs[1]["a.warc.gz"]


def test_annotate_removes_nothing_that_has_a_text(inputs, demo_crawl, scheduler, tmp_path):
    run = refine_mixed(inputs[0] / "*", tmp_path / "run", scheduler, demo_crawl[1], data={"annotate": True})
    removed = plain(run.removed())
    assert set(removed["stage"]) <= {"read", "extract"}
    stats = pd.concat(pq.read_table(path).to_pandas() for path in run.store.root.glob("stats/*.parquet"))
    assert set(stats["file"]) == set(inputs[1])
    assert len(run.refined()) + len(removed) == sum(inputs[1].values())


def test_a_run_that_was_stopped_goes_on(inputs, extracted, scheduler, tmp_path):
    """Stopped at a document that stands in plain and in compressed JSON lines, and given again."""
    fault = {"fault": "disk", "url": extracted[145]["url"], "until": str(tmp_path / "mended")}
    stages = ["extract", {"faulty_stage:Faulty": fault}, "dedup.exact"]
    given = inputs[0] / "[c-f]*", tmp_path / "stopped", scheduler, stages
    with pytest.raises(RunError, match="Input/output error"):
        refine(*given, partition_bytes=20_000)
    (tmp_path / "mended").touch()
    run = refine(*given, partition_bytes=20_000)
    assert_same_results(run, refine(inputs[0] / "[c-f]*", tmp_path / "whole", scheduler, stages))
    assert len(run.refined()) + len(run.removed()) == sum(inputs[1][name] for name in TEXTS)


def test_the_clean_up_is_that_of_the_pipelines_extract(scheduler, tmp_path):
    """Its options hold for texts of WET files, and its defaults where there is none."""
    text = "-\nsee b.example.com now"
    row = {"id": "<a>", "url": "http://a.example/", "date": pd.Timestamp("2024-01-01"), "text": text}
    write_texts(tmp_path / "a.wet", [row])
    texts = []
    for number, stages in enumerate((["dedup.exact"], [{"extract": {"bare_domains": True, "join_bullets": False}}])):
        run = refine(tmp_path / "a.wet", tmp_path / f"run-{number}", scheduler, stages)
        texts += run.refined()["text"].tolist()
    assert texts == ["- see b.example.com now", "-\nsee now"]
    assert json.loads((run.store.root / "manifest.json").read_text())["inputs"][0]["kind"] == "wet"
