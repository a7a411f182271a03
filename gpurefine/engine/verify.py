"""The phases of a verified dedup: orders -> candidates -> known -> score -> accept, then clusters as of any other.

They stand where a dedup that trusts its keys finds collisions and gathers members. Scores, and the metadata of the
documents that have one, are results: clusters at another threshold follow from them (``rethreshold``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurefine.dedup.accepting import Thresholds, accept, label_members
from gpurefine.dedup.candidates import Groups, collide_candidates, select_candidates
from gpurefine.dedup.collisions import BAND_TASKS, plan_collisions
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import slice_rows
from gpurefine.dedup.members import RUN_BYTES, gather_members
from gpurefine.dedup.orders import write_orders
from gpurefine.dedup.policies import best_column
from gpurefine.dedup.scoring import score_candidates
from gpurefine.engine.phases import PARTITIONS_A_JOB, Phases
from gpurefine.engine.plan import task_memory

#: Memory for the labels and similarities of a document, while members are labelled.
DOCUMENT_BYTES = 128
#: Jobs a worker should get, so that workers finish together.
JOBS_A_WORKER = 4


@dataclass(frozen=True)
class Verification:
    """Candidates of one dedup, scored, and what of them is accepted.

    Attributes
    ----------
    phases : what it shares with other dedups
    thresholds : what is enough
    """

    phases: Phases
    thresholds: Thresholds

    def edges(self, key_paths: Sequence[Path], state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        """Files of edges between documents that are similar enough."""
        candidates = self._candidates(key_paths, state, save)
        self._known(candidates, state)
        return self._accept(self._score(candidates, state))

    def members(self, labels: Path, state: dict[str, Any]) -> list[Path]:
        """Files of the members of clusters, with the similarities that made them members."""
        phases, paths, jobs = self.phases, [], []
        evidence = [phases.file(f"evidence-{number:06d}.parquet") for number, _ in enumerate(_groups(phases, state))]
        for number, _ in enumerate(_groups(phases, state)):
            paths.append(phases.file(f"members-{number:06d}.parquet"))
            arguments = (labels, self._result("documents", number), evidence, paths[-1])
            jobs.append(phases.job(f"label {number}", paths[-1], label_members, arguments))
        phases.run("label members", jobs)
        return paths

    def _candidates(self, key_paths: Sequence[Path], state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        phases = self.phases
        if "collide" not in state:
            rows = slice_rows(key_paths)
            wanted = max(BAND_TASKS, phases.workers)
            tasks = plan_collisions(rows, 1, phases.task_memory, phases.dedup.key_bands, wanted)
            state["collide"] = [[task.first, task.last] for task in tasks]
            state["keys"] = int(rows.sum())
            state["group"] = _group_size(phases, int(rows.max(initial=0)))
            save()
        orders, groups, found, jobs = self._orders(key_paths, state), _groups(phases, state), [], []
        for number, bands in enumerate(state["collide"]):
            found.append(phases.file(f"found-{number:06d}"))
            arguments = (range(*bands), list(key_paths), orders, groups, found[-1], phases.task_memory)
            jobs.append(phases.job(f"collide {number}", found[-1], collide_candidates, arguments))
        phases.run("collide", jobs)
        paths, jobs = [], []
        for number, _ in enumerate(groups):
            paths.append(phases.file(f"candidates-{number:06d}"))
            arguments = (found, number, groups, paths[-1], phases.task_memory)
            jobs.append(phases.job(f"select {number}", paths[-1], select_candidates, arguments))
        phases.run("select candidates", jobs)
        return paths

    def _orders(self, key_paths: Sequence[Path], state: dict[str, Any]) -> list[Path]:
        phases, paths, jobs = self.phases, [], []
        for number, (path, partitions) in enumerate(zip(key_paths, state["joined"], strict=True)):
            paths.append(phases.file(f"orders-{number:06d}"))
            sources = {index: phases.documents(index) for index in partitions}
            arguments = (path, sources, phases.context.pipeline.seed, paths[-1])
            jobs.append(phases.job(f"orders {number}", paths[-1], write_orders, arguments))
        phases.run("orders", jobs)
        return paths

    def _known(self, candidates: list[Path], state: dict[str, Any]) -> None:
        """The metadata of all documents that have a candidate or are one."""
        phases = self.phases
        labels = phases.file("candidate-labels.parquet")
        alone = task_memory(phases.context.memory, 1)
        phases.run("find who is compared", [phases.job("compared", labels, connect, (candidates, labels, alone))])
        jobs = []
        for number, group in enumerate(_groups(phases, state)):
            path = self._result("documents", number)
            sources = [(index, phases.documents(index)) for index in group]
            arguments = (labels, sources, phases.context.pipeline.seed, path, RUN_BYTES, best_column(phases.dedup.keep))
            jobs.append(phases.job(f"gather {number}", path, gather_members, arguments))
        phases.run("gather", jobs)

    def _score(self, candidates: list[Path], state: dict[str, Any]) -> list[Path]:
        phases, paths, jobs = self.phases, [], []
        units = [phases.context.store.units(phases.step.index, index) for index in range(phases.partitions)]
        for number, path in enumerate(candidates):
            paths.append(self._result("scores", number))
            edit = self.thresholds.edit is not None
            arguments = (path, units, phases.dedup.shingle_units, edit, paths[-1], phases.task_memory)
            jobs.append(phases.job(f"score {number}", paths[-1], score_candidates, arguments))
        phases.run("score", jobs)
        return paths

    def _accept(self, scores: list[Path]) -> list[Path]:
        phases, paths, jobs = self.phases, [], []
        for number, path in enumerate(scores):
            paths.append(phases.file(f"edges-{number:06d}"))
            evidence = phases.file(f"evidence-{number:06d}.parquet")
            if not evidence.exists():
                # damaged and deleted: whoever has the edges needs both
                paths[-1].unlink(missing_ok=True)
            # the edges are written after the evidence, so they say that both are there
            jobs.append(phases.job(f"accept {number}", paths[-1], accept, (path, self.thresholds, evidence, paths[-1])))
        phases.run("accept", jobs)
        return paths

    def _result(self, name: str, number: int) -> Path:
        return self.phases.context.store.scores(self.phases.step.index, f"{name}-{number:06d}.parquet")


def _groups(phases: Phases, state: dict[str, Any]) -> Groups:
    return Groups(phases.partitions, state["group"])


def _group_size(phases: Phases, documents: int) -> int:
    """Partitions of a group: enough groups for all workers, and for the memory of a task."""
    groups = max(1, JOBS_A_WORKER * phases.workers, -(-documents * DOCUMENT_BYTES // phases.task_memory))
    return min(PARTITIONS_A_JOB, max(1, phases.partitions // groups))
