// What the text statistics ask of one byte of a document: its character, and whether a word, a line or a mark is there.
// A thread a byte asks; text before and behind the byte is looked at, but never text of another document.
#pragma once
#include "scalar.cuh"

#define NEWLINE 10
#define BLANK 32
#define NUMBER_SIGN 35
#define DOT 46

struct Text {
    const u8* bytes;
    u32 size;
    const u8* classes;
};

__device__ __forceinline__ bool begins_character(u8 byte) {
    return (byte & 0xC0) != 0x80;
}

// The byte with which the character begins that the byte at `position` belongs to.
__device__ __forceinline__ u32 character_begin(const Text& text, u32 position) {
    u32 begin = position;
    while (begin > 0 && position - begin < 3 && !begins_character(text.bytes[begin])) --begin;
    return begin;
}

// Class bits of the character that begins here. One that the text ends in, which UTF-8 does not allow, has none.
__device__ __forceinline__ u32 class_of(const Text& text, u32 begin) {
    const u8 first = text.bytes[begin];
    if (first < 0x80) return text.classes[first];
    if (utf8_length(first) > text.size - begin) return 0;
    return text.classes[decode_utf8(text.bytes, begin)];
}

__device__ __forceinline__ bool is_white_space(const Text& text, u32 begin) {
    return class_of(text, begin) & WHITE_SPACE;
}

// Whether a word begins with the visible character that begins here.
__device__ __forceinline__ bool word_begins(const Text& text, u32 begin) {
    return begin == 0 || is_white_space(text, character_begin(text, begin - 1));
}

// Whether the newline here is the first of those that stand together, and whether it is the last of them.
__device__ __forceinline__ bool newlines_begin(const Text& text, u32 position) {
    return position == 0 || text.bytes[position - 1] != NEWLINE;
}

__device__ __forceinline__ bool newlines_end(const Text& text, u32 position) {
    return position + 1 == text.size || text.bytes[position + 1] != NEWLINE;
}

// Dots that stand `step` bytes apart, from the dot here on, with blanks between them if there is room for one.
__device__ __forceinline__ u32 row_of_dots(const Text& text, u32 position, u32 step) {
    u32 dots = 1;
    for (u32 next = position + step; next < text.size && text.bytes[next] == DOT; next += step) {
        if (step == 2 && text.bytes[next - 1] != BLANK) break;
        ++dots;
    }
    return dots;
}

// Marks "..." that begin with a row of dots: none overlaps itself, so each takes three of the row. Only the first dot
// of a row is asked for the row.
__device__ __forceinline__ u32 ellipses_from(const Text& text, u32 position) {
    if (position >= 1 && text.bytes[position - 1] == DOT) return 0;
    return row_of_dots(text, position, 1) / 3;
}

// Marks ". . ." in a row of dots with one blank between each two of them.
__device__ __forceinline__ u32 spaced_ellipses_from(const Text& text, u32 position) {
    if (position >= 2 && text.bytes[position - 1] == BLANK && text.bytes[position - 2] == DOT) return 0;
    return row_of_dots(text, position, 2) / 3;
}

// Whether the one-character ellipsis U+2026 begins here.
__device__ __forceinline__ bool is_ellipsis(const Text& text, u32 position) {
    return position + 2 < text.size && text.bytes[position] == 0xE2 && text.bytes[position + 1] == 0x80 &&
           text.bytes[position + 2] == 0xA6;
}
