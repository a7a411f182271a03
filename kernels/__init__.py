"""Arithmetic on arrays: the one door to the kernels. No frames, no files, nothing of ours is imported from here.

``scalar`` holds what all of them share; ``cpu`` holds the kernels in Numba.
"""

from gpurefine.kernels.cpu.all_copies import ALL_COPIES_FIELDS, all_copies_statistics
from gpurefine.kernels.cpu.band_collisions import link_band_keys
from gpurefine.kernels.cpu.collisions import EMPTY, link_equal_keys
from gpurefine.kernels.cpu.components import flatten, merge_sorted, unite
from gpurefine.kernels.cpu.stats import FIELDS, text_statistics, word_hashes
from gpurefine.kernels.cpu.tags import count_tags

__all__ = [
    "ALL_COPIES_FIELDS",
    "EMPTY",
    "FIELDS",
    "all_copies_statistics",
    "count_tags",
    "flatten",
    "link_band_keys",
    "link_equal_keys",
    "merge_sorted",
    "text_statistics",
    "unite",
    "word_hashes",
]
