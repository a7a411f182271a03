"""Keys of lines on a CUDA device: launches the kernels in linekeys.cu.

It takes the place of ``gpurefine.kernels.cpu.linekeys`` where the text lies on a device, and gives the same keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurefine.kernels.cuda.device import check_array, check_offsets, kernel, launch

if TYPE_CHECKING:
    import cupy

#: Threads of a block: each has 96 bytes of shared memory.
THREADS = 128
#: Bytes of a line that one thread takes; some milliseconds, estimated from the instructions.
LONGEST = 1 << 15
#: Bytes of text for which there is a word of a bitmap.
_WORD = 32


def macros(md5: bool, longest: int = LONGEST) -> dict[str, int]:
    """Sizes that ``line_keys`` of linekeys.cu is compiled with."""
    return {"THREADS": THREADS, "MD5": int(md5), "LONGEST": longest}


def line_keys(
    data: cupy.ndarray,
    offsets: cupy.ndarray,
    classes: cupy.ndarray,
    ascii_map: cupy.ndarray,
    place: cupy.ndarray,
    replacements: cupy.ndarray,
    md5: bool,
    longest: int = LONGEST,
) -> tuple[cupy.ndarray, cupy.ndarray, cupy.ndarray, cupy.ndarray]:
    """Hash each line after it was stripped and its characters were replaced, but those that are very long.

    Beside its results it needs 0.41 bytes a byte of text and 8 bytes a line while it works. It waits for the device to
    learn how many lines there are and how many of them are too long, and for the checks of the offsets.

    Parameters
    ----------
    data, offsets, classes, ascii_map, place, replacements, md5 : as in ``gpurefine.kernels.cpu.linekeys.line_keys``,
        but on the current device and without gaps
    longest : bytes of a line that is not too long

    Returns
    -------
    keys : uint64, (2, lines)
    starts : int64, (n + 1,)
    visible : bool, (lines,)
    long_lines : int64, (k, 3), in no order: number, first byte, and the one behind the last, of each line of more than
        ``longest`` bytes, for which nothing stands in ``keys`` and ``visible``

    Raises
    ------
    ValueError
        if sizes or types do not fit together
    """
    import cupy

    _check(data, classes, ascii_map, place, replacements)
    first, last = check_offsets(offsets, data.size)
    if first == last:
        none = cupy.empty((2, 0), cupy.uint64), cupy.zeros(offsets.size, cupy.int64), cupy.empty(0, cupy.bool_)
        return *none, cupy.empty((0, 3), cupy.int64)
    newlines, before, starts = _find_lines(data, offsets, first, last)
    documents, lines = offsets.size - 1, int(starts[-1])
    keys, visible = cupy.empty((2, lines), cupy.uint64), cupy.empty(lines, cupy.bool_)
    long_count = cupy.zeros(1, cupy.uint64)
    long_lines = cupy.empty(((last - first) // (longest + 1), 3), cupy.int64)
    launch(
        kernel("linekeys", "line_keys", **macros(md5, longest)), lines, data, offsets, starts, documents, newlines,
        before, lines, classes, ascii_map, place, replacements, keys, visible, long_count, long_lines, threads=THREADS,
    )  # fmt: skip
    return keys, starts, visible, long_lines[: int(long_count[0])]


def _find_lines(data, offsets, first: int, last: int) -> tuple[cupy.ndarray, cupy.ndarray, cupy.ndarray]:
    """Positions of newlines, how many there are before each text, and the first line of each text."""
    import cupy

    # a bitmap begins at a multiple of 32; it has a bit for the byte behind the last one, at which a text ends
    words = (last - first // _WORD * _WORD) // _WORD + 1
    marks, counts = cupy.empty(words, cupy.uint32), cupy.empty(words, cupy.uint8)
    launch(kernel("linekeys", "mark_newlines"), words, data, offsets, offsets.size - 1, marks, counts, words)
    until = cupy.cumsum(counts, dtype=cupy.int64)
    newlines, before = cupy.empty(int(until[-1]), cupy.uint64), cupy.empty(offsets.size, cupy.int64)
    launch(kernel("shingles", "list_words"), words, offsets, marks, until, newlines, words)
    launch(kernel("shingles", "count_before"), offsets.size, offsets, offsets.size, marks, until, before)
    starts = before.copy()
    starts[1:] += cupy.cumsum((offsets[1:] > offsets[:-1]).astype(cupy.int64))
    return newlines, before, starts


def _check(data, classes, ascii_map, place, replacements) -> None:
    """Refuse arrays that do not fit, because the kernels look at no bounds."""
    tables = ("classes", classes), ("ascii_map", ascii_map), ("replacements", replacements)
    for name, array in (("data", data), *tables):
        check_array(name, array, "uint8")
    check_array("place", place, "uint32")
    if classes.size != 0x110000 or ascii_map.size != 128 or place.size != 0x110000:
        raise ValueError("tables need 128 ASCII characters and 0x110000 code points")
