"""What the phases of every dedup share: their files, their jobs, key files joined and made again.

A dedup stands between two steps. The partitions of the step before emitted keys; its phases are lists of jobs, each of
which leaves one file under its final name, and the plans of these lists stand in the manifest. So a stopped dedup goes
on with the next job. ``deduplicate`` has the phases that choose among documents, ``spans`` those that look inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from gpurefine.dedup.bandkeys import BLOCK_BYTES
from gpurefine.dedup.keys import join_key_files
from gpurefine.dedup.oldkeys import OldKeys
from gpurefine.documents import DOCUMENT_SCHEMA
from gpurefine.engine.context import RunContext
from gpurefine.engine.emit import emit_keys, emitted_files
from gpurefine.engine.jobs import Job, run_jobs, workers_by_device
from gpurefine.engine.oldruns import damaged, placed
from gpurefine.engine.plan import Device, Step, next_partitions, task_memory
from gpurefine.engine.progress import StepProgress, tell
from gpurefine.errors import DamagedFileError, RunError
from gpurefine.stages.base import DedupStage

#: Key files without bands are joined to about this size, so that a slice is worth a read; a file with bands is written
#: in blocks, and more than one block to a file gains nothing.
JOINED_KEY_FILE = 256 << 20
#: Damaged files that are made again before a run gives up: beyond, the disk is what needs a repair.
REPAIRS = 8
#: Partitions whose documents one job looks after.
PARTITIONS_A_JOB = 64

Found = TypeVar("Found")


def joined_bytes(dedup: DedupStage) -> int:
    """About the size of the files to which key files of neighbouring partitions are joined; larger ones are not."""
    return BLOCK_BYTES if dedup.key_bands else JOINED_KEY_FILE


def keys_job(context: RunContext, step: Step, partition: int) -> Job:
    """The keys of a partition's documents, for the dedup after the step."""
    device = context.keeps_on_device(step.keys_device)
    assert step.dedup_after is not None
    others = [field for field in context.others if field.name == step.dedup_after.scope]
    schema = pa.schema([*DOCUMENT_SCHEMA, *others])
    root = str(context.store.root)
    arguments = (
        root,
        step.index,
        partition,
        context.fingerprint,
        step.dedup_after,
        schema,
        context.pipeline.seed,
        device,
    )
    name = f"dedup {step.index} keys {partition}"
    return Job(name, emit_keys, arguments, needs_tools=True, device=context.place(step.keys_device))


@dataclass(frozen=True)
class Phases:
    """The phases of one dedup of a run.

    Attributes
    ----------
    context : the run
    step : the step that the dedup stands after
    dedup : the stage
    partitions : number of partitions of the step
    """

    context: RunContext
    step: Step
    dedup: DedupStage
    partitions: int

    @property
    def task_memory(self) -> int:
        """Bytes that a job may use beside those of the other workers."""
        return task_memory(self.context.memory, self.workers)

    @property
    def workers(self) -> int:
        """Workers there are now for its jobs."""
        return workers_by_device(self.context.client)[self.device]

    @property
    def device(self) -> Device:
        """Where collisions are found."""
        return self.context.place(self.step.keys_device)

    @property
    def on_device(self) -> bool:
        """Whether they are found on a device."""
        return self.context.keeps_on_device(self.step.keys_device)

    @property
    def emitted(self) -> list[Path]:
        """The key files of the partitions."""
        return [self.context.store.keys(self.step.index, index) for index in range(self.partitions)]

    @property
    def old(self) -> list[OldKeys]:
        """Keys of old runs that it compares too."""
        return placed(self.context.old_keys.get(self.dedup.name, ()), self.partitions)

    def repairing(self, find: Callable[[], Found]) -> Found:
        """Call ``find``, which makes what is missing, again when a file turns out to be damaged."""
        self.file("").mkdir(parents=True, exist_ok=True)
        for _ in range(REPAIRS):
            try:
                return find()
            except DamagedFileError as error:
                self._repair(error)
        return find()

    def _repair(self, error: DamagedFileError) -> None:
        """Make a damaged key file again from its documents; what was made of key files is only deleted.

        Raises the error when the file is none of these, in other words when it is a file of an old run.
        """
        if any(old.folder in error.path.parents for old in self.old):
            raise RunError(damaged(error)) from None
        emitted = {path: index for index in range(self.partitions) for path in self._files_of(index)}
        folders = self.file(""), self.context.store.scores(self.step.index)
        if error.path not in emitted and error.path.parent not in folders:
            raise error
        tell(f"{error.path} is damaged and is made again", quiet=self.context.quiet)
        error.path.unlink(missing_ok=True)
        if error.path in emitted:
            self._emit([emitted[error.path]])

    def _files_of(self, partition: int) -> tuple[Path, ...]:
        return emitted_files(self.dedup, self.context.store, self.step.index, partition)

    def _emit(self, partitions: Sequence[int]) -> None:
        self.run("keys", [keys_job(self.context, self.step, index) for index in partitions])

    def emit_lost(self) -> list[Path]:
        """The key files of all partitions; those that are gone, or are a job of their own, are made."""
        emitted = self.emitted
        lost = [index for index in range(self.partitions) if not all(path.exists() for path in self._files_of(index))]
        if lost:
            if self.step.keys_device is None:
                tell(f"{len(lost)} key files are gone and are made again", quiet=self.context.quiet)
            self._emit(lost)
        return emitted

    def join(self, state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        """All key files, those of neighbouring partitions joined as ``state`` says, which is planned once."""
        emitted = self.emit_lost()
        if "joined" not in state:
            groups = next_partitions([path.stat().st_size for path in emitted], joined_bytes(self.dedup))
            state["joined"] = [list(group.sources) for group in groups]
            save()
        paths, jobs = [], []
        for number, group in enumerate(state["joined"]):
            if len(group) == 1:
                paths.append(emitted[group[0]])
                continue
            path = self.file(f"joined-{number:06d}.keys")
            paths.append(path)
            sources = [emitted[index] for index in group]
            jobs.append(self.job(f"join {number}", path, join_key_files, (sources, path)))
        self.run("join key files", jobs)
        return paths

    def documents(self, partition: int) -> Path:
        """The documents of a partition that the dedup stands after."""
        return self.context.store.documents(self.step.index, partition, last=False)

    def file(self, name: str) -> Path:
        """A file of this dedup."""
        return self.context.store.dedup(self.step.index, name)

    def job(
        self, name: str, output: Path, function: Callable[..., Any], arguments: tuple[Any, ...], device: Device = "CPU"
    ) -> Job | None:
        """A job, or None when an earlier try has left its output."""
        return None if output.exists() else Job(f"dedup {self.step.index} {name}", function, arguments, device=device)

    def run(self, title: str, jobs: Sequence[Job | None]) -> None:
        """Run the jobs of a phase that are still to do."""
        todo: Iterator[Job] = (job for job in jobs if job is not None)
        with StepProgress(f"{self.dedup.name}: {title}", len(jobs), quiet=self.context.quiet) as progress:
            for _ in range(sum(job is None for job in jobs)):
                progress.advance(timed=False)
            for _ in run_jobs(self.context.client, self.context.run_key, todo):
                progress.advance()
