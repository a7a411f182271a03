// Which token two tokens make: merged_id of kernels/cpu/bytepairs.py once more, number for number, in CUDA C.
#pragma once
#include "scalar.cuh"

// Says of two tokens that they make none; above all ids.
#define NO_TOKEN 0xFFFFu

// Id of the token that two tokens make, or NO_TOKEN. `mask` is 1 less than the slots of the table, a power of two.
__device__ __forceinline__ u32 merged_id(const u64* __restrict__ pairs, u64 mask, u32 left, u32 right) {
    const u64 key = (u64)left << 16 | right;
    u64 slot = key * 0x9E3779B97F4A7C15ull >> 32 & mask;
    u64 entry = pairs[slot];
    while (entry >> 16 != key && entry != ~0ull) {
        slot = slot + 1 & mask;
        entry = pairs[slot];
    }
    return (u32)entry & 0xFFFFu;    // the low bits of a free slot are NO_TOKEN
}
