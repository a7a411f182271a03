"""Arrays on a CUDA device and kernels that are launched on them. CuPy is imported when one of these is called."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from gpurefine.kernels.cuda.source import compiler_options, kernel_source

if TYPE_CHECKING:
    import cupy

#: Threads of a block where nothing speaks for another number.
THREADS = 256
#: Blocks for each multiprocessor, at most, of a kernel whose threads go on to further items.
BLOCKS_A_MULTIPROCESSOR = 16


def on_device(array: Any) -> bool:
    """Whether an array lies on a CUDA device."""
    return hasattr(array, "__cuda_array_interface__")


def to_device(array: np.ndarray) -> cupy.ndarray:
    """A copy of an array on the current device."""
    import cupy

    return cupy.asarray(array)


class _Constant:
    """An array as a key: the same array is the same key, whatever it holds."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Constant) and self.array is other.array

    def __hash__(self) -> int:
        return id(self.array)


@functools.lru_cache(maxsize=64)
def _copy_on(device: int, constant: _Constant) -> cupy.ndarray:
    return to_device(constant.array)


def constant_on_device(array: np.ndarray) -> cupy.ndarray:
    """A copy of a table on the current device, made once; the table is kept and must never change."""
    import cupy

    return _copy_on(cupy.cuda.Device().id, _Constant(array))


def to_host(array: Any) -> np.ndarray:
    """The values of an array of either kind as a NumPy array; waits for the device."""
    return array.get() if on_device(array) else array


@functools.lru_cache(maxsize=256)
def kernel(file: str, name: str, **sizes: int) -> cupy.RawKernel:
    """A kernel, compiled at its first launch on each device; CuPy keeps the machine code on disk.

    Parameters
    ----------
    file : name of the ``.cu`` file, without its ending
    name : of the function
    sizes : macros of the file
    """
    import cupy

    return cupy.RawKernel(kernel_source(file), name, compiler_options(sizes))


def device_memory() -> int:
    """Bytes of the current device's memory, taken or not: how much of it a pool has only kept, no call tells."""
    import cupy

    _, total = cupy.cuda.runtime.memGetInfo()
    return total


@functools.cache
def multiprocessors(device: int) -> int:
    """Multiprocessors of a device."""
    import cupy

    return cupy.cuda.Device(device).attributes["MultiProcessorCount"]


def current_multiprocessors() -> int:
    """Multiprocessors of the current device."""
    import cupy

    return multiprocessors(cupy.cuda.Device().id)


def launch(function: cupy.RawKernel, items: int, *arguments: Any, threads: int = THREADS) -> None:
    """Launch a kernel whose threads take one of ``items`` after another (a grid-stride loop); nothing for no items.

    Parameters
    ----------
    function : from ``kernel``
    items : how many there are; the kernel must be given their number, too
    arguments : CuPy arrays without gaps, and whole numbers, which the kernel takes as ``long long``
    threads : of a block
    """
    if items:
        blocks = min(-(-items // threads), current_multiprocessors() * BLOCKS_A_MULTIPROCESSOR)
        function((blocks,), (threads,), typed(arguments))


def launch_blocks(function: cupy.RawKernel, items: int, *arguments: Any, threads: int = THREADS) -> None:
    """As ``launch``, for a kernel whose blocks take one item after another."""
    if items:
        blocks = min(items, current_multiprocessors() * BLOCKS_A_MULTIPROCESSOR)
        function((blocks,), (threads,), typed(arguments))


def typed(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of a launch with whole numbers as int64, so that their size is known."""
    return tuple(np.int64(each) if isinstance(each, int) else each for each in arguments)


def check_array(name: str, array: Any, dtype: str) -> None:
    """Raise ValueError if an array is no single row of ``dtype`` without gaps: kernels look at no bounds."""
    if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
        raise ValueError(f"{name} must be one row of {dtype} without gaps, not {array.dtype} of {array.shape}")


def check_offsets(offsets: cupy.ndarray, size: int) -> tuple[int, int]:
    """The first and the last offset (int64). Waits for the device, once.

    Raises ValueError if there are none, or if they are not rising within ``size`` items.
    """
    import cupy

    check_array("offsets", offsets, "int64")
    if offsets.size == 0:
        raise ValueError(f"offsets must begin at 0 or above and end within the {size} items: there are none")
    falls = (offsets[1:] < offsets[:-1]).any().astype(cupy.int64)
    first, last, falling = cupy.stack([offsets[0], offsets[-1], falls]).get().tolist()
    if first < 0 or last > size:
        raise ValueError(f"offsets must begin at 0 or above and end within the {size} items")
    if falling:
        raise ValueError("offsets must not fall")
    return first, last
