// Words of one document: kernels/cpu/words.py for a block. A thread a word.
#pragma once
#include "text_fields.cuh"
#include "text_items.cuh"

// A table of stop words: their hashes, 0 in a free slot, at most a quarter full, a power of two of slots.
struct StopWords {
    const u64* hashes;
    u32 slots;
};

__device__ __forceinline__ bool is_stop_word(const StopWords& stop_words, u64 hash) {
    const u32 mask = stop_words.slots - 1;
    u32 slot = (u32)mix64(hash) & mask;
    for (; stop_words.hashes[slot]; slot = (slot + 1) & mask)
        if (stop_words.hashes[slot] == hash) return true;
    return false;
}

// Fill in the words' hashes, and count the words by the kinds of their characters.
__device__ __forceinline__ void read_words(const Words& words, const u8* classes, u32* row) {
    u32 plain_words = 0, plain_characters = 0, alphabetic_words = 0;
    for (u32 word = threadIdx.x; word < words.count; word += THREADS) {
        const u32 end = words.bytes[word + 1];
        u64 hash = 0;
        u32 kind = 0;
        for (u32 position = words.bytes[word]; position < end; ++position) {
            const u8 byte = words.packed[position];
            hash = extend_hash(hash, byte);
            if (byte < 0x80) kind |= classes[byte] ^ SYMBOL;
            else if (begins_character(byte)) kind |= classes[decode_utf8(words.packed, position)] ^ SYMBOL;
        }
        words.hash[word] = hash;
        alphabetic_words += (kind & LETTER) != 0;
        if (kind & SYMBOL) {    // of some character: it is none
            ++plain_words;
            plain_characters += words.characters[word + 1] - words.characters[word];
        }
    }
    atomicAdd(row + FIELD_PLAIN_WORDS, plain_words);
    atomicAdd(row + FIELD_PLAIN_CHARACTERS, plain_characters);
    atomicAdd(row + FIELD_ALPHABETIC_WORDS, alphabetic_words);
}

// Find the first equal word of each and how often it occurs, and count the different stop words; false if the document
// is crowded.
__device__ __forceinline__ bool count_words(const Scratch& scratch, const u8* classes, const StopWords& stop_words,
                                            u32* crowded, u32* row) {
    const Words& words = scratch.words;
    read_words(words, classes, row);
    if (!first_positions(words.count, nullptr, words.hash, words.word_first, scratch.table, table_slots(words.count),
                         crowded))
        return false;
    u32 stop_words_found = 0;
    for (u32 word = threadIdx.x; word < words.count; word += THREADS) {
        words.word_counts[word] = 0;
        words.candidates[word] = word;
        stop_words_found += words.word_first[word] == word && is_stop_word(stop_words, words.hash[word]);
    }
    __syncthreads();
    for (u32 word = threadIdx.x; word < words.count; word += THREADS)
        atomicAdd(words.word_counts + words.word_first[word], 1);
    if (threadIdx.x == 0) row[FIELD_WORD_CHARACTERS] = words.characters[words.count];
    atomicAdd(row + FIELD_STOP_WORDS, stop_words_found);
    __syncthreads();
    return true;
}
