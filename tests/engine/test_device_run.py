"""Whole runs whose GPU steps keep documents on a device, here in place of one cuDF's stand-in and kernels on the CPU.

All jobs run in this process, where the stand-ins are; everything else is the engine as it is.
"""

import contextlib
from collections import Counter, deque

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from format_files import raw_records, warc_frames, write_texts
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine import emit, execute, phases
from gpurefine.engine import run as run_module
from gpurefine.errors import ConfigError
from gpurefine.kernels.cuda import gpt2, minhash, stats
from gpurefine.workers import Backend


class HereAndNow:
    """A client whose jobs run in this process, one after another."""

    def __init__(self):
        self.tools, self.ran = None, Counter()

    def register_plugin(self, tools, name):
        self.tools = tools

    def unregister_worker_plugin(self, name):
        self.tools.teardown()

    def run_jobs(self, client, run_key, jobs, follow=lambda job, result: (), may_begin=lambda running: True):
        waiting = deque(jobs)
        while waiting:
            job = waiting.popleft()
            result = job.function(*job.arguments, *([self.tools] if job.needs_tools else []))
            self.ran[job.function.__name__, job.device] += 1
            waiting.extend(follow(job, result))
            yield job, result


@pytest.fixture
def here(monkeypatch, cudf):
    """Makes runs use a device that is emulated; what they ran is counted by function and resource."""
    client = HereAndNow()

    @contextlib.contextmanager
    def open_client(workers, scheduler, scratch, backend, dashboard):
        yield client

    monkeypatch.setattr(run_module, "open_client", open_client)
    monkeypatch.setattr(run_module, "decide_backend", lambda *_: Backend(True, True, ("0",), "uses a GPU"))
    for module in (execute, phases):
        monkeypatch.setattr(module, "run_jobs", client.run_jobs)
    monkeypatch.setattr(phases, "workers_by_device", lambda client: Counter(CPU=1, GPU=1))
    return client


@pytest.fixture(scope="module")
def extraction():
    """Skips where a machine with a GPU has only what filters and dedups need."""
    for package in ("trafilatura", "fasttext"):
        pytest.importorskip(package, reason=f"{package} is not here")


@pytest.fixture(scope="module")
def options(demo_crawl):
    return [f"urls.blocklist={demo_crawl[1]}", "output.stats=true"]


@pytest.fixture(scope="module")
def on_cpu(extraction, demo_crawl, options, tmp_path_factory):
    output = tmp_path_factory.mktemp("cpu") / "run"
    return gpurefine.run("refinedweb", demo_crawl[0], output, overrides=options, backend="cpu", workers=1, quiet=True)


def launches(monkeypatch):
    """Counts calls of the launchers, so that a test cannot pass on the CPU's kernels."""
    called = Counter()

    def counted(module, name):
        original = getattr(module, name)

        def call(*arguments, **keywords):
            called[name] += 1
            return original(*arguments, **keywords)

        monkeypatch.setattr(module, name, call)

    for module, name in ((stats, "text_statistics"), (minhash, "band_keys")):
        counted(module, name)
    return called


@pytest.mark.parametrize(
    ("kind", "parameters"), [("paragraph", {}), ("line", {"min_sentences": 1}), ("substring", {"length": 10})]
)
def test_dedups_inside_texts_on_a_device(here, tmp_path, kind, parameters):
    """Lines are hashed, and windows of tokens counted, where the text lies; copies and cuts are the host's."""
    rng = np.random.default_rng(6)
    lines = [f"Line {number} of the river, \u00c9t\u00e9 {number % 7}." for number in range(300)]
    columns = {
        "id": [f"d{number}" for number in range(96)],
        "url": [f"http://a.example/{number % 90}" for number in range(96)],
        "text": ["\n".join(rng.choice(lines, rng.integers(0, 12))) for _ in range(96)],
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    pipeline = pipeline_from_data(
        {"name": "tables", "stages": [{f"dedup.{kind}": parameters}], "output": {"tokens": False}}
    )
    given = pipeline, tmp_path / "table.parquet"
    run = gpurefine.run(*given, tmp_path / "device", quiet=True, partition_bytes=2000)
    assert run.manifest["steps"][0]["device"] == "CPU" and run.manifest["gpu"]
    on_cpu = gpurefine.run(*given, tmp_path / "cpu", quiet=True, backend="cpu", workers=1)
    assert_same_results(run, on_cpu)
    assert len(run.spans()) > 20
    assert sorted(map(tuple, run.spans().to_numpy())) == sorted(map(tuple, on_cpu.spans().to_numpy()))


def test_policies_and_scopes_on_a_device(here, tmp_path, monkeypatch):
    """Keys are mixed with scopes where GPU workers make them, and lengths stand in documents that lie on a device."""
    called = launches(monkeypatch)
    rng = np.random.default_rng(5)
    words = np.array(["river", "mill", "stone", "bread", "ship", "letter"])
    texts = [" ".join(rng.choice(words, 60)) for _ in range(8)]
    columns = {
        "id": [f"d{number}" for number in range(96)],
        "text": [texts[number % 8] + "." * (number % 13) for number in range(96)],
        "language": [[None, "", "en", "de"][number % 3] for number in range(96)],
        "crawl": [None if number % 5 == 0 else number % 5 for number in range(96)],
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    for keep, scope in (("longest", "language"), ("best:crawl", None), ("first", "crawl")):
        stage = {"dedup.minhash": {"bands": 14, "rows": 8, "shingle": "word-5", "keep": keep, "scope": scope}}
        pipeline = pipeline_from_data({"name": "tables", "stages": [stage], "output": {"tokens": False}})
        given = pipeline, tmp_path / "table.parquet"
        run = gpurefine.run(*given, tmp_path / keep, quiet=True, partition_bytes=2000)
        assert_same_results(run, gpurefine.run(*given, tmp_path / f"{keep}-cpu", quiet=True, backend="cpu", workers=1))
        assert len(run.clusters()) == 96
        assert (
            run.clusters()["cluster"].nunique() == len(run.refined()) == {None: 8, "language": 24, "crawl": 40}[scope]
        )
    assert called["band_keys"] >= 3


def test_the_demo_on_a_device(here, demo_crawl, options, on_cpu, tmp_path, monkeypatch):
    """From HTML on, where what extracts is installed; the other tests need no more than a device."""
    called = launches(monkeypatch)
    run = gpurefine.run(
        "refinedweb", demo_crawl[0], tmp_path / "run", overrides=options, partition_bytes=200_000, quiet=True
    )
    assert_same_results(run, on_cpu)
    partitions = here.ran["process_partition", "GPU"]
    assert partitions > 1 and called == {"text_statistics": partitions, "band_keys": partitions}
    assert_same_stats(run, on_cpu)


@pytest.mark.parametrize("extracts", [True, False])
def test_pages_and_texts_on_a_device(here, demo_crawl, on_cpu, tmp_path, monkeypatch, extracts):
    """Extraction is the CPU's, for pages only; what stands behind it is the device's."""
    called = launches(monkeypatch)
    rows = on_cpu.refined()[["id", "url", "date", "text"]].to_dict("records")
    write_texts(tmp_path / "a.wet.gz", rows[:20])
    write_texts(tmp_path / "b.parquet", [{**row, "n": number} for number, row in enumerate(rows[10:40])])
    stages = [{"quality": {"min_words": 60}}, {"dedup.minhash": {"bands": 14, "rows": 8}}]
    pipeline = pipeline_from_data(
        {"name": "mixed", "stages": ["extract"] * extracts + stages, "output": {"tokens": False}}
    )
    write_texts(tmp_path / "c.jsonl.gz", [{**row, "tags": [1]} for row in rows[30:50]])
    (tmp_path / "d.warc.zst").write_bytes(warc_frames(raw_records(demo_crawl[0])[:60]))
    inputs = [tmp_path / name for name in ("a.wet.gz", "b.parquet", "c.jsonl.gz", "d.warc.zst")][: 3 + extracts]
    run = gpurefine.run(pipeline, inputs, tmp_path / "run", partition_bytes=30_000, quiet=True)
    assert [step["device"] for step in run.manifest["steps"]] == ["CPU"] * extracts + ["GPU", "CPU"]
    assert called["band_keys"] > 1
    monkeypatch.undo()  # runs are on workers again
    alone = gpurefine.run(pipeline, inputs, tmp_path / "cpu", quiet=True, backend="cpu", workers=1)
    assert_same_results(run, alone)
    assert (run.summary()["records"] > 70) == extracts
    assert run.summary()["removed"]["dedup.minhash:duplicate"] >= 20


def assert_same_stats(one, other):
    """What was measured on documents, of which each step tells its part."""
    key = ["file", "offset", "id"]
    tables = [run.stats().sort_values(key, ignore_index=True) for run in (one, other)]
    assert sorted(tables[0].columns) == sorted(tables[1].columns) and tables[0]["removed_by"].notna().any()
    pd.testing.assert_frame_equal(tables[0][list(tables[1].columns)], tables[1], check_exact=True)


@pytest.fixture
def table(tmp_path):
    """Texts of few words, two of them equal, and a pipeline for which GPU workers do all of it."""
    rng = np.random.default_rng(3)
    words = np.array(["river", "mill", "stone", "of", "the", "and", "bread", "ship", "letter", "that"])
    texts = [" ".join(rng.choice(words, rng.integers(20, 300))) for _ in range(60)]
    texts[50] = texts[7]
    pq.write_table(pa.table({"id": [f"d{n}" for n in range(60)], "text": texts}), tmp_path / "table.parquet")
    stages = [{"quality": {"min_words": 60, "min_mean_word_length": 0}}, {"dedup.minhash": {"bands": 14, "rows": 8}}]
    stages += [{"repetition": {"top_2": 0.08, "dup_5": None, "top_3": None, "top_4": None}}]
    return pipeline_from_data({"name": "tables", "stages": stages}), tmp_path / "table.parquet"


def check(run, table, tmp_path):
    """The run gave what the CPU gives, and there was something of everything to do."""
    assert {step["device"] for step in run.manifest["steps"]} == {"GPU"}
    rules = run.removed()["rule"].value_counts()
    assert rules["duplicate"] == 1 and rules["words"] > 5 and rules["top_2"] > 5 and len(run.refined()) > 5
    assert_same_results(run, gpurefine.run(*table, tmp_path / "cpu", quiet=True, backend="cpu", workers=1))


def test_tables_are_read_in_batches_by_bytes(here, table, tmp_path, monkeypatch):
    """Rules of the first step on a device, keys of MinHash there, token counts of a last step there."""
    with monkeypatch.context() as patch:
        patch.setattr(emit, "BATCH_TEXT", 20_000)
        run = gpurefine.run(*table, tmp_path / "gpu", quiet=True)
    monkeypatch.undo()  # runs are on workers again
    check(run, table, tmp_path)


def test_a_device_without_memory_for_a_batch_gets_it_in_halves(here, table, tmp_path, monkeypatch):
    """Nothing fits but two documents: three are one that is done by the CPU and two."""
    sizes = []

    def failing(module, name):
        original = getattr(module, name)

        def call(data, offsets, *arguments):
            sizes.append(offsets.size - 1)
            if offsets.size != 3:
                raise MemoryError("std::bad_alloc: out_of_memory")
            return original(data, offsets, *arguments)

        monkeypatch.setattr(module, name, call)

    for module, name in ((stats, "text_statistics"), (minhash, "band_keys"), (gpt2, "count_gpt2_tokens")):
        failing(module, name)
    run = gpurefine.run(*table, tmp_path / "gpu", quiet=True)
    assert max(sizes) > 20 and {1, 2, 3} <= set(sizes)
    monkeypatch.undo()  # runs are on workers again
    check(run, table, tmp_path)


def test_columns_that_a_device_cannot_hold_keep_a_run_on_cpus(here, table, tmp_path, capfd):
    pipeline, path = table
    rows = pq.read_table(path).slice(0, 9)
    odd = pa.array([b"x"] * 9, pa.binary())
    pq.write_table(rows.append_column("score", pa.array(range(9))).append_column("blob", odd), path)
    with pytest.raises(ConfigError, match="cuDF cannot hold column 'blob' of type binary; write it as text"):
        gpurefine.run(pipeline, path, tmp_path / "run", backend="gpu", quiet=True)
    run = gpurefine.run(pipeline, path, tmp_path / "run")
    assert {step["device"] for step in run.manifest["steps"]} == {"CPU"}
    assert "no GPU is used: cuDF cannot hold column 'blob'" in capfd.readouterr().err
    assert run.refined()["score"].notna().all()
