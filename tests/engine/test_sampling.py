"""What ``plan`` measures: the shares and sizes that a run then has, on pages and texts, and nothing left behind."""

import tempfile
from pathlib import Path

import pytest
from format_files import write_texts

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine import estimate_sample, sampling
from gpurefine.engine.estimate import estimate_lines
from gpurefine.engine.run import prepare
from gpurefine.engine.sampling import Sample, Samples, spread_pieces, take_samples
from gpurefine.read.inputs import InputFile
from gpurefine.workers import decide_backend

STAGES = ["extract", "language", "quality", "dedup.exact"]


@pytest.fixture
def prepared(demo_crawl):
    def make(inputs=None, stages=STAGES, **options):
        return prepare(pipeline_from_data({"name": "mine", "stages": stages}), inputs or [demo_crawl[0]], **options)

    return make


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    yield
    assert not list((tmp_path / "scratch").iterdir())


def test_all_of_a_small_crawl_is_what_a_run_finds(prepared, scratch, demo_crawl, scheduler, tmp_path):
    samples = take_samples(prepared(), budget=1000)
    run = gpurefine.run(prepared().pipeline, demo_crawl[0], tmp_path / "run", scheduler=scheduler, quiet=True)
    summary = run.summary()
    step = run.manifest["steps"][0]["counts"]
    assert samples.texts is None and samples.pages.files == 1
    assert (samples.pages.records, samples.pages.kept) == (summary["records"], step["kept"])
    assert samples.pages.child_memory > 10 << 20 and samples.memory > 100 << 20
    assert samples.pages.work_bytes > 10_000 and samples.pages.removed_bytes > 1_000
    assert estimate_sample.kept_records(samples, 1000, 0) == round(1000 * step["kept"] / summary["records"])


def test_it_ends_in_time(prepared, scratch, monkeypatch, demo_crawl):
    from gpurefine.read import batches

    monkeypatch.setattr(batches, "BATCH_RECORDS", 5)
    whole = take_samples(prepared(), budget=1000).pages
    some = take_samples(prepared(), budget=0.0).pages
    assert some.records == 0 and whole.records > 100
    some = take_samples(prepared(), budget=1e-9).pages
    assert some.records == 5


def test_pages_and_texts_are_measured_apart(prepared, scratch, demo_crawl, tmp_path):
    rows = [
        {"id": str(n), "url": f"https://a.example/{n}", "date": None, "text": "No text of note. " * 9}
        for n in range(60)
    ]
    write_texts(tmp_path / "a.parquet", rows)
    samples = take_samples(prepared([demo_crawl[0], tmp_path / "a.parquet"]), budget=1000)
    assert samples.texts.records == 60 and samples.texts.child_memory == samples.pages.child_memory > 0
    assert samples.pages.records > 100


def lines(prepared, samples, folder=None):
    return list(estimate_lines(prepared, decide_backend("cpu"), samples, folder))


def test_the_plan_says_what_was_measured(prepared, monkeypatch, tmp_path):
    samples = Samples(Sample(2, 100, 25, 2.0, 40_000, 90_000, 100 << 20), None, ["extract", "language"], 400 << 20)
    monkeypatch.setattr(estimate_sample, "available_cores", lambda: 4)
    monkeypatch.setattr(estimate_sample, "available_memory", lambda: 1 << 30)
    found = lines(prepared(workers=2), samples, tmp_path)
    pages = int(next(line for line in found if line.startswith("input")).split("some ")[1].split()[0].replace(",", ""))
    assert (
        "measured: 20.00 ms a page in one process here, on 100 pages of 2 files, through read, extract, language; "
        "25.0% of them go on behind these"
    ) in found
    (told,) = [line for line in found if line.startswith("time")]
    assert told.startswith(
        f"time: about {estimate_sample.time_said(pages * 0.02 / 2)} for step 0 with these workers, and"
    )
    (disk,) = [line for line in found if line.startswith("disk")]
    assert f"{estimate_sample.size_said(pages * 400)} of documents" in disk and f"free at {tmp_path}" in disk
    assert not any(line.startswith("warning") for line in found)
    (memory,) = [line for line in found if line.startswith("memory: a process")]
    assert "had 400.0 MiB and its extraction child 100.0 MiB: some 1000.0 MiB for these workers" in memory


def test_what_does_not_fit_is_a_warning(prepared, monkeypatch):
    samples = Samples(Sample(1, 10, 10, 1.0, 10 << 50, 0, 0), None, ["extract"], 400 << 20)
    monkeypatch.setattr(estimate_sample, "available_memory", lambda: 1 << 30)
    found = lines(prepared(workers=16), samples)
    assert any(line.startswith("warning: that is ") and "choose another disk" in line for line in found)
    assert "warning: 16 workers need more memory than is free: give --workers 2 or fewer" in found


def test_more_workers_than_cores_are_not_faster(prepared, monkeypatch):
    samples = Samples(Sample(1, 10, 10, 1.0, 10, 10, 0), None, ["extract"], 1 << 20)
    monkeypatch.setattr(estimate_sample, "available_cores", lambda: 2)
    two, many = (
        next(line for line in lines(prepared(workers=workers), samples) if line.startswith("time"))
        for workers in (2, 64)
    )
    assert many == two.replace("these workers", "these workers on 2 cores", 1)


def test_pieces_are_spread_over_files():
    def file(name, size):
        return InputFile(f"/{name}", name, size, None, None)

    many = [file(f"{number:02}.warc.gz", 10 << 20) for number in range(30)]
    pieces = spread_pieces(many)
    assert [(each.name, partition.begin >> 20) for each, partition in pieces] == [
        ("00.warc.gz", 0), ("15.warc.gz", 5), ("29.warc.gz", 9),
    ]  # fmt: skip
    assert [partition.begin >> 20 for _, partition in spread_pieces(many[:1])] == [5, 0, 9]
    assert len(spread_pieces([file("a", 100)])) == 1


def test_quick_assumes(cli, demo_crawl, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "BUDGET", 0.1)
    config = tmp_path / "mine.yaml"
    config.write_text("{name: mine, stages: [extract, language]}")
    code, quick, _ = cli("plan", str(config), str(demo_crawl[0]), "--quick")
    assert code == 0 and "(assumed, not measured)" in quick and "measured:" not in quick
    code, measured, _ = cli("plan", str(config), str(demo_crawl[0]), "-o", str(tmp_path / "not" / "there"))
    assert code == 0 and "\nmeasured: " in measured and f"free at {tmp_path}" in measured
    assert not Path(tmp_path / "not").exists()
