// From pre-tokens to the distinct ones, and from their tokens to those of the text, which are those of
// kernels/cpu/gpt2.py. pretokens.cu finds the pre-tokens; shortpieces.cu and longpieces.cu encode the distinct ones.
//
//   * look_up: a thread takes a pre-token to a hash table in which it finds an equal one, or leaves its own number.
//     Half of a slot are bits of the hash; where they agree the bytes themselves are compared, so that different
//     pre-tokens are never taken for one. A pre-token that finds neither its equal nor a free slot among PROBES stands
//     for itself, and so does one of more than SHARED bytes: a full table, or texts made so that hashes meet, cost time in
//     proportion to the text and nothing else. Which of equals stands for all is up to the order of threads; their
//     tokens are the same.
//   * write_tokens, write_long: each pre-token's tokens into their place; a thread a pre-token up to SHARED bytes, a
//     block for a longer one.
//
// Sizes:
//   THREADS          threads of a block
//   SHARED PROBES    see above
#include "scalar.cuh"

__device__ __forceinline__ bool same_bytes(const u8* __restrict__ data, i64 one, i64 other, i64 length) {
    for (i64 index = 0; index < length; ++index)
        if (data[one + index] != data[other + index]) return false;
    return true;
}

// A slot is 0 or the high half of a pre-token's hash and 1 more than its number.
extern "C" __global__ void __launch_bounds__(THREADS)
look_up(const u8* __restrict__ data, const i64* __restrict__ starts, i64 count, u64* table, i64 mask,
        u32* __restrict__ representatives)
{
    for (i64 item = (i64)blockIdx.x * THREADS + threadIdx.x; item < count; item += (i64)gridDim.x * THREADS) {
        const i64 begin = starts[item], end = starts[item + 1];
        u32 found = item;
        if (end - begin <= SHARED) {
            const u64 hash = hash_bytes(data, begin, end);
            const u64 own = (hash >> 32) << 32 | (u32)(item + 1);
            u64 slot = hash & mask;
            for (int probe = 0; probe < PROBES; ++probe, slot = slot + 1 & mask) {
                u64 entry = table[slot];    // an old value is 0, of which atomicCAS makes sure
                if (!entry) entry = atomicCAS(table + slot, 0ull, own);
                if (!entry) break;
                const i64 other = (u32)entry - 1;
                if ((entry ^ own) >> 32 == 0 && starts[other + 1] - starts[other] == end - begin &&
                    same_bytes(data, begin, starts[other], end - begin)) {
                    found = other;
                    break;
                }
            }
        }
        representatives[item] = found;
    }
}

// `before` are the tokens of all pre-tokens before each one; the tokens of those that stand for others are `encoded`,
// each from the place of its first byte on.
extern "C" __global__ void __launch_bounds__(THREADS)
write_tokens(const i64* __restrict__ starts, const u32* __restrict__ representatives, i64 count,
             const u16* __restrict__ encoded, const i64* __restrict__ before, u16* __restrict__ tokens)
{
    for (i64 item = (i64)blockIdx.x * THREADS + threadIdx.x; item < count; item += (i64)gridDim.x * THREADS) {
        if (starts[item + 1] - starts[item] > SHARED) continue;
        const i64 from = starts[representatives[item]], to = before[item], end = before[item + 1];
#pragma unroll 1
        for (i64 index = 0; index < end - to; ++index) tokens[to + index] = encoded[from + index];
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
write_long(const i64* __restrict__ starts, const i64* __restrict__ pieces, i64 count,
           const u16* __restrict__ encoded, const i64* __restrict__ before, u16* __restrict__ tokens)
{
    for (i64 item = blockIdx.x; item < count; item += gridDim.x) {
        const i64 piece = pieces[item], from = starts[piece], to = before[piece], end = before[piece + 1];
        for (i64 index = threadIdx.x; index < end - to; index += THREADS) tokens[to + index] = encoded[from + index];
    }
}
