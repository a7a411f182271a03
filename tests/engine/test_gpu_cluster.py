"""GPU workers beside CPU workers, imitated on CPUs: each stage on its workers, the same result, also when one dies."""

import contextlib
import json
import os
import re

import pyarrow.parquet as pq
import pytest
from distributed import Client, Scheduler, SpecCluster, get_task_stream
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine.store import RunStore
from gpurefine.errors import ConfigError, ResourceError, RunError
from gpurefine.workers import IMITATED_GPUS, Backend, decide_backend, worker_specs

#: Where each kind of job belongs, by its name: steps of refinedweb as they are cut with GPU workers.
PLACES = {
    "step 0 partition": "CPU",  # read, urls, extract, language
    "step 1 partition": "GPU",  # repetition, quality
    "step 2 partition": "CPU",  # lines
    "dedup 2 keys": "GPU",
    "dedup 2 join": "CPU",
    "dedup 2 collide": "GPU",
    "dedup 2 connect": "GPU",
    "dedup 2 gather": "CPU",
    "dedup 2 choose": "CPU",
    "step 3 partition": "CPU",  # removals
    "dedup 3 keys": "GPU",  # tokens
    "dedup 3 collide": "GPU",  # windows of tokens
    "dedup 3 spans": "CPU",
    "step 4 partition": "CPU",  # cuts
    "dedup 4 collide": "CPU",  # URLs
    "dedup 4 connect": "CPU",
    "dedup 4 gather": "CPU",
    "dedup 4 choose": "CPU",
    "step 5 partition": "CPU",  # removals, token counts
}
DEVICES = ["CPU", "GPU", "CPU", "CPU", "CPU", "CPU"]


@contextlib.contextmanager
def mixed_cluster(folder):
    """A scheduler with two CPU workers and two workers that imitate GPUs."""
    specs = worker_specs(2, Backend(True, False, ("", "")), folder)
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": ":0"}}
    with SpecCluster(workers=specs, scheduler=scheduler, silence_logs=50) as cluster, Client(cluster) as client:
        client.wait_for_workers(4)
        yield client


@pytest.fixture(scope="module")
def options(demo_crawl):
    return [f"urls.blocklist={demo_crawl[1]}", "output.stats=true"]


@pytest.fixture(scope="module")
def single(demo_crawl, options, tmp_path_factory):
    """What one process makes of the demo crawl."""
    output = tmp_path_factory.mktemp("single") / "run"
    return gpurefine.run(
        "refinedweb", demo_crawl[0], output, overrides=options, backend="cpu", workers=1, partition_bytes=1 << 30,
        quiet=True,
    )  # fmt: skip


def refine(crawl, options, output, **more):
    return gpurefine.run("refinedweb", crawl[0], output, overrides=options, partition_bytes=40_000, quiet=True, **more)


def test_each_stage_runs_where_it_belongs_with_the_result_of_one_process(
    demo_crawl, options, single, tmp_path, monkeypatch
):
    monkeypatch.setenv(IMITATED_GPUS, "2")
    with mixed_cluster(tmp_path / "scratch") as client, get_task_stream(client) as stream:
        address = client.scheduler.address
        run = refine(demo_crawl, options, tmp_path / "run", scheduler=address, backend="gpu")
        workers = client.scheduler_info(n_workers=-1)["workers"]
    ran: dict[str, set[str]] = {}
    per_kind: dict[str, set[str]] = {}
    for task in stream.data:
        name = re.sub(r"^gpurefine-\w+-\w+-", "", task["key"])
        kind = re.sub(r" \d+(-from-\d+)?$", "", name)
        ran.setdefault(kind, set()).update(workers[task["worker"]]["resources"])
        per_kind.setdefault(kind, set()).add(task["worker"])
    assert ran == {kind: {place} for kind, place in PLACES.items()}
    assert len(per_kind["step 0 partition"]) == len(per_kind["step 1 partition"]) == 2
    assert_same_results(run, single)
    manifest = RunStore(run.path).read_manifest()
    assert [step["device"] for step in manifest["steps"]] == DEVICES
    assert manifest["backend"] == f"imitates 2 GPUs on CPUs ({IMITATED_GPUS})"


def test_gpu_workers_begin_while_cpu_workers_extract(demo_crawl, options, tmp_path, monkeypatch):
    monkeypatch.setenv(IMITATED_GPUS, "2")
    with mixed_cluster(tmp_path / "scratch") as client, get_task_stream(client) as stream:
        refine(demo_crawl, options, tmp_path / "run", scheduler=client.scheduler.address)
    times = {"step 0": [], "step 2": []}
    for task in stream.data:
        for step, found in times.items():
            if f"-{step} partition" in task["key"]:
                found.append((task["startstops"][0]["start"], task["startstops"][-1]["stop"]))
    assert min(begin for begin, _ in times["step 2"]) < max(end for _, end in times["step 0"])


def test_a_killed_worker_is_replaced_and_nothing_changes(demo_crawl, options, single, tmp_path, monkeypatch):
    """A stage on a CPU worker and one on a GPU worker kill their process on the first page that they see."""
    monkeypatch.setenv(IMITATED_GPUS, "2")
    kept = sorted(single.refined(columns=["url"])["url"])
    markers = {place: tmp_path / place for place in ("CPU", "GPU")}
    pipeline = gpurefine.load_pipeline("refinedweb", options).as_data()
    places = [next(iter(entry)) for entry in pipeline["stages"]]
    for place, stage in (("GPU", "quality"), ("CPU", "language")):
        fault = {"as": f"fault{place}", "fault": "kill", "url": kept[0], "until": str(markers[place]), "once": True}
        pipeline["stages"].insert(places.index(stage) + 1, {"faulty_stage:Faulty": fault | {"gpu": place == "GPU"}})
    with mixed_cluster(tmp_path / "scratch") as client:
        before = {place: workers_with(client, place) for place in markers}
        run = gpurefine.run(
            pipeline_from_data(pipeline), demo_crawl[0], tmp_path / "run", partition_bytes=40_000, quiet=True,
            scheduler=client.scheduler.address,
        )  # fmt: skip
        client.wait_for_workers(4, timeout=60)
        after = {place: workers_with(client, place) for place in markers}
    for place, marker in markers.items():
        killed = int(marker.read_text().split()[0])
        assert killed in before[place] and killed not in after[place] and len(after[place]) == 2
    assert_same_results(run, single)


def workers_with(client, resource):
    """Processes of the workers with a resource."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    chosen = [address for address, worker in workers.items() if resource in worker["resources"]]
    return set(client.run(os.getpid, workers=chosen).values())


def test_local_workers_of_both_kinds_and_a_later_try_without_gpus(
    demo_crawl, options, single, tmp_path, monkeypatch, capsys
):
    """A run that was begun with GPUs and stopped goes on without them, by the plan that it was begun with."""
    monkeypatch.setenv(IMITATED_GPUS, "1")

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gpurefine.engine.deduplicate.DedupRun._choose", stop)
        with pytest.raises(KeyboardInterrupt):
            refine(demo_crawl, options, tmp_path / "run", workers=1)
    # texts lie on the disk once, however many steps took them up
    rows = [documents_of(tmp_path / "run", step) for step in range(3)]
    assert rows[:2] == [0, 0] and rows[2] > 0
    monkeypatch.delenv(IMITATED_GPUS)
    run = refine(demo_crawl, options, tmp_path / "run", workers=1, backend="cpu")
    assert_same_results(run, single)
    assert [step["device"] for step in RunStore(run.path).read_manifest()["steps"]] == DEVICES


def documents_of(root, step):
    """Rows that lie in work/ as a step left them."""
    return sum(pq.read_metadata(path).num_rows for path in (root / "work" / f"documents-{step}").glob("*.parquet"))


def test_a_follower_whose_file_is_lost_is_told(demo_crawl, options, tmp_path, monkeypatch):
    """What it took up is gone, so it cannot be made again; with keep_work it can."""
    monkeypatch.setenv(IMITATED_GPUS, "1")

    def stop(*_, **__):
        raise KeyboardInterrupt

    for name, more in (("gone", []), ("kept", ["output.keep_work=true"])):
        with monkeypatch.context() as patch:
            patch.setattr("gpurefine.engine.execute._check_step", stop)
            with pytest.raises(KeyboardInterrupt):
                refine(demo_crawl, [*options, *more], tmp_path / name, workers=1)
        (tmp_path / name / "work" / "documents-1" / "part-000001.parquet").unlink()
    with pytest.raises(RunError, match=r"part-000001\.parquet: its documents went on to a step whose file is gone"):
        refine(demo_crawl, options, tmp_path / "gone", workers=1)
    refine(demo_crawl, [*options, "output.keep_work=true"], tmp_path / "kept", workers=1)


def test_without_gpu_workers_gpu_is_refused_and_auto_says_so(scheduler, demo_crawl, options, tmp_path, capfd):
    with pytest.raises(ResourceError, match=r"--backend gpu: no worker .* has the resource GPU; start one a GPU with"):
        refine(demo_crawl, options, tmp_path / "run", scheduler=scheduler, backend="gpu")
    assert not (tmp_path / "run").exists()
    gpurefine.run("refinedweb", demo_crawl[0], tmp_path / "run", overrides=options, scheduler=scheduler)
    notes = [json.loads(line)["note"] for line in capfd.readouterr().err.splitlines() if '"note"' in line]
    assert [note for note in notes if note.startswith("runs on CPUs, no GPU is used: no worker of the scheduler")]


def test_gpu_workers_without_cpu_workers_are_refused(tmp_path, demo_crawl, options):
    specs = worker_specs(0, Backend(True, False, ("",)), tmp_path / "scratch")
    with (
        SpecCluster(workers=specs, scheduler={"cls": Scheduler, "options": {"dashboard_address": ":0"}}) as cluster,
        pytest.raises(ResourceError, match="1 workers have no resource CPU; start workers with `dask worker"),
    ):
        refine(demo_crawl, options, tmp_path / "run", scheduler=cluster.scheduler_address)


def test_words_for_backends(monkeypatch):
    with pytest.raises(ConfigError, match="auto, cpu, gpu"):
        decide_backend("tpu")
    with pytest.raises(ResourceError, match="no stage of this pipeline has a GPU side"):
        decide_backend("gpu", has_gpu_stages=False)
    assert decide_backend("cpu").note == "runs on CPUs, as --backend cpu asks"
    monkeypatch.setenv(IMITATED_GPUS, "many")
    with pytest.raises(ConfigError, match="expected a number of GPUs"):
        decide_backend("auto")
