"""Keys that a run leaves for later ones, so that these can remove copies of its documents.

A run directory has them in ``keys/STAGE/``; no text is in them:

    *.keys                key files of the documents that reached the dedup, those that it removed too
    members-*.parquet     of each of these its id, and which document stayed for it: ``MEMBERS_SCHEMA``
    keys.json             what decides the keys, and all files with their sizes and checksums; written last

Document numbers are those of the run. A later run, whose own documents have the first numbers, shifts them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from gpurefine.dedup.oldkeys import FORMAT_VERSION, INDEX, index_checksum
from gpurefine.dedup.removals import read_removals
from gpurefine.dedup.rowgroups import SEARCHED_ROW_GROUP_BYTES
from gpurefine.documents import ROW_BITS, TEXT, document_numbers
from gpurefine.errors import RunError
from gpurefine.write import TableWriter, finish, read_counts, temporary_path, write_json

#: ``survivor`` is null for a document that stayed; ``run`` is the fingerprint of the survivor's run, null where it is
#: this one.
MEMBERS_SCHEMA = pa.schema(
    [
        pa.field("document", pa.uint64(), False),
        pa.field("id", TEXT),
        pa.field("survivor", TEXT),
        pa.field("run", TEXT),
    ]
)
READ_ROWS = 1 << 15


def write_members(
    sources: Sequence[tuple[int, Path]], removal_paths: Sequence[Path], runs: Mapping[str, str], out_path: Path
) -> dict[str, Any]:
    """Write ``MEMBERS_SCHEMA`` of the documents of some partitions.

    Parameters
    ----------
    sources : index and Parquet file of each partition, whose column ``id`` is read
    removal_paths : what the dedup left
    runs : fingerprint of each old run by its directory, as the removals name it
    out_path : where to; in its footer are ``documents`` and the ``checksum`` of what they are

    Raises
    ------
    RunError
        if a file cannot be read
    DamagedFileError
        if a table of removals is damaged
    """
    checksum, documents = xxhash.xxh3_128(), 0
    with TableWriter(out_path, MEMBERS_SCHEMA, SEARCHED_ROW_GROUP_BYTES) as writer:
        for partition, path in sources:
            removals = read_removals(removal_paths, partition)
            row = 0
            for ids in _ids(path):
                table = _members(ids, (partition << ROW_BITS) + row, removals, runs)
                for batch in table.to_batches():
                    checksum.update(batch.serialize())
                writer.write(table)
                row += len(ids)
            documents += row
        counts = {"documents": documents, "checksum": checksum.hexdigest()}
        writer.close(counts)
    return counts


def _ids(path: Path) -> Iterator[pa.Array]:
    """Ids of a partition's documents, in pieces."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for rows in file.iter_batches(READ_ROWS, columns=["id"], use_threads=False):
                yield rows.column(0).cast(TEXT)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise RunError(f"cannot read {path}: {error}; it is not what was written, use --fresh to start over") from None


def _members(ids: pa.Array, first: int, removals: pa.Table, runs: Mapping[str, str]) -> pa.Table:
    """``MEMBERS_SCHEMA`` of the documents from number ``first`` on."""
    documents = first + document_numbers(0, len(ids))
    gone = np.asarray(removals["document"], np.uint64)
    low, high = np.searchsorted(gone, [first, first + len(ids)])
    places = np.full(len(ids), -1)
    places[(gone[low:high] - np.uint64(first)).astype(np.int64)] = np.arange(low, high)
    taken = removals.take(pa.array(places, mask=places < 0))
    names = taken["run"].combine_chunks().dictionary_encode()
    fingerprints = pa.array([runs[name] for name in names.dictionary.to_pylist()], TEXT)
    columns = [documents, ids, taken["survivor"], fingerprints.take(names.indices)]
    return pa.table(columns, schema=MEMBERS_SCHEMA)


def link_key_file(source: Path, path: Path) -> None:
    """Give a key file a second name, or copy it where the file system knows no such thing; one that is there goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    finish(temporary, path)


def write_index(
    folder: Path,
    settings: Mapping[str, Any],
    run: str,
    partitions: int,
    key_files: Sequence[str],
    member_files: Sequence[str],
    runs: Mapping[str, str],
) -> None:
    """Write ``keys.json``: the other files of the folder are there.

    Parameters
    ----------
    folder, settings, partitions, key_files, member_files, runs : as in ``OldKeys``
    run : fingerprint of the run
    """
    members = [read_counts(folder / name) for name in member_files]
    write_json(
        folder / INDEX,
        {
            "format": FORMAT_VERSION,
            "run": run,
            "settings": dict(settings),
            "partitions": partitions,
            "documents": sum(counts["documents"] for counts in members),
            "key_files": [_described(folder / name, index_checksum(folder / name)) for name in key_files],
            "member_files": [
                _described(folder / name, counts["checksum"])
                for name, counts in zip(member_files, members, strict=True)
            ],
            "runs": dict(sorted(runs.items())),
        },
    )


def _described(path: Path, checksum: str) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "checksum": checksum}
