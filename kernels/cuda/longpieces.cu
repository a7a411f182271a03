// Byte-pair encoding of long pieces of text, with the result of shortpieces.cu.
//
// A block takes one piece after another. Nothing is moved: tokens are linked, and a token that is gone leaves a pair
// without rank. Each step is a minimum over the block; then two threads look up the two new pairs, one to each side.
// The time of a piece grows with its merges times PIECE / THREADS, so the launcher says how long a piece may be.
//
// Sizes:
//   THREADS  threads of a block
//   PIECE    bytes of the longest piece
#include "block.cuh"
#include "bytepairs.cuh"

static_assert(PIECE < 0xFFFF, "places have 16 bits, and one value says that there is none");

extern "C" __global__ void __launch_bounds__(THREADS)
encode_long(const u8* __restrict__ data, const i64* __restrict__ starts, const i64* __restrict__ pieces, i64 count,
            const u16* __restrict__ byte_ids, const u16* __restrict__ byte_pairs, const u64* __restrict__ pairs,
            i64 mask, u16* __restrict__ tokens, u32* __restrict__ token_counts)
{
    constexpr u16 NOWHERE = 0xFFFF;
    constexpr int SPAN = (PIECE + THREADS - 1) / THREADS;    // bytes whose tokens a thread writes
    __shared__ u16 ids[PIECE], ranks[PIECE], before[PIECE], after[PIECE];
    __shared__ u32 shared[THREADS];
    const int thread = threadIdx.x;
    for (i64 item = blockIdx.x; item < count; item += gridDim.x) {
        const i64 piece = pieces[item], begin = starts[piece];
        const int length = (int)(starts[piece + 1] - begin);
        for (int index = thread; index < length; index += THREADS) {
            const u32 byte = data[begin + index];
            const bool last = index == length - 1;
            ids[index] = byte_ids[byte];
            ranks[index] = last ? NO_TOKEN : byte_pairs[byte << 8 | data[begin + index + 1]];
            before[index] = index ? index - 1 : NOWHERE;
            after[index] = last ? NOWHERE : index + 1;
        }
        // a thread looks for the best pair where it wrote itself; the minimum's barriers are before any other read
        for (;;) {
            u32 best = ~0u;    // the low half is the place, so that of equals the leftmost is least
#pragma unroll 4
            for (int index = thread; index < length; index += THREADS)
                best = min(best, (u32)ranks[index] << 16 | index);
            best = block_min<THREADS>(best, shared);
            if (best >> 16 == NO_TOKEN) break;    // the same for all threads
            if (thread < 2) {    // the first makes the token and looks to the right, the second to the left
                const u32 at = best & 0xFFFF, merged = best >> 16;
                const u32 other = thread ? before[at] : after[after[at]];
                u32 rank = NO_TOKEN;
                if (other != NOWHERE) {
                    const u32 id = ids[other];
                    rank = merged_id(pairs, mask, thread ? id : merged, thread ? merged : id);
                }
                if (thread) {
                    if (other != NOWHERE) ranks[other] = rank;
                } else {
                    const u32 gone = after[at];
                    ids[at] = merged;
                    ids[gone] = NO_TOKEN;
                    ranks[at] = rank;
                    ranks[gone] = NO_TOKEN;
                    after[at] = other;
                    if (other != NOWHERE) before[other] = at;
                }
            }
            __syncthreads();
        }
        u32 mine = 0, total;
        const int from = thread * SPAN, to = min(from + SPAN, length);
        for (int index = from; index < to; ++index) mine += ids[index] != NO_TOKEN;
        i64 place = begin + block_exclusive_sum<THREADS>(mine, shared, total);
        for (int index = from; index < to; ++index)
            if (ids[index] != NO_TOKEN) tokens[place++] = ids[index];
        if (thread == 0) token_counts[piece] = total;
        __syncthreads();    // before the next piece takes the place of this one
    }
}
