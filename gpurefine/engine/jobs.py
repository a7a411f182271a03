"""Jobs on workers: one Dask future each, a few in flight a worker, results that are counts only.

A job names the resource that it needs, CPU or GPU. A job may have followers, which are known when it ends; they go
before new jobs, and new jobs wait while followers pile up, so that no kind of worker runs ahead of the others.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future, KilledWorker, as_completed, get_worker

from gpurefine.engine.plan import Device
from gpurefine.engine.tools import StageTools
from gpurefine.errors import GpurefineError, RunError

#: Jobs that wait at a worker beside the one that runs: enough to keep it busy, few enough to stay small.
IN_FLIGHT_A_WORKER = 2

#: A job whose worker raised is tried once more elsewhere; a passing fault of a disk or a network goes away.
RETRIES = 1


@dataclass(frozen=True)
class Job:
    """A function call on a worker.

    Attributes
    ----------
    name : what it is in errors and in Dask's dashboard; no two of a run's jobs at a time have the same
    function, arguments : the call
    needs_tools : whether the run's ``StageTools`` are a further argument
    device : what it needs of a worker
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    needs_tools: bool = False
    device: Device = "CPU"


def run_jobs(
    client: Client,
    run_key: str,
    jobs: Iterable[Job],
    follow: Callable[[Job, Any], Iterable[Job]] = lambda job, result: (),
    may_begin: Callable[[int], bool] = lambda running: True,
) -> Iterator[tuple[Job, Any]]:
    """Run jobs on the workers of a client, in any order; yield each with its result as it ends.

    Parameters
    ----------
    client : the client; for each resource that a job needs some worker has it
    run_key : name of the run's ``StageTools`` plugin, and part of the keys of futures
    jobs : taken one by one as workers get free
    follow : called with a job that ended and its result; gives jobs that are to be run now that it ended
    may_begin : called with the number of jobs in flight before one of ``jobs`` is begun; where it is false, one of
        those has to end first, so with none in flight it is true, or raises

    Raises
    ------
    GpurefineError
        what a job raised on purpose
    RunError
        when a job failed otherwise, or its worker died again and again
    """
    flight = _Flight(client, run_key)
    waiting: deque[Job] = deque()
    source = iter(jobs)
    new = next(source, None)
    try:
        while True:
            room = flight.room()
            for _ in range(len(waiting)):
                job = waiting.popleft()
                if room[job.device] > 0:
                    room[job.device] -= 1
                    flight.begin(job)
                else:
                    waiting.append(job)
            while new is not None and not waiting and room[new.device] > 0 and may_begin(len(flight.running)):
                room[new.device] -= 1
                flight.begin(new)
                new = next(source, None)
            if not flight.running:
                assert new is None and not waiting
                return
            job, result = flight.next_result()
            waiting.extend(follow(job, result))
            yield job, result
    finally:
        flight.cancel()


class _Flight:
    """The jobs that Dask knows of."""

    def __init__(self, client: Client, run_key: str) -> None:
        self._client, self._run_key = client, run_key
        self._finished = as_completed(loop=client.loop)
        self.running: dict[Future, Job] = {}

    def room(self) -> Counter[str]:
        """Jobs that may be begun for each resource."""
        workers = workers_by_device(self._client)
        in_flight = Counter(job.device for job in self.running.values())
        # while none is there, as when one that died is replaced, its jobs may wait at the scheduler
        return Counter(
            {device: IN_FLIGHT_A_WORKER * max(1, workers[device]) - in_flight[device] for device in ("CPU", "GPU")}
        )

    def begin(self, job: Job) -> None:
        """Hand a job to the scheduler."""
        future = self._client.submit(
            _call,
            job.function,
            job.arguments,
            self._run_key if job.needs_tools else None,
            key=f"{self._run_key}-{job.name}",
            resources={job.device: 1},
            retries=RETRIES,
            pure=False,
        )
        self.running[future] = job
        self._finished.add(future)

    def next_result(self) -> tuple[Job, Any]:
        """Wait until a job has ended."""
        future = next(self._finished)
        job = self.running.pop(future)
        try:
            return job, _result(job, future)
        finally:
            # a failed one too: a job of this name may be given again after a repair
            future.release()

    def cancel(self) -> None:
        """Forget what is running."""
        for future in self.running:
            future.cancel()


def workers_by_device(client: Client) -> Counter[str]:
    """How many workers have each resource."""
    found: Counter[str] = Counter()
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        found.update(name for name, amount in worker.get("resources", {}).items() if amount)
    return found


def _result(job: Job, future: Future) -> Any:
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
