// Equal items of one document by a hash table that a block fills together: kernels/cpu/grouping.py for many threads.
//
// A slot holds the position of an item, or nothing. A thread that finds its slot free puts its position there; one that
// finds the position of an equal key lowers it to its own if that is smaller; else it goes on to the next slot. A slot
// once taken stays with its key, so equal keys meet in one slot in any order of the threads, and when all have entered
// it holds the first position: what the CPU, which enters from left to right, finds too.
//
// The CPU looks at no more than MOST_PROBES slots and then takes the last one as equal, which only a page written
// against the table reaches. Which slots end up taken depends on the keys and on nothing else, and a part of the keys
// takes a part of them; so where no MOST_PROBES - 1 neighbours are taken the CPU cannot have given up, and where they
// are the document is crowded and left to the CPU. Hash, probes and sizes are the CPU's for that reason.
#pragma once
#include "scalar.cuh"

#define BASE 0x9E3779B97F4A7C15ull
#define MOST_PROBES 256
#define FREE 0xFFFFFFFFu

// Neighbours that begin at a multiple of their number: MOST_PROBES - 1 taken ones hold such a row wherever they begin.
#define CROWD 128
static_assert(2 * CROWD - 1 <= MOST_PROBES - 1, "a row of taken slots is noticed before the CPU gives up");

// The hash of some bytes with one more byte after them.
__device__ __forceinline__ u64 extend_hash(u64 value, u8 byte) {
    return value * BASE + byte + 1;
}

// BASE to the power of `exponent`: what the hash of some bytes is multiplied by when `exponent` bytes follow them.
__device__ __forceinline__ u64 power_of_base(u32 exponent) {
    u64 result = 1;
    for (u64 square = BASE; exponent; exponent >>= 1, square *= square)
        if (exponent & 1) result *= square;
    return result;
}

// Slots of a table that `items` items fill to a quarter at most: a power of two, at least 64.
__device__ __forceinline__ u32 table_slots(u32 items) {
    return items <= 16 ? 64 : 1u << (32 - __clz((int)(4 * items - 1)));
}

// Make the table's first `slots` slots free.
__device__ __forceinline__ void clear_table(u32* table, u32 slots) {
    for (u32 slot = threadIdx.x; slot < slots; slot += blockDim.x) table[slot] = FREE;
}

// The slot of an item's key. Gives up, and says so, where the CPU might: the document is crowded.
__device__ __forceinline__ u32 enter_key(u32* table, u32 mask, const u64* keys, u32 position, bool& gave_up) {
    const u64 key = keys[position];
    u32 slot = (u32)(((key ^ (key >> 32)) * BASE) >> 32) & mask;
    for (int probes = 1;; ++probes) {
        const u32 entry = atomicCAS(table + slot, FREE, position);
        if (entry == FREE) return slot;
        if (keys[entry] == key) {
            if (position < entry) atomicMin(table + slot, position);
            return slot;
        }
        if (probes == MOST_PROBES) {
            gave_up = true;
            return slot;
        }
        slot = (slot + 1) & mask;
    }
}

// Whether so many neighbouring slots are taken that the CPU may have given up, as far as this thread looks. Most rows
// end at their first slot, since three quarters of the slots are free.
__device__ __forceinline__ bool sees_crowd(const u32* table, u32 slots) {
    bool seen = false;
    for (u32 begin = CROWD * threadIdx.x; begin < slots; begin += CROWD * blockDim.x) {
        u32 taken = 0;
        while (taken < CROWD && begin + taken < slots && table[begin + taken] != FREE) ++taken;
        seen |= taken == CROWD;
    }
    return seen;
}

// For each item the position of the first one with an equal key. All threads of the block call; keys may be written
// just before, but the table must have been out of use since a barrier, and is so again when this returns. Returns
// false, to all threads, if the document is crowded: then nothing is to be made of `first`.
//   items, list  how many, and their positions; without a list they are 0, 1, 2 ...
//   keys, first  key of each position; what is found, by position
//   slots        of `table` that are in use: more than items; `crowded` lies in shared memory and is 0
__device__ __forceinline__ bool first_positions(u32 items, const u32* list, const u64* keys, u32* first, u32* table,
                                                u32 slots, u32* crowded) {
    bool leave = false;
    clear_table(table, slots);
    __syncthreads();
    for (u32 index = threadIdx.x; index < items && !leave; index += blockDim.x) {
        const u32 position = list ? list[index] : index;
        first[position] = enter_key(table, slots - 1, keys, position, leave);
    }
    __syncthreads();
    if (leave || sees_crowd(table, slots)) atomicOr(crowded, 1);
    __syncthreads();
    if (*crowded) return false;
    for (u32 index = threadIdx.x; index < items; index += blockDim.x) {
        const u32 position = list ? list[index] : index;
        first[position] = table[first[position]];
    }
    __syncthreads();
    return true;
}
