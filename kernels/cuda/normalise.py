"""Text to normalised text on a CUDA device: launches the kernels in normalise.cu.

It takes the place of ``gpurefine.kernels.cpu.normalise.normalise_text`` where the text lies on a device, and gives the
same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurefine.kernels.cuda.device import check_array, check_offsets, kernel, launch, launch_blocks

if TYPE_CHECKING:
    import cupy

#: Threads of a block; a thread takes 16 bytes.
THREADS = 256
_TILE = 16 * THREADS
MACROS = {"THREADS": THREADS}


def normalise_text(
    data: cupy.ndarray,
    offsets: cupy.ndarray,
    ascii_map: cupy.ndarray,
    place: cupy.ndarray,
    replacements: cupy.ndarray,
) -> tuple[cupy.ndarray, cupy.ndarray]:
    """Replace each code point; blanks that follow each other become one, those at the ends go.

    The text is read twice. Beside its results it needs 0.13 bytes a byte of text while it works. It waits for the
    device to learn how long the texts become, and for the checks of the offsets.

    Parameters
    ----------
    data, offsets, ascii_map, place, replacements : as in ``gpurefine.kernels.cpu.normalise.normalise_text``, but on the
        current device and without gaps

    Returns
    -------
    out : uint8, the normalised texts, one behind the other
    out_offsets : int64, (n + 1,), from 0 on

    Raises
    ------
    ValueError
        if sizes or types do not fit together
    """
    import cupy

    _check(data, ascii_map, place, replacements)
    first, last = check_offsets(offsets, data.size)
    documents = offsets.size - 1
    if first == last:
        return cupy.empty(0, cupy.uint8), cupy.zeros(documents + 1, cupy.int64)
    # tiles begin at a multiple of 16; the byte behind the last one belongs to one, since a document ends there
    tiles = (last - first // 16 * 16) // _TILE + 1
    text = data, offsets, documents, ascii_map, place, replacements
    first_documents = cupy.empty(tiles, cupy.int64)
    launch(_kernel("find_documents"), tiles, offsets, documents, first_documents, tiles)
    segments = cupy.empty(tiles * THREADS, cupy.uint16)
    lengths, pieces, carried = (cupy.empty(tiles, kind) for kind in (cupy.int64, cupy.uint8, cupy.uint8))
    counts = segments, lengths, pieces
    launch_blocks(_kernel("count_normalised"), tiles, *text, first_documents, tiles, *counts, threads=THREADS)
    launch(_kernel("carry_states"), tiles, pieces, lengths, carried, tiles)
    ends = cupy.cumsum(lengths)
    out, out_offsets = cupy.empty(int(ends[-1]), cupy.uint8), cupy.empty(documents + 1, cupy.int64)
    results = segments, carried, ends, out, out_offsets
    launch_blocks(_kernel("write_normalised"), tiles, *text, first_documents, tiles, *results, threads=THREADS)
    return out, out_offsets


def _kernel(name: str) -> cupy.RawKernel:
    return kernel("normalise", name, **MACROS)


def _check(data, ascii_map, place, replacements) -> None:
    """Refuse arrays that do not fit, because the kernels look at no bounds."""
    for name, array in (("data", data), ("ascii_map", ascii_map), ("replacements", replacements)):
        check_array(name, array, "uint8")
    check_array("place", place, "uint32")
    if ascii_map.size != 128 or place.size != 0x110000:
        raise ValueError("a table of replacements needs 128 ASCII characters and 0x110000 code points")
