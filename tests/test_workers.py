"""The client: an existing scheduler is used when its workers can do the work, else refused before the first task."""

import pytest
from distributed import LocalCluster

from gpurefine import workers
from gpurefine.errors import ResourceError


def test_a_scheduler_whose_workers_lack_the_resource_is_refused(tmp_path):
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0", silence_logs=50) as cluster,
        pytest.raises(ResourceError, match=r"1 workers have no resource CPU.*--resources CPU=1"),
        workers.open_client(1, cluster.scheduler_address, tmp_path),
    ):
        pass


def test_a_scheduler_without_workers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "WORKER_TIMEOUT", 1)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=50) as cluster,
        pytest.raises(ResourceError, match="no worker came within 1 s"),
        workers.open_client(1, cluster.scheduler_address, tmp_path),
    ):
        pass


def test_a_scheduler_file_works(scheduler, tmp_path):
    path = tmp_path / "scheduler.json"
    path.write_text(f'{{"address": "{scheduler}"}}')
    with workers.open_client(1, str(path), tmp_path) as client:
        assert client.submit(sum, [1, 2], resources={"CPU": 1}).result() == 3


def test_memory_and_cores_are_those_of_this_machine():
    assert workers.available_memory() > 1 << 20
    assert workers.available_cores() >= 1
