"""Text statistics on a CUDA device: launches the kernels in stats.cu, which count a block a document.

It takes the place of ``gpurefine.kernels.cpu.stats.text_statistics`` where texts lie on a device and words are what
stands between white space, and gives the same numbers. Documents that would keep one block busy for long, and those
written against the hash table, are counted by the CPU's kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpurefine.kernels.cpu import stats as cpu
from gpurefine.kernels.cpu.stats import FIELDS
from gpurefine.kernels.cpu.words import stop_word_table
from gpurefine.kernels.cuda.device import check_array, check_offsets, kernel, launch_blocks, to_device, to_host

if TYPE_CHECKING:
    import cupy

#: Bytes of the longest document that is counted on the device, where one block has it to itself while all others go on.
#: A CPU core takes some milliseconds for one of this size. It is chosen by arithmetic: nothing was timed on a device.
LONGEST = 1 << 20

#: Documents may be longer by request, as far as their positions and the sums of their counts have 31 bits.
_MOST_BYTES = 1 << 28

#: Threads of a block, and blocks that share a multiprocessor, which bounds the registers of a thread to 64.
THREADS, BLOCKS = 128, 8

#: What the kernels are compiled with.
MACROS = {"THREADS": THREADS, "BLOCKS": BLOCKS}


def text_statistics(
    data: cupy.ndarray,
    offsets: cupy.ndarray,
    classes: cupy.ndarray,
    stop_word_hashes: cupy.ndarray,
    longest: int = LONGEST,
) -> cupy.ndarray:
    """Count all of ``FIELDS`` for each document, on the current device; words are maximal runs without white space.

    Waits for the device to check the offsets, to learn the size of the working memory, and to learn which documents
    the CPU has to count. The working memory is 52 bytes a word, 40 a line, 16 to 32 more for each of the more frequent
    of the two, and a byte for each byte of text: about 14 bytes for a byte of English text, and 63 at most, in
    documents of one-letter lines; and some 350 for each document.

    Parameters
    ----------
    data : uint8, valid UTF-8
    offsets : int64, (documents + 1,); document d is ``data[offsets[d]:offsets[d + 1]]``
    classes : uint8, (0x110000,), class bits of each code point (``kernels.scalar``)
    stop_word_hashes : uint64, different ones, from ``kernels.word_hashes``
    longest : bytes of a document, at most 2**28, above which the CPU counts it

    Returns
    -------
    int64, (documents, len(FIELDS))

    Raises
    ------
    ValueError
        if arrays or ``longest`` are not as described
    MemoryError
        if the working memory does not fit on the device
    """
    import cupy

    _check(data, offsets, classes, stop_word_hashes, longest)
    documents = offsets.size - 1
    rows = cupy.zeros((documents, len(FIELDS)), cupy.int64)
    left_out = cupy.zeros(documents, cupy.uint8)
    places = _places(data, offsets, classes, longest, rows, left_out)
    memory = cupy.empty(int(places[-1]) // 8, cupy.uint64)
    stop_words = to_device(stop_word_table(to_host(stop_word_hashes)))
    launch_blocks(
        kernel("stats", "text_statistics", **MACROS), documents, data, offsets, documents, classes, stop_words,
        stop_words.size, places, memory, rows, left_out, threads=THREADS,
    )  # fmt: skip
    _count_on_host(to_host(cupy.flatnonzero(left_out)), data, offsets, classes, stop_word_hashes, rows)
    return rows


def _places(data, offsets, classes, longest, rows, left_out) -> cupy.ndarray:
    """Where each document's working memory begins, in bytes; counts what needs none into ``rows``."""
    import cupy

    documents = offsets.size - 1
    places = cupy.zeros(documents + 1, cupy.int64)
    sizes = places[1:]
    launch_blocks(
        kernel("stats", "count_items", **MACROS), documents, data, offsets, documents, classes, longest, sizes, rows,
        left_out, threads=THREADS,
    )  # fmt: skip
    places[1:] = cupy.cumsum(sizes)
    return places


def _count_on_host(documents, data, offsets, classes, stop_word_hashes, rows) -> None:
    """Have the CPU count these documents (int64 on the host, few or none) and put their rows in."""
    if documents.size == 0:
        return
    begins, ends = to_host(offsets[to_device(documents)]), to_host(offsets[to_device(documents + 1)])
    texts = [to_host(data[begin:end]) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    lengths = np.concatenate([[0], ends - begins])
    counted = cpu.text_statistics(
        np.concatenate(texts), np.cumsum(lengths), to_host(classes), to_host(stop_word_hashes)
    )
    rows[to_device(documents)] = to_device(counted)


def _check(data, offsets, classes, stop_word_hashes, longest) -> None:
    """Refuse arrays that do not fit, because the kernels look at no bounds. Waits for the offsets."""
    check_array("data", data, "uint8")
    check_array("classes", classes, "uint8")
    check_array("stop_word_hashes", stop_word_hashes, "uint64")
    check_offsets(offsets, data.size)
    if classes.size != 0x110000:
        raise ValueError(f"classes must have an entry for each of the 1,114,112 code points, not {classes.size}")
    if not 0 <= longest <= _MOST_BYTES:
        raise ValueError(f"longest must be between 0 and {_MOST_BYTES} bytes, not {longest}")
