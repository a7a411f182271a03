"""Documents of old runs that a new run's documents collide with, and which of their survivors a cluster is named by.

An old document stands for the document that stayed for it in its run, which may be one of a still older run. A cluster
that touches several of these is named by the one with the least keyed hash of its id, so the choice depends on the
documents and the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpurefine.dedup.hashing import keyed_hash
from gpurefine.dedup.members import RUN_BYTES, write_sorted_run
from gpurefine.dedup.oldkeys import OldKeys
from gpurefine.dedup.rowgroups import SEARCHED_ROW_GROUP_BYTES, row_groups
from gpurefine.documents import TEXT
from gpurefine.errors import RunError
from gpurefine.write import TableWriter

#: An old document of a cluster: priority is the keyed hash of its survivor's id, fingerprint and directory (run) are
#: those of the survivor's run.
OLD_MEMBER_SCHEMA = pa.schema(
    [
        pa.field("root", pa.uint64(), False),
        pa.field("priority", pa.uint64(), False),
        pa.field("survivor", TEXT),
        pa.field("fingerprint", TEXT),
        pa.field("run", TEXT),
    ]
)
ORDER = ("priority", "survivor", "fingerprint")


def gather_old_members(
    labels_path: Path, old: OldKeys, member_file: str, names: Mapping[str, str], seed: int, out_path: Path
) -> dict[str, int]:
    """Write the old documents of all clusters that are in one file of an old run.

    Parameters
    ----------
    labels_path : what ``connect`` wrote
    old : the old run's keys, with its first partition set
    member_file : one of its ``member_files``
    names : directories of runs by fingerprint, as they are to be told
    seed : of the choice
    out_path : Parquet file of ``OLD_MEMBER_SCHEMA``, in runs sorted by root; the counts are in its footer

    Returns
    -------
    ``members`` written and their ``bytes`` in memory

    Raises
    ------
    RunError
        if a label has no document
    DamagedFileError
        if a file is damaged
    """
    counts = {"members": 0, "bytes": 0}
    with TableWriter(out_path, OLD_MEMBER_SCHEMA, SEARCHED_ROW_GROUP_BYTES) as writer:
        pending: list[pa.Table] = []
        pending_bytes = 0
        for documents, members in _labelled(labels_path, old, old.folder / member_file):
            table = _standing_for(documents, members, old, names, seed)
            counts["members"] += table.num_rows
            counts["bytes"] += table.nbytes
            pending.append(table)
            pending_bytes += table.nbytes
            if pending_bytes > RUN_BYTES:
                write_sorted_run(writer, pending)
                pending, pending_bytes = [], 0
        write_sorted_run(writer, pending)
        writer.close(counts)
    return counts


def _labelled(labels_path: Path, old: OldKeys, path: Path) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Roots, uint64 (n,), and rows of ``MEMBERS_SCHEMA`` of the documents in a file that have a label."""
    columns = ["document", "id", "survivor", "run"]
    for table in row_groups(path, columns):
        numbers = np.asarray(table["document"]) + np.uint64(old.shift)
        # the file is in ascending order
        labels = row_groups(labels_path, ["document", "root"], "document", int(numbers[0]), int(numbers[-1]) + 1)
        for group in labels:
            documents = np.asarray(group["document"])
            places = np.searchsorted(numbers, documents)
            if (numbers[places] != documents).any():
                raise RunError(f"{labels_path} labels documents that {path} does not have: use --fresh to start over")
            yield np.asarray(group["root"]), table.take(pa.array(places))


def _standing_for(roots: np.ndarray, members: pa.Table, old: OldKeys, names: Mapping[str, str], seed: int) -> pa.Table:
    survivors = pc.coalesce(members["survivor"], members["id"])
    fingerprints = pc.fill_null(members["run"], old.fingerprint).combine_chunks()
    coded = fingerprints.dictionary_encode()
    runs = pa.array([names[each] for each in coded.dictionary.to_pylist()], TEXT).take(coded.indices)
    priority = keyed_hash(seed, survivors.to_pylist())
    return pa.table([roots, priority, survivors, fingerprints, runs], schema=OLD_MEMBER_SCHEMA)


@dataclass(frozen=True)
class OldSurvivors:
    """What clusters owe to old runs.

    Attributes
    ----------
    documents : int64, (clusters,), documents of old runs in each
    survivors, runs : id and run directory of the document that it is named by, null where there is none
    """

    documents: np.ndarray
    survivors: pa.Array
    runs: pa.Array

    @property
    def there(self) -> np.ndarray:
        """Which clusters have one: bool, (clusters,)."""
        return self.documents > 0


def old_survivors(paths: Sequence[Path], root_range: tuple[int, int], roots: np.ndarray) -> OldSurvivors:
    """The old documents that clusters are named by.

    Parameters
    ----------
    paths : what ``gather_old_members`` wrote; without any no cluster has one
    root_range : ``first <= root < last``
    roots : uint64, (clusters,), in ascending order, of all clusters in the range

    Raises
    ------
    RunError
        if an old document's cluster is not among them
    DamagedFileError
        if a file is damaged
    """
    documents = np.zeros(len(roots), np.int64)
    best, waiting = [OLD_MEMBER_SCHEMA.empty_table()], 0
    for path in paths:
        for table in row_groups(path, OLD_MEMBER_SCHEMA.names, "root", *root_range):
            np.add.at(documents, _places(table, roots, path), 1)
            best.append(table)
            waiting += table.num_rows
            if waiting > max(len(roots), 1 << 14):
                best, waiting = [_first_of_each(pa.concat_tables(best))], 0
    found = _first_of_each(pa.concat_tables(best)).combine_chunks()
    places = np.full(len(roots), -1)
    places[np.searchsorted(roots, np.asarray(found["root"]))] = np.arange(found.num_rows)
    taken = found.take(pa.array(places, mask=places < 0)).combine_chunks()
    survivors, runs = (pa.concat_arrays([pa.nulls(0, TEXT), *taken[name].chunks]) for name in ("survivor", "run"))
    return OldSurvivors(documents, survivors, runs)


def _places(table: pa.Table, roots: np.ndarray, path: Path) -> np.ndarray:
    values = np.asarray(table["root"])
    places = np.searchsorted(roots, values)
    if not len(roots) or (roots[np.minimum(places, len(roots) - 1)] != values).any():
        raise RunError(f"{path} has members of clusters without a root: use --fresh to start over")
    return places


def _first_of_each(members: pa.Table) -> pa.Table:
    """The best old document of each cluster, sorted by root."""
    order = pc.sort_indices(members, sort_keys=[(name, "ascending") for name in ("root", *ORDER)])
    ordered = members.take(order)
    roots = np.asarray(ordered["root"])
    first = np.r_[True, roots[1:] != roots[:-1]][: len(roots)]
    return ordered.filter(pa.array(first))
