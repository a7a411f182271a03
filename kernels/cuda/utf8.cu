// Whether the bytes of a batch are UTF-8 (Unicode, table 3-7) and documents begin between two code points.
//
// A thread takes a byte, so reads are coalesced and documents of any length are shared alike: an ASCII byte is done at
// once, a first byte looks at those that must follow it, a following byte for the first byte that it belongs to. Nobody
// waits for anybody; who finds something wrong says so.
#include "scalar.cuh"

__device__ __forceinline__ bool follows(u8 byte) { return (byte & 0xC0u) == 0x80u; }

// Bytes of the code point that begins with this byte; 0 if none begins so.
__device__ __forceinline__ int valid_length(u8 first) {
    return first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

// Whether the code point that begins at a position is whole: neither cut off nor too long, no surrogate, none too large.
__device__ __forceinline__ bool whole(const u8* __restrict__ data, i64 position, i64 end) {
    const u8 first = data[position];
    const int length = valid_length(first);
    if (length == 0 || position + length > end) return false;
    for (int index = 1; index < length; ++index)
        if (!follows(data[position + index])) return false;
    const u8 second = data[position + 1];
    if (first == 0xE0) return second >= 0xA0;
    if (first == 0xED) return second < 0xA0;
    if (first == 0xF0) return second >= 0x90;
    if (first == 0xF4) return second < 0x90;
    return true;
}

// Whether a following byte belongs to a first byte before it. Only such bytes stand between the two.
__device__ __forceinline__ bool belongs(const u8* __restrict__ data, i64 position, i64 begin) {
    for (int back = 1; back <= 3 && position - back >= begin; ++back) {
        const u8 before = data[position - back];
        if (!follows(before)) return valid_length(before) > back;
    }
    return false;
}

// invalid (1,): becomes 1 if a byte of [begin, begin + bytes) has no place there.
extern "C" __global__ void check_bytes(
    const u8* __restrict__ data, i64 begin, i64 bytes, u32* __restrict__ invalid
) {
    const i64 threads = (i64)gridDim.x * blockDim.x;
    for (i64 item = (i64)blockIdx.x * blockDim.x + threadIdx.x; item < bytes; item += threads) {
        const i64 position = begin + item;
        const u8 byte = data[position];
        if (byte < 0x80) continue;
        if (!(follows(byte) ? belongs(data, position, begin) : whole(data, position, begin + bytes)))
            atomicOr(invalid, 1u);
    }
}

// offsets (documents + 1,); invalid (1,): becomes 1 if a document begins within a code point.
extern "C" __global__ void check_borders(
    const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents, u32* __restrict__ invalid
) {
    const i64 threads = (i64)gridDim.x * blockDim.x;
    const i64 end = offsets[documents];
    for (i64 item = (i64)blockIdx.x * blockDim.x + threadIdx.x; item < documents; item += threads) {
        const i64 position = offsets[item];
        if (position < end && follows(data[position])) atomicOr(invalid, 1u);
    }
}
