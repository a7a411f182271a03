// Working memory of one document for the text statistics, all in one piece of global memory whose size is known before.
#pragma once
#include "grouping.cuh"

// Bytes behind the last word that are read and must not depend on the text before: the prefix of an n-gram.
#define PREFIX 16

struct Lines {
    u32 count;
    u64 *hash, *paragraph_hash;
    u32 *begin, *end;                              // positions in the text; newlines stand between them
    u32 *begin_characters, *end_characters;        // of the text before those positions
    u32 *first;                                    // first equal line, then first equal paragraph
    u32 *paragraph;                                // the line that a paragraph begins with
};

struct Words {
    u32 count;
    u64 *hash, *key;                               // of the word; of the n-gram that begins with it
    u8* packed;                                    // the words' bytes without anything between them
    u32 *bytes, *characters;                       // of the words before; one more than there are words
    u32 *candidates;                               // positions of n-grams that are still looked at, in order
    u32 *word_first, *word_counts;                 // first equal word; how often it occurs
    u32 *first, *counts;                           // first equal n-gram; how often it occurs
    u32 *repeats;                                  // six rows, stride apart, over the four above: see ngrams.cuh
    u32 stride;
};

struct Scratch {
    Lines lines;
    Words words;
    u32* table;                                    // for the questions of all, one after another: see grouping.cuh
};

// Bytes that a document of `size` bytes takes with these lines and words, a multiple of 8: the sum of what `lay_out`
// hands out. 52 a word and 40 a line, 16 to 32 for each word or line (of which there are more), and its bytes.
__device__ __forceinline__ i64 scratch_bytes(u32 size, u32 lines, u32 words) {
    const u32 slots = table_slots(lines > words ? lines : words);
    return (40ll * lines + 52ll * (words + 1) + 4ll * slots + size + PREFIX + 7) / 8 * 8;
}

// Hand out the memory from `place` on, which is a multiple of 8.
__device__ __forceinline__ Scratch lay_out(u64* place, u32 lines, u32 words) {
    Scratch scratch;
    const u32 stride = words + 1;
    scratch.lines.count = lines;
    scratch.words.count = words;
    scratch.words.stride = stride;
    scratch.lines.hash = place;
    scratch.lines.paragraph_hash = place + lines;
    scratch.words.hash = place + 2ll * lines;
    scratch.words.key = scratch.words.hash + stride;
    u32* half = (u32*)(scratch.words.key + stride);
    scratch.lines.begin = half;
    scratch.lines.end = half + lines;
    scratch.lines.begin_characters = half + 2ll * lines;
    scratch.lines.end_characters = half + 3ll * lines;
    scratch.lines.first = half + 4ll * lines;
    scratch.lines.paragraph = half + 5ll * lines;
    half += 6ll * lines;
    scratch.words.bytes = half;
    scratch.words.characters = half + stride;
    scratch.words.candidates = half + 2ll * stride;
    scratch.words.repeats = half + 3ll * stride;
    scratch.words.word_first = scratch.words.repeats;
    scratch.words.word_counts = scratch.words.repeats + stride;
    scratch.words.first = scratch.words.repeats + 2ll * stride;
    scratch.words.counts = scratch.words.repeats + 3ll * stride;
    scratch.table = half + 9ll * stride;
    scratch.words.packed = (u8*)(scratch.table + table_slots(lines > words ? lines : words));
    return scratch;
}
