"""Jobs and those that follow on them: order, resources, and that no kind of worker runs ahead of the other."""

import threading
import time
from types import SimpleNamespace

import pytest
from distributed import Client, Scheduler, SpecCluster, Worker
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.engine import flow, jobs
from gpurefine.engine.jobs import IN_FLIGHT_A_WORKER, Job, run_jobs
from gpurefine.engine.plan import Partition
from gpurefine.errors import RunError
from gpurefine.read.splits import next_correction

#: What jobs note down; workers are threads of this process.
NOTES, LOCK = [], threading.Lock()


def note(name, seconds=0.0):
    time.sleep(seconds)
    with LOCK:
        NOTES.append(name)
    return name


def job(kind, number, device="CPU", seconds=0.0):
    return Job(f"{kind} {number}", note, ((kind, number), seconds), device=device)


@pytest.fixture
def client():
    """Two CPU workers and one GPU worker, in this process."""
    NOTES.clear()
    options = {"nthreads": 1, "memory_limit": None, "dashboard_address": ":0"}
    names = {"cpu-0": "CPU", "cpu-1": "CPU", "gpu-0": "GPU"}
    workers = {name: {"cls": Worker, "options": options | {"resources": {device: 1}}} for name, device in names.items()}
    scheduler = {"cls": Scheduler, "options": {"protocol": "inproc://", "dashboard_address": ":0"}}
    with SpecCluster(workers=workers, scheduler=scheduler, silence_logs=50) as cluster, Client(cluster) as client:
        client.wait_for_workers(3)
        yield client


def test_followers_are_run_and_all_results_given(client):
    def follow(ended, result):
        kind, number = result
        return [job("measure", number, "GPU")] if kind == "read" else []

    found = {result for _, result in run_jobs(client, "key", (job("read", n) for n in range(9)), follow)}
    assert found == {(kind, n) for kind in ("read", "measure") for n in range(9)}
    for number in range(9):
        assert NOTES.index(("read", number)) < NOTES.index(("measure", number))


def test_cpu_workers_do_not_run_ahead_of_a_slow_gpu_worker(client):
    begun = []

    def source():
        for number in range(30):
            begun.append(number)
            yield job("read", number)

    def follow(ended, result):
        return [job("measure", result[1], "GPU", 0.03)] if result[0] == "read" else []

    ahead = []
    for _, (kind, _) in run_jobs(client, "key", source(), follow):
        ended = sum(name == "measure" for name, _ in NOTES)
        if kind == "measure":
            ahead.append(len(begun) - ended)
    # in flight on the GPU worker, those that wait for it, and jobs on the two CPU workers
    assert max(ahead) <= IN_FLIGHT_A_WORKER * (1 + 2) + IN_FLIGHT_A_WORKER * 2 + 1
    assert len(NOTES) == 60


def test_nothing_begins_while_there_is_no_room(client):
    most = []

    def may_begin(running):
        most.append(running)
        return running < 1

    assert (
        len(list(run_jobs(client, "key", [job("read", n, seconds=0.01) for n in range(5)], may_begin=may_begin))) == 5
    )
    assert [("read", n) for n in range(5)] == NOTES


def test_a_disk_without_room_for_one_partition_is_an_error(monkeypatch, tmp_path):
    context = SimpleNamespace(store=SimpleNamespace(root=tmp_path))
    monkeypatch.setattr(flow.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert flow.room_on_disk(context, 0, 1000) and flow.room_on_disk(context, 3, 250)
    assert not flow.room_on_disk(context, 4, 250)
    with pytest.raises(RunError, match=r"1,000 bytes are free .* may need 1,001: make room"):
        flow.room_on_disk(context, 0, 1001)


def test_limits_follow_the_workers_that_are_there(client):
    assert jobs.workers_by_device(client) == {"CPU": 2, "GPU": 1}


@st.composite
def splits_in_any_order(draw):
    """Bounds of the splits of one file, right but for one perhaps, and the order in which they end."""
    count = draw(st.integers(1, 7))
    bounds = [(10 * index, 10 * index + 10) for index in range(count)]
    wrong = draw(st.none() | st.integers(0, count - 1))
    if wrong is not None:
        bounds[wrong] = (10 * wrong + 3, 10 * wrong + 10)
    return bounds, wrong, draw(st.permutations(range(count)))


@given(splits_in_any_order())
def test_splits_are_settled_in_order_and_none_behind_a_wrong_one(case):
    bounds, wrong, order = case
    partitions = [Partition(index, 0, 10 * index, 10 * index + 10) for index in range(len(bounds))]
    context = SimpleNamespace(inputs=[SimpleNamespace(kind="warc")])
    splits, settled, there = flow._Splits(context, partitions), [], set()
    for index in order:
        there.add(index)
        settled += splits.settled(index, {"first_start": bounds[index][0], "last_end": bounds[index][1]})
        prefix = next((n for n in range(len(bounds)) if n not in there), len(bounds))
        fitting = max(
            n
            for n in range(prefix + 1)
            if next_correction([(10 * i, 10 * i + 10, *bounds[i]) for i in range(n)]) is None
        )
        assert settled == list(range(fitting))
    assert len(settled) == (len(bounds) if wrong is None else wrong)


def test_tables_are_settled_at_once():
    context = SimpleNamespace(inputs=[SimpleNamespace(kind="parquet")])
    partitions = [Partition(index, 0, index, index + 1) for index in range(3)]
    splits = flow._Splits(context, partitions)
    assert splits.settled(2, {"first_start": None, "last_end": None}) == [2]
