// Where GPT-2's pattern cuts a text (Radford et al. 2019): kernels/cpu/pretokens.py once more, for any byte by itself.
//
//     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// In valid UTF-8 whether a pre-token begins with a character shows from what is near it:
//   * one begins with each document;
//   * with white space that follows anything else; in a run of white space also with its last character, if the
//     document goes on behind it;
//   * with any other character behind white space, unless that is U+0020, which is then the prefix;
//   * else where the class changes, but for contractions: none begins inside of one, and one begins behind it.
// Contractions begin with an apostrophe that begins a pre-token. It is of class other, so it does unless it has a
// prefix or follows another character of class other. A contraction ends with a letter, so that none decides about the
// next one.
//
// The classes must say that an apostrophe is other, an ASCII letter a letter, and U+0020 white space.
#pragma once
#include "scalar.cuh"

#define PATTERN_LETTER 0
#define PATTERN_NUMBER 1
#define PATTERN_SPACE 2
#define PATTERN_OTHER 3

struct PatternText {
    const u8* __restrict__ data;
    i64 size;                        // above 0
    const u8* __restrict__ edges;    // (size + 1), 1 where a document begins; 1 at 0 and at size
    const u8* __restrict__ classes;  // of each code point
};

// Class of the character at `position`; one that is cut off by the end of the text counts as other.
__device__ __forceinline__ u32 class_at(const PatternText& text, i64 position) {
    const u8 first = text.data[position];
    if (first < 0x80) return text.classes[first];
    if (position + utf8_length(first) > text.size) return PATTERN_OTHER;
    return text.classes[decode_utf8(text.data, position)];
}

// Where the character before `position` (above 0) begins.
__device__ __forceinline__ i64 character_before(const PatternText& text, i64 position) {
    i64 at = position - 1;
#pragma unroll
    for (int step = 0; step < 3; ++step)
        if (at > 0 && (text.data[at] & 0xC0) == 0x80) --at;
    return at;
}

// Bytes of the contraction that begins at an apostrophe, 0 if none does.
__device__ __forceinline__ int contraction_length(const PatternText& text, i64 apostrophe) {
    if (text.edges[apostrophe + 1]) return 0;
    const u8 second = text.data[apostrophe + 1];
    int length = second == 's' || second == 't' || second == 'm' || second == 'd' ? 2 : 0;
    if (!length && !text.edges[apostrophe + 2]) {
        const u8 third = text.data[apostrophe + 2];
        if (third == 'e' ? second == 'r' || second == 'v' : third == 'l' && second == 'l') length = 3;
    }
    if (!length || text.edges[apostrophe]) return length;
    if (text.data[apostrophe - 1] == ' ') return 0;
    return class_at(text, character_before(text, apostrophe)) == PATTERN_OTHER ? 0 : length;
}

// Whether a pre-token begins with the byte at `position`, which is within the text.
__device__ __forceinline__ bool begins_pretoken(const PatternText& text, i64 position) {
    if (text.edges[position]) return true;
    const u8 first = text.data[position], before = text.data[position - 1];
    if ((first & 0xC0) == 0x80) return false;
    const u32 kind = class_at(text, position), kind_before = class_at(text, character_before(text, position));
    if (kind == PATTERN_SPACE) {
        if (kind_before != PATTERN_SPACE) return true;
        const i64 next = position + utf8_length(first);    // at most the text's end, or this were no white space
        return !text.edges[next] && class_at(text, next) != PATTERN_SPACE;
    }
    if (kind_before == PATTERN_SPACE) return before != ' ';
    if (kind == PATTERN_LETTER) {
        // bytes back to the nearest apostrophe, whose contraction may hold this letter or end before it
        const int back = before == '\'' ? 1
                         : position > 1 && text.data[position - 2] == '\'' ? 2
                         : position > 2 && text.data[position - 3] == '\'' ? 3 : 0;
        if (back) {
            const int length = contraction_length(text, position - back);
            if (length >= back) return length == back;
        }
    }
    return kind != kind_before;
}
