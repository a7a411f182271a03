"""The phases of a dedup over the partitions of a frame: emit -> collide -> connect -> gather -> choose -> decide.

They are those of a run, in a scratch folder that lives as long as one call. Keys and metadata are written there; text
stays where it is. What each phase calls may run anywhere that sees the folder: in turn here, or as tasks of Dask.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpurefine.dedup.collisions import collide, plan_collisions
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import slice_rows
from gpurefine.dedup.members import gather_members
from gpurefine.dedup.policies import has_rank
from gpurefine.dedup.removals import REMOVAL_SCHEMA
from gpurefine.dedup.rowgroups import row_groups
from gpurefine.dedup.survivors import choose, plan_choice
from gpurefine.documents import ROW_BITS, TEXT
from gpurefine.engine.frames_emit import BEST, Emitted, documents_path, keys_path
from gpurefine.engine.frames_names import name_rows
from gpurefine.engine.frames_verify import FrameVerification
from gpurefine.errors import RunError
from gpurefine.frames import assign
from gpurefine.stages.base import DedupStage

if TYPE_CHECKING:
    from gpurefine.frames import Frame

#: A member of a cluster: its row in its partition, whether it stays, and the survivor's id.
DECISION_SCHEMA = pa.schema([pa.field("row", pa.int64()), pa.field("keep", pa.bool_()), pa.field("cluster", TEXT)])

#: Partitions whose members one call gathers or decides.
PARTITIONS_A_CALL = 64

#: A scratch folder that is in use holds a file of this name.
IN_USE = "in-use"

#: A function and its arguments; ``Runner`` makes some calls, in any order or at a time, and returns their results.
Call = tuple[Callable[..., Any], tuple[Any, ...]]
Runner = Callable[[Sequence[Call]], list[Any]]


@contextlib.contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder below ``parent`` (None: where the system has its temporary files), deleted when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="gpurefine-", dir=parent))
    (folder / IN_USE).touch()
    try:
        yield folder
    finally:
        (folder / IN_USE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def call_in(folder: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function that reads and writes files of a scratch folder.

    When a task fails, Dask ends the call while others still run; what these write after the folder was deleted is
    deleted here.

    Raises
    ------
    RunError
        if the folder is not seen from here, or a file cannot be written
    """
    if not (folder / IN_USE).exists():
        raise RunError(f"{folder} is not there for this worker: give scratch= a folder that all workers share")
    try:
        return function(*arguments)
    except OSError as error:
        raise RunError(
            f"cannot use the scratch folder {folder}: {error.strerror or error}; give scratch= a folder with room"
        ) from error
    finally:
        if not (folder / IN_USE).exists():
            shutil.rmtree(folder, ignore_errors=True)


def find(
    stage: DedupStage,
    seed: int,
    emitted: Sequence[Emitted],
    folder: Path,
    run: Runner,
    budget: int,
    alone: int,
    on_device: bool = False,
) -> list[pa.Table]:
    """All phases after ``emit``.

    Parameters
    ----------
    stage, seed : the kind, and the seed of the choice of survivors
    emitted : what ``emit`` returned for partitions 0, 1, ...
    folder : the scratch folder
    run : makes the calls of a phase
    budget, alone : bytes for a call that runs beside others, and for one that runs alone
    on_device : use the device of this process, where ``run`` makes the calls, for collisions and components

    Returns
    -------
    For each partition the members of clusters that are in it: a table of ``DECISION_SCHEMA`` in ascending order
    """
    partitions = len(emitted)
    starts = _starts(emitted)
    verification = None
    if stage.thresholds is not None:
        run([(name_rows, ({index: starts[index] for index in group}, folder)) for group in _groups(partitions)])
        verification = FrameVerification(stage, stage.thresholds, seed, partitions, folder, run, budget, alone)
    if verification is None:
        keys = [keys_path(folder, index) for index in range(partitions)]
        edges = _collide(stage, keys, folder, run, budget, on_device)
    else:
        edges = verification.edges()
    labels = folder / "labels.parquet"
    run([(connect, (edges, labels, alone, on_device))])
    if verification is None:
        members = _gather(stage, starts, labels, seed, folder, run)
    else:
        members = verification.members(labels)
    removals = _choose(stage, members, folder, run, budget)
    decided = run([(decide, (group, labels, removals, folder)) for group in _groups(partitions)])
    decisions = [table for tables in decided for table in tables]
    labelled, found = pq.read_metadata(labels).num_rows, sum(table.num_rows for table in decisions)
    if labelled != found:
        raise RunError(f"{labelled} rows have a duplicate, but {found} were decided; please report this")
    return decisions


def _starts(emitted: Sequence[Emitted]) -> list[int]:
    """Position of the first row of each partition in the whole frame."""
    return np.cumsum([0, *(each.rows for each in emitted)]).tolist()


def gather(labels: Path, starts: Mapping[int, int], seed: int, folder: Path, out_path: Path, keep: str) -> None:
    """Collect the metadata of members of clusters in some partitions, after ids and positions were filled in.

    Parameters
    ----------
    labels : table of ``connect``
    starts : partition -> position of its first row in the whole frame
    seed : of the choice of survivors
    folder : the scratch folder
    out_path : where the members go
    keep : the policy
    """
    name_rows(starts, folder)
    sources = [(partition, documents_path(folder, partition)) for partition in starts]
    gather_members(labels, sources, seed, out_path, best=BEST.name if has_rank(keep) else None)


def decide(partitions: range, labels: Path, removal_paths: Sequence[Path], folder: Path) -> list[pa.Table]:
    """Members of clusters in some partitions.

    Parameters
    ----------
    partitions : adjacent ones
    labels : table of ``connect``
    removal_paths : tables of ``choose``
    folder : the scratch folder

    Returns
    -------
    A table for each partition, as ``find`` returns them
    """
    borders = np.arange(partitions.start, partitions.stop + 1, dtype=np.uint64) << np.uint64(ROW_BITS)
    span = int(borders[0]), int(borders[-1])
    groups = row_groups(labels, ["document"], "document", *span)
    documents = np.concatenate([np.empty(0, np.uint64), *(np.asarray(group["document"]) for group in groups)])
    removals = _removals(removal_paths, span)
    of_documents = np.searchsorted(documents, borders)
    of_removals = np.searchsorted(np.asarray(removals["document"]), borders)
    return [
        _decide(partition, documents[slice(*rows)], removals[slice(*gone)], folder)
        for partition, rows, gone in zip(
            partitions, itertools.pairwise(of_documents), itertools.pairwise(of_removals), strict=True
        )
    ]


def _removals(paths: Sequence[Path], span: tuple[int, int]) -> pa.Table:
    """Removals of the documents in a range, sorted by document."""
    schema = pa.schema([REMOVAL_SCHEMA.field("document"), REMOVAL_SCHEMA.field("cluster")])
    tables = [table for path in paths for table in row_groups(path, schema.names, "document", *span)]
    return pa.concat_tables([schema.empty_table(), *tables]).sort_by("document")


def _decide(partition: int, documents: np.ndarray, removals: pa.Table, folder: Path) -> pa.Table:
    keep = ~np.isin(documents, np.asarray(removals["document"]), assume_unique=True)
    rows = (documents - np.uint64(partition << ROW_BITS)).astype(np.int64)
    # a survivor's cluster bears its own id
    own = pq.read_table(documents_path(folder, partition), columns=["id"], use_threads=False)["id"]
    clusters = pa.chunked_array([*removals["cluster"].chunks, *own.take(pa.array(rows[keep])).chunks], TEXT)
    order = np.empty(len(rows), np.int64)
    order[~keep] = np.arange(removals.num_rows)
    order[keep] = np.arange(removals.num_rows, len(rows))
    return pa.table([rows, keep, clusters.take(pa.array(order))], schema=DECISION_SCHEMA)


def join_decisions(frame: Frame, members: pa.Table, reason: str) -> Frame:
    """A partition with the columns keep, reason, cluster and survivor.

    Parameters
    ----------
    frame : the partition
    members : what ``find`` returned for it
    reason : of the removals
    """
    rows, removed = np.asarray(members["row"]), ~np.asarray(members["keep"])
    keep = np.ones(len(frame), bool)
    keep[rows[removed]] = False
    places = np.full(len(frame), -1)
    places[rows] = np.arange(len(rows))
    clusters = members["cluster"].combine_chunks()
    columns = {
        "keep": keep,
        "reason": pc.if_else(pa.array(keep), pa.scalar(None, TEXT), pa.scalar(reason, TEXT)),
        "cluster": clusters.take(pa.array(places, mask=places < 0)),
        "survivor": clusters.take(pa.array(places, mask=keep)),
    }
    return assign(frame, columns)


def _collide(
    stage: DedupStage, key_paths: list[Path], folder: Path, run: Runner, budget: int, on_device: bool
) -> list[Path]:
    tasks = plan_collisions(slice_rows(key_paths), len(stage.key_columns), budget, stage.key_bands)
    paths = [folder / f"edges-{number:06d}" for number in range(len(tasks))]
    run([(collide, (task, key_paths, path, budget, on_device)) for task, path in zip(tasks, paths, strict=True)])
    return paths


def _groups(partitions: int) -> list[range]:
    return [
        range(first, min(first + PARTITIONS_A_CALL, partitions)) for first in range(0, partitions, PARTITIONS_A_CALL)
    ]


def _gather(stage: DedupStage, starts: Sequence[int], labels: Path, seed: int, folder: Path, run: Runner) -> list[Path]:
    paths, calls = [], []
    for group in _groups(len(starts) - 1):
        paths.append(folder / f"members-{group.start:06d}.parquet")
        of_group = {index: starts[index] for index in group}
        calls.append((gather, (labels, of_group, seed, folder, paths[-1], stage.keep)))
    run(calls)
    return paths


def _choose(stage: DedupStage, members: list[Path], folder: Path, run: Runner, budget: int) -> list[Path]:
    paths, calls = [], []
    for number, roots in enumerate(plan_choice(members, budget)):
        paths.append(folder / f"removals-{number:06d}.parquet")
        clusters = folder / f"clusters-{number:06d}.parquet"
        verified = stage.thresholds is not None
        calls.append((choose, (members, roots, clusters, paths[-1], stage.evidence, stage.keep, verified)))
    run(calls)
    return paths
