// Where the lines and words of one document are: a block reads the text in order, a thread a byte.
// How many there are is known; here each is written to its place.
#pragma once
#include "block.cuh"
#include "text_bytes.cuh"
#include "text_scratch.cuh"

// What stands before a byte, or in a tile of the text: five counts. A tile has one byte a thread, so that 12 bits hold
// what one tile adds to a count, and one running sum over the threads serves all five.
struct Before {
    u32 words, newlines, characters;    // newlines that stand together are one
    u32 bytes, visible;                 // of words: their bytes and their characters
};

__device__ __forceinline__ Before unpacked(u64 counts) {
    return {(u32)counts & 0xFFF, (u32)(counts >> 12) & 0xFFF, (u32)(counts >> 24) & 0xFFF, (u32)(counts >> 36) & 0xFFF,
            (u32)(counts >> 48) & 0xFFF};
}

__device__ __forceinline__ Before operator+(const Before& one, const Before& other) {
    return {one.words + other.words, one.newlines + other.newlines, one.characters + other.characters,
            one.bytes + other.bytes, one.visible + other.visible};
}

// Fill in the lines' ends, the words' sizes, and their bytes.
__device__ __forceinline__ void find_items(const Text& text, const Lines& lines, const Words& words, u64* shared) {
    Before passed = {};
    for (u32 tile = 0; tile < text.size; tile += THREADS) {
        const u32 position = tile + threadIdx.x;
        u8 byte = 0;
        bool visible = false, word = false, newline = false, newlines = false;
        u64 counts = 0;
        if (position < text.size) {
            byte = text.bytes[position];
            const u32 begin = character_begin(text, position);
            visible = !is_white_space(text, begin);
            word = visible && begin == position && word_begins(text, position);
            newline = byte == NEWLINE;
            newlines = newline && newlines_begin(text, position);
            const u64 character = begins_character(byte);
            counts = (u64)word | (u64)newlines << 12 | character << 24 | (u64)visible << 36 |
                     (character & visible) << 48;
        }
        u64 all;
        const Before before = passed + unpacked(block_exclusive_sum<THREADS>(counts, shared, all));
        if (visible) words.packed[before.bytes] = byte;
        if (word) {
            words.bytes[before.words] = before.bytes;
            words.characters[before.words] = before.visible;
        }
        if (newlines) {
            lines.end[before.newlines] = position;
            lines.end_characters[before.newlines] = before.characters;
        }
        if (newline && newlines_end(text, position)) {
            lines.begin[before.newlines + newlines] = position + 1;
            lines.begin_characters[before.newlines + newlines] = before.characters + 1;
        }
        passed = passed + unpacked(all);
    }
    if (threadIdx.x == 0) {
        lines.begin[0] = lines.begin_characters[0] = 0;
        lines.end[lines.count - 1] = text.size;
        lines.end_characters[lines.count - 1] = passed.characters;
        words.bytes[words.count] = passed.bytes;
        words.characters[words.count] = passed.visible;
    }
    if (threadIdx.x < PREFIX) words.packed[passed.bytes + threadIdx.x] = 0;
    __syncthreads();
}

// Write those of `items` items that are chosen to `list`, in order; returns how many to all threads, behind a barrier.
// `choose(index, item)` sets the item that may be written; it may read `list` from `index` on.
template <class Choose>
__device__ __forceinline__ u32 choose_items(u32 items, u32* list, u64* shared, Choose choose) {
    u32 chosen = 0;
    for (u32 tile = 0; tile < items; tile += THREADS) {
        const u32 index = tile + threadIdx.x;
        u32 item = 0;
        const bool take = index < items && choose(index, item);
        u64 all;
        const u32 place = chosen + (u32)block_exclusive_sum<THREADS>((u64)take, shared, all);
        if (take) list[place] = item;
        chosen += (u32)all;
    }
    __syncthreads();
    return chosen;
}
