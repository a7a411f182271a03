"""The Dask client of a run: local workers on CPUs and GPUs, or a scheduler that is running already.

Whether GPUs are used is decided once, before anything is written, and told. A GPU worker is a process with one device
and the resource GPU; a CPU worker is a process with one thread and the resource CPU.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import pyarrow as pa
from distributed import Client, Nanny, Scheduler, SpecCluster

from gpurefine.dashboard import dashboard_options
from gpurefine.devices import DeviceReport, find_devices
from gpurefine.errors import ConfigError, ResourceError
from gpurefine.frames import unfit_for_device

BACKENDS = ("auto", "cpu", "gpu")

#: Seconds to wait for a scheduler that is running to answer.
CONNECT_TIMEOUT = 20
#: Seconds to wait for the first worker of a scheduler that is running.
WORKER_TIMEOUT = 30

#: Environment variable with a number of GPUs to imitate: stages are placed as with so many and computed on CPUs. It is
#: for tests of clusters; a run that imitates says so.
IMITATED_GPUS = "GPUREFINE_IMITATED_GPUS"

#: How workers for a scheduler that is running are started, by resource.
WORKER_COMMANDS = {
    "CPU": "dask worker ADDRESS --nthreads 1 --resources CPU=1",
    "GPU": "NUMBA_CUDA_MEMORY_MANAGER=rmm.allocators.numba dask cuda worker ADDRESS --resources GPU=1 --nthreads 1 "
    "--rmm-async --set-rmm-allocator-for-libs cupy --enable-cudf-spill",
}


@dataclass(frozen=True)
class Backend:
    """Where the stages of a run are to run that have a GPU side.

    Attributes
    ----------
    gpu : whether there are GPU workers
    on_device : whether these have a GPU; if not, they imitate one
    devices : for local GPU workers, the value of CUDA_VISIBLE_DEVICES of each
    note : what was decided and why, one sentence
    """

    gpu: bool = False
    on_device: bool = False
    devices: tuple[str, ...] = ()
    note: str = "runs on CPUs"


def decide_backend(
    backend: str, has_gpu_stages: bool = True, scheduler: str | None = None, devices: DeviceReport | None = None
) -> Backend:
    """Decide once, up front, where the filter and dedup stages run.

    Parameters
    ----------
    backend : ``auto`` (GPUs if they can be used), ``cpu``, or ``gpu`` (or none)
    has_gpu_stages : whether the pipeline has a stage with a GPU side
    scheduler : address or file of a scheduler that is running, whose workers are asked; None for local workers
    devices : what ``find_devices`` found for local workers; None asks it

    Raises
    ------
    ConfigError
        for an unknown word
    ResourceError
        for ``gpu`` where no GPU can be used; the sentence says what is missing. Also if no scheduler answers, or none
        of its workers has the resource CPU
    """
    if backend not in BACKENDS:
        raise ConfigError(f"--backend {backend}: expected one of {', '.join(BACKENDS)}")
    workers = Counter() if scheduler is None else _survey(scheduler)
    if backend == "cpu":
        return Backend(note="runs on CPUs, as --backend cpu asks")
    if not has_gpu_stages:
        if backend == "gpu":
            raise ResourceError("--backend gpu: no stage of this pipeline has a GPU side; use --backend auto or cpu")
        return Backend(note="runs on CPUs: no stage of this pipeline has a GPU side")
    found = _local_gpus(devices) if scheduler is None else _gpus_of(scheduler, workers)
    if found.gpu or backend == "auto":
        return found
    raise ResourceError(f"--backend gpu: {found.note.removeprefix(_FALLBACK)}; or use --backend auto or cpu")


def fit_for_columns(decided: Backend, others: pa.Schema, backend: str) -> Backend:
    """What was decided, or CPUs where documents have columns that cannot lie on a device.

    Parameters
    ----------
    decided : by ``decide_backend``
    others : columns that documents have beside ours, from tables
    backend : the user's word, as ``decide_backend`` takes it

    Raises
    ------
    ConfigError
        for ``gpu``; the sentence names the column
    """
    unfit = unfit_for_device(others) if decided.on_device else []
    if not unfit:
        return decided
    problem = f"cuDF cannot hold column {unfit[0]!r} of type {others.field(unfit[0]).type}"
    if backend == "gpu":
        raise ConfigError(f"--backend gpu: {problem}; write it as text or numbers, or use --backend auto or cpu")
    return Backend(note=f"runs on CPUs, no GPU is used: {problem}")


#: How the note begins where GPUs were looked for and are not used.
_FALLBACK = "runs on CPUs, no GPU is used: "


def _local_gpus(report: DeviceReport | None) -> Backend:
    imitated = _imitated_gpus()
    if imitated:
        return Backend(True, False, ("",) * imitated, f"imitates {imitated} GPUs on CPUs ({IMITATED_GPUS})")
    if report is None:
        report = find_devices()
    if report.problem is not None:
        return Backend(note=f"{_FALLBACK}{report.problem}")
    names = Counter(device.name for device in report.devices)
    shown = ", ".join(f"{count} x {name}" for name, count in names.items())
    return Backend(True, True, visible_devices(len(report.devices)), f"uses GPUs: {shown}")


def _gpus_of(scheduler: str, workers: Counter[str]) -> Backend:
    if not workers["GPU"]:
        return Backend(
            note=f"{_FALLBACK}no worker of the scheduler at {scheduler} has the resource GPU; start one a GPU with "
            f"`{WORKER_COMMANDS['GPU']}`"
        )
    if _imitated_gpus():
        return Backend(True, False, note=f"imitates {workers['GPU']} GPUs on CPUs ({IMITATED_GPUS})")
    with _connected(scheduler) as client:
        on_gpu = [address for address, resources in _resources(client).items() if resources.get("GPU")]
        problems = {problem for problem in client.run(_problem_here, workers=on_gpu).values() if problem}
    if problems:
        return Backend(note=f"{_FALLBACK}a worker of the scheduler at {scheduler} says: {min(problems)}")
    return Backend(True, True, note=f"uses {workers['GPU']} GPU workers of the scheduler at {scheduler}")


def _problem_here() -> str | None:
    """Why this process can use no GPU; None if it can."""
    # what an earlier run of this worker left in its pool counts as taken
    return find_devices(needed_memory=0).problem


def _imitated_gpus() -> int:
    given = os.environ.get(IMITATED_GPUS, "0")
    if not given.isdecimal():
        raise ConfigError(f"{IMITATED_GPUS}={given}: expected a number of GPUs to imitate, such as 2")
    return int(given)


def visible_devices(count: int) -> tuple[str, ...]:
    """The value of CUDA_VISIBLE_DEVICES for each of ``count`` workers that have one of the devices seen here."""
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(given[:count] if given else map(str, range(count)))


@contextlib.contextmanager
def open_client(
    workers: int, scheduler: str | None, scratch: Path, backend: Backend = Backend(), dashboard: bool = False
) -> Iterator[Client]:
    """A client with local workers on CPUs, and one on each GPU, or one of a scheduler that is running.

    Parameters
    ----------
    workers : number of local CPU workers
    scheduler : ``tcp://host:port`` or a scheduler file; None starts local workers
    scratch : where local workers keep their files
    backend : from ``decide_backend``
    dashboard : whether a local scheduler shows what it does on a page that only this machine can open

    Raises
    ------
    ResourceError
        if the scheduler does not answer, or none of its workers has a resource that is needed
    ConfigError
        if called while a worker process imports the user's script
    """
    if multiprocessing.parent_process() is not None and getattr(
        multiprocessing.process.current_process(), "_inheriting", False
    ):
        raise ConfigError("a script that starts a run must do so below `if __name__ == '__main__':`")
    if scheduler is not None:
        with _connected(scheduler) as client:
            _check_resources(client, scheduler, ("CPU", "GPU") if backend.gpu else ("CPU",))
            yield client
        return
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {"distributed.worker.daemon": False, "distributed.comm.timeouts.connect": "60s"}
    # Dask keeps the last messages to each worker for its developers; ours hold whole tasks, and 1,000 of them are 17 MB
    settings["distributed.admin.low-level-log-length"] = 50
    # and looks at all stacks of a worker a hundred times a second, for a page of its dashboard
    settings["distributed.worker.profile.enabled"] = False
    with (
        dask.config.set(settings),
        SpecCluster(
            workers=worker_specs(workers, backend, scratch),
            scheduler={"cls": Scheduler, "options": {"host": "127.0.0.1", **dashboard_options(dashboard)}},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def worker_specs(workers: int, backend: Backend, scratch: Path) -> dict[str, dict[str, Any]]:
    """Local workers as Dask's ``SpecCluster`` takes them; a nanny replaces one that dies."""
    common = {
        "nthreads": 1,
        # extraction children have limits of their own, all else is bounded by batches
        "memory_limit": None,
        "host": "127.0.0.1",
        "local_directory": str(scratch),
        "silence_logs": logging.CRITICAL,
    }
    specs = {f"cpu-{index}": {"resources": {"CPU": 1}} for index in range(workers)}
    for index, device in enumerate(backend.devices):
        specs[f"gpu-{index}"] = {"resources": {"GPU": 1}} | (_device_options(device) if backend.on_device else {})
    return {name: {"cls": Nanny, "options": common | options} for name, options in specs.items()}


def _device_options(device: str) -> dict[str, Any]:
    """What makes a worker one of a device: RMM's asynchronous pool for all libraries, and spilling by cuDF."""
    from dask_cuda.plugins import CUDFSetup, RMMSetup

    memory = RMMSetup(
        initial_pool_size=None,
        maximum_pool_size=None,
        managed_memory=False,
        async_alloc=True,
        release_threshold=None,
        log_directory=None,
        track_allocations=False,
        external_lib_list=["cupy"],
    )
    environment = {"CUDA_VISIBLE_DEVICES": device, "NUMBA_CUDA_MEMORY_MANAGER": "rmm.allocators.numba"}
    return {"env": environment, "plugins": [memory, CUDFSetup(spill=True, spill_stats=0)]}


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    address = {"scheduler_file": scheduler} if os.path.exists(scheduler) else {"address": scheduler}
    try:
        client = Client(**address, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ResourceError(f"no Dask scheduler answers at {scheduler}: {error}") from None
    with client:
        yield client


def scheduler_workers(scheduler: str) -> dict[str, dict[str, float]]:
    """Resources of each worker of a running scheduler by its address. Raises ResourceError if it does not answer."""
    with _connected(scheduler) as client:
        return _resources(client)


def _survey(scheduler: str) -> Counter[str]:
    """How many workers of a running scheduler have each resource."""
    with _connected(scheduler) as client:
        return _check_resources(client, scheduler, ("CPU",))


def _check_resources(client: Client, scheduler: str, needed: tuple[str, ...]) -> Counter[str]:
    """A task that asks for what no worker has would wait for ever, so see that some worker has it."""
    with contextlib.suppress(TimeoutError):
        client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
    workers = _resources(client)
    counts = Counter(name for resources in workers.values() for name, amount in resources.items() if amount)
    for resource in needed:
        if not counts[resource]:
            none = f"no worker came within {WORKER_TIMEOUT} s to give"
            found = f"its {len(workers)} workers have" if workers else none
            raise ResourceError(
                f"the scheduler at {scheduler} cannot run this: {found} no resource {resource}; "
                f"start workers with `{WORKER_COMMANDS[resource]}`"
            )
    return counts


def _resources(client: Client) -> dict[str, dict[str, float]]:
    """Resources of each worker by its address."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return {address: worker.get("resources", {}) for address, worker in workers.items()}
