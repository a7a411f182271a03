// Byte-pair encoding of short pieces of text: of all neighbours that make a token together the pair with the lowest id,
// of equals the leftmost, again and again. The tokens are those of kernels/cpu/bytepairs.py.
//
// Each merge depends on all before it, so a piece is a chain of as many steps as it has merges, and what can be done
// side by side are the pieces: a thread takes one after another. Its tokens and the ranks of its pairs lie in shared
// memory, those of neighbouring threads beside each other; a merge closes the gap by moving what is behind it.
// Tokens of a piece are written from the place of its first byte on: there are never more of them than of bytes.
//
// Sizes:
//   THREADS  threads of a block
//   PIECE    bytes of the longest piece
#include "bytepairs.cuh"

static_assert(PIECE <= 256, "places have 8 bits");

extern "C" __global__ void __launch_bounds__(THREADS)
encode_short(const u8* __restrict__ data, const i64* __restrict__ starts, const i64* __restrict__ pieces, i64 count,
             const u16* __restrict__ byte_ids, const u16* __restrict__ byte_pairs, const u64* __restrict__ pairs,
             i64 mask, u16* __restrict__ tokens, u32* __restrict__ token_counts)
{
    __shared__ u16 all_ids[PIECE * THREADS], all_ranks[PIECE * THREADS];
    u16* const ids = all_ids + threadIdx.x;
    u16* const ranks = all_ranks + threadIdx.x;
    for (i64 item = (i64)blockIdx.x * THREADS + threadIdx.x; item < count; item += (i64)gridDim.x * THREADS) {
        const i64 piece = pieces[item], begin = starts[piece];
        int left = (int)(starts[piece + 1] - begin);
        u32 before = data[begin];
        ids[0] = byte_ids[before];
#pragma unroll 1
        for (int index = 1; index < left; ++index) {
            const u32 byte = data[begin + index];
            ids[index * THREADS] = byte_ids[byte];
            ranks[(index - 1) * THREADS] = byte_pairs[before << 8 | byte];
            before = byte;
        }
        while (left > 1) {
            u32 best = NO_TOKEN << 8;    // the low byte is the place, so that of equals the leftmost is least
#pragma unroll 4
            for (int index = 0; index < left - 1; ++index) best = min(best, (u32)ranks[index * THREADS] << 8 | index);
            if (best >= NO_TOKEN << 8) break;
            const int at = best & 0xFF;
            best >>= 8;
            --left;
            ids[at * THREADS] = best;
#pragma unroll 1
            for (int index = at + 1; index < left; ++index) {
                ids[index * THREADS] = ids[(index + 1) * THREADS];
                ranks[(index - 1) * THREADS] = ranks[index * THREADS];
            }
            if (at > 0) ranks[(at - 1) * THREADS] = merged_id(pairs, mask, ids[(at - 1) * THREADS], best);
            if (at < left - 1) ranks[at * THREADS] = merged_id(pairs, mask, best, ids[(at + 1) * THREADS]);
        }
#pragma unroll 1
        for (int index = 0; index < left; ++index) tokens[begin + index] = ids[index * THREADS];
        token_counts[piece] = left;
    }
}
