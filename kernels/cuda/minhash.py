"""Band keys on a CUDA device: chooses sizes for the kernel in minhash.cu, compiles it through CuPy and launches it.

It takes the place of ``gpurefine.kernels.cpu.minhash.band_keys`` where shingles lie on a device, and gives the same
keys. CuPy is imported when a kernel is launched; what is decided here needs no device and no CUDA library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpurefine.kernels.cpu.lanes import LANES
from gpurefine.kernels.cuda.device import check_array, check_offsets, current_multiprocessors, kernel, typed

if TYPE_CHECKING:
    import cupy

#: Functions that a thread can hold: multiplier, increment and minimum take 54 of the 128 registers that it gets.
MOST_PER_THREAD = 18
#: The largest block, and with it the most rows that a band can have, since a block folds whole bands.
MOST_THREADS = 256
MOST_ROWS = MOST_PER_THREAD * MOST_THREADS

#: Threads of a multiprocessor that share its 65,536 registers: 64 each suffice for this many functions, else 128.
_FEW_PER_THREAD, _THREADS_OF_FEW, _THREADS_OF_MANY = 9, 1024, 512
#: Functions times hashes of one turn of the hot loop, at least; below it, the loop's own instructions weigh.
_TURN = 64


@dataclass(frozen=True)
class Sizes:
    """Sizes that the kernel is compiled with.

    Attributes
    ----------
    bands, rows : the shape
    slice_bands : bands that a block works on; the last slice may have fewer
    per_thread : hash functions that a thread holds
    threads : threads of a block
    blocks : blocks that share a multiprocessor, which bounds the registers of a thread
    """

    bands: int
    rows: int
    slice_bands: int
    per_thread: int
    threads: int
    blocks: int

    @property
    def slices(self) -> int:
        """Blocks that share the bands of a document."""
        return -(-self.bands // self.slice_bands)

    @property
    def use(self) -> float:
        """Share of the computed minima that belong to a function: the rest is padding."""
        return self.bands * self.rows / (self.slices * self.threads * self.per_thread)

    def macros(self) -> dict[str, int]:
        """The sizes by the names they have in minhash.cu."""
        return {
            "BANDS": self.bands,
            "ROWS": self.rows,
            "SLICE_BANDS": self.slice_bands,
            "PER_THREAD": self.per_thread,
            "THREADS": self.threads,
            "BLOCKS": self.blocks,
            "CHUNK": 8 * self.threads,
            "UNROLL": max(1, _TURN // (4 * self.per_thread)),
        }


def choose_sizes(bands: int, rows: int) -> Sizes:
    """Sizes for a shape: as little padding as can be had, then few slices, since each reads the hashes again.

    450 bands of 20 rows become two slices of 4,500 functions, 18 for each of 256 threads, of which 97.7 % are real. A
    small shape gets blocks of one warp, which wait for nobody, so that many documents are under way.

    Parameters
    ----------
    bands, rows : at least 1; at most ``MOST_ROWS`` rows

    Raises
    ------
    ValueError
        if a number is out of its range
    """
    if bands < 1 or not 1 <= rows <= MOST_ROWS:
        raise ValueError(
            f"{bands} bands of {rows} rows: a CUDA device computes band keys of 1 to {MOST_ROWS} rows; "
            "take fewer rows, or the CPU"
        )
    fewest = -(-bands * rows // MOST_ROWS)
    choices = []
    for slices in range(fewest, 2 * fewest + 2):
        slice_bands = -(-bands // min(slices, bands))
        for threads in (32, 64, 128, MOST_THREADS):
            per_thread = -(-slice_bands * rows // threads)
            if per_thread <= MOST_PER_THREAD:
                resident = _THREADS_OF_FEW if per_thread <= _FEW_PER_THREAD else _THREADS_OF_MANY
                choices.append(Sizes(bands, rows, slice_bands, per_thread, threads, resident // threads))
    return max(choices, key=lambda sizes: (sizes.use, -sizes.slices, -sizes.threads))


def choose_grid(sizes: Sizes, documents: int, multiprocessors: int) -> tuple[int, int]:
    """Blocks to launch: as many as are under way at a time, and each goes on to further documents.

    Parameters
    ----------
    sizes : what the kernel is compiled with
    documents : number of documents, at least 1
    multiprocessors : number of the device's multiprocessors

    Returns
    -------
    blocks that take different documents, blocks that share one
    """
    return max(1, min(documents, multiprocessors * sizes.blocks // sizes.slices)), sizes.slices


def band_keys(
    shingles: cupy.ndarray,
    offsets: cupy.ndarray,
    multipliers: cupy.ndarray,
    increments: cupy.ndarray,
    bands: int,
    rows: int,
    out: cupy.ndarray,
) -> None:
    """The key of each band of each document, on the current device and CuPy's current stream.

    Parameters
    ----------
    shingles, offsets, multipliers, increments, bands, rows : as in ``gpurefine.kernels.band_keys``, but on the device
        and without gaps; at most ``MOST_ROWS`` rows
    out : uint64, (bands, n), keys of a band beside each other; 0 in all bands of a document without shingles

    Raises
    ------
    ValueError
        if sizes or types do not fit together
    """
    sizes = choose_sizes(bands, rows)
    _check(shingles, offsets, multipliers, increments, bands * rows)
    documents = offsets.size - 1
    if out.dtype != "uint64" or out.shape != (bands, documents):
        raise ValueError("out needs a row of uint64 for each band and a column for each document")
    if documents == 0:
        return
    if (documents > 1 and out.strides[1] != out.itemsize) or out.strides[0] % out.itemsize:
        raise ValueError("out needs the keys of a band beside each other")
    grid = choose_grid(sizes, documents, current_multiprocessors())
    stride = out.strides[0] // out.itemsize
    arguments = (shingles, offsets, documents, multipliers, increments, out, stride)
    kernel("minhash", "band_keys", **sizes.macros())(grid, (sizes.threads,), typed(arguments))


def new_band_keys(
    shingles: cupy.ndarray,
    offsets: cupy.ndarray,
    multipliers: cupy.ndarray,
    increments: cupy.ndarray,
    bands: int,
    rows: int,
) -> cupy.ndarray:
    """The key of each band of each document: uint64, (bands, n), on the device; see ``band_keys``."""
    import cupy

    out = cupy.empty((bands, offsets.size - 1), cupy.uint64)
    band_keys(shingles, offsets, multipliers, increments, bands, rows, out)
    return out


def _check(shingles, offsets, multipliers, increments, functions) -> None:
    """Refuse arrays that do not fit, because the kernel looks at no bounds. Waits for the offsets."""
    for name, array in (("shingles", shingles), ("multipliers", multipliers), ("increments", increments)):
        check_array(name, array, "uint32")
    if multipliers.size != increments.size or multipliers.size < functions or multipliers.size % LANES:
        raise ValueError("a table of hash functions needs bands * rows entries, padded to a multiple of LANES")
    check_offsets(offsets, shingles.size)
