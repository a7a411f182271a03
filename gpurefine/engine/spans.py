"""The phases of a dedup that looks inside documents: collide -> spans.

Pieces that leave are marked by collide tasks, each for some of the keys; then the marks of each document are united to
spans. The next step edits its documents by them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpurefine.dedup.collisions import CollisionTask
from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.keys import slice_rows
from gpurefine.dedup.marks import MARK_PARTITIONS
from gpurefine.dedup.piececollisions import collide_pieces, plan_pieces
from gpurefine.dedup.piecekeys import copies_inside, document_starts
from gpurefine.dedup.spanfiles import find_spans
from gpurefine.dedup.tokenfile import TokenFile
from gpurefine.dedup.windows import WindowGroup, collide_windows, plan_windows
from gpurefine.engine.emit import has_order
from gpurefine.engine.phases import Phases
from gpurefine.engine.store import RunStore
from gpurefine.errors import DamagedFileError
from gpurefine.stages.base import SpanStage


def span_paths(store: RunStore, step: int) -> tuple[str, ...]:
    """Files of spans that the dedup after ``step`` left."""
    return tuple(sorted(map(str, store.dedup(step, "").glob("spans-*"))))


def spans_are_there(store: RunStore, step: int, partitions: int) -> bool:
    """Whether the dedup after ``step``, which had so many partitions, still has all its spans."""
    paths = span_paths(store, step)
    return len(paths) == -(-partitions // MARK_PARTITIONS) and all(_is_whole(Path(path)) for path in paths)


def _is_whole(path: Path) -> bool:
    try:
        ColumnFile(path)
    except DamagedFileError:
        return False
    return True


@dataclass(frozen=True)
class SpanRun:
    """One dedup of a run that looks inside documents.

    Attributes
    ----------
    phases : what it shares with other dedups
    """

    phases: Phases

    @property
    def _stage(self) -> SpanStage:
        assert isinstance(self.phases.dedup, SpanStage)
        return self.phases.dedup

    def find(self, state: dict[str, Any], save: Callable[[], None]) -> dict[str, int]:
        """Run all phases; ``state`` is this dedup's entry in the manifest, ``save`` writes the manifest.

        Returns
        -------
        ``marks``: pieces whose key has copies, as often as they were found
        """
        return self.phases.repairing(lambda: self._find(state, save))

    def _find(self, state: dict[str, Any], save: Callable[[], None]) -> dict[str, int]:
        marks = (self._collide_windows if self._stage.of_tokens else self._collide_pieces)(state, save)
        for path in self._spans(marks):
            # what another process left of it may be damaged
            ColumnFile(path)
        return {"marks": sum(int(ColumnFile(path).rows.sum()) for path in marks)}

    def _collide_pieces(self, state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        phases, stage = self.phases, self._stage
        key_paths = phases.join(state, save)
        if "collide" not in state:
            rows = slice_rows(key_paths)
            tasks = plan_pieces(rows, has_order(stage), phases.task_memory, phases.workers)
            state["collide"] = [[task.first, task.last] for task in tasks]
            state["keys"] = int(rows.sum())
            save()
        paths, jobs = [], []
        for number, (first, last) in enumerate(state["collide"]):
            paths.append(phases.file(f"marks-{number:06d}"))
            task, keep_one = CollisionTask(first, last), stage.keep != "none"
            arguments = (task, key_paths, paths[-1], phases.partitions, keep_one, phases.task_memory)
            jobs.append(phases.job(f"collide {number}", paths[-1], collide_pieces, arguments))
        phases.run("collide", jobs)
        return paths

    def _collide_windows(self, state: dict[str, Any], save: Callable[[], None]) -> list[Path]:
        phases, stage = self.phases, self._stage
        token_paths = phases.emit_lost()
        if "collide" not in state:
            tokens = sum(TokenFile(path).tokens for path in token_paths)
            state["collide"] = [list(group) for group in plan_windows(tokens, phases.task_memory, phases.workers)]
            state["keys"] = tokens
            save()
        paths, jobs = [], []
        for number, group in enumerate(state["collide"]):
            paths.append(phases.file(f"marks-{number:06d}"))
            scratch, keep_one = phases.file(f"windows-{number:06d}"), stage.keep != "none"
            arguments = (
                WindowGroup(*group), token_paths, range(phases.partitions), stage.key_length, keep_one, paths[-1],
                scratch, phases.task_memory, phases.partitions, phases.on_device,
            )  # fmt: skip
            jobs.append(phases.job(f"collide {number}", paths[-1], collide_windows, arguments, phases.device))
        phases.run("collide", jobs)
        return paths

    def _spans(self, marks: list[Path]) -> list[Path]:
        phases, stage = self.phases, self._stage
        paths, jobs = [], []
        for group, first in enumerate(range(0, phases.partitions, MARK_PARTITIONS)):
            partitions = range(first, min(first + MARK_PARTITIONS, phases.partitions))
            path = phases.file(f"spans-{group:06d}")
            paths.append(path)
            arguments = (
                str(phases.context.store.root), phases.step.index, marks, group, partitions, stage.of_tokens,
                stage.key_length, path, phases.task_memory,
            )  # fmt: skip
            jobs.append(phases.job(f"spans {group}", path, spans_of_partitions, arguments))
        phases.run("spans", jobs)
        return paths


def spans_of_partitions(
    root: str,
    step: int,
    marks: list[Path],
    group: int,
    partitions: range,
    of_tokens: bool,
    length: int,
    out_path: Path,
    budget: int,
) -> dict[str, int]:
    """``find_spans`` for partitions of a run, whose pieces are counted in the files that they emitted."""
    store = RunStore(root)
    none = np.empty(0, np.uint64)
    if of_tokens:
        starts = [TokenFile(store.keys(step, partition)).document_starts() for partition in partitions]
        again = [none for _ in partitions]
    else:
        starts = [document_starts(store.pieces(step, partition)) for partition in partitions]
        again = [copies_inside(store.pieces(step, partition)) for partition in partitions]
    return find_spans(marks, group, partitions, starts, again, length, out_path, budget)
