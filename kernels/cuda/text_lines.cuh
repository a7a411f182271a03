// Lines and paragraphs of one document: kernels/cpu/lines.py for a block. A thread a line, then a thread a paragraph.
#pragma once
#include "text_fields.cuh"
#include "text_items.cuh"

struct Span {
    u32 begin, end;
};

// The span without white space at its ends.
__device__ __forceinline__ Span strip(const Text& text, Span span) {
    while (span.begin < span.end && is_white_space(text, span.begin)) span.begin += utf8_length(text.bytes[span.begin]);
    while (span.begin < span.end) {
        const u32 last = character_begin(text, span.end - 1);
        if (!is_white_space(text, last)) break;
        span.end = last;
    }
    return span;
}

// Whether the span ends in these `size` bytes, the last one lowest.
__device__ __forceinline__ bool ends_in(const Text& text, Span span, u32 size, u64 bytes) {
    if (span.end - span.begin < size) return false;
    for (u32 place = 1; place <= size; ++place, bytes >>= 8)
        if (text.bytes[span.end - place] != (u8)bytes) return false;
    return true;
}

// Count lines that are not blank by how they begin and end, and fill in the hashes of all.
__device__ __forceinline__ void read_lines(const Text& text, const Lines& lines, u32* row) {
    u32 visible = 0, bullets = 0, ellipses = 0, spaced = 0;
    for (u32 line = threadIdx.x; line < lines.count; line += THREADS) {
        const Span whole = {lines.begin[line], lines.end[line]};
        lines.hash[line] = hash_bytes(text.bytes, whole.begin, whole.end);
        const Span span = strip(text, whole);
        if (span.begin >= span.end) continue;
        ++visible;
        bullets += (class_of(text, span.begin) & BULLET) != 0;
        ellipses += ends_in(text, span, 3, 0x2E2E2E) || ends_in(text, span, 3, 0xE280A6);
        spaced += ends_in(text, span, 5, 0x2E202E202E);
    }
    atomicAdd(row + FIELD_VISIBLE_LINES, visible);
    atomicAdd(row + FIELD_BULLET_LINES, bullets);
    atomicAdd(row + FIELD_ELLIPSIS_LINES, ellipses);
    atomicAdd(row + FIELD_SPACED_ELLIPSIS_LINES, spaced);
}

// The line behind the last one of a paragraph.
__device__ __forceinline__ u32 paragraph_end(const Lines& lines, u32 paragraph, u32 paragraphs) {
    return paragraph + 1 < paragraphs ? lines.paragraph[paragraph + 1] : lines.count;
}

// Fill in what paragraphs begin with and their hashes, which are folded over those of their lines; returns how many.
__device__ __forceinline__ u32 find_paragraphs(const Lines& lines, u64* shared) {
    const u32 paragraphs = choose_items(lines.count, lines.paragraph, shared, [&](u32 line, u32& item) {
        item = line;
        return line == 0 || lines.begin[line] - lines.end[line - 1] != 1;
    });
    for (u32 paragraph = threadIdx.x; paragraph < paragraphs; paragraph += THREADS) {
        const u32 end = paragraph_end(lines, paragraph, paragraphs);
        u64 hash = 1;
        for (u32 line = lines.paragraph[paragraph]; line < end; ++line) hash = mix64(hash * 3 + lines.hash[line]);
        lines.paragraph_hash[paragraph] = hash;
    }
    return paragraphs;
}

// Count lines and paragraphs, copies of earlier ones, and the characters of those; false if the document is crowded.
__device__ __forceinline__ bool count_lines(const Text& text, const Scratch& scratch, u64* shared, u32* crowded,
                                            u32* row) {
    const Lines& lines = scratch.lines;
    read_lines(text, lines, row);
    if (!first_positions(lines.count, nullptr, lines.hash, lines.first, scratch.table, table_slots(lines.count),
                         crowded))
        return false;
    u32 copies = 0, characters = 0;
    for (u32 line = threadIdx.x; line < lines.count; line += THREADS) {
        if (lines.first[line] == line) continue;
        ++copies;
        characters += lines.end_characters[line] - lines.begin_characters[line];
    }
    atomicAdd(row + FIELD_EXTRA_LINES, copies);
    atomicAdd(row + FIELD_EXTRA_LINE_CHARACTERS, characters);

    const u32 paragraphs = find_paragraphs(lines, shared);
    if (!first_positions(paragraphs, nullptr, lines.paragraph_hash, lines.first, scratch.table, table_slots(paragraphs),
                         crowded))
        return false;
    copies = characters = 0;
    for (u32 paragraph = threadIdx.x; paragraph < paragraphs; paragraph += THREADS) {
        if (lines.first[paragraph] == paragraph) continue;
        ++copies;
        characters += lines.end_characters[paragraph_end(lines, paragraph, paragraphs) - 1] -
                      lines.begin_characters[lines.paragraph[paragraph]];
    }
    if (threadIdx.x == 0) row[FIELD_PARAGRAPHS] = paragraphs;
    atomicAdd(row + FIELD_EXTRA_PARAGRAPHS, copies);
    atomicAdd(row + FIELD_EXTRA_PARAGRAPH_CHARACTERS, characters);
    return true;
}
