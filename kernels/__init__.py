"""Arithmetic on arrays: the one door to the kernels. No frames, no files, nothing of ours is imported from here.

``scalar`` holds what every side shares; ``cpu`` holds the kernels in Numba.
"""

from gpurefine.kernels.cpu.collisions import EMPTY, link_equal_keys
from gpurefine.kernels.cpu.components import flatten, merge_sorted, unite

__all__ = ["EMPTY", "flatten", "link_equal_keys", "merge_sorted", "unite"]
