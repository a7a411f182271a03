// SHA-1 and MD5 of one block of 64 bytes: kernels/cpu/digests.py once more, word for word, in CUDA C.
//
// A thread hashes a text of its own. Its block lies in shared memory, word by word among those of the other threads, so
// that all of a warp meet 32 banks; for the rounds it is taken into registers.
#pragma once
#include "scalar.cuh"

__device__ __forceinline__ u32 turn(u32 value, int bits) {
    return value << bits | value >> (32 - bits);
}

struct Digest {
    u32 a, b, c, d, e;    // MD5 has the first four
};

__device__ __forceinline__ Digest new_digest() {
    return {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};
}

// Take a block into the state of a SHA-1. Words of the block stand `step` apart.
__device__ __forceinline__ void sha1_block(Digest& state, const u32* block, int step) {
    u32 words[16];
#pragma unroll
    for (int place = 0; place < 16; ++place) words[place] = block[place * step];
    Digest next = state;
#pragma unroll
    for (int round = 0; round < 80; ++round) {
        u32 word = words[round & 15];
        if (round >= 16) {
            word = turn(words[(round - 3) & 15] ^ words[(round - 8) & 15] ^ words[(round - 14) & 15] ^ word, 1);
            words[round & 15] = word;
        }
        u32 sum = turn(next.a, 5) + next.e + word;
        if (round < 20) sum += (next.d ^ (next.b & (next.c ^ next.d))) + 0x5A827999u;
        else if (round < 40) sum += (next.b ^ next.c ^ next.d) + 0x6ED9EBA1u;
        else if (round < 60) sum += ((next.b & next.c) | (next.d & (next.b | next.c))) + 0x8F1BBCDCu;
        else sum += (next.b ^ next.c ^ next.d) + 0xCA62C1D6u;
        next = {sum, next.a, turn(next.b, 30), next.c, next.d};
    }
    state = {state.a + next.a, state.b + next.b, state.c + next.c, state.d + next.d, state.e + next.e};
}

// floor(2^32 * abs(sin(round + 1))).
__device__ constexpr u32 MD5_SINES[64] = {
    0xD76AA478u, 0xE8C7B756u, 0x242070DBu, 0xC1BDCEEEu, 0xF57C0FAFu, 0x4787C62Au, 0xA8304613u, 0xFD469501u,
    0x698098D8u, 0x8B44F7AFu, 0xFFFF5BB1u, 0x895CD7BEu, 0x6B901122u, 0xFD987193u, 0xA679438Eu, 0x49B40821u,
    0xF61E2562u, 0xC040B340u, 0x265E5A51u, 0xE9B6C7AAu, 0xD62F105Du, 0x02441453u, 0xD8A1E681u, 0xE7D3FBC8u,
    0x21E1CDE6u, 0xC33707D6u, 0xF4D50D87u, 0x455A14EDu, 0xA9E3E905u, 0xFCEFA3F8u, 0x676F02D9u, 0x8D2A4C8Au,
    0xFFFA3942u, 0x8771F681u, 0x6D9D6122u, 0xFDE5380Cu, 0xA4BEEA44u, 0x4BDECFA9u, 0xF6BB4B60u, 0xBEBFBC70u,
    0x289B7EC6u, 0xEAA127FAu, 0xD4EF3085u, 0x04881D05u, 0xD9D4D039u, 0xE6DB99E5u, 0x1FA27CF8u, 0xC4AC5665u,
    0xF4292244u, 0x432AFF97u, 0xAB9423A7u, 0xFC93A039u, 0x655B59C3u, 0x8F0CCC92u, 0xFFEFF47Du, 0x85845DD1u,
    0x6FA87E4Fu, 0xFE2CE6E0u, 0xA3014314u, 0x4E0811A1u, 0xF7537E82u, 0xBD3AF235u, 0x2AD7D2BBu, 0xEB86D391u,
};

__device__ constexpr int MD5_TURNS[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

// The same for an MD5.
__device__ __forceinline__ void md5_block(Digest& state, const u32* block, int step) {
    u32 words[16];
#pragma unroll
    for (int place = 0; place < 16; ++place) words[place] = block[place * step];
    Digest next = state;
#pragma unroll
    for (int round = 0; round < 64; ++round) {
        u32 sum = next.a + MD5_SINES[round];
        if (round < 16) sum += (next.d ^ (next.b & (next.c ^ next.d))) + words[round];
        else if (round < 32) sum += (next.c ^ (next.d & (next.b ^ next.c))) + words[(5 * round + 1) & 15];
        else if (round < 48) sum += (next.b ^ next.c ^ next.d) + words[(3 * round + 5) & 15];
        else sum += (next.c ^ (next.b | ~next.d)) + words[(7 * round) & 15];
        next = {next.d, next.b + turn(sum, MD5_TURNS[round / 16 * 4 + round % 4]), next.b, next.c, 0};
    }
    state = {state.a + next.a, state.b + next.b, state.c + next.c, state.d + next.d, 0};
}
