"""Clusters of a finished run at another threshold, from the scores that its verified dedup left: no text is read."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.dedup.accepting import Thresholds, accept, label_members, threshold_problem
from gpurefine.dedup.components import connect
from gpurefine.dedup.survivors import CLUSTER_SCHEMA, choose, plan_choice
from gpurefine.engine.plan import task_memory
from gpurefine.engine.store import RunStore
from gpurefine.errors import InputError
from gpurefine.machine import planned_memory

#: A pair of documents that were compared: each with its id, file and offset, and their similarities.
PAIR_COLUMNS = ("member", "file", "offset", "other", "other_file", "other_offset", "jaccard", "edit")


@dataclass(frozen=True)
class ScoredDedup:
    """A verified dedup of a finished run.

    Attributes
    ----------
    name, evidence, keep : of the stage
    thresholds : those of the run
    documents, scores : its files of metadata and of scores
    """

    name: str
    evidence: str
    keep: str
    thresholds: Thresholds
    documents: tuple[Path, ...]
    scores: tuple[Path, ...]


def scored_dedup(store: RunStore, manifest: dict[str, Any], stage: str | None) -> ScoredDedup:
    """The verified dedup of a complete run, or the one named ``stage``.

    Raises
    ------
    InputError
        if there is none, or several and none is named, or its files are gone
    """
    if manifest.get("state") != "complete":
        raise InputError(f"the run in {store.root} is not complete; give the same command again to go on")
    found = {}
    for entry in manifest["pipeline"]["stages"]:
        for kind, parameters in entry.items():
            if parameters.get("verify", "none") != "none":
                found[parameters.get("as") or kind] = (kind, parameters)
    if not found:
        raise InputError(
            f"the run in {store.root} has no scores: run with --set dedup.minhash.verify=jaccard, or jaccard+edit"
        )
    name = next(iter(found)) if stage is None and len(found) == 1 else stage
    if name not in found:
        raise InputError(f"the run in {store.root} has the verified stages {', '.join(found)}: name one as stage")
    kind, parameters = found[name]
    (step,) = (record["index"] for record in manifest["steps"] if record["emits"] == name)
    folder = store.scores(step)
    documents, scores = (tuple(sorted(folder.glob(f"{part}-*.parquet"))) for part in ("documents", "scores"))
    if not scores or len(scores) != len(documents):
        raise InputError(f"{folder} has not the scores of {name} that the run left: run again with --fresh")
    edit = parameters["edit"] if parameters["verify"] == "jaccard+edit" else None
    thresholds = Thresholds(parameters["jaccard"], edit)
    return ScoredDedup(str(name), kind.removeprefix("dedup."), parameters["keep"], thresholds, documents, scores)


def other_thresholds(dedup: ScoredDedup, jaccard: float | None, edit: float | None) -> Thresholds:
    """The thresholds of a run with those changed that are given; ``edit`` 0 is none at all.

    Raises InputError if one cannot be asked for.
    """
    for name, value in (("jaccard", jaccard), ("edit", edit)):
        problem = None if value is None else threshold_problem(name, value)
        if problem:
            raise InputError(problem)
    if edit is not None and dedup.thresholds.edit is None:
        raise InputError(
            f"{dedup.name} measured no edit similarities: run with --set {dedup.name}.verify=jaccard+edit, or leave "
            "edit out"
        )
    edit = dedup.thresholds.edit if edit is None else edit
    # texts without one unit in its place have a similarity of 0, which does not exceed it
    return Thresholds(dedup.thresholds.jaccard if jaccard is None else jaccard, edit or None)


def clusters_at(dedup: ScoredDedup, thresholds: Thresholds, memory: int | None = None) -> pa.Table:
    """The clusters that the run would have found at these thresholds.

    Parameters
    ----------
    dedup : of the run
    thresholds : instead of its own
    memory : bytes for tables, default 70 % of what is free

    Returns
    -------
    Table of ``CLUSTER_SCHEMA``

    Raises
    ------
    RunError
        if a file is damaged, or components do not fit the memory
    """
    budget = task_memory(planned_memory(memory), 1)
    with tempfile.TemporaryDirectory(prefix="gpurefine-") as name:
        folder = Path(name)
        edges, evidence = (_numbered(folder, part, dedup.scores) for part in ("edges", "evidence"))
        for paths in zip(dedup.scores, evidence, edges, strict=True):
            accept(paths[0], thresholds, *paths[1:])
        labels = folder / "labels"
        connect(edges, labels, budget)
        members = _numbered(folder, "members", dedup.documents)
        for known, path in zip(dedup.documents, members, strict=True):
            label_members(labels, known, evidence, path)
        tables = [CLUSTER_SCHEMA.empty_table()]
        for number, roots in enumerate(plan_choice(members, budget)):
            clusters, removals = folder / f"clusters-{number:06d}", folder / f"removals-{number:06d}"
            choose(members, roots, clusters, removals, dedup.evidence, dedup.keep, verified=True)
            tables.append(pq.read_table(clusters))
        return pa.concat_tables(tables)


def scored_pairs(dedup: ScoredDedup) -> pa.Table:
    """All pairs that were compared, with ``PAIR_COLUMNS``."""
    scores = pa.concat_tables([pq.read_table(path, page_checksum_verification=True) for path in dedup.scores])
    columns = ["document", "id", "file", "offset"]
    known = pa.concat_tables(
        [pq.read_table(path, columns=columns, page_checksum_verification=True) for path in dedup.documents]
    )
    pairs = scores.join(known.rename_columns(["left", "member", "file", "offset"]), "left")
    pairs = pairs.join(known.rename_columns(["right", "other", "other_file", "other_offset"]), "right")
    order = [(name, "ascending") for name in ("file", "offset", "other_file", "other_offset")]
    return pairs.select(PAIR_COLUMNS).sort_by(order)


def _numbered(folder: Path, name: str, like: Sequence[Path]) -> list[Path]:
    return [folder / f"{name}-{number:06d}" for number in range(len(like))]
