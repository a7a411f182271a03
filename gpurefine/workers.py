"""The Dask client of a run: local CPU workers, or a scheduler that is running already."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path

import dask
from distributed import Client, LocalCluster

from gpurefine.errors import ConfigError, ResourceError

BACKENDS = ("auto", "cpu", "gpu")

#: Share of the free memory that is planned with when ``--memory`` is not given.
MEMORY_SHARE = 0.7

#: Seconds to wait for a scheduler that is running to answer.
CONNECT_TIMEOUT = 20
#: Seconds to wait for the first worker of a scheduler that is running.
WORKER_TIMEOUT = 30


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_count(name: str, value: object) -> None:
    """Raise ConfigError if a parameter of a call is neither None (its default) nor a whole number of 1 or more."""
    if value is not None and (not isinstance(value, Integral) or value < 1):
        raise ConfigError(f"{name} must be a whole number of at least 1, found {value!r}")


def planned_memory(memory: int | None = None) -> int:
    """Bytes that keys and tables may take: what is asked for, or a share of what is free."""
    return memory or int(available_memory() * MEMORY_SHARE)


def available_memory() -> int:
    """Bytes of memory that are free for a run: of the machine, or in the control group where that is less."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text())
        free = min(free, int((group / "memory.max").read_text()) - used)
    return free


def choose_backend(backend: str) -> str:
    """Decide once, up front, where the filter and dedup stages run.

    Raises
    ------
    ConfigError
        for an unknown word
    ResourceError
        for ``gpu``: this version has no CUDA kernels yet
    """
    if backend not in BACKENDS:
        raise ConfigError(f"--backend {backend}: expected one of {', '.join(BACKENDS)}")
    if backend == "gpu":
        raise ResourceError("--backend gpu: this version runs on CPU only; use --backend auto or cpu")
    return "cpu"


@contextlib.contextmanager
def open_client(workers: int, scheduler: str | None, scratch: Path) -> Iterator[Client]:
    """A client with ``workers`` processes of one thread each, or one of a scheduler that is running.

    Parameters
    ----------
    workers : number of local worker processes
    scheduler : ``tcp://host:port`` or a scheduler file; None starts local workers
    scratch : where local workers keep their files

    Raises
    ------
    ResourceError
        if the scheduler does not answer
    ConfigError
        if called while a worker process imports the user's script
    """
    if multiprocessing.parent_process() is not None and getattr(
        multiprocessing.process.current_process(), "_inheriting", False
    ):
        raise ConfigError("a script that starts a run must do so below `if __name__ == '__main__':`")
    if scheduler is not None:
        address = {"scheduler_file": scheduler} if os.path.exists(scheduler) else {"address": scheduler}
        try:
            client = Client(**address, timeout=CONNECT_TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ResourceError(f"no Dask scheduler answers at {scheduler}: {error}") from None
        with client:
            _check_workers(client, scheduler)
            yield client
        return
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        dask.config.set({"distributed.worker.daemon": False, "distributed.comm.timeouts.connect": "60s"}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            resources={"CPU": 1},
            memory_limit=None,
            dashboard_address=":0",
            local_directory=str(scratch),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _check_workers(client: Client, scheduler: str) -> None:
    """A task that asks for what no worker has would wait for ever, so see that some worker has it."""
    with contextlib.suppress(TimeoutError):
        client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not any(worker.get("resources", {}).get("CPU") for worker in workers):
        found = f"its {len(workers)} workers have" if workers else f"no worker came within {WORKER_TIMEOUT} s to give"
        raise ResourceError(
            f"the scheduler at {scheduler} cannot run this: {found} no resource CPU; "
            "start workers with `dask worker ADDRESS --nthreads 1 --resources CPU=1`"
        )
