"""The kernel of minhash.cu once more, in Numba, where the very functions of ``kernels/minhashing.py`` are compiled in.

A second opinion on the CUDA C, and the one that Numba's simulator runs. Started as a program with
NUMBA_ENABLE_CUDASIM=1, it prints how many documents have the keys of the CPU's kernel. Local arrays become registers,
because all loops over them have a fixed length (a test on machine code holds that).
"""

import numpy as np
from numba import cuda, types

from gpurefine.kernels.minhashing import begin_key, finish_key, fold

SIGNATURE = types.void(types.uint32[::1], types.int64[::1], types.uint32[::1], types.uint32[::1], types.uint64[:, ::1])


def band_keys_kernel(BANDS, ROWS, SLICE_BANDS, PER_THREAD, THREADS, CHUNK, **_):
    """The kernel for the sizes of ``Sizes.macros``, not compiled yet: uint64 keys as (bands, n), no view."""
    held = PER_THREAD * THREADS

    def band_keys(shingles, offsets, multipliers, increments, keys):
        staged = cuda.shared.array(CHUNK, types.uint32)
        minima = cuda.shared.array(held, types.uint32)
        a = cuda.local.array(PER_THREAD, types.uint32)
        b = cuda.local.array(PER_THREAD, types.uint32)
        least = cuda.local.array(PER_THREAD, types.uint32)
        thread = np.int32(cuda.threadIdx.x)
        first_band = np.int32(cuda.blockIdx.y) * np.int32(SLICE_BANDS)
        bands = min(np.int32(BANDS) - first_band, np.int32(SLICE_BANDS))
        for j in range(PER_THREAD):
            function = np.int32(j * THREADS + thread)
            row, band = function // np.int32(SLICE_BANDS), function % np.int32(SLICE_BANDS)
            a[j], b[j] = np.uint32(0), np.uint32(0)
            if row < ROWS and band < bands:
                place = row * BANDS + first_band + band
                a[j], b[j] = multipliers[place], increments[place]
        for document in range(cuda.blockIdx.x, offsets.size - 1, cuda.gridDim.x):
            base, end = offsets[document], offsets[document + 1]
            if base == end:
                for band in range(thread, bands, THREADS):
                    keys[first_band + band, document] = np.uint64(0)
                continue
            for j in range(PER_THREAD):
                least[j] = np.uint32(0xFFFFFFFF)
            while base < end:
                count = np.int32(min(end - base, CHUNK))
                padded = (count + np.int32(3)) & np.int32(-4)
                cuda.syncthreads()
                for i in range(thread, padded, THREADS):
                    staged[i] = shingles[base + min(i, count - 1)]
                cuda.syncthreads()
                i = np.int32(0)
                while i < padded:
                    x0, x1 = staged[i], staged[i + np.int32(1)]
                    x2, x3 = staged[i + np.int32(2)], staged[i + np.int32(3)]
                    for j in range(PER_THREAD):
                        # a product of uint32 has 64 bits in Numba; the outer conversion makes one multiply-add of it
                        least[j] = min(least[j], np.uint32(np.uint32(a[j] * x0) + b[j]))
                        least[j] = min(least[j], np.uint32(np.uint32(a[j] * x1) + b[j]))
                        least[j] = min(least[j], np.uint32(np.uint32(a[j] * x2) + b[j]))
                        least[j] = min(least[j], np.uint32(np.uint32(a[j] * x3) + b[j]))
                    i += np.int32(4)
                base += CHUNK
            for j in range(PER_THREAD):
                minima[j * THREADS + thread] = least[j]
            cuda.syncthreads()
            for band in range(thread, bands, THREADS):
                key = begin_key(first_band + band)
                for row in range(0, ROWS - 1, 2):
                    low, high = minima[row * SLICE_BANDS + band], minima[(row + 1) * SLICE_BANDS + band]
                    # in the simulator a compiled function gives back a plain int
                    key = fold(np.uint64(key), np.uint64(high) << np.uint64(32) | np.uint64(low))
                if ROWS % 2:
                    key = fold(np.uint64(key), np.uint64(minima[(ROWS - 1) * SLICE_BANDS + band]))
                keys[first_band + band, document] = finish_key(np.uint64(key))

    return band_keys


def agreeing_documents(sizes, lengths, blocks, chunk):
    """How many documents of these lengths have the CPU's keys in all bands."""
    from gpurefine import kernels
    from gpurefine.dedup.permutations import permutations

    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    shingles = np.random.default_rng(8).integers(0, 1 << 32, offsets[-1], dtype=np.uint32)
    family = permutations(1, sizes.bands, sizes.rows)
    tables = family.multipliers, family.increments
    expected, found = np.full((2, sizes.bands, len(lengths)), 77, np.uint64)
    kernels.band_keys(shingles, offsets, *tables, sizes.bands, sizes.rows, expected)
    kernel = cuda.jit(band_keys_kernel(**sizes.macros() | {"CHUNK": chunk}))
    kernel[(blocks, sizes.slices), sizes.threads](shingles, offsets, *tables, found)
    return int((expected == found).all(axis=0).sum())


if __name__ == "__main__":
    from gpurefine.kernels.cuda.minhash import Sizes

    np.seterr(over="ignore")  # the simulator computes with NumPy's scalars
    even = Sizes(5, 4, slice_bands=3, per_thread=2, threads=6, blocks=1)
    odd = Sizes(7, 3, slice_bands=7, per_thread=6, threads=4, blocks=1)
    print(agreeing_documents(even, [0, 1, 3, 4, 17, 0, 33], 2, 16), agreeing_documents(odd, [5, 0, 2, 40, 8], 3, 8))
