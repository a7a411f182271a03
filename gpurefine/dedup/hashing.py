"""Hashes of texts and ids: equality of texts, and choices that depend on neither order nor partitioning.

Both are XXH3 (Collet), whose values are fixed by its specification, so they are the same on every machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash

from gpurefine.frames import host_text_buffers

if TYPE_CHECKING:
    from gpurefine.frames import Column


def text_hashes(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """128-bit hashes of texts: xxh3_128 of the UTF-8 bytes.

    Two different texts among n get one hash with probability n**2 / 2**129 (3e-19 for 10**10 texts), unless somebody
    builds them so: XXH3 is not a cryptographic hash.

    Parameters
    ----------
    column : n texts, of pandas or cuDF; null counts as empty. They are hashed in the host's memory

    Returns
    -------
    high, low : uint64, (n,); the canonical digest is high then low, big-endian
    """
    data, offsets = host_text_buffers(column)
    view, ends = memoryview(data), offsets.tolist()
    digests = b"".join(xxhash.xxh3_128_digest(view[begin:end]) for begin, end in itertools.pairwise(ends))
    words = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])


def text_digests(column: Column) -> pa.Array:
    """The hashes of ``text_hashes`` as canonical digests: binary(16), (n,)."""
    digests = np.stack(text_hashes(column), axis=1).astype(">u8").tobytes()
    return pa.Array.from_buffers(pa.binary(16), len(column), [None, pa.py_buffer(digests)])


def keyed_hash(seed: int, ids: Iterable[str]) -> np.ndarray:
    """A random-looking number for each id, the same wherever and whenever the id is met with this seed.

    Parameters
    ----------
    seed : 0 .. 2**64 - 1
    ids : n ids

    Returns
    -------
    uint64, (n,): xxh3_64 of the id's UTF-8 bytes under the seed
    """
    hashed = xxhash.xxh3_64_intdigest
    return np.fromiter((hashed(name.encode(), seed) for name in ids), np.uint64)
