"""Clusters to removals: one member of each cluster survives, the others leave.

The survivor is the member that the policy keeps (``policies``); where it keeps several or is ``random``, the one with
the least priority (a keyed hash of its id); ids may repeat in real crawls, so ties go by URL, date, text hash, file and
offset. The choice depends on neither order nor partitioning nor the shape of the
collision graph. Clusters are chosen in ranges of their roots; of a cluster only the best member so far is held, so one
with a million members takes no more memory than a pair. From a cluster with documents of old runs all others leave.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpurefine.dedup.members import member_schema
from gpurefine.dedup.oldmembers import OldSurvivors, old_survivors
from gpurefine.dedup.policies import RANK, has_rank, survivor_order
from gpurefine.dedup.removals import REMOVAL_SCHEMA, RemovalWriter
from gpurefine.dedup.rowgroups import row_groups
from gpurefine.documents import TEXT
from gpurefine.errors import RunError
from gpurefine.write import TableWriter, read_counts

#: A member of a cluster, the survivor included; cluster is the survivor's id, file and offset are the member's, run is
#: the directory of the old run whose document the survivor is, null where it is one of this run.
CLUSTER_SCHEMA = pa.schema(
    [
        pa.field("cluster", TEXT),
        pa.field("member", TEXT),
        pa.field("survivor", TEXT),
        pa.field("file", TEXT),
        pa.field("offset", pa.int64()),
        pa.field("evidence", TEXT),
        pa.field("run", TEXT),
    ]
)

#: A cluster's best member is held up to this many times while better ones are looked for.
COPIES = 4
#: Numbers held for a cluster: root, least number, members, survivor.
NUMBER_BYTES = 32
TIES_ROWS = 1 << 14
#: Roots are document numbers, which are below 2**63.
ALL_ROOTS = (0, 1 << 63)
#: No number is greater; a null rank, which comes last, counts as this until members are sorted.
LAST = ~np.uint64(0)


def plan_choice(member_paths: Sequence[Path], budget: int, old_paths: Sequence[Path] = ()) -> list[tuple[int, int]]:
    """Cut the clusters into ranges whose survivors fit the budget.

    Parameters
    ----------
    member_paths : what ``gather_members`` wrote, in the order of the partitions; two columns of them are streamed
    budget : bytes for the best members of a range
    old_paths : what ``gather_old_members`` wrote

    Returns
    -------
    ``(first, last)``, meaning the clusters with ``first <= root < last``. The ranges cover all clusters; there is none
    if there are no clusters
    """
    member_bytes = _mean_bytes(member_paths) + (_mean_bytes(old_paths) if old_paths else 0)
    clusters = max(1, budget // (COPIES * member_bytes + NUMBER_BYTES))
    borders, seen = [], 0
    for roots in _roots(member_paths, ALL_ROOTS):
        borders += roots[-seen % clusters :: clusters].tolist()
        seen += len(roots)
    if not borders:
        return []
    return list(itertools.pairwise([ALL_ROOTS[0], *sorted(borders)[1:], ALL_ROOTS[1]]))


def _mean_bytes(paths: Sequence[Path]) -> int:
    """Bytes that a member takes in memory."""
    footers = [read_counts(path) for path in paths]
    members = sum(footer["members"] for footer in footers)
    return sum(footer["bytes"] for footer in footers) // max(1, members) + 1


def choose(
    member_paths: Sequence[Path],
    root_range: tuple[int, int],
    clusters_path: Path,
    removals_path: Path,
    evidence: str = "exact",
    keep: str = "random",
    verified: bool = False,
    old_paths: Sequence[Path] = (),
) -> dict[str, int]:
    """Choose the survivors of a range of clusters and write who was in them and who must leave.

    Parameters
    ----------
    member_paths : what ``gather_members`` wrote, for all partitions
    root_range : one of ``plan_choice``
    clusters_path : Parquet file of ``CLUSTER_SCHEMA``; it is whole before the removals are
    removals_path : Parquet file of ``REMOVAL_SCHEMA``, in runs sorted by document
    evidence : why the members collided, for the clusters
    keep : the policy; with a rank, ``gather_members`` was told its column
    verified : whether members have ``accepting.SIMILARITIES``, which are evidence too
    old_paths : what ``gather_old_members`` wrote: from a cluster with documents of old runs all others leave

    Returns
    -------
    ``clusters``, ``members`` (of this run) and ``removals``, and how many of these clusters, documents and removals
    have to do with old runs: ``old_clusters``, ``old_members`` (of those runs) and ``old_removals``. members =
    clusters - old_clusters + removals. They are in both footers

    Raises
    ------
    RunError
        if a file cannot be read or a cluster has lost members
    DamagedFileError
        if a file is damaged
    """
    roots = np.sort(np.concatenate([np.empty(0, np.uint64), *_roots(member_paths, root_range)]))
    old = old_survivors(old_paths, root_range, roots)
    least, members = _least_numbers(member_paths, root_range, roots, keep)
    _check_whole(members + old.documents, roots)
    survivors = _survivors(member_paths, root_range, roots, least, keep)
    survivor_ids = pc.coalesce(old.survivors, survivors["id"].combine_chunks())
    # no document of this run survives one of an old run
    survivor_documents = np.where(old.there, LAST, np.asarray(survivors["document"]))
    counts, sizes = _counts(members, old), members + old.documents
    columns = ["root", "document", "id", "file", "offset", *(["jaccard", "edit"] if verified else [])]
    with TableWriter(clusters_path, CLUSTER_SCHEMA) as writer, RemovalWriter(removals_path) as removals:
        for table, places in _members_of(member_paths, root_range, roots, columns):
            ids, runs = survivor_ids.take(pa.array(places)), old.runs.take(pa.array(places))
            why = _evidence(evidence, table) if verified else pa.repeat(pa.scalar(evidence, TEXT), len(places))
            told = [ids, table["id"], ids, table["file"], table["offset"], why, runs]
            writer.write(pa.table(told, schema=CLUSTER_SCHEMA))
            documents = np.asarray(table["document"])
            similarity = table["jaccard"] if verified else pa.nulls(len(places), pa.float64())
            gone = pa.table([documents, ids, ids, sizes[places], similarity, runs], schema=REMOVAL_SCHEMA)
            removals.add(gone.filter(pa.array(documents != survivor_documents[places])))
        writer.close(counts)
        removals.close(counts)
    return counts


def _counts(members: np.ndarray, old: OldSurvivors) -> dict[str, int]:
    """What ``choose`` returns, of members of each cluster."""
    total, clusters = int(members.sum()), len(members)
    of_old = int(old.there.sum())
    return {
        "clusters": clusters,
        "members": total,
        "removals": total - clusters + of_old,
        "old_clusters": of_old,
        "old_members": int(old.documents.sum()),
        "old_removals": int(members[old.there].sum()),
    }


def _evidence(kind: str, members: pa.Table) -> pa.Array:
    """Why members collided, with the similarities that made them members."""
    pairs = zip(members["jaccard"].to_pylist(), members["edit"].to_pylist(), strict=True)
    return pa.array([f"{kind}, jaccard {one:.4f}{'' if other is None else f', edit {other:.4f}'}"
                     for one, other in pairs], TEXT)  # fmt: skip


def _roots(member_paths: Sequence[Path], root_range: tuple[int, int]) -> Iterator[np.ndarray]:
    """The roots of a range: the members that are their own root."""
    for path in member_paths:
        for table in row_groups(path, ["root", "document"], "root", *root_range):
            roots = np.asarray(table["root"])
            yield roots[roots == np.asarray(table["document"])]


def _members_of(
    paths: Sequence[Path], root_range: tuple[int, int], roots: np.ndarray, columns: Sequence[str]
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Members of a range of clusters a row group at a time, each with the places of their roots in ``roots``."""
    for path in paths:
        for table in row_groups(path, columns, "root", *root_range):
            values = np.asarray(table["root"])
            places = np.searchsorted(roots, values)
            if not len(roots) or (roots[np.minimum(places, len(roots) - 1)] != values).any():
                raise RunError(f"{path} has members of clusters without a root: use --fresh to start over")
            yield table, places


def _least_numbers(
    paths: Sequence[Path], root_range: tuple[int, int], roots: np.ndarray, keep: str
) -> tuple[np.ndarray, np.ndarray]:
    """Least number (uint64, of what comes first in the order) and number of members (int64) of each cluster."""
    least, members = np.full(len(roots), LAST), np.zeros(len(roots), np.int64)
    column = _number_column(keep)
    for table, places in _members_of(paths, root_range, roots, ["root", column] if column else ["root"]):
        if column:
            np.minimum.at(least, places, _numbers(table[column]))
        np.add.at(members, places, 1)
    return least, members


def _check_whole(members: np.ndarray, roots: np.ndarray) -> None:
    """Raise RunError if a cluster has fewer than two members, those of old runs counted."""
    if (members < 2).any():
        raise RunError(f"cluster {int(roots[np.argmin(members)])} has lost members: use --fresh to start over")


def _number_column(keep: str) -> str | None:
    """What comes first in the order, if it is a number, of which the least is quickly found."""
    first = survivor_order(keep)[0]
    return first if first in (RANK.name, "priority") else None


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(column, pa.scalar(int(LAST), pa.uint64())))


def _survivors(
    paths: Sequence[Path], root_range: tuple[int, int], roots: np.ndarray, least: np.ndarray, keep: str
) -> pa.Table:
    """The survivor of each cluster, in the order of ``roots``."""
    schema, order, column = member_schema(has_rank(keep)), survivor_order(keep), _number_column(keep)
    best = [schema.empty_table()]
    waiting = 0
    for table, places in _members_of(paths, root_range, roots, schema.names):
        # mostly one member a cluster; more only where the numbers repeat, be it a million times, or there is none
        ties = table.filter(pa.array(_numbers(table[column]) == least[places])) if column else table
        best.append(ties)
        waiting += ties.num_rows
        if waiting > max(len(roots), TIES_ROWS):
            best, waiting = [_first_of_each(pa.concat_tables(best), order)], 0
    return _first_of_each(pa.concat_tables(best), order)


def _first_of_each(members: pa.Table, order: Sequence[str]) -> pa.Table:
    """The best member of each cluster, sorted by root."""
    sortable = members
    for name in ("url", "date"):
        sortable = sortable.append_column(f"{name}_known", pc.is_valid(members[name]).cast(pa.uint8()))
    indices = pc.sort_indices(sortable, sort_keys=[(name, "ascending") for name in ("root", *order)])
    roots = np.asarray(members["root"])[np.asarray(indices)]
    first = np.r_[True, roots[1:] != roots[:-1]][: len(roots)]
    return members.take(indices.filter(pa.array(first)))
