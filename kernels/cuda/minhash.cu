// Shingle hashes to band keys in one kernel; no signature leaves the chip. The keys are those of kernels/cpu/minhash.py.
//
// The bands are cut into slices, one for each blockIdx.y, and a block takes one slice of one document after another:
//   * a thread holds PER_THREAD hash functions and their running minima in registers;
//   * the document's hashes pass CHUNK at a time through shared memory, four in one 16-byte read that all threads share;
//   * a four of them costs a function four multiply-adds and two minima of three numbers: nothing else is in the loop
//     but that read and the loop itself, so the multiply-adds decide the time;
//   * a tail that fills no four repeats the last hash, which changes no minimum;
//   * the minima meet in shared memory, [row][band] as in the table of functions, and each thread folds whole bands.
//
// Sizes are fixed when this is compiled (kernels/cuda/minhash.py chooses them):
//   BANDS ROWS     the shape
//   SLICE_BANDS    bands of a slice; the last may have fewer
//   PER_THREAD     functions of a thread: THREADS * PER_THREAD >= SLICE_BANDS * ROWS
//   THREADS BLOCKS threads of a block; blocks that share a multiprocessor, which bounds the registers
//   CHUNK          hashes staged at a time, a multiple of 4
//   UNROLL         fours of hashes that one turn of the loop takes
#include "minhashing.cuh"

#define FUNCTIONS (SLICE_BANDS * ROWS)

static_assert(THREADS * PER_THREAD >= FUNCTIONS, "each function of a slice needs a thread");
static_assert(CHUNK % 4 == 0, "hashes are read in fours");

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
band_keys(const u32* __restrict__ shingles, const long long* __restrict__ offsets, long long documents,
          const u32* __restrict__ multipliers, const u32* __restrict__ increments,
          u64* __restrict__ keys, long long stride)    // a band's keys begin `stride` after those of the band before it
{
    __shared__ __align__(16) u32 staged[CHUNK];
    __shared__ u32 minima[THREADS * PER_THREAD];
    const int thread = threadIdx.x;
    const int first_band = blockIdx.y * SLICE_BANDS;
    const int bands = BANDS - first_band < SLICE_BANDS ? BANDS - first_band : SLICE_BANDS;

    u32 a[PER_THREAD], b[PER_THREAD], least[PER_THREAD];
#pragma unroll
    for (int j = 0; j < PER_THREAD; ++j) {
        const int function = j * THREADS + thread, row = function / SLICE_BANDS, band = function % SLICE_BANDS;
        const bool real = row < ROWS && band < bands;
        const int place = row * BANDS + first_band + band;
        a[j] = real ? multipliers[place] : 0;
        b[j] = real ? increments[place] : 0;
    }

    for (long long document = blockIdx.x; document < documents; document += gridDim.x) {
        const long long begin = offsets[document], end = offsets[document + 1];
        if (begin == end) {                             // the same for all threads: no barrier is missed
            for (int band = thread; band < bands; band += THREADS) keys[(first_band + band) * stride + document] = 0;
            continue;
        }
#pragma unroll
        for (int j = 0; j < PER_THREAD; ++j) least[j] = 0xFFFFFFFFu;
        for (long long base = begin; base < end; base += CHUNK) {
            const int count = end - base < CHUNK ? (int)(end - base) : CHUNK;
            const int padded = (count + 3) & ~3;
            __syncthreads();                            // the chunk before this one is used up
            for (int i = thread; i < padded; i += THREADS) staged[i] = shingles[base + (i < count ? i : count - 1)];
            __syncthreads();
#pragma unroll UNROLL
            for (int i = 0; i < padded; i += 4) {
                const uint4 x = *reinterpret_cast<const uint4*>(staged + i);
#pragma unroll
                for (int j = 0; j < PER_THREAD; ++j) {
                    least[j] = __vimin3_u32(least[j], a[j] * x.x + b[j], a[j] * x.y + b[j]);
                    least[j] = __vimin3_u32(least[j], a[j] * x.z + b[j], a[j] * x.w + b[j]);
                }
            }
        }
        // minima of the document before this one were read before this one's first barrier
#pragma unroll
        for (int j = 0; j < PER_THREAD; ++j) minima[j * THREADS + thread] = least[j];
        __syncthreads();
        for (int band = thread; band < bands; band += THREADS) {
            const u32* column = minima + band;
            u64 key = begin_key(first_band + band);
#pragma unroll 4
            for (int row = 0; row + 1 < ROWS; row += 2)    // two rows a word, the earlier one in its low half
                key = fold(key, (u64)column[(row + 1) * SLICE_BANDS] << 32 | column[row * SLICE_BANDS]);
            if (ROWS % 2) key = fold(key, column[(ROWS - 1) * SLICE_BANDS]);
            keys[(first_band + band) * stride + document] = finish_key(key);
        }
    }
}
