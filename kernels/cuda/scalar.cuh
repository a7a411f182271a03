// Integer functions of one item each: kernels/scalar.py once more, number for number, in CUDA C.
// Tests run this text on the CPU beside the other.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// Class bits of a code point.
#define LETTER 1
#define WHITE_SPACE 2
#define SYMBOL 4
#define UPPER_CASE 8
#define DECIMAL_DIGIT 16
#define BULLET 32

// Spread the bits of a value over all of it: a bijection.
__device__ __forceinline__ u64 mix64(u64 value) {
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93ull;
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93ull;
    return value ^ (value >> 32);
}

// Bytes of the code point that begins with this byte.
__device__ __forceinline__ int utf8_length(u8 first) {
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

// Code point at a byte position of valid UTF-8. Of other bytes some code point, never one beyond the last.
__device__ __forceinline__ u32 decode_utf8(const u8* __restrict__ data, i64 position) {
    const u32 first = data[position];
    if (first < 0x80) return first;
    const u32 second = data[position + 1] & 63u;
    if (first < 0xE0) return (first & 31u) << 6 | second;
    const u32 third = data[position + 2] & 63u;
    if (first < 0xF0) return (first & 15u) << 12 | second << 6 | third;
    const u32 code_point = (first & 7u) << 18 | second << 12 | third << 6 | (data[position + 3] & 63u);
    return code_point < 0x10FFFFu ? code_point : 0x10FFFFu;
}

// Eight bytes from `position` on, the first lowest; any alignment.
__device__ __forceinline__ u64 eight_bytes(const u8* __restrict__ data, i64 position) {
    u64 value = 0;
#pragma unroll
    for (int index = 0; index < 8; ++index) value |= (u64)data[position + index] << (8 * index);
    return value;
}

// Hash of the bytes [begin, end); what is behind `end` is not read.
__device__ __forceinline__ u64 hash_bytes(const u8* __restrict__ data, i64 begin, i64 end) {
    u64 value = mix64((u64)(end - begin));
    i64 position = begin;
    for (; end - position >= 8; position += 8) value = mix64(value ^ eight_bytes(data, position));
    u64 rest = 0;
    for (; position < end; ++position) rest = rest << 8 | data[position];
    return mix64(value ^ rest);
}
