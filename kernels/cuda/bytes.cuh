// Sixteen bytes of text at a time, in one read where the text lies so. Positions count from the first byte of an array.
#pragma once
#include "scalar.cuh"

// The sixteen bytes from `position` on, the first lowest in x; 0 for those outside of [first, last), which are not read.
__device__ __forceinline__ uint4 sixteen_bytes(const u8* __restrict__ data, i64 position, i64 first, i64 last) {
    if (position >= first && position + 16 <= last && ((u64)(data + position) & 15) == 0)
        return *reinterpret_cast<const uint4*>(data + position);
    u64 low = 0, high = 0;
#pragma unroll 1
    for (int index = 15; index >= 0; --index) {
        const i64 at = position + index;
        high = high << 8 | low >> 56;
        low = low << 8 | (at >= first && at < last ? data[at] : 0);
    }
    uint4 found;
    found.x = (u32)low;
    found.y = (u32)(low >> 32);
    found.z = (u32)high;
    found.w = (u32)(high >> 32);
    return found;
}

// One of the sixteen; `index` known when this is compiled.
__device__ __forceinline__ u8 byte_of(const uint4& sixteen, int index) {
    const u32 word = index < 4 ? sixteen.x : index < 8 ? sixteen.y : index < 12 ? sixteen.z : sixteen.w;
    return (u8)(word >> (8 * (index & 3)));
}

__device__ __forceinline__ bool is_continuation(u8 byte) {
    return (byte & 0xC0) == 0x80;
}

// The first index in [0, count) whose value is at least `least`, or `count`; values do not fall.
__device__ __forceinline__ i64 lower_bound(const i64* __restrict__ values, i64 count, i64 least) {
    i64 low = 0, high = count;
    while (low < high) {
        const i64 middle = (low + high) >> 1;
        if (values[middle] < least) low = middle + 1;
        else high = middle;
    }
    return low;
}
