"""Runs over files behind URLs: whatever the servers answer, the results are those of the same files on this machine."""

import datetime
import gzip
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack

import fsspec
import pytest
from format_files import frame, raw_records, write_texts
from object_store import object_store
from range_server import range_server
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.errors import InputError, OutputError, RunError
from gpurefine.read import faults

PIPELINE = {"name": "distant", "output": {"tokens": False}, "stages": ["extract", "quality", "dedup.exact"]}
DATE = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def folder(demo_crawl, tmp_path_factory):
    """Twenty files of all formats, of which one is in a folder below."""
    folder = tmp_path_factory.mktemp("crawl")
    records = raw_records(demo_crawl[0])[:160]
    (folder / "below").mkdir()
    for number in range(16):
        some = records[number * 10 :][:10]
        name = "below/00.warc.gz" if number == 0 else f"{number:02}.warc.{'zst' if number % 5 == 0 else 'gz'}"
        wrap = frame if name.endswith("zst") else lambda data: gzip.compress(data, mtime=0)
        (folder / name).write_bytes(b"".join(map(wrap, some)))
    rows = [
        {"id": f"<{n}>", "url": f"https://example.org/{n}", "date": DATE, "text": f"The text {n // 2} and more. " * 30}
        for n in range(60)
    ]
    for number, name in enumerate(["a.parquet", "b.jsonl", "c.jsonl.zst", "d.warc.wet.gz"]):
        write_texts(folder / name, rows[number * 10 :][:25])
    return folder


@pytest.fixture(scope="module")
def names(folder):
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert len(found) == 20
    return found


@pytest.fixture(scope="module")
def servers(folder, names):
    with ExitStack() as stack:
        web, store = stack.enter_context(range_server(folder)), stack.enter_context(object_store())
        store.make_bucket("crawl", ACL="public-read")
        for name in names:
            store.client().upload_file(str(folder / name), "crawl", name)
        yield web, store


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """No long waits between two tries in the process of the tests; workers have theirs."""
    monkeypatch.setattr(faults, "LONGEST_WAIT", 0.05)


@pytest.fixture(params=["http", "s3"])
def distant(request, servers):
    """Address of the files, overrides, and a function that says whether and how its server fails."""
    web, store = servers

    def fail(share):
        web.refusals, web.share_cut = {503: share / 2, 429: share / 4, 403: share / 4}, share
        store.share_of_503, store.share_cut = share, share

    place, storage = {
        "http": (web.address, "{}"),
        "s3": ("s3://crawl", json.dumps({"s3": {"anon": True, "endpoint_url": store.endpoint}})),
    }[request.param]
    yield place, [f"input.storage={storage}"], fail
    fail(0)


@pytest.fixture(scope="module")
def refine(scheduler):
    def call(inputs, output, *overrides, **options):
        options = {"partition_bytes": 30_000, "scheduler": scheduler, "quiet": True} | options
        return gpurefine.run(pipeline_from_data(PIPELINE, overrides), inputs, output, **options)

    return call


@pytest.fixture(scope="module")
def local(refine, folder, names, tmp_path_factory):
    run = refine([folder / name for name in names], tmp_path_factory.mktemp("local") / "run")
    assert {"below/00.warc.gz", "a.parquet"} < set(run.refined()["file"]) | set(run.removed()["file"]) == set(names)
    assert run.summary()["missing_inputs"] == []
    return run


def test_twenty_files_from_a_server_that_fails(distant, refine, names, local, servers, tmp_path):
    place, overrides, fail = distant
    fail(0.15)
    run = refine([f"{place}/{name}" for name in names], tmp_path / "run", *overrides)
    assert_same_results(run, local)
    assert run.summary()["removed"] == local.summary()["removed"] != {}
    web, store = servers
    assert (store.cut if place.startswith("s3") else web.answers[0]) > 0, "transfers were cut"
    assert all(file["tag"] for file in run.manifest["inputs"])


@pytest.mark.parametrize("distant", ["http", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)
def test_killed_and_given_again(distant, refine, names, local, tmp_path):
    place, overrides, fail = distant
    (tmp_path / "distant.yaml").write_text(json.dumps(PIPELINE))
    (tmp_path / "some.paths").write_text("\n".join(names))
    overrides = [*overrides, f"input.prefix={place}"]
    command = [sys.executable, "-m", "gpurefine", "run", tmp_path / "distant.yaml", tmp_path / "some.paths"]
    command += ["-o", tmp_path / "run", "--workers", "2", "--partition-size", "30000", "--quiet"]
    command += [part for override in overrides for part in ("--set", override)]
    fail(0.1)
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(tmp_path.glob("run/work/documents-0/part-*"))) < 4:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not gpurefine.open_run(tmp_path / "run").complete
    run = refine(tmp_path / "some.paths", tmp_path / "run", *overrides)
    assert_same_results(run, local)


@pytest.mark.parametrize("distant", ["http"], indirect=True)
def test_parts_from_a_server_are_those_of_local_files(distant, refine, folder, names, local, tmp_path):
    place, overrides, fail = distant
    fail(0.05)
    part = "input.part=2/3"
    here = refine([folder / name for name in names], tmp_path / "here", part)
    there = refine([f"{place}/{name}" for name in names], tmp_path / "there", part, *overrides)
    assert_same_results(here, there)
    assert 0 < there.summary()["records"] < local.summary()["records"]


def test_a_server_that_goes_away_and_comes_back(refine, names, local, servers, tmp_path):
    """The run fails with one sentence that says where; given again it goes on."""
    web, _ = servers
    urls = [f"{web.address}/{name}" for name in names]
    run = refine([urls[0]], tmp_path / "other")
    assert run.complete
    path = web.folder / names[5]
    data = path.read_bytes()

    class Gone(dict):
        """Refuses once some partitions are done, when most files were not asked for yet."""

        def items(self):
            done = len(list(tmp_path.glob("run/work/documents-0/part-*")))
            return {404: 1.0}.items() if done > 2 else {}.items()

    web.refusals = Gone()
    with pytest.raises(RunError, match=r"cannot read (the input )?http://.*"):
        refine(urls, tmp_path / "run")
    web.refusals = {}
    assert not gpurefine.open_run(tmp_path / "run").complete
    # what was exchanged meanwhile is not taken for what it was
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(OutputError, match=rf"holds another run; changed: inputs \({names[5]}\)"):
        refine(urls, tmp_path / "run")
    path.write_bytes(data)
    assert_same_results(refine(urls, tmp_path / "run"), local)


def test_files_in_the_memory_of_this_process(refine, folder, names, local, tmp_path):
    memory = fsspec.filesystem("memory")
    for name in names:
        memory.pipe_file(f"/crawl/{name}", (folder / name).read_bytes())
    try:
        run = refine("memory://crawl/**", tmp_path / "run")
        assert_same_results(run, local)
        assert not (tmp_path / "run" / "work").exists() or not list((tmp_path / "run" / "work").rglob("inputs/*"))
    finally:
        memory.store.clear()


def test_missing_files(refine, cli, folder, names, tmp_path):
    given = [*names[:3], "no.warc.gz", "none.warc.gz"]
    (tmp_path / "some.paths").write_text("\n".join(given))
    (tmp_path / "distant.yaml").write_text(json.dumps(PIPELINE))
    prefix = f"input.prefix={folder}"
    with pytest.raises(InputError, match=r"no such input: /.*/no\.warc\.gz, /.*/none\.warc\.gz; --skip-missing"):
        refine(tmp_path / "some.paths", tmp_path / "run", prefix)
    assert not (tmp_path / "run").exists()
    run = refine(tmp_path / "some.paths", tmp_path / "run", prefix, "input.skip_missing=true")
    missing = [f"{folder}/no.warc.gz", f"{folder}/none.warc.gz"]
    assert run.summary()["missing_inputs"] == run.manifest["missing_inputs"] == missing
    command = ["plan", tmp_path / "distant.yaml", tmp_path / "some.paths", "--set", prefix]
    assert cli(*command)[0] == 2
    code, told, _ = cli(*command, "--skip-missing")
    assert code == 0
    assert "3 files" in told


def test_a_note_says_what_is_left_out(scheduler, folder, names, tmp_path, capsys):
    pipeline = pipeline_from_data(PIPELINE, ["input.skip_missing=true"])
    gpurefine.run(pipeline, [folder / names[1], folder / "no.warc.gz"], tmp_path / "run", scheduler=scheduler)
    told = capsys.readouterr().err
    assert f"1 missing inputs are left out, as summary.json records: {os.fspath(folder)}/no.warc.gz" in told
