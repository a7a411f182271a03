"""Sums, minima and maxima over the threads of a block (block.cuh), against NumPy."""

import numpy as np
import pytest

from gpurefine.kernels.cuda.device import launch_blocks, to_device
from gpurefine.kernels.cuda.source import _with_headers

#: A block takes row after row of values, one a thread, and puts the five results of each thread beside each other. The
#: functions follow each other without a barrier, so that each must leave the shared memory as it may be used again.
KERNEL = """
extern "C" __global__ void combine(const VALUE* values, long long rows, VALUE* results) {
    __shared__ VALUE shared[THREADS];
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const VALUE value = values[row * THREADS + threadIdx.x];
        VALUE* result = results + (row * THREADS + threadIdx.x) * 5;
        result[0] = block_exclusive_sum<THREADS>(value, shared, result[1]);
        result[2] = block_min<THREADS>(value, shared);
        result[3] = block_sum<THREADS>(value, shared);
        result[4] = block_max<THREADS>(value, shared);
    }
}
"""


def results(cupy, values):
    rows, threads = values.shape
    name = {"uint32": "u32", "uint64": "u64", "int64": "i64"}[values.dtype.name]
    text = _with_headers("block.cuh", set()) + KERNEL
    kernel = cupy.RawKernel(text, "combine", ("--std=c++17", f"-DTHREADS={threads}", f"-DVALUE={name}"))
    found = to_device(np.zeros((rows, threads, 5), values.dtype))
    launch_blocks(kernel, rows, to_device(values), rows, found, threads=threads)
    return found.get()


@pytest.mark.parametrize("order", ["rising", "falling"])
@pytest.mark.parametrize(("threads", "dtype"), [(16, "uint32"), (128, "uint64"), (256, "int64"), (1024, "uint32")])
def test_equal_numpys(cuda, threads, dtype, order):
    generator = np.random.default_rng(threads)
    limits = np.iinfo(dtype)
    values = generator.integers(limits.min // 2000, limits.max // 2000, (7, threads), dtype)
    values[1], values[2], values[3] = 1, 0, np.arange(threads)
    values[4, :], values[4, threads // 2 :] = 5, 3
    found = results(cuda(order=order), values)
    assert np.array_equal(found[:, :, 0], np.cumsum(values, axis=1, dtype=dtype) - values)
    for place, expected in ((1, values.sum(1, dtype=dtype)), (2, values.min(1)), (3, values.sum(1, dtype=dtype))):
        assert np.array_equal(found[:, :, place], np.repeat(expected[:, None], threads, 1))
    assert np.array_equal(found[:, :, 4], np.repeat(values.max(1)[:, None], threads, 1))


def test_sums_of_unsigned_numbers_wrap(cuda):
    values = np.full((1, 32), 0xF0000001, np.uint32)
    found = results(cuda(), values)
    assert np.array_equal(found[0, :, 0], np.arange(32, dtype=np.uint32) * np.uint32(0xF0000001))


@pytest.mark.parametrize("barrier", range(6))
def test_each_barrier_is_needed(emulated, barrier):
    """The emulation would notice a missing one."""

    def without(text):
        pieces = text.split("__syncthreads();")
        assert len(pieces) == 7
        pieces[barrier : barrier + 2] = [pieces[barrier] + pieces[barrier + 1]]
        return "__syncthreads();".join(pieces)

    values = np.random.default_rng(1).integers(0, 1000, (3, 32), np.uint32)
    expected = results(emulated(), values)
    found = [results(emulated(change=without, order=order), values) for order in ("rising", "falling")]
    assert not all(np.array_equal(each, expected) for each in found)
