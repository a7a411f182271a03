// Where pre-tokens begin, and which of them are to be encoded: lists of the items that have a mark, in their order.
//
//   * mark_pretokens: a block takes TILE bytes. Its threads ask of neighbouring bytes whether a pre-token begins there
//     (pretokens.cuh), so that reads are side by side; then each packs 16 answers into a mask, and the block counts.
//   * mark_new: a block takes TILE pre-tokens and marks those that stand for themselves (gpt2.cu), in one of four lists
//     by their length, for each way to encode them.
//   * write_marked: with the running sum of those counts, the numbers of marked items. A mask takes two bytes for 16
//     items, which is less than to write flags, or to ask again.
//
// Sizes:
//   THREADS              threads of a block
//   TILE                 items of a block, 16 for each thread
//   SHORT MEDIUM LONG    bytes up to which a pre-token belongs to the first, second, third list; else to the fourth
#include "block.cuh"
#include "pretokens.cuh"

static_assert(TILE == 16 * THREADS, "a thread packs 16 marks");

// Bits of the four bytes of a word that are `kind`; all are below 8.
__device__ __forceinline__ u32 bytes_of_kind(u32 word, u32 kind) {
    const u32 others = (word ^ kind * 0x01010101u) + 0x7F7F7F7Fu;    // the highest bit of each byte that differs
    return (~others >> 7 & 0x01010101u) * 0x01020408u >> 24;
}

// Masks of the 16 flags of each thread that are `kind`, and their number in the tile. All threads must call; `flags`
// may be changed after it.
__device__ __forceinline__ void write_marks(const u8* flags, u32 kind, i64 tile, u32* shared, u16* marks, i64* counts) {
    const uint4 mine = reinterpret_cast<const uint4*>(flags)[threadIdx.x];
    const u32 mask = bytes_of_kind(mine.x, kind) | bytes_of_kind(mine.y, kind) << 4 | bytes_of_kind(mine.z, kind) << 8 |
                     bytes_of_kind(mine.w, kind) << 12;
    marks[tile * THREADS + threadIdx.x] = mask;
    const u32 total = block_sum<THREADS>((u32)__popc(mask), shared);
    if (threadIdx.x == 0) counts[tile] = total;
}

extern "C" __global__ void __launch_bounds__(THREADS)
mark_pretokens(const u8* __restrict__ data, i64 size, const u8* __restrict__ edges, const u8* __restrict__ classes,
               i64 tiles, u16* __restrict__ marks, i64* __restrict__ counts)
{
    __shared__ __align__(16) u8 flags[TILE];
    __shared__ u32 shared[THREADS];
    const PatternText text = {data, size, edges, classes};
    for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
#pragma unroll 1
        for (int item = threadIdx.x; item < TILE; item += THREADS) {
            const i64 position = tile * TILE + item;
            flags[item] = position < size && begins_pretoken(text, position);
        }
        __syncthreads();
        write_marks(flags, 1, tile, shared, marks, counts);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
mark_new(const i64* __restrict__ starts, const u32* __restrict__ representatives, i64 count, i64 tiles,
         u16* __restrict__ marks, i64* __restrict__ counts)
{
    __shared__ __align__(16) u8 flags[TILE];
    __shared__ u32 shared[THREADS];
    for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
#pragma unroll 1
        for (int place = threadIdx.x; place < TILE; place += THREADS) {
            const i64 item = tile * TILE + place;
            u8 list = 0;
            if (item < count && representatives[item] == item) {
                const i64 length = starts[item + 1] - starts[item];
                list = length <= SHORT ? 1 : length <= MEDIUM ? 2 : length <= LONG ? 3 : 4;
            }
            flags[place] = list;
        }
        __syncthreads();
        for (int list = 0; list < 4; ++list) write_marks(flags, list + 1, list * tiles + tile, shared, marks, counts);
    }
}

// Items of several lists are counted anew for each, in `tiles` tiles a list; `ends` runs through all of them.
extern "C" __global__ void __launch_bounds__(THREADS)
write_marked(const u16* __restrict__ marks, const i64* __restrict__ ends, i64 tiles, i64 all_tiles,
             i64* __restrict__ items)
{
    __shared__ u32 shared[THREADS];
    for (i64 tile = blockIdx.x; tile < all_tiles; tile += gridDim.x) {
        u32 mask = marks[tile * THREADS + threadIdx.x], total;
        const u32 before = block_exclusive_sum<THREADS>((u32)__popc(mask), shared, total);
        i64 place = ends[tile] - total + before;
        const i64 first = tile % tiles * TILE + threadIdx.x * 16;
        for (; mask; mask &= mask - 1) items[place++] = first + __ffs(mask) - 1;
    }
}
