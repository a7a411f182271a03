"""The integer functions of scalar.cuh and minhashing.cuh, to the bit those of kernels/scalar.py and minhashing.py.

One launch takes many cases: a thread a case, which puts down what each function gives.
"""

import cuda_on_host
import numba
import numpy as np
import pytest

from gpurefine.kernels import minhashing, scalar
from gpurefine.kernels.cuda.device import launch, to_device
from gpurefine.kernels.cuda.source import header_source

#: Words: every function of one or two of them. Bytes: every function of a place among them.
KERNELS = """
extern "C" __global__ void of_words(const u64* left, const u64* right, u64* found, long long cases) {
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < cases; i += (i64)gridDim.x * blockDim.x) {
        u64* row = found + 6 * i;
        row[0] = mix64(left[i]);
        row[1] = fold(left[i], right[i]);
        row[2] = begin_key((u32)left[i]);
        row[3] = finish_key(left[i]);
        row[4] = begin_shingle();
        row[5] = finish_shingle(left[i]);
    }
}
extern "C" __global__ void of_code_points(const u8* data, const i64* places, u64* found, long long cases) {
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < cases; i += (i64)gridDim.x * blockDim.x) {
        found[2 * i] = decode_utf8(data, places[i]);
        found[2 * i + 1] = utf8_length(data[places[i]]);
    }
}
extern "C" __global__ void of_bytes(const u8* data, const i64* begins, const i64* ends, u64* found, long long cases) {
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < cases; i += (i64)gridDim.x * blockDim.x) {
        found[2 * i] = hash_bytes(data, begins[i], ends[i]);
        found[2 * i + 1] = ends[i] - begins[i] >= 8 ? eight_bytes(data, begins[i]) : 0;
    }
}
extern "C" __global__ void of_classes(u64* found, long long cases) {
    const u64 bits[6] = {LETTER, WHITE_SPACE, SYMBOL, UPPER_CASE, DECIMAL_DIGIT, BULLET};
    if (threadIdx.x == 0 && blockIdx.x == 0)
        for (int i = 0; i < cases; ++i) found[i] = bits[i];
}
"""

#: Where words of 32 and 64 bits end.
CORNERS = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


def run(cupy, name, columns, cases, *arrays):
    """What a kernel puts down, a row for each case."""
    function = cupy.RawKernel(header_source("minhashing") + KERNELS, name, ("--std=c++17",))
    found = to_device(np.full((cases, columns), 0xA5A5, np.uint64))
    launch(function, cases, *map(to_device, arrays), found, cases)
    return found.get()


@numba.njit
def word_rows(left, right):
    found = np.empty((left.size, 6), np.uint64)
    for case in range(left.size):
        found[case, 0] = scalar.mix64(left[case])
        found[case, 1] = minhashing.fold(left[case], right[case])
        found[case, 2] = minhashing.begin_key(np.uint32(left[case]))
        found[case, 3] = minhashing.finish_key(left[case])
        found[case, 4] = minhashing.begin_shingle()
        found[case, 5] = minhashing.finish_shingle(left[case])
    return found


@numba.njit
def code_point_rows(data, places):
    found = np.empty((places.size, 2), np.uint64)
    for case in range(places.size):
        found[case, 0], found[case, 1] = scalar.decode_utf8(data, places[case])
    return found


@numba.njit
def byte_rows(data, begins, ends):
    found = np.zeros((begins.size, 2), np.uint64)
    for case in range(begins.size):
        found[case, 0] = scalar.hash_bytes(data, begins[case], ends[case])
        if ends[case] - begins[case] >= 8:
            found[case, 1] = scalar.eight_bytes(data, begins[case])
    return found


def test_functions_of_words(cuda):
    generator = np.random.default_rng(1)
    random = generator.integers(0, 2**64, 5000, np.uint64)
    small = generator.integers(0, 100, 500).astype(np.uint64)
    left = np.r_[np.repeat(np.array(CORNERS, np.uint64), len(CORNERS)), random, small]
    right = np.r_[np.tile(np.array(CORNERS, np.uint64), len(CORNERS)), random[::-1], small[::-1]]
    expected = word_rows(left, right)
    assert np.array_equal(run(cuda(), "of_words", 6, left.size, left, right), expected)
    # the key of folded minima 0 is 1, since 0 says that there are none
    assert left[0] == 0 and expected[0, 3] == 1
    assert len(set(expected[:, 0].tolist())) == len(set(left.tolist()))


def test_every_code_point(cuda):
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    data = np.frombuffer("".join(map(chr, codes)).encode(), np.uint8)
    places = np.flatnonzero((data & 0xC0) != 0x80)
    found = run(cuda(), "of_code_points", 2, places.size, data, places)
    assert found[:, 0].tolist() == codes
    assert np.array_equal(found, code_point_rows(data, places))


def test_bytes_that_are_no_utf_8_give_some_code_point(emulated, programs):
    cupy = emulated(extra_options=cuda_on_host.sanitizers(programs))
    data = np.random.default_rng(2).integers(0, 256, 20_000, np.uint8)
    data[:12] = [0xFF] * 4 + [0xF4, 0xBF, 0xBF, 0xBF] + [0xF8, 0x80, 0x80, 0x80]
    places = np.arange(data.size - 3)
    expected = code_point_rows(data, places)
    assert expected[:, 0].max() == 0x10FFFF and expected[0, 0] == 0x10FFFF
    assert np.array_equal(run(cupy, "of_code_points", 2, places.size, data, places), expected)


@pytest.mark.parametrize("checked", [False, True])
def test_hashes_of_bytes(cuda, programs, checked):
    cupy = cuda(extra_options=cuda_on_host.sanitizers(programs) if checked else ())
    generator = np.random.default_rng(3)
    data = generator.integers(0, 256, 3000, np.uint8)
    begins = np.r_[generator.integers(0, data.size - 70, 4000), 0, data.size, data.size - 7, data.size - 8]
    ends = np.r_[begins[:4000] + np.arange(4000) % 70, data.size, data.size, data.size, data.size]
    expected = byte_rows(data, begins, ends)
    assert np.array_equal(run(cupy, "of_bytes", 2, begins.size, data, begins, ends), expected)
    assert expected[-1, 1] == int.from_bytes(data[-8:].tobytes(), "little")


def test_class_bits(cuda):
    names = ("LETTER", "WHITE_SPACE", "SYMBOL", "UPPER_CASE", "DECIMAL_DIGIT", "BULLET")
    found = run(cuda(), "of_classes", 1, len(names))
    assert found[:, 0].tolist() == [getattr(scalar, name) for name in names]
