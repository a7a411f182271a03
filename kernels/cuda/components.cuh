// Union-find of one edge: see components.cu for why it is right without locks.
#pragma once
#include "scalar.cuh"

// The root of a tree, as it is now or was a moment ago; halves the way to it.
__device__ __forceinline__ u32 root_of(u32 index, volatile u32* parent) {
    u32 above = parent[index];
    while (above != index) {
        const u32 next = parent[above];
        if (next != above) parent[index] = next;
        index = above;
        above = next;
    }
    return index;
}

// Join the trees of two indices; whether they were two.
__device__ __forceinline__ bool unite(u32 one, u32 other, u32* parent) {
    one = root_of(one, parent);
    other = root_of(other, parent);
    while (one != other) {
        const u32 lower = one < other ? one : other, higher = one < other ? other : one;
        const u32 before = atomicCAS(parent + higher, higher, lower);
        if (before == higher) return true;
        one = root_of(before, parent);
        other = root_of(lower, parent);
    }
    return false;
}
