// Keys of lines: the digests of kernels/cpu/linekeys.py, to the bit, of valid UTF-8. Of other bytes nothing outside of a
// line is read.
//
//   mark_newlines   a thread 32 bytes: a word of a bitmap and its number of marks. With running sums of these,
//                   shingles.cu lists the newlines and counts those before each text.
//   line_keys       a thread a line, which it finds by its number; it reads a character after the other, and what that
//                   becomes goes into the 64 bytes that are hashed next, so nothing is written but the key. The threads
//                   of a warp fill their blocks and hash them in turns. A digest is one long chain, so that a line of
//                   more than LONGEST bytes would hold all others up: it goes on a list, for the host.
//
// Sizes:
//   THREADS   threads of a block
//   MD5       1 for MD5, 0 for SHA-1
//   LONGEST   bytes of a line that a thread takes
#include "bitmaps.cuh"
#include "digests.cuh"

#define BLOCK 64
#define LONGEST_REPLACEMENT 32
#define NEWLINE 10

// Classes of code points, and what the tables say (else: where the replacement stands).
#define STRIPPED 1
#define CASED 2
#define CASE_IGNORABLE 4
#define TABLE_SAME 0
#define TABLE_DROPPED 1
#define ASCII_DROPPED 0xFF
#define SIGMA 0x3A3
#define FINAL_SIGMA 0x3C2

// Mark newlines. A thread a word of the bitmap.
extern "C" __global__ void mark_newlines(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
                                         u32* __restrict__ marks, u8* __restrict__ counts, i64 words) {
    const i64 first = offsets[0], last = offsets[documents];
    FOR_EACH(word, words) {
        const i64 begin = origin_of(offsets) + 32 * word;
        u32 found = 0;
#pragma unroll
        for (int half = 0; half < 32; half += 16) {
            uint4 bytes = sixteen_bytes(data, begin + half, first, last);
            u32* parts[4] = {&bytes.x, &bytes.y, &bytes.z, &bytes.w};
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                const u32 others = *parts[part] ^ NEWLINE * 0x01010101u;    // 0 where a newline is
                *parts[part] = ~(((others & 0x7F7F7F7Fu) + 0x7F7F7F7Fu) | others);
            }
            found |= high_bits(bytes) << half;
        }
        marks[word] = found;
        counts[word] = (u8)__popc(found);
    }
}

#ifdef THREADS
struct Line {
    const u8* data;
    i64 begin, end;
    const u8* classes;

    // Bytes of the character at a position; 1 if there is no whole one.
    __device__ __forceinline__ int length_at(i64 position) const {
        const u8 first = data[position];
        if (first < 0xC0) return 1;
        const int length = utf8_length(first);
        if (position + length > end) return 1;
        for (int step = 1; step < length; ++step)
            if (!is_continuation(data[position + step])) return 1;
        return length;
    }
    // Its class; of a byte that is no UTF-8 that of the last code point, which is none.
    __device__ __forceinline__ u32 class_at(i64 position, int length) const {
        if (data[position] < 0x80) return classes[data[position]];
        return classes[length == 1 ? 0x10FFFFu : decode_utf8(data, position)];
    }
    // Where the character before a position begins.
    __device__ __forceinline__ i64 before(i64 position) const {
        i64 last = position - 1;
        while (last > begin && position - last < 4 && is_continuation(data[last])) --last;
        return last + length_at(last) == position ? last : position - 1;
    }
    __device__ __forceinline__ void strip() {
        while (begin < end) {
            const int length = length_at(begin);
            if (!(class_at(begin, length) & STRIPPED)) break;
            begin += length;
        }
        while (end > begin) {
            const i64 last = before(end);
            if (!(class_at(last, (int)(end - last)) & STRIPPED)) break;
            end = last;
        }
    }
    // Whether the capital sigma at a position ends a word.
    __device__ __forceinline__ bool ends_word(i64 position) const {
        u32 seen = 0;
        for (i64 at = position; at > begin;) {
            const i64 last = before(at);
            seen = class_at(last, (int)(at - last));
            if (!(seen & CASE_IGNORABLE)) break;
            at = last;
        }
        if (!(seen & CASED)) return false;
        seen = 0;
        for (i64 at = position + 2; at < end;) {
            const int length = length_at(at);
            seen = class_at(at, length);
            if (!(seen & CASE_IGNORABLE)) break;
            at += length;
        }
        return !(seen & CASED);
    }
};

// The bytes that are hashed next, and room for what a character becomes. Digests are made of words, in which a SHA-1 has
// the first byte highest.
struct Block {
    u32* words;    // of this thread, THREADS apart
    int filled;

    __device__ __forceinline__ void put(u8 byte) {
        const int inside = MD5 ? filled & 3 : 3 - (filled & 3);
        reinterpret_cast<u8*>(words + (filled >> 2) * THREADS)[inside] = byte;
        ++filled;
    }
    __device__ __forceinline__ void take(Digest& digest) {
        if (MD5) md5_block(digest, words, THREADS);
        else sha1_block(digest, words, THREADS);
        filled -= BLOCK;
#pragma unroll 1
        for (int word = 0; 4 * word < filled; ++word) words[word * THREADS] = words[(BLOCK / 4 + word) * THREADS];
    }
    __device__ __forceinline__ void fill_with_zeros() {
        while (filled & 3) put(0);
#pragma unroll 1
        for (; filled < BLOCK; filled += 4) words[(filled >> 2) * THREADS] = 0;
    }
};

struct Replacements {
    const u8* ascii;
    const u32* place;
    const u8* bytes;
};

// Put what the character at a position becomes into the block; the position behind it. Also reads bytes as they are.
__device__ __forceinline__ i64 replace(const Line& line, i64 position, const Replacements& table, Block& block) {
    const u8 byte = line.data[position];
    if (byte < 0x80) {
        const u8 character = table.ascii[byte];
        if (character != ASCII_DROPPED) block.put(character);
        return position + 1;
    }
    const int length = line.length_at(position);
    if (length == 1) {
        block.put(byte);    // no UTF-8: it stays
        return position + 1;
    }
    const u32 code_point = decode_utf8(line.data, position), index = table.place[code_point];
    if (code_point == SIGMA && line.ends_word(position)) {
        block.put(0xC0 | FINAL_SIGMA >> 6);
        block.put(0x80 | (FINAL_SIGMA & 63));
    } else if (index != TABLE_DROPPED) {
        const u8* from = index == TABLE_SAME ? line.data + position : table.bytes + index + 1;
        const int bytes = index == TABLE_SAME ? length : table.bytes[index];
#pragma unroll 1
        for (int step = 0; step < bytes; ++step) block.put(from[step]);
    }
    return position + length;
}

// The digest of a line that is stripped.
__device__ __forceinline__ Digest digest_of(const Line& line, const Replacements& table, u32* words) {
    Digest digest = new_digest();
    Block block = {words, 0};
    i64 position = line.begin;
    u32 size = 0;    // in bytes: LONGEST times the longest replacement at most
    bool closed = false, done = false;
#pragma unroll 1
    while (!done) {
        if (!closed) {
            const int before = block.filled;
#pragma unroll 1
            while (block.filled < BLOCK && position < line.end) position = replace(line, position, table, block);
            size += block.filled - before;
        }
        if (block.filled < BLOCK) {
            if (!closed) block.put(0x80);
            closed = true;
            done = block.filled <= BLOCK - 8;
            block.fill_with_zeros();
            if (done) {    // there is room for the size in bits
                words[(MD5 ? 14 : 15) * THREADS] = size << 3;
                words[(MD5 ? 15 : 14) * THREADS] = size >> 29;
            }
        }
        block.take(digest);
    }
    return digest;
}

__device__ __forceinline__ u64 half_of(u32 first, u32 second) {
    if (MD5) {
        first = first << 24 | (first & 0xFF00u) << 8 | (first >> 8 & 0xFF00u) | first >> 24;
        second = second << 24 | (second & 0xFF00u) << 8 | (second >> 8 & 0xFF00u) | second >> 24;
    }
    return (u64)first << 32 | second;
}

// A thread a line. `newlines` are positions, text i has those from newlines_before[i] on; `keys` are two rows. Of a line
// that is too long the number, its begin and its end go into `long_lines`, three a line, in no order.
extern "C" __global__ void __launch_bounds__(THREADS, 8)
line_keys(const u8* __restrict__ data, const i64* __restrict__ offsets, const i64* __restrict__ starts, i64 documents,
          const i64* __restrict__ newlines, const i64* __restrict__ newlines_before, i64 lines,
          const u8* __restrict__ classes, const u8* __restrict__ ascii_map, const u32* __restrict__ place,
          const u8* __restrict__ replacements, u64* __restrict__ keys, bool* __restrict__ visible,
          u64* __restrict__ long_count, i64* __restrict__ long_lines) {
    __shared__ u32 words[(BLOCK + LONGEST_REPLACEMENT) / 4 * THREADS];
    const Replacements table = {ascii_map, place, replacements};
    FOR_EACH(number, lines) {
        // the last text that begins at this line or before it
        const i64 text = lower_bound(starts, documents + 1, number + 1) - 1;
        const i64* own = newlines + newlines_before[text] + (number - starts[text]);
        const i64 begin = number > starts[text] ? own[-1] + 1 : offsets[text];
        const i64 end = number + 1 < starts[text + 1] ? own[0] : offsets[text + 1];
        if (end - begin > LONGEST) {
            const u64 slot = 3 * atomicAdd(long_count, (u64)1);
            long_lines[slot] = number, long_lines[slot + 1] = begin, long_lines[slot + 2] = end;
            continue;
        }
        Line line = {data, begin, end, classes};
        line.strip();
        visible[number] = line.begin < line.end;
        const Digest digest = digest_of(line, table, words + threadIdx.x);
        keys[number] = half_of(digest.a, digest.b);
        keys[lines + number] = half_of(digest.c, digest.d);
    }
}
#endif
