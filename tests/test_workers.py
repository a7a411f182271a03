"""The client: an existing scheduler is used when its workers can do the work, else refused before the first task."""

import sys
from types import SimpleNamespace

import pytest
from distributed import LocalCluster

from gpurefine import machine, workers
from gpurefine.devices import Device, DeviceReport
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
    assert machine.available_memory() > 1 << 20
    assert machine.available_cores() >= 1


class RMMSetup:
    """dask-cuda's plugin as version 26.10 has it."""

    def __init__(
        self, initial_pool_size, maximum_pool_size, managed_memory, async_alloc, release_threshold, log_directory,
        track_allocations, external_lib_list,
    ):  # fmt: skip
        self.options = dict(locals())


class CUDFSetup:
    def __init__(self, spill, spill_stats):
        self.options = dict(locals())


def test_a_gpu_worker_has_one_device_and_one_allocator_for_all_libraries(monkeypatch, tmp_path):
    stand_in = SimpleNamespace(RMMSetup=RMMSetup, CUDFSetup=CUDFSetup)
    monkeypatch.setitem(sys.modules, "dask_cuda", SimpleNamespace(plugins=stand_in))
    monkeypatch.setitem(sys.modules, "dask_cuda.plugins", stand_in)
    specs = workers.worker_specs(2, workers.Backend(True, True, ("3", "GPU-5b")), tmp_path)
    assert [spec["options"]["resources"] for spec in specs.values()] == [{"CPU": 1}] * 2 + [{"GPU": 1}] * 2
    assert all(spec["options"]["nthreads"] == 1 for spec in specs.values())
    for name, device in (("gpu-0", "3"), ("gpu-1", "GPU-5b")):
        options = specs[name]["options"]
        memory, spilling = options["plugins"]
        assert options["env"]["CUDA_VISIBLE_DEVICES"] == device
        assert options["env"]["NUMBA_CUDA_MEMORY_MANAGER"] == "rmm.allocators.numba"
        assert memory.options["async_alloc"] is True and memory.options["external_lib_list"] == ["cupy"]
        assert memory.options["initial_pool_size"] is None and memory.options["managed_memory"] is False
        assert spilling.options["spill"] is True
    assert "env" not in specs["cpu-0"]["options"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, ("0", "1")), ("", ("0", "1")), ("4, 2,7", ("4", "2")), ("GPU-a,GPU-b", ("GPU-a", "GPU-b"))],
)
def test_local_gpu_workers_get_the_devices_that_are_visible(monkeypatch, given, expected):
    if given is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert workers.visible_devices(2) == expected


def report(problem=None, names=("NVIDIA H100", "NVIDIA H100")):
    found = [Device(index, name, (9, 0), 80 << 30, 70 << 30) for index, name in enumerate(names)]
    return DeviceReport(tuple(found) if problem is None else (), problem)


def test_the_backend_is_decided_by_what_is_found(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = workers.decide_backend("auto", devices=report())
    assert found == workers.Backend(True, True, ("0", "1"), "uses GPUs: 2 x NVIDIA H100")
    assert workers.decide_backend("gpu", devices=report()) == found
    assert not workers.decide_backend("cpu", devices=report()).gpu
    problem = "CuPy is not installed; `pip install 'gpurefine[cu13]'`"
    missing = workers.decide_backend("auto", devices=report(problem))
    assert not missing.gpu and missing.note == f"runs on CPUs, no GPU is used: {problem}"
    with pytest.raises(ResourceError, match=r"--backend gpu: CuPy is not installed; .*; or use --backend auto or cpu"):
        workers.decide_backend("gpu", devices=report(problem))
