// Repeated n-grams of one document's words: kernels/cpu/ngrams.py for a block.
//
// The most frequent 2-, 3- and 4-gram: a thread an n-gram; of equal counts the smallest position wins, which does not
// depend on the order of the threads.
//
// The characters in n-grams of 5 to 10 words that were met before are counted from left to right: what is found again
// is stepped over, and nothing inside it counts as met. That walk has no parts that could be done at a time, but all
// else has: keys, and for each n-gram the first one equal to it, are found by all threads. The walk then only notes,
// with that first one, when one of them is met; and the six sizes walk at the same time, a thread each.
#pragma once
#include "text_words.cuh"

#define TOP_SIZES_END 5
#define EXTRA_SIZES 6
#define SHORTEST_EXTRA 5

// In the entry of the first of equal n-grams: one of them was met.
#define MET 0x80000000u

// Leave in `candidates` the positions where an n-gram of n words may be repeated: its first n - 1 words are, and so is
// its last one.
__device__ __forceinline__ u32 choose_ngrams(u32 n, u32 candidates, const Words& words, const u32* first,
                                             const u32* counts, u64* shared) {
    return choose_items(candidates, words.candidates, shared, [&](u32 index, u32& position) {
        position = words.candidates[index];
        const u32 last = position + n - 1;
        return last < words.count && counts[first[position]] > 1 && words.word_counts[words.word_first[last]] > 1;
    });
}

// Find the first equal n-gram of each and how often it occurs, by the first equal (n - 1)-gram and last word.
__device__ __forceinline__ bool count_ngrams(u32 n, u32 candidates, const Scratch& scratch, const u32* shorter_first,
                                             u32* crowded) {
    const Words& words = scratch.words;
    for (u32 index = threadIdx.x; index < candidates; index += THREADS) {
        const u32 position = words.candidates[index];
        words.key[position] = (u64)shorter_first[position] << 32 | words.word_first[position + n - 1];
        words.counts[position] = 0;
    }
    if (!first_positions(candidates, words.candidates, words.key, words.first, scratch.table, table_slots(candidates),
                         crowded))
        return false;
    for (u32 index = threadIdx.x; index < candidates; index += THREADS)
        atomicAdd(words.counts + words.first[words.candidates[index]], 1);
    __syncthreads();
    return true;
}

// Count and characters (of its words) of the most frequent 2-, 3- and 4-gram, the first of equals; false if the
// document is crowded.
__device__ __forceinline__ bool top_ngrams(const Scratch& scratch, u64* shared, u32* crowded, u32* row) {
    const Words& words = scratch.words;
    const u32 *first = words.word_first, *counts = words.word_counts;
    u32 candidates = words.count;
    for (u32 n = 2; n < TOP_SIZES_END && n <= words.count; ++n) {
        candidates = choose_ngrams(n, candidates, words, first, counts, shared);
        if (!count_ngrams(n, candidates, scratch, first, crowded)) return false;
        first = words.first;
        counts = words.counts;
        u64 best = (u64)1 << 32 | FREE;    // once, at 0: of greater counts and smaller positions the number is greater
        for (u32 index = threadIdx.x; index < candidates; index += THREADS) {
            const u32 position = words.candidates[index], count = counts[position];
            const u64 found = (u64)count << 32 | (FREE - position);
            if (count > 1 && found > best) best = found;
        }
        best = block_max<THREADS>(best, shared);
        const u32 top = FREE - (u32)best;
        if (threadIdx.x == 0) {
            row[FIELD_TOP_2 + 2 * (n - 2)] = (u32)(best >> 32);
            row[FIELD_TOP_2 + 2 * (n - 2) + 1] = words.characters[top + n] - words.characters[top];
        }
    }
    return true;
}

// The slot of an n-gram's first PREFIX bytes, in a table of bits with so many slots.
__device__ __forceinline__ u32 prefix_slot(const Words& words, u32 position, u32 slots) {
    const i64 begin = words.bytes[position];
    return (u32)(mix64(eight_bytes(words.packed, begin)) ^ eight_bytes(words.packed, begin + 8)) & (slots - 1);
}

// Leave in `candidates` the positions where an n-gram of five or more words may be equal to another: it has fewer bytes
// than a prefix, or its prefix was seen twice. Which prefixes share a slot is the CPU's choice, since it decides what a
// page written against the hashes looks like.
__device__ __forceinline__ u32 choose_repeatable(const Scratch& scratch, u64* shared) {
    const Words& words = scratch.words;
    const u32 slots = 2 * table_slots(words.count), positions = words.count - (SHORTEST_EXTRA - 1);
    u32 *seen = scratch.table, *seen_twice = scratch.table + slots / 32;
    for (u32 place = threadIdx.x; place < slots / 16; place += THREADS) seen[place] = 0;
    __syncthreads();
    for (u32 position = threadIdx.x; position < positions; position += THREADS) {
        const u32 slot = prefix_slot(words, position, slots), bit = 1u << slot % 32;
        words.first[position] = slot;
        if (atomicOr(seen + slot / 32, bit) & bit) atomicOr(seen_twice + slot / 32, bit);
    }
    __syncthreads();
    return choose_items(positions, words.candidates, shared, [&](u32 index, u32& position) {
        position = index;
        const u32 slot = words.first[index];
        const u32 bytes = words.bytes[index + SHORTEST_EXTRA] - words.bytes[index];
        return bytes < PREFIX || seen_twice[slot / 32] >> slot % 32 & 1;
    });
}

// The hash of an n-gram's bytes: of its words from `from` to n, behind those that `hash` stands for.
__device__ __forceinline__ u64 ngram_hash(const Words& words, u32 position, u32 from, u32 n, u64 hash) {
    for (u32 word = position + from; word < position + n; ++word)
        hash = hash * power_of_base(words.bytes[word + 1] - words.bytes[word]) + words.hash[word];
    return hash;
}

// Characters in n-grams that were met before, from left to right.
__device__ __forceinline__ u32 walk(u32 n, u32 candidates, const Words& words, u32* first) {
    u32 characters = 0, free = 0;
    for (u32 index = 0; index < candidates; ++index) {
        const u32 position = words.candidates[index];
        if (position < free) continue;
        if (position + n > words.count) break;
        // that of a first one, which may have been met
        const u32 found = first[position] & ~MET, entry = first[found];
        if (entry & MET) {
            characters += words.characters[position + n] - words.characters[position];
            free = position + n;
        } else {
            first[found] = entry | MET;
        }
    }
    return characters;
}

// Characters in n-grams (n = 5 to 10) that were met before; false if the document is crowded.
__device__ __forceinline__ bool extra_ngrams(const Scratch& scratch, u64* shared, u32* crowded, u32* row) {
    const Words& words = scratch.words;
    if (words.count < SHORTEST_EXTRA) return true;
    const u32 candidates = choose_repeatable(scratch, shared), slots = table_slots(candidates);
    if (candidates == 0) return true;
    u32 begun = candidates;    // candidates that have n words, which come first
    for (u32 size = 0; size < EXTRA_SIZES; ++size) {
        const u32 n = SHORTEST_EXTRA + size;
        while (begun && words.candidates[begun - 1] + n > words.count) --begun;
        for (u32 index = threadIdx.x; index < begun; index += THREADS) {
            const u32 position = words.candidates[index];
            words.key[position] = size ? ngram_hash(words, position, n - 1, n, words.key[position])
                                       : ngram_hash(words, position, 0, n, 0);
        }
        if (!first_positions(begun, words.candidates, words.key, words.repeats + size * words.stride, scratch.table,
                             slots, crowded))
            return false;
    }
    // spread over the block: walkers in one group of 32 would wait for each other
    const u32 size = threadIdx.x / (THREADS / 8);
    if (threadIdx.x % (THREADS / 8) == 0 && size < EXTRA_SIZES)
        row[FIELD_EXTRA_5 + size] = walk(SHORTEST_EXTRA + size, candidates, words, words.repeats + size * words.stride);
    return true;
}
