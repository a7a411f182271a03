// Bitmaps over the bytes of a batch: 32 bytes a word, bit 0 of the first is the byte `origin`.
#pragma once
#include "bytes.cuh"

#define FOR_EACH(item, items) \
    for (i64 item = (i64)blockIdx.x * blockDim.x + threadIdx.x; item < items; item += (i64)gridDim.x * blockDim.x)

// The first byte of all documents, or up to 31 before it.
__device__ __forceinline__ i64 origin_of(const i64* __restrict__ offsets) {
    return offsets[0] & ~(i64)31;
}

// Marks before a position (counted from the origin), all bitmap words together; `until` holds sums up to a word's end.
__device__ __forceinline__ i64 marks_before(const u32* __restrict__ marks, const i64* __restrict__ until, i64 position) {
    const u32 word = marks[position >> 5];
    return until[position >> 5] - __popc(word) + __popc(word & ((1u << (position & 31)) - 1));
}

// The highest bit of each of sixteen bytes.
__device__ __forceinline__ u32 high_bits(const uint4& bytes) {
    const u32 words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
    u32 bits = 0;
#pragma unroll
    for (int word = 0; word < 4; ++word)    // the product moves the bits of four bytes together
        bits |= ((words[word] >> 7 & 0x01010101u) * 0x01020408u) >> 24 << (4 * word);
    return bits;
}
