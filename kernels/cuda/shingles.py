"""Text or tokens to shingle hashes on a CUDA device: launches the kernels in shingles.cu.

The functions take the place of those of the same names in ``gpurefine.kernels.cpu.shingles`` where text and units lie
on a device, and give the same numbers for valid UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurefine.kernels.cuda.device import check_array, check_offsets, kernel, launch, launch_blocks

if TYPE_CHECKING:
    import cupy

#: Threads of a block, and shingles that it takes at a time.
THREADS, TILE = 256, 2048
#: Bytes of text for which there is a word of a bitmap.
_WORD = 32


def word_units(data: cupy.ndarray, offsets: cupy.ndarray, classes: cupy.ndarray) -> tuple[cupy.ndarray, cupy.ndarray]:
    """Words of each text, hashed.

    Beside its results it needs 0.54 bytes a byte of text while it works. It waits for the device to learn how many
    words there are, and for the checks of the offsets.

    Parameters
    ----------
    data, offsets, classes : as in ``gpurefine.kernels.cpu.shingles.word_units``, but on the current device and without
        gaps. Bytes that are no UTF-8 do no harm, but need not give what they give there

    Returns
    -------
    units : uint64, a 64-bit hash of each word's bytes
    starts : int64, (n + 1,); text i has ``units[starts[i]:starts[i + 1]]``

    Raises
    ------
    ValueError
        if sizes or types do not fit together
    """
    import cupy

    check_array("classes", classes, "uint8")
    if classes.size != 0x110000:
        raise ValueError("a table of classes needs 0x110000 code points")
    documents, words = _check_text(data, offsets)
    if not words:
        return cupy.empty(0, cupy.uint64), cupy.zeros(documents + 1, cupy.int64)
    stops, starts = cupy.zeros(words, cupy.uint32), cupy.empty(words, cupy.uint32)
    counts = cupy.empty(words, cupy.uint8)
    launch(_kernel("mark_edges"), documents + 1, offsets, documents + 1, stops)
    launch(_kernel("mark_words"), words, data, offsets, documents, classes, stops, starts, counts, words)
    until = cupy.cumsum(counts, dtype=cupy.int64)
    units = cupy.empty(int(until[-1]), cupy.uint64)
    launch(_kernel("list_words"), words, offsets, starts, until, units, words)
    launch(_kernel("hash_words"), units.size, data, offsets, stops, units, units.size)
    return units, _units_before(offsets, starts, until)


def character_units(data: cupy.ndarray, offsets: cupy.ndarray) -> tuple[cupy.ndarray, cupy.ndarray]:
    """Code points of each text.

    Beside its results it needs 0.41 bytes a byte of text while it works, and it waits as ``word_units`` does.

    Parameters
    ----------
    data, offsets : as in ``word_units``

    Returns
    -------
    units : uint32, code points
    starts : int64, (n + 1,); text i has ``units[starts[i]:starts[i + 1]]``

    Raises
    ------
    ValueError
        if sizes or types do not fit together
    """
    import cupy

    documents, words = _check_text(data, offsets)
    if not words:
        return cupy.empty(0, cupy.uint32), cupy.zeros(documents + 1, cupy.int64)
    starts, counts = cupy.empty(words, cupy.uint32), cupy.empty(words, cupy.uint8)
    launch(_kernel("mark_characters"), words, data, offsets, documents, starts, counts, words)
    until = cupy.cumsum(counts, dtype=cupy.int64)
    units = cupy.empty(int(until[-1]), cupy.uint32)
    bytes_marked = _WORD * words
    launch(_kernel("list_characters"), bytes_marked, data, offsets, documents, starts, until, units, bytes_marked)
    return units, _units_before(offsets, starts, until)


def shingle_hashes(units: cupy.ndarray, offsets: cupy.ndarray, n: int) -> tuple[cupy.ndarray, cupy.ndarray]:
    """The hash of each run of n consecutive units; of fewer units, but at least one, all are one shingle.

    It needs 8 bytes a text while it works. It waits for the device to learn how many shingles there are, and for the
    checks of the offsets.

    Parameters
    ----------
    units : uint16, uint32 or uint64, the units of all texts, on the current device and without gaps
    offsets : int64, (texts + 1,); text i has ``units[offsets[i]:offsets[i + 1]]``
    n : units a shingle, at least 1

    Returns
    -------
    hashes : uint32, well mixed; repeated shingles are repeated
    starts : int64, (texts + 1,); text i has ``hashes[starts[i]:starts[i + 1]]``

    Raises
    ------
    ValueError
        if sizes or types do not fit together
    """
    import cupy

    if units.dtype.kind != "u" or units.itemsize == 1:
        raise ValueError(f"units must be uint16, uint32 or uint64, not {units.dtype}")
    check_array("units", units, units.dtype.name)
    check_offsets(offsets, units.size)
    if n < 1:
        raise ValueError(f"a shingle of {n} units: take at least 1")
    documents = offsets.size - 1
    starts = cupy.zeros(documents + 1, cupy.int64)
    if documents:
        counts = cupy.empty(documents, cupy.int64)
        launch(_kernel("count_shingles"), documents, offsets, documents, n, counts)
        starts[1:] = cupy.cumsum(counts)
    hashes = cupy.empty(int(starts[-1]), cupy.uint32)
    tiles = -(-hashes.size // TILE)
    function = kernel("shingles", "hash_shingles", **macros(units.itemsize))
    launch_blocks(function, tiles, units, offsets, starts, documents, n, hashes, tiles, threads=THREADS)
    return hashes, starts


def macros(unit_bytes: int) -> dict[str, int]:
    """Sizes that ``hash_shingles`` of shingles.cu is compiled with, by the bytes of a unit."""
    return {"UNIT_BITS": 8 * unit_bytes, "THREADS": THREADS, "TILE": TILE}


def _kernel(name: str) -> cupy.RawKernel:
    return kernel("shingles", name)


def _check_text(data, offsets) -> tuple[int, int]:
    """How many documents there are and words of a bitmap; refuses arrays that do not fit. Waits for the offsets."""
    check_array("data", data, "uint8")
    first, last = check_offsets(offsets, data.size)
    # a bitmap begins at a multiple of 32; it has a bit for the byte behind the last one, since a document ends there
    return offsets.size - 1, (last - first // _WORD * _WORD) // _WORD + 1 if first < last else 0


def _units_before(offsets, starts, until) -> cupy.ndarray:
    """The number of units before each text and behind the last."""
    import cupy

    before = cupy.empty(offsets.size, cupy.int64)
    launch(_kernel("count_before"), offsets.size, offsets, offsets.size, starts, until, before)
    return before
