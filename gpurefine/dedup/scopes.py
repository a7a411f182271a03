"""``scope``: documents collide only where they have the same value in a column.

The keys of a document are mixed with hashes of its value there before they are written, so that documents of different
scopes have different keys, and no other phase knows of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash

from gpurefine.dedup.keys import NO_KEY
from gpurefine.documents import TEXT
from gpurefine.frames import arrow_array

if TYPE_CHECKING:
    from gpurefine.frames import Column


def scopable(kind: pa.DataType) -> bool:
    """Whether the values of a column can part documents: strings, integers and truth values."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean)
    return any(is_one(kind) for is_one in tests)


def scope_hashes(column: Column, hashes: int) -> np.ndarray:
    """Hashes of the values of a column.

    Parameters
    ----------
    column : n values of a type that is ``scopable``, of pandas or cuDF. They are hashed in the host's memory
    hashes : how many, independent of each other

    Returns
    -------
    uint64, (hashes, n): xxh3_64 of the value's UTF-8 bytes, as it is written in decimal for a number, under the seeds
    0, 1, ...; 0 for null
    """
    array = arrow_array(column)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    # a table's columns may hold bytes that are no UTF-8
    coded = array.cast(TEXT).cast(pa.large_binary()).dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    values = coded.dictionary.to_pylist()
    hashed = np.array(
        [[*(xxhash.xxh3_64_intdigest(value, seed) for value in values), 0] for seed in range(hashes)], np.uint64
    )
    return hashed[:, np.asarray(coded.indices.fill_null(len(values)))]


def scoped_keys(keys: np.ndarray, column: Column | None, bands: int) -> np.ndarray:
    """Keys that are equal only for documents of one scope.

    Two documents of different scopes get one key with the probability of two different texts: 2**-64 for each column of
    a key.

    Parameters
    ----------
    keys : uint64, (columns or bands, n), of ``DedupStage.keys``
    column : the n values of the scope; None if all documents have none
    bands : keys a document, one in each band; 0 for a kind without bands

    Returns
    -------
    uint64 of the same shape. ``NO_KEY`` in a band, or in all columns, stays; no other key of a band becomes it
    """
    if column is None:
        return keys
    salt = scope_hashes(column, 1 if bands else len(keys))
    without = keys == NO_KEY if bands else (keys == NO_KEY).all(axis=0)
    mixed = keys ^ salt
    if bands:
        mixed[mixed == NO_KEY] = 1
    return np.where(without, keys, mixed)
