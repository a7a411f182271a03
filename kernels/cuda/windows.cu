// Windows of tokens through two filters of 2-bit counters: what kernels/cpu/windows.py does, to the bit.
//
// A thread takes RUN windows that follow each other in the file: it finds by halving the document that they begin in,
// hashes the first window token by token and rolls on, some 2.6 tokens a window, until they or their documents end.
// Threads beside each other read runs beside each other, so what one has fetched others find in the cache. A counter is
// raised by compare-and-swap of the 32-bit word that it lies in; one that has reached two is only read, so windows that
// are everywhere do not hold up each other. Its last value does not depend on who came first.
//
// Windows to be emitted are a bit each in a mask of the run. Running sums of the bits say where a run writes, so the
// windows come in the order of the file.
#include "scalar.cuh"

#define BASE 0x9E3779B97F4A7C15ull
#define SECOND_BASE 0x17A359E7ull
#define PRIME ((1ull << 61) - 1)


__device__ __forceinline__ u64 reduced(u64 value) {
    value = (value & PRIME) + (value >> 61);
    return value >= PRIME ? value - PRIME : value;
}

// one below 2^62, times small below 2^29: a number below 2^63 that is the product modulo 2^61 - 1.
__device__ __forceinline__ u64 times(u64 one, u64 small) {
    const u64 low = (one & 0xFFFFFFFFull) * small, high = (one >> 32) * small;
    return low + (high >> 29) + ((high & ((1ull << 29) - 1)) << 32);
}

// The document that a token of the file belongs to; those without tokens never.
__device__ __forceinline__ i64 document_of(const i64* __restrict__ starts, i64 documents, i64 token) {
    i64 low = 0, high = documents;                  // starts[low] <= token < starts[high]
    while (high - low > 1) {
        const i64 middle = low + (high - low) / 2;
        if (starts[middle] <= token) low = middle;
        else high = middle;
    }
    return low;
}

__device__ __forceinline__ bool twice(const u32* __restrict__ table, u64 slot) {
    return (table[slot >> 4] >> (2 * (u32)(slot & 15)) & 3u) >= 2;
}

__device__ __forceinline__ void count_up(u32* table, u64 slot) {
    u32* const word = table + (slot >> 4);
    const u32 shift = 2 * (u32)(slot & 15);
    u32 seen = *(volatile u32*)word;
    while ((seen >> shift & 3u) < 2) {
        const u32 before = atomicCAS(word, seen, seen + (1u << shift));
        if (before == seen) break;
        seen = before;
    }
}

// Calls visit(number, hash) for each window of a run that lies in one document.
// tokens: those of the file from `first` on; begin, count: the windows of the run, counted in the file.
template <class Visit>
__device__ __forceinline__ void roll(
    const u16* __restrict__ tokens, i64 first, const i64* __restrict__ starts, i64 documents, i64 end, i64 begin,
    int count, i64 length, u64 top, Visit visit
) {
    i64 document = document_of(starts, documents, begin);
    i64 border = starts[document + 1] < end ? starts[document + 1] : end;
    u64 value = 0;
    bool rolling = false;
    for (int number = 0; number < count; ++number) {
        const i64 place = begin + number;
        while (place >= border && document + 1 < documents) {
            ++document;
            border = starts[document + 1] < end ? starts[document + 1] : end;
            rolling = false;
        }
        if (place + length > border) continue;
        const u16* const window = tokens + (place - first);
        if (rolling) {
            value = value * BASE + ((u64)window[length - 1] + 1) - top * ((u64)window[-1] + 1);
        } else {
            value = 0;
            for (i64 index = 0; index < length; ++index) value = value * BASE + ((u64)window[index] + 1);
            rolling = true;
        }
        visit(number, mix64(value));
    }
}

__device__ __forceinline__ bool in_group(u64 value, i64 group, i64 group_bits) {
    return group_bits == 0 || value >> (64 - group_bits) == (u64)group;
}

// tokens (m,) from number `first` of the file on; windows begin_at ..; table: 2^slot_bits counters, 16 a word; before:
// the filter of the round before where has_before is 1; passed (1,): windows that it let through.
extern "C" __global__ void count_windows(
    const u16* __restrict__ tokens, i64 first, i64 begin_at, i64 windows, const i64* __restrict__ starts, i64 documents,
    i64 end, i64 length, u64 top, i64 group, i64 group_bits, i64 has_before, const u32* __restrict__ before, u32* table,
    i64 slot_bits, u64* passed
) {
    const i64 threads = (i64)gridDim.x * blockDim.x, runs = (windows + RUN - 1) / RUN;
    const u64 mask = (1ull << slot_bits) - 1;
    u64 let_through = 0;
    for (i64 run = (i64)blockIdx.x * blockDim.x + threadIdx.x; run < runs; run += threads) {
        const i64 from = run * RUN;
        const int count = windows - from < RUN ? (int)(windows - from) : RUN;
        roll(tokens, first, starts, documents, end, begin_at + from, count, length, top, [&](int, u64 value) {
            if (!in_group(value, group, group_bits)) return;
            u64 slot = value << group_bits >> (64 - slot_bits);
            if (has_before) {
                if (!twice(before, slot)) return;
                ++let_through;
                slot = value & mask;
            }
            count_up(table, slot);
        });
    }
    if (let_through) atomicAdd(passed, let_through);
}

// masks (runs,): a bit for each window of the run that both filters let through; counts (runs,): how many.
extern "C" __global__ void pass_windows(
    const u16* __restrict__ tokens, i64 first, i64 begin_at, i64 windows, const i64* __restrict__ starts, i64 documents,
    i64 end, i64 length, u64 top, i64 group, i64 group_bits, const u32* __restrict__ one, const u32* __restrict__ two,
    i64 slot_bits, u32* __restrict__ masks, i64* __restrict__ counts
) {
    const i64 threads = (i64)gridDim.x * blockDim.x, runs = (windows + RUN - 1) / RUN;
    const u64 low_bits = (1ull << slot_bits) - 1;
    for (i64 run = (i64)blockIdx.x * blockDim.x + threadIdx.x; run < runs; run += threads) {
        const i64 from = run * RUN;
        const int count = windows - from < RUN ? (int)(windows - from) : RUN;
        u32 mask = 0;
        roll(tokens, first, starts, documents, end, begin_at + from, count, length, top, [&](int number, u64 value) {
            if (in_group(value, group, group_bits) && twice(one, value << group_bits >> (64 - slot_bits)) &&
                twice(two, value & low_bits))
                mask |= 1u << number;
        });
        masks[run] = mask;
        counts[run] = __popc(mask);
    }
}

// Writes the windows of the first `runs` runs: both hashes and the number in the file; ends (runs,): running sums of
// counts. Windows of a mask lie in one document each, so no borders are looked at.
extern "C" __global__ void list_windows(
    const u16* __restrict__ tokens, i64 first, i64 begin_at, i64 runs, i64 length, u64 top, u64 second_top,
    const u32* __restrict__ masks, const i64* __restrict__ ends, u64* __restrict__ high, u64* __restrict__ low,
    i64* __restrict__ places
) {
    const i64 threads = (i64)gridDim.x * blockDim.x;
    for (i64 run = (i64)blockIdx.x * blockDim.x + threadIdx.x; run < runs; run += threads) {
        const u32 mask = masks[run];
        if (mask == 0) continue;
        i64 out = ends[run] - __popc(mask);
        const int begin = __ffs(mask) - 1, last = 31 - __clz(mask);
        const u16* window = tokens + (begin_at + run * RUN + begin - first);
        u64 value = 0, second = 0;
        for (i64 index = 0; index < length; ++index) {
            const u64 token = (u64)window[index] + 1;
            value = value * BASE + token;
            second = times(second, SECOND_BASE) + token;
            second = (second & PRIME) + (second >> 61);     // not below the prime yet, but below 2^62
        }
        second = reduced(second);
        for (int number = begin; number <= last; ++number, ++window) {
            if (mask >> number & 1u) {
                high[out] = mix64(value);
                low[out] = second;
                places[out++] = begin_at + run * RUN + number;
            }
            if (number == last) break;
            const u64 leaving = (u64)window[0] + 1, entering = (u64)window[length] + 1;
            value = value * BASE + entering - top * leaving;
            second = reduced(times(second, SECOND_BASE) + entering + (PRIME - reduced(times(second_top, leaving))));
        }
    }
}
