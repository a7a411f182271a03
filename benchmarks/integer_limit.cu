// The instructions of the band keys' hot loop and hardly anything else: how many evaluations a device can make at all.
// Sizes by macros: PER_THREAD THREADS BLOCKS, as in kernels/cuda/minhash.cu.
typedef unsigned int u32;

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
integer_limit(const u32* __restrict__ functions, u32* __restrict__ out, u32 x, u32 y, u32 z, u32 w, u32 turns)
{
    const u32 thread = blockIdx.x * THREADS + threadIdx.x;
    u32 a[PER_THREAD], b[PER_THREAD], least[PER_THREAD];
#pragma unroll
    for (int j = 0; j < PER_THREAD; ++j) {
        a[j] = functions[thread + j];
        b[j] = functions[thread + PER_THREAD + j];
        least[j] = 0xFFFFFFFFu;
    }
#pragma unroll 1
    for (u32 turn = 0; turn < turns; ++turn) {
        // other numbers in each turn, by a rule that saves no multiplication; all threads share them
        x ^= turn;
        y ^= turn;
        z ^= turn;
        w ^= turn;
#pragma unroll
        for (int j = 0; j < PER_THREAD; ++j) {
            least[j] = __vimin3_u32(least[j], a[j] * x + b[j], a[j] * y + b[j]);
            least[j] = __vimin3_u32(least[j], a[j] * z + b[j], a[j] * w + b[j]);
        }
    }
    u32 sum = 0;
#pragma unroll
    for (int j = 0; j < PER_THREAD; ++j) sum += least[j];
    out[thread] = sum;
}
