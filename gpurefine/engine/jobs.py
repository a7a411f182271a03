"""Jobs on workers: one Dask future each, a few in flight a worker, results that are counts only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from distributed import Client, KilledWorker, as_completed, get_worker

from gpurefine.engine.tools import StageTools
from gpurefine.errors import GpurefineError, RunError

#: Jobs that wait at a worker beside the one that runs: enough to keep it busy, few enough to stay small.
IN_FLIGHT_A_WORKER = 2

#: A job whose worker raised is tried once more elsewhere; a passing fault of a disk or a network goes away.
RETRIES = 1


@dataclass(frozen=True)
class Job:
    """A function call on a worker: ``name`` says what it is in errors and in Dask's dashboard."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    needs_tools: bool = False


def run_jobs(client: Client, run_key: str, jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
    """Run jobs on the CPU workers of a client, in any order; yield each with its result as it ends.

    Parameters
    ----------
    client : the client; workers must have the resource ``CPU``
    run_key : name of the run's ``StageTools`` plugin, and part of the keys of futures
    jobs : taken one by one as workers get free

    Raises
    ------
    GpurefineError
        what a job raised on purpose
    RunError
        when a job failed otherwise, or its worker died again and again
    """
    waiting = iter(jobs)
    running: dict[Any, Job] = {}
    finished = as_completed(loop=client.loop)
    try:
        while True:
            limit = IN_FLIGHT_A_WORKER * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
            while len(running) < limit and (job := next(waiting, None)) is not None:
                future = client.submit(
                    _call,
                    job.function,
                    job.arguments,
                    run_key if job.needs_tools else None,
                    key=f"{run_key}-{job.name}",
                    resources={"CPU": 1},
                    retries=RETRIES,
                    pure=False,
                )
                running[future] = job
                finished.add(future)
            if not running:
                return
            future = next(finished)
            job = running.pop(future)
            try:
                result = _result(job, future)
            finally:
                # a failed one too: a job of this name may be given again after a repair
                future.release()
            yield job, result
    finally:
        for future in running:
            future.cancel()


def _result(job: Job, future: Any) -> Any:
    try:
        return future.result()
    except GpurefineError:
        raise
    except KilledWorker:
        raise RunError(
            f"{job.name}: the worker died several times (out of memory, or a crash in a library); "
            "give fewer --workers or more memory, then the same command goes on"
        ) from None
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise RunError(
            f"{job.name}: {error.strerror or error}{place}; remove the cause, then the same command goes on"
        ) from error
    except Exception as error:
        raise RunError(f"{job.name} failed with {type(error).__name__}: {error}; --debug shows where") from error


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], tools_name: str | None) -> Any:
    if tools_name is None:
        return function(*arguments)
    tools = get_worker().plugins[tools_name]
    assert isinstance(tools, StageTools)
    return function(*arguments, tools)
