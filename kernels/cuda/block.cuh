// Sums, minima and maxima over the threads of a block, and running sums in the order of its threads.
// Built of shared memory and barriers alone, so that the same text runs on the CPU; there are no warp intrinsics.
//
// The threads are cut into groups of about the root of their number. Each thread lays down its value; one thread a
// group takes in those of its group; then every thread takes in the groups, which all read at once. That makes three
// barriers, where a tree would have one for each doubling.
//
// All threads of the block must call, and together; each function ends with a barrier, so that `shared`, which has room
// for BLOCK values, may be used again at once. BLOCK, the threads of the block, is a power of two.
#pragma once
#include "scalar.cuh"

// Threads of a group: 4 of 16, 8 of 32 to 128, 16 of 256 to 1024.
template <int BLOCK>
__device__ constexpr int block_group() {
    static_assert(BLOCK >= 16 && BLOCK <= 1024 && (BLOCK & (BLOCK - 1)) == 0, "a block is a power of two of threads");
    return BLOCK > 128 ? 16 : BLOCK > 16 ? 8 : 4;
}

// The sum of the values of the threads before this one; `total` becomes that of all threads.
template <int BLOCK, class Value>
__device__ __forceinline__ Value block_exclusive_sum(Value value, Value* shared, Value& total) {
    constexpr int GROUP = block_group<BLOCK>(), GROUPS = BLOCK / GROUP;
    const int thread = threadIdx.x;
    shared[thread] = value;
    __syncthreads();
    if (thread < GROUPS) {
        Value running = 0;
#pragma unroll
        for (int member = 0; member < GROUP; ++member) {
            running += shared[thread * GROUP + member];
            shared[thread * GROUP + member] = running;
        }
    }
    __syncthreads();
    Value before = shared[thread] - value;
    total = 0;
#pragma unroll
    for (int group = 0; group < GROUPS; ++group) {
        if (group == thread / GROUP) before += total;
        total += shared[group * GROUP + GROUP - 1];
    }
    __syncthreads();
    return before;
}

// The values of all threads combined two by two, in no certain order; the same for all threads.
template <int BLOCK, class Value, class Combine>
__device__ __forceinline__ Value block_combine(Value value, Value* shared, Combine combine) {
    constexpr int GROUP = block_group<BLOCK>(), GROUPS = BLOCK / GROUP;
    const int thread = threadIdx.x;
    shared[thread] = value;
    __syncthreads();
    if (thread < GROUPS) {                  // members stand GROUPS apart, so that threads read beside each other
#pragma unroll
        for (int member = 1; member < GROUP; ++member) value = combine(value, shared[member * GROUPS + thread]);
        shared[thread] = value;
    }
    __syncthreads();
    value = shared[0];
#pragma unroll
    for (int group = 1; group < GROUPS; ++group) value = combine(value, shared[group]);
    __syncthreads();
    return value;
}

// The sum of the values of all threads.
template <int BLOCK, class Value>
__device__ __forceinline__ Value block_sum(Value value, Value* shared) {
    return block_combine<BLOCK>(value, shared, [](Value one, Value other) { return one + other; });
}

// The smallest of the values of all threads.
template <int BLOCK, class Value>
__device__ __forceinline__ Value block_min(Value value, Value* shared) {
    return block_combine<BLOCK>(value, shared, [](Value one, Value other) { return one < other ? one : other; });
}

// The greatest of the values of all threads.
template <int BLOCK, class Value>
__device__ __forceinline__ Value block_max(Value value, Value* shared) {
    return block_combine<BLOCK>(value, shared, [](Value one, Value other) { return one > other ? one : other; });
}
