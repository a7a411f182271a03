"""The phases of a dedup between two steps: join key files -> collide -> connect -> choose.

The partitions of the step before emitted keys; the next step applies the removals that this leaves. Plans are kept in
the manifest and every job leaves one file under its final name, so a stopped dedup goes on with the next job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from gpurefine.dedup.bandkeys import BLOCK_BYTES
from gpurefine.dedup.collisions import BAND_TASKS, CollisionTask, collide, plan_collisions
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import join_key_files, slice_rows
from gpurefine.dedup.members import RUN_BYTES, gather_members
from gpurefine.dedup.policies import best_column
from gpurefine.dedup.survivors import choose, plan_choice
from gpurefine.documents import DOCUMENT_SCHEMA
from gpurefine.engine.context import RunContext
from gpurefine.engine.emit import emit_keys
from gpurefine.engine.jobs import Job, run_jobs, workers_by_device
from gpurefine.engine.plan import Device, Step, next_partitions, task_memory
from gpurefine.engine.progress import StepProgress, tell
from gpurefine.engine.store import RunStore
from gpurefine.errors import DamagedFileError, RunError
from gpurefine.stages.base import DedupStage
from gpurefine.write import read_counts, read_footer

#: Key files without bands are joined to about this size, so that a slice is worth a read; a file with bands is written
#: in blocks, and more than one block to a file gains nothing.
JOINED_KEY_FILE = 256 << 20
#: Damaged files that are made again before a run gives up: beyond, the disk is what needs a repair.
REPAIRS = 8
#: Partitions whose documents one job gathers.
PARTITIONS_A_JOB = 64


def removal_paths(store: RunStore, step: int) -> tuple[str, ...]:
    """Tables of removals that the dedup after ``step`` left."""
    return tuple(sorted(map(str, store.dedup(step, "").glob("removals-*.parquet"))))


def removals_are_there(store: RunStore, step: int, state: dict[str, Any]) -> bool:
    """Whether the dedup after ``step``, whose entry in the manifest is ``state``, still has all its removals."""
    paths = [store.dedup(step, f"removals-{number:06d}.parquet") for number in range(len(state["choose"]))]
    return all(read_footer(path) is not None for path in paths)


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
    arguments = (root, step.index, partition, context.fingerprint, step.dedup_after, schema, device)
    name = f"dedup {step.index} keys {partition}"
    return Job(name, emit_keys, arguments, needs_tools=True, device=context.place(step.keys_device))


@dataclass(frozen=True)
class DedupRun:
    """One dedup of a run.

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
        return workers_by_device(self.context.client)[self._device]

    @property
    def _device(self) -> Device:
        """Where collisions are found."""
        return self.context.place(self.step.keys_device)

    @property
    def _on_device(self) -> bool:
        return self.context.keeps_on_device(self.step.keys_device)

    def find(self, state: dict[str, Any], save: Callable[[], None]) -> dict[str, int]:
        """Run all phases; ``state`` is this dedup's entry in the manifest, ``save`` writes the manifest.

        Returns
        -------
        ``duplicates`` (documents that will be removed) and ``clusters``.
        """
        for _ in range(REPAIRS):
            try:
                return self._find(state, save)
            except DamagedFileError as error:
                self._repair(error)
        return self._find(state, save)

    def _find(self, state: dict[str, Any], save: Callable[[], None]) -> dict[str, int]:
        self._file("").mkdir(parents=True, exist_ok=True)
        key_paths = self._join(state, save)
        edges = self._collide(key_paths, state, save)
        labels = self._file("labels.parquet")
        # this one runs alone
        alone = task_memory(self.context.memory, 1)
        self._run(
            "connect", [self._job("connect", labels, connect, (edges, labels, alone, self._on_device), self._device)]
        )
        members = self._gather(labels)
        found = self._choose(members, state, save)
        labelled = read_counts(labels)["documents"]
        if found["duplicates"] + found["clusters"] != labelled:
            raise RunError(
                f"{self.dedup.name}: {labelled} documents have a duplicate, but {found['clusters']} survive and "
                f"{found['duplicates']} leave; please report this, it must never happen"
            )
        return found

    def _repair(self, error: DamagedFileError) -> None:
        """Make a damaged key file again from its documents; what was made of key files is only deleted.

        The next call of ``_find`` makes what is missing. Raises the error when the file is none of these.
        """
        emitted = {self.context.store.keys(self.step.index, index): index for index in range(self.partitions)}
        if error.path not in emitted and error.path.parent != self._file(""):
            raise error
        tell(f"{error.path} is damaged and is made again", quiet=self.context.quiet)
        error.path.unlink(missing_ok=True)
        if error.path in emitted:
            self._emit([emitted[error.path]])

    def _emit(self, partitions: Sequence[int]) -> None:
        self._run("keys", [keys_job(self.context, self.step, index) for index in partitions])

    def _join(self, state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        emitted = [self.context.store.keys(self.step.index, index) for index in range(self.partitions)]
        lost = [index for index, path in enumerate(emitted) if not path.exists()]
        if lost:
            if self.step.keys_device is None:
                tell(f"{len(lost)} key files are gone and are made again", quiet=self.context.quiet)
            self._emit(lost)
        if "joined" not in state:
            groups = next_partitions([path.stat().st_size for path in emitted], joined_bytes(self.dedup))
            state["joined"] = [list(group.sources) for group in groups]
            save()
        paths, jobs = [], []
        for number, group in enumerate(state["joined"]):
            if len(group) == 1:
                paths.append(emitted[group[0]])
                continue
            path = self._file(f"joined-{number:06d}.keys")
            paths.append(path)
            sources = [emitted[index] for index in group]
            jobs.append(self._job(f"join {number}", path, join_key_files, (sources, path)))
        self._run("join key files", jobs)
        return paths

    def _collide(self, key_paths: Sequence[Path], state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        rows, key_columns = slice_rows(key_paths), len(self.dedup.key_columns)
        if "collide" not in state:
            wanted = max(BAND_TASKS, self.workers)
            tasks = plan_collisions(rows, key_columns, self.task_memory, self.dedup.key_bands, wanted)
            state["collide"] = [[task.first, task.last] for task in tasks]
            state["keys"] = int(rows.sum())
            save()
        paths, jobs = [], []
        for number, (first, last) in enumerate(state["collide"]):
            path = self._file(f"edges-{number:06d}")
            paths.append(path)
            # how often it is read follows from the memory of this try
            arguments = (CollisionTask(first, last), list(key_paths), path, self.task_memory, self._on_device)
            jobs.append(self._job(f"collide {number}", path, collide, arguments, self._device))
        self._run("collide", jobs)
        return paths

    def _gather(self, labels: Path) -> list[Path]:
        paths, jobs = [], []
        for first in range(0, self.partitions, PARTITIONS_A_JOB):
            group = range(first, min(first + PARTITIONS_A_JOB, self.partitions))
            sources = [(index, self.context.store.documents(self.step.index, index, last=False)) for index in group]
            path = self._file(f"members-{first:06d}.parquet")
            paths.append(path)
            arguments = (labels, sources, self.context.pipeline.seed, path, RUN_BYTES, best_column(self.dedup.keep))
            jobs.append(self._job(f"gather {first}", path, gather_members, arguments))
        self._run("gather", jobs)
        return paths

    def _choose(self, members: Sequence[Path], state: dict[str, Any], save: Callable[[], None]) -> dict[str, int]:
        if "choose" not in state:
            state["choose"] = [list(roots) for roots in plan_choice(members, self.task_memory)]
            save()
        jobs, clusters, removals = [], [], []
        for number, roots in enumerate(state["choose"]):
            clusters.append(self.context.store.clusters(self.step.index, number))
            removals.append(self._file(f"removals-{number:06d}.parquet"))
            clusters[-1].parent.mkdir(parents=True, exist_ok=True)
            evidence, keep = self.dedup.evidence, self.dedup.keep
            arguments = (list(members), tuple(roots), clusters[-1], removals[-1], evidence, keep)
            # the removals are written after the clusters, so they say that both are there
            jobs.append(self._job(f"choose {number}", removals[-1], choose, arguments))
        self._run("choose", jobs)
        duplicates = sum(read_counts(path)["removals"] for path in removals)
        return {"duplicates": duplicates, "clusters": sum(read_counts(path)["clusters"] for path in clusters)}

    def _file(self, name: str) -> Path:
        return self.context.store.dedup(self.step.index, name)

    def _job(
        self, name: str, output: Path, function: Callable[..., Any], arguments: tuple[Any, ...], device: Device = "CPU"
    ) -> Job | None:
        """A job, or None when an earlier try has left its output."""
        return None if output.exists() else Job(f"dedup {self.step.index} {name}", function, arguments, device=device)

    def _run(self, title: str, jobs: Sequence[Job | None]) -> None:
        todo: Iterator[Job] = (job for job in jobs if job is not None)
        with StepProgress(f"{self.dedup.name}: {title}", len(jobs), quiet=self.context.quiet) as progress:
            for _ in range(sum(job is None for job in jobs)):
                progress.advance(timed=False)
            for _ in run_jobs(self.context.client, self.context.run_key, todo):
                progress.advance()
