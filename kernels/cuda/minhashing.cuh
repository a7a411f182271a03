// Integer arithmetic of MinHash on one item each: kernels/minhashing.py once more, number for number, in CUDA C.
// A key must be the same number on every device; tests run this text on the CPU beside the other.
#pragma once
#include "scalar.cuh"

// Take one more word into a running value.
__device__ __forceinline__ u64 fold(u64 value, u64 word) {
    value = (value ^ word) * 0xFF51AFD7ED558CCDull;
    return value ^ (value >> 32);
}

// What the key of a band (from 0) begins with.
__device__ __forceinline__ u64 begin_key(u32 band) {
    return ((u64)band + 1) * 0x9E3779B97F4A7C15ull;
}

// The key of a band from its folded minima; never 0, which says that there is none.
__device__ __forceinline__ u64 finish_key(u64 value) {
    value = fold(fold(value, 0), 0);
    return value | (u64)(value == 0);
}

// What the hash of a shingle begins with.
__device__ __forceinline__ u64 begin_shingle() {
    return 0x9E3779B97F4A7C15ull;
}

// The hash of a shingle from its folded units.
__device__ __forceinline__ u32 finish_shingle(u64 value) {
    return (u32)(fold(fold(value, 0), 0) >> 32);
}
