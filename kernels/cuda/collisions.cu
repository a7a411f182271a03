// Equal keys of one band to edges of a spanning forest, by sorting: what kernels/cpu/band_collisions.py finds by hashing.
//
// The keys come sorted, with the position of each in the band. A thread takes a place in that order. Where the key is the
// one before, it is a further document of this key and is joined with the first one (components.cuh): a star, so that a
// million equal documents make a tree of depth one and no long way to walk. The first place of a run is looked for
// backwards in steps that double, then by halving: two look-ups for a pair, twenty and twenty for a million.
//
// take_share marks the keys of one of several equal shares, for bands that do not fit the device at once.
#include "components.cuh"

// The first place of the run of equal keys that `place` (not the first) belongs to.
__device__ __forceinline__ i64 run_begin(const u64* __restrict__ keys, i64 place) {
    const u64 key = keys[place];
    i64 within = place - 1, step = 1;                   // `within` is in the run
    while (within - step >= 0 && keys[within - step] == key) {
        within -= step;
        step *= 2;
    }
    i64 before = within - step < 0 ? -1 : within - step;  // `before` is not
    while (within - before > 1) {
        const i64 middle = before + (within - before) / 2;
        if (keys[middle] == key) within = middle;
        else before = middle;
    }
    return within;
}

// keys: sorted, 0 is none; positions: of each key; joined: 1 where an edge joined two components anew; first: for these
// the first position with the key; shared: keys that several documents have.
extern "C" __global__ void
link_runs(const u64* __restrict__ keys, const u32* __restrict__ positions, i64 count, u32* parent,
          u8* __restrict__ joined, u32* __restrict__ first, u64* shared)
{
    const i64 step = (i64)gridDim.x * blockDim.x;
    u64 runs = 0;
    for (i64 place = (i64)blockIdx.x * blockDim.x + threadIdx.x; place < count; place += step) {
        const u64 key = keys[place];
        bool anew = false;
        if (key != 0 && place > 0 && keys[place - 1] == key) {
            const i64 begin = run_begin(keys, place);
            runs += begin == place - 1;                 // the second one of a run counts it
            const u32 centre = positions[begin];
            anew = unite(centre, positions[place], parent);
            if (anew) first[place] = centre;
        }
        joined[place] = anew;
    }
    if (runs) atomicAdd(shared, runs);
}

extern "C" __global__ void
take_share(const u64* __restrict__ keys, i64 count, u64 salt, i64 share, i64 shares, u8* __restrict__ taken)
{
    const i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 place = (i64)blockIdx.x * blockDim.x + threadIdx.x; place < count; place += step) {
        const u64 key = keys[place];
        // the share is the part of 2^32 that the upper half of the mixed key falls into
        taken[place] = key != 0 && (i64)((mix64(key ^ salt) >> 32) * (u64)shares >> 32) == share;
    }
}
