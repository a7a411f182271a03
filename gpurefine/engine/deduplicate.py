"""The phases of a dedup that removes documents: join key files -> collide -> connect -> choose.

The next step applies the removals that this leaves. See ``phases`` for how such phases go on after a stop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurefine.dedup.collisions import BAND_TASKS, CollisionTask, collide, plan_collisions
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import slice_rows
from gpurefine.dedup.members import RUN_BYTES, gather_members
from gpurefine.dedup.oldmembers import gather_old_members
from gpurefine.dedup.policies import best_column
from gpurefine.dedup.survivors import choose, plan_choice
from gpurefine.engine.keepkeys import keep_keys
from gpurefine.engine.oldruns import run_names
from gpurefine.engine.phases import PARTITIONS_A_JOB, Phases
from gpurefine.engine.plan import task_memory
from gpurefine.engine.store import RunStore
from gpurefine.engine.verify import Verification
from gpurefine.errors import RunError
from gpurefine.write import read_counts, read_footer


def removal_paths(store: RunStore, step: int) -> tuple[str, ...]:
    """Tables of removals that the dedup after ``step`` left."""
    return tuple(sorted(map(str, store.dedup(step, "").glob("removals-*.parquet"))))


def removals_are_there(store: RunStore, step: int, state: dict[str, Any]) -> bool:
    """Whether the dedup after ``step``, whose entry in the manifest is ``state``, still has all its removals."""
    paths = [store.dedup(step, f"removals-{number:06d}.parquet") for number in range(len(state["choose"]))]
    return all(read_footer(path) is not None for path in paths)


@dataclass(frozen=True)
class DedupRun:
    """One dedup of a run whose clusters leave one document each.

    Attributes
    ----------
    phases : what it shares with other dedups
    """

    phases: Phases

    def find(self, state: dict[str, Any], save: Callable[[], None]) -> dict[str, int]:
        """Run all phases; ``state`` is this dedup's entry in the manifest, ``save`` writes the manifest.

        Returns
        -------
        ``duplicates`` (documents that will be removed) and ``clusters``.
        """
        return self.phases.repairing(lambda: self._find(state, save))

    def _find(self, state: dict[str, Any], save: Callable[[], None]) -> dict[str, int]:
        phases, thresholds = self.phases, self.phases.dedup.thresholds
        verification = None if thresholds is None else Verification(phases, thresholds)
        key_paths = phases.join(state, save)
        find_edges = self._collide if verification is None else verification.edges
        edges = find_edges(key_paths, state, save)
        labels = phases.file("labels.parquet")
        # this one runs alone
        alone = task_memory(phases.context.memory, 1)
        phases.run(
            "connect", [phases.job("connect", labels, connect, (edges, labels, alone, phases.on_device), phases.device)]
        )
        members = self._gather(labels) if verification is None else verification.members(labels, state)
        found = self._choose(members, self._gather_old(labels), state, save)
        self._check(found, read_counts(labels)["documents"])
        if phases.context.pipeline.output.keep_keys:
            removals = removal_paths(phases.context.store, phases.step.index)
            keep_keys(phases, key_paths, [Path(path) for path in removals])
        told = {"duplicates": found["removals"], "clusters": found["clusters"]}
        return told | ({"duplicates_of_old_runs": found["old_removals"]} if phases.old else {})

    def _check(self, found: Mapping[str, int], labelled: int) -> None:
        """Conservation: each document that has a duplicate survives, leaves, or is one of an old run."""
        survive = found["clusters"] - found["old_clusters"]
        if survive + found["removals"] + found["old_members"] != labelled:
            raise RunError(
                f"{self.phases.dedup.name}: {labelled} documents have a duplicate, but {survive} survive, "
                f"{found['removals']} leave and {found['old_members']} are of old runs; please report this, it must "
                "never happen"
            )

    def _collide(self, key_paths: Sequence[Path], state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        phases = self.phases
        rows, key_columns = slice_rows(key_paths), len(phases.dedup.key_columns)
        if "collide" not in state:
            wanted = max(BAND_TASKS, phases.workers)
            tasks = plan_collisions(rows, key_columns, phases.task_memory, phases.dedup.key_bands, wanted)
            state["collide"] = [[task.first, task.last] for task in tasks]
            state["keys"] = int(rows.sum())
            save()
        old = [file for each in phases.old for file in each.shifted_files()]
        paths, jobs = [], []
        for number, (first, last) in enumerate(state["collide"]):
            path = phases.file(f"edges-{number:06d}")
            paths.append(path)
            # how often it is read follows from the memory of this try
            task, on_device = CollisionTask(first, last), phases.on_device and not old
            arguments = (task, list(key_paths), path, phases.task_memory, on_device, old)
            jobs.append(phases.job(f"collide {number}", path, collide, arguments, "CPU" if old else phases.device))
        phases.run("collide", jobs)
        return paths

    def _gather(self, labels: Path) -> list[Path]:
        phases = self.phases
        paths, jobs = [], []
        for first in range(0, phases.partitions, PARTITIONS_A_JOB):
            group = range(first, min(first + PARTITIONS_A_JOB, phases.partitions))
            sources = [(index, phases.context.store.documents(phases.step.index, index, last=False)) for index in group]
            path = phases.file(f"members-{first:06d}.parquet")
            paths.append(path)
            arguments = (labels, sources, phases.context.pipeline.seed, path, RUN_BYTES, best_column(phases.dedup.keep))
            jobs.append(phases.job(f"gather {first}", path, gather_members, arguments))
        phases.run("gather", jobs)
        return paths

    def _gather_old(self, labels: Path) -> list[Path]:
        """Documents of old runs that are in clusters."""
        phases, olds = self.phases, self.phases.old
        names, seed = run_names(olds), phases.context.pipeline.seed
        paths, jobs = [], []
        for number, old in enumerate(olds):
            for part, file in enumerate(old.member_files):
                path = phases.file(f"members-old-{number:03d}-{part:06d}.parquet")
                paths.append(path)
                arguments = (labels, old, file, names, seed, path)
                jobs.append(phases.job(f"gather old {number} {part}", path, gather_old_members, arguments))
        if jobs:
            phases.run("gather from old runs", jobs)
        return paths

    def _choose(
        self, members: Sequence[Path], old: Sequence[Path], state: dict[str, Any], save: Callable[[], None]
    ) -> Counter[str]:
        phases = self.phases
        if "choose" not in state:
            state["choose"] = [list(roots) for roots in plan_choice(members, phases.task_memory, old)]
            save()
        jobs, clusters, removals = [], [], []
        for number, roots in enumerate(state["choose"]):
            clusters.append(phases.context.store.clusters(phases.step.index, number))
            removals.append(phases.file(f"removals-{number:06d}.parquet"))
            clusters[-1].parent.mkdir(parents=True, exist_ok=True)
            evidence, keep = phases.dedup.evidence, phases.dedup.keep
            verified = phases.dedup.thresholds is not None
            arguments = (list(members), tuple(roots), clusters[-1], removals[-1], evidence, keep, verified, list(old))
            # the removals are written after the clusters, so they say that both are there
            jobs.append(phases.job(f"choose {number}", removals[-1], choose, arguments))
        phases.run("choose", jobs)
        # a file of either kind that is damaged is made again
        for path in clusters:
            read_counts(path)
        return sum((Counter(read_counts(path)) for path in removals), Counter())
