"""The phases of a verified dedup over the partitions of a frame, those of ``verify`` in a scratch folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurefine.dedup.accepting import Thresholds, accept, label_members
from gpurefine.dedup.candidates import Groups, collide_candidates, select_candidates
from gpurefine.dedup.collisions import plan_collisions
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import slice_rows
from gpurefine.dedup.members import RUN_BYTES, gather_members
from gpurefine.dedup.orders import write_orders
from gpurefine.dedup.policies import has_rank
from gpurefine.dedup.scoring import score_candidates
from gpurefine.engine.frames_emit import BEST, documents_path, keys_path, units_path
from gpurefine.stages.base import DedupStage

#: Partitions whose documents one call scores.
PARTITIONS_A_GROUP = 4


@dataclass(frozen=True)
class FrameVerification:
    """Candidates among the rows of a frame, scored, and what of them is accepted.

    Attributes
    ----------
    stage, thresholds, seed : the kind, what is enough, and the seed of the pipeline
    partitions : of the frame; their rows have names and positions already
    folder : the scratch folder
    run : makes the calls of a phase (``frames_phases.Runner``)
    budget, alone : bytes for a call that runs beside others, and for one that runs alone
    """

    stage: DedupStage
    thresholds: Thresholds
    seed: int
    partitions: int
    folder: Path
    run: Callable[[Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]], list[Any]]
    budget: int
    alone: int

    def edges(self) -> list[Path]:
        """Files of edges between rows that are similar enough."""
        candidates, edit = self._candidates(), self.thresholds.edit is not None
        self._know(candidates)
        units = [units_path(self.folder, index) for index in range(self.partitions)]
        scores, edges, evidence = (self._files(name) for name in ("scores", "edges", "evidence"))
        n = self.stage.shingle_units
        self.run([(score_candidates, (path, units, n, edit, scores[number], self.budget))
                  for number, path in enumerate(candidates)])  # fmt: skip
        self.run([(accept, (*paths[:1], self.thresholds, *paths[1:]))
                  for paths in zip(scores, evidence, edges, strict=True)])  # fmt: skip
        return edges

    def members(self, labels: Path) -> list[Path]:
        """Files of the members of clusters, with the similarities that made them members."""
        members, evidence = self._files("members"), self._files("evidence")
        self.run([(label_members, (labels, known, evidence, path))
                  for known, path in zip(self._files("known"), members, strict=True)])  # fmt: skip
        return members

    def _candidates(self) -> list[Path]:
        partitions = range(self.partitions)
        keys = [keys_path(self.folder, index) for index in partitions]
        orders = [self.folder / f"orders-{index:06d}" for index in partitions]
        self.run([(write_orders, (keys[index], {index: documents_path(self.folder, index)}, self.seed, orders[index]))
                  for index in partitions])  # fmt: skip
        tasks = plan_collisions(slice_rows(keys), 1, self.budget, self.stage.key_bands)
        found = [self.folder / f"found-{number:06d}" for number in range(len(tasks))]
        groups = self._groups()
        self.run([(collide_candidates, (range(task.first, task.last), keys, orders, groups, path, self.budget))
                  for task, path in zip(tasks, found, strict=True)])  # fmt: skip
        candidates = self._files("candidates")
        self.run([(select_candidates, (found, number, groups, path, self.budget))
                  for number, path in enumerate(candidates)])  # fmt: skip
        return candidates

    def _know(self, candidates: list[Path]) -> None:
        """Gather the metadata of all rows that have a candidate or are one."""
        labels = self.folder / "candidate-labels.parquet"
        self.run([(connect, (candidates, labels, self.alone))])
        best = BEST.name if has_rank(self.stage.keep) else None
        calls = []
        for group, path in zip(self._groups(), self._files("known"), strict=True):
            sources = [(index, documents_path(self.folder, index)) for index in group]
            calls.append((gather_members, (labels, sources, self.seed, path, RUN_BYTES, best)))
        self.run(calls)

    def _groups(self) -> Groups:
        return Groups(self.partitions, PARTITIONS_A_GROUP)

    def _files(self, name: str) -> list[Path]:
        """A file of this name for each group of partitions."""
        return [self.folder / f"{name}-{number:06d}" for number, _ in enumerate(self._groups())]
