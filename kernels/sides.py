"""Kernels with two sides: NumPy arrays go to the CPU's, CuPy arrays to the GPU's, which gives the same numbers.

What is proportional to the text stays where the arguments are. What is one row a document comes back to the host, where
the same code decides for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpurefine.kernels.cpu import linekeys, minhash, shingles, stats, windows
from gpurefine.kernels.cpu.grouping import read_only
from gpurefine.kernels.cuda import linekeys as cuda_linekeys
from gpurefine.kernels.cuda import minhash as cuda_minhash
from gpurefine.kernels.cuda import shingles as cuda_shingles
from gpurefine.kernels.cuda import stats as cuda_stats
from gpurefine.kernels.cuda import windows as cuda_windows
from gpurefine.kernels.cuda.device import constant_on_device, on_device, to_host

if TYPE_CHECKING:
    import cupy

    Array = np.ndarray | cupy.ndarray


def word_units(data: Array, offsets: Array, classes: np.ndarray) -> tuple[Array, Array]:
    """Words of each text, hashed: see ``kernels.cpu.shingles.word_units``."""
    if on_device(data):
        return cuda_shingles.word_units(data, offsets, constant_on_device(classes))
    return shingles.word_units(data, offsets, classes)


def character_units(data: Array, offsets: Array) -> tuple[Array, Array]:
    """Code points of each text: see ``kernels.cpu.shingles.character_units``."""
    return (cuda_shingles if on_device(data) else shingles).character_units(data, offsets)


def shingle_hashes(units: Array, offsets: Array, n: int) -> tuple[Array, Array]:
    """The hash of each run of n consecutive units: see ``kernels.cpu.shingles.shingle_hashes``."""
    return (cuda_shingles if on_device(units) else shingles).shingle_hashes(units, offsets, n)


def band_keys(
    shingle_hashes: Array,
    offsets: Array,
    multipliers: np.ndarray,
    increments: np.ndarray,
    bands: int,
    rows: int,
    out: np.ndarray,
) -> None:
    """The key of each band of each document, into ``out`` on the host: see ``kernels.cpu.minhash.band_keys``."""
    if not on_device(shingle_hashes):
        minhash.band_keys(shingle_hashes, offsets, multipliers, increments, bands, rows, out)
        return
    tables = constant_on_device(multipliers), constant_on_device(increments)
    out[:] = to_host(cuda_minhash.new_band_keys(shingle_hashes, offsets, *tables, bands, rows))


def text_statistics(
    data: Array,
    offsets: Array,
    classes: np.ndarray,
    stop_word_hashes: np.ndarray,
    words: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """All counts for the repetition and quality rules, on the host: see ``kernels.cpu.stats.text_statistics``.

    Words that are given have positions in a text on the host.
    """
    if on_device(data):
        return to_host(cuda_stats.text_statistics(data, offsets, constant_on_device(classes), stop_word_hashes))
    return stats.text_statistics(data, offsets, classes, stop_word_hashes, words)


def count_windows(tokens: Array, *arguments: Any) -> int:
    """Windows of tokens into a filter of counters: see ``kernels.cpu.windows.count_windows``."""
    return (cuda_windows if on_device(tokens) else windows).count_windows(tokens, *arguments)


def emit_windows(tokens: Array, *arguments: Any) -> tuple[int, int]:
    """Windows of tokens that both filters let through: see ``kernels.cpu.windows.emit_windows``."""
    return (cuda_windows if on_device(tokens) else windows).emit_windows(tokens, *arguments)


def line_keys(
    data: Array,
    offsets: Array,
    classes: np.ndarray,
    ascii_map: np.ndarray,
    place: np.ndarray,
    replacements: np.ndarray,
    md5: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys of the lines of each text, first lines, and which are visible: see ``kernels.cpu.linekeys.line_keys``.

    All come back to the host, where the few lines are hashed that are too long for a thread of a device.
    """
    tables = classes, ascii_map, place, replacements
    if not on_device(data):
        starts = np.empty(len(offsets), np.int64)
        linekeys.count_lines(*read_only(data, offsets), starts)
        keys, visible = np.empty((2, starts[-1]), np.uint64), np.empty(starts[-1], bool)
        linekeys.line_keys(data, offsets, starts, *tables, md5, keys, visible)
        return keys, starts, visible
    found = cuda_linekeys.line_keys(data, offsets, *map(constant_on_device, tables), md5)
    keys, starts, visible, long_lines = map(to_host, found)
    for line, begin, end in long_lines.tolist():
        own = to_host(data[begin:end]), np.array([0, end - begin]), np.array([0, 1])
        linekeys.line_keys(*own, *tables, md5, keys[:, line : line + 1], visible[line : line + 1])
    return keys, starts, visible
