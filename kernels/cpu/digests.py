"""SHA-1 and MD5 of one block of 64 bytes (FIPS 180-4, RFC 1321): for the kernels that hash many short texts.

They stand here as hashes that other programs have chosen for their keys. Both are broken as cryptographic hashes.
"""

from __future__ import annotations

import math

import numba
import numpy as np

#: What the state is before the first block; MD5 has the first four.
INITIAL_STATE = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0], np.uint32)

_5, _30 = np.uint32(5), np.uint32(30)
_MD5_SINES = np.array([int(abs(math.sin(step + 1)) * 2**32) for step in range(64)], np.uint32)
_MD5_TURNS = np.array([[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]], np.uint32)


@numba.njit(inline="always")
def _turn(value, bits):
    """Turn a uint32 to the left."""
    return np.uint32(np.uint32(value << bits) | np.uint32(value >> (np.uint32(32) - bits)))


@numba.njit(nogil=True)
def sha1_block(state, block, words):
    """Take a block into the state of a SHA-1.

    Parameters
    ----------
    state : uint32, (5,)
    block : uint8, (64,) or more
    words : uint32, (80,), to work in
    """
    for place in range(16):
        value = np.uint32(0)
        for byte in block[4 * place : 4 * place + 4]:
            value = np.uint32(np.uint32(value << np.uint32(8)) | np.uint32(byte))
        words[place] = value
    for place in range(16, 80):
        mixed = words[place - 3] ^ words[place - 8] ^ words[place - 14] ^ words[place - 16]
        words[place] = _turn(np.uint32(mixed), np.uint32(1))
    a, b, c, d, e = state[0], state[1], state[2], state[3], state[4]
    # four loops, since one with a choice in each step takes half as long again
    for step in range(20):
        sum = np.uint32(_turn(a, _5) + (d ^ (b & (c ^ d))) + e + np.uint32(0x5A827999) + words[step])
        e, d, c, b, a = d, c, _turn(b, _30), a, sum
    for step in range(20, 40):
        sum = np.uint32(_turn(a, _5) + (b ^ c ^ d) + e + np.uint32(0x6ED9EBA1) + words[step])
        e, d, c, b, a = d, c, _turn(b, _30), a, sum
    for step in range(40, 60):
        sum = np.uint32(_turn(a, _5) + ((b & c) | (d & (b | c))) + e + np.uint32(0x8F1BBCDC) + words[step])
        e, d, c, b, a = d, c, _turn(b, _30), a, sum
    for step in range(60, 80):
        sum = np.uint32(_turn(a, _5) + (b ^ c ^ d) + e + np.uint32(0xCA62C1D6) + words[step])
        e, d, c, b, a = d, c, _turn(b, _30), a, sum
    state[0], state[1], state[2] = np.uint32(state[0] + a), np.uint32(state[1] + b), np.uint32(state[2] + c)
    state[3], state[4] = np.uint32(state[3] + d), np.uint32(state[4] + e)


@numba.njit(nogil=True)
def md5_block(state, block, words):
    """As ``sha1_block``, for an MD5, which leaves the fifth word of the state alone."""
    for place in range(16):
        value = np.uint32(0)
        for index in range(4):
            value = np.uint32(value | np.uint32(np.uint32(block[4 * place + index]) << np.uint32(8 * index)))
        words[place] = value
    a, b, c, d = state[0], state[1], state[2], state[3]
    for step in range(64):
        if step < 16:
            chosen, place = d ^ (b & (c ^ d)), step
        elif step < 32:
            chosen, place = c ^ (d & (b ^ c)), (5 * step + 1) & 15
        elif step < 48:
            chosen, place = b ^ c ^ d, (3 * step + 5) & 15
        else:
            chosen, place = c ^ (b | np.uint32(~d)), (7 * step) & 15
        sum = np.uint32(a + chosen + _MD5_SINES[step] + words[place])
        a, d, c, b = d, c, b, np.uint32(b + _turn(sum, _MD5_TURNS[step >> 4, step & 3]))
    state[0], state[1] = np.uint32(state[0] + a), np.uint32(state[1] + b)
    state[2], state[3] = np.uint32(state[2] + c), np.uint32(state[3] + d)
