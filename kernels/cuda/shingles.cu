// Text or tokens to shingle hashes: the numbers of kernels/cpu/shingles.py. Text is valid UTF-8.
//
// Units are found in parallel over the bytes of a batch, wherever its documents begin: 32 bytes at a time become a word
// of a bitmap with a mark where a unit begins. Running sums of the counts of marks then say which unit a mark is, and so
// where in the result it goes and which unit is the first of a document. Bit 0 of a bitmap is the byte `origin`: the
// first of all documents or up to 31 before it.
//   words        mark_words, list_words; then a thread a word hashes its bytes (hash_words). The hash takes eight bytes
//                after the other, so that the longest word decides when the last thread ends: 0.02 s for one of 5 MB
//                at some 60 clocks for eight bytes, which is an estimate from the instructions.
//   characters   mark_characters, list_characters: a thread a byte, so that neighbours write beside each other
//   shingles     hash_shingles: a thread a shingle. A block takes TILE of them, finds the documents of the first and
//                the last by halving, and each thread only looks between those.
#include "bitmaps.cuh"
#include "minhashing.cuh"

#if UNIT_BITS == 16
typedef u16 unit;
#elif UNIT_BITS == 32
typedef u32 unit;
#else
typedef u64 unit;
#endif

// Mark the bytes at which documents begin or the last ends. A thread an offset; `edges` is all 0 before.
extern "C" __global__ void mark_edges(const i64* __restrict__ offsets, i64 count, u32* __restrict__ edges) {
    FOR_EACH(number, count) {
        const i64 at = offsets[number] - origin_of(offsets);
        atomicOr(edges + (at >> 5), 1u << (at & 31));
    }
}

// Whether the character that begins at a byte is white space. Only bytes before `last` are read; a code point that goes
// on behind it, which UTF-8 does not allow, is visible.
__device__ __forceinline__ bool is_white_space(const u8* __restrict__ data, i64 position, i64 last,
                                               const u8* __restrict__ classes) {
    const u8 first = data[position];
    if (first < 0x80) return classes[first] & WHITE_SPACE;
    if (position + utf8_length(first) > last) return false;
    return classes[decode_utf8(data, position)] & WHITE_SPACE;
}

// Whether the character before a byte is white space, or there is none.
__device__ __forceinline__ bool is_after_white_space(const u8* __restrict__ data, i64 position, i64 first, i64 last,
                                                     const u8* __restrict__ classes) {
    if (position <= first) return true;
    i64 begin = position - 1;
    while (begin > first && position - begin < 4 && is_continuation(data[begin])) --begin;
    return is_white_space(data, begin, last, classes);
}

// A thread for 32 bytes: a mark in `starts` where a word begins, and their number; `stops`, in which edges are marked
// before, gets a mark for each byte of white space, too. All bytes are looked up as if they were ASCII; those that are
// not follow, one after the other.
extern "C" __global__ void mark_words(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
                                      const u8* __restrict__ classes, u32* __restrict__ stops,
                                      u32* __restrict__ starts, u8* __restrict__ counts, i64 words) {
    const i64 first = offsets[0], last = offsets[documents];
    FOR_EACH(word, words) {
        const i64 begin = origin_of(offsets) + 32 * word;
        const bool blank_before = is_after_white_space(data, begin, first, last, classes);
        u32 blanks = 0, beyond = 0;
#pragma unroll 1
        for (int half = 0; half < 32; half += 16) {
            const uint4 bytes = sixteen_bytes(data, begin + half, first, last);
            beyond |= high_bits(bytes) << half;
            u32 found = 0;
#pragma unroll
            for (int index = 0; index < 16; ++index)
                found |= (classes[byte_of(bytes, index) & 0x7F] & WHITE_SPACE) << index;
            blanks |= found / WHITE_SPACE << half;
        }
        blanks &= ~beyond;
        for (u32 rest = beyond; rest; rest &= rest - 1) {
            const int index = __ffs((int)rest) - 1;
            bool blank = index ? blanks >> (index - 1) & 1 : blank_before;    // a byte that continues a character
            if (!is_continuation(data[begin + index])) blank = is_white_space(data, begin + index, last, classes);
            blanks |= (u32)blank << index;
        }
        if (begin < first) blanks |= (1u << (first - begin)) - 1;
        if (begin + 32 > last) blanks |= ~((1u << (last - begin)) - 1);
        const u32 edges = stops[word], marks = ~blanks & (blanks << 1 | (u32)blank_before | edges);
        stops[word] = edges | blanks;
        starts[word] = marks;
        counts[word] = (u8)__popc(marks);
    }
}

// The same for characters: they begin with each byte that does not continue one.
extern "C" __global__ void mark_characters(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
                                           u32* __restrict__ starts, u8* __restrict__ counts, i64 words) {
    const i64 first = offsets[0], last = offsets[documents];
    FOR_EACH(word, words) {
        const i64 begin = origin_of(offsets) + 32 * word;
        u32 marks = 0;
#pragma unroll 1
        for (int half = 0; half < 32; half += 16) {
            const uint4 bytes = sixteen_bytes(data, begin + half, first, last);
            // a byte that continues a character begins with the bits 10
            const uint4 continuing = {bytes.x & ~(bytes.x << 1), bytes.y & ~(bytes.y << 1),
                                      bytes.z & ~(bytes.z << 1), bytes.w & ~(bytes.w << 1)};
            marks |= (high_bits(continuing) ^ 0xFFFFu) << half;
        }
        if (begin < first) marks &= ~((1u << (first - begin)) - 1);
        if (begin + 32 > last) marks &= (1u << (last - begin)) - 1;
        starts[word] = marks;
        counts[word] = (u8)__popc(marks);
    }
}

// For each offset the number of units that begin before it. A thread an offset.
extern "C" __global__ void count_before(const i64* __restrict__ offsets, i64 count, const u32* __restrict__ marks,
                                        const i64* __restrict__ until, i64* __restrict__ units_before) {
    FOR_EACH(number, count) units_before[number] = marks_before(marks, until, offsets[number] - origin_of(offsets));
}

// Where each word begins, into its place among `units`. A thread for 32 bytes.
extern "C" __global__ void list_words(const i64* __restrict__ offsets, const u32* __restrict__ starts,
                                      const i64* __restrict__ until, u64* __restrict__ units, i64 words) {
    FOR_EACH(word, words) {
        u32 marks = starts[word];
        u64* place = units + until[word] - __popc(marks);
        const u64 begin = (u64)(origin_of(offsets) + 32 * word);
        for (; marks; marks &= marks - 1) *place++ = begin + (__ffs((int)marks) - 1);
    }
}

// The first byte behind a word: the first stop behind its begin.
__device__ __forceinline__ i64 word_end(const u32* __restrict__ stops, i64 begin) {
    i64 word = (begin + 1) >> 5;
    u32 marks = stops[word] & ~0u << ((begin + 1) & 31);
    while (!marks) marks = stops[++word];    // the last document's end is one
    return 32 * word + __ffs((int)marks) - 1;
}

// A word's begin to its hash. A thread a word.
extern "C" __global__ void hash_words(const u8* __restrict__ data, const i64* __restrict__ offsets,
                                      const u32* __restrict__ stops, u64* __restrict__ units, i64 count) {
    const i64 origin = origin_of(offsets);
    FOR_EACH(number, count) {
        const i64 begin = (i64)units[number];
        units[number] = hash_bytes(data, begin, origin + word_end(stops, begin - origin));
    }
}

// Code points. A thread a byte, counted from the origin.
extern "C" __global__ void list_characters(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
                                           const u32* __restrict__ starts, const i64* __restrict__ until,
                                           u32* __restrict__ units, i64 bytes) {
    const i64 origin = origin_of(offsets), last = offsets[documents];
    FOR_EACH(at, bytes) {
        if (!(starts[at >> 5] >> (at & 31) & 1)) continue;
        const i64 position = origin + at;
        u32 code_point = data[position];
        if (code_point >= 0x80 && position + utf8_length((u8)code_point) <= last)
            code_point = decode_utf8(data, position);
        units[marks_before(starts, until, at)] = code_point;
    }
}

// How many shingles of n units each document has. A thread a document.
extern "C" __global__ void count_shingles(const i64* __restrict__ offsets, i64 documents, i64 n,
                                          i64* __restrict__ counts) {
    FOR_EACH(document, documents) {
        const i64 size = offsets[document + 1] - offsets[document];
        counts[document] = size ? max(size - n, (i64)0) + 1 : 0;
    }
}

// The document of a shingle: the last one that begins at it or before, from `low` to `high`.
__device__ __forceinline__ i64 document_of(const i64* __restrict__ starts, i64 low, i64 high, i64 shingle) {
    while (low < high) {
        const i64 middle = (low + high + 1) >> 1;
        if (starts[middle] <= shingle) low = middle;
        else high = middle - 1;
    }
    return low;
}

#ifdef TILE
// A block takes TILE shingles; document d has those from starts[d] to starts[d + 1].
extern "C" __global__ void __launch_bounds__(THREADS)
hash_shingles(const unit* __restrict__ units, const i64* __restrict__ offsets, const i64* __restrict__ starts,
              i64 documents, i64 n, u32* __restrict__ hashes, i64 tiles) {
    __shared__ i64 outermost[2];
    const i64 total = starts[documents];
    for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const i64 begin = tile * TILE, end = min(begin + TILE, total);
        if (threadIdx.x < 2) {
            const i64 shingle = threadIdx.x ? end - 1 : begin;
            outermost[threadIdx.x] = document_of(starts, 0, documents - 1, shingle);
        }
        __syncthreads();
        for (i64 shingle = begin + threadIdx.x; shingle < end; shingle += THREADS) {
            const i64 document = document_of(starts, outermost[0], outermost[1], shingle);
            const unit* from = units + offsets[document] + (shingle - starts[document]);
            const i64 size = min(n, offsets[document + 1] - offsets[document]);
            u64 value = begin_shingle();
#pragma unroll 4
            for (i64 index = 0; index < size; ++index) value = fold(value, from[index]);
            hashes[shingle] = finish_shingle(value);
        }
        __syncthreads();
    }
}
#endif
