"""Byte-pair merging against a plain version, and both ways of it against each other; no byte outside is touched."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.kernels import byte_pairs, count_gpt2_tokens, empty_lines, gpt2_tokens, last_pairs
from gpurefine.kernels.cpu.bytepairs import merge_scanning, merge_with_heap

#: Tokens over three letters, in an order in which longer ones often come before the shorter ones that they hold.
TOKENS = [b"bc", b"ab", b"aa", b"abc", b"aaa", b"ca", b"bcab", b"aaaa", b"cab", b"bcabc", b"abab", b"bb", b"bbbb"]


def tables(tokens):
    ids = {bytes([byte]): byte for byte in range(256)} | {token: 256 + rank for rank, token in enumerate(tokens)}
    splits = [(token[:cut], token[cut:], merged) for token, merged in ids.items() for cut in range(1, len(token))]
    rows = [(ids[left], ids[right], merged) for left, right, merged in splits if left in ids and right in ids]
    left, right, merged = np.array(rows, np.uint16).reshape(-1, 3).T.copy()
    return ids, byte_pairs(np.arange(256, dtype=np.uint16), left, right, merged)


def plain(ids, piece):
    """The definition: again and again the leftmost of the pairs that make the token of the lowest id."""
    parts = [piece[index : index + 1] for index in range(len(piece))]
    while True:
        pairs = [(ids[a + b], at) for at, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in ids]
        if not pairs:
            return [ids[part] for part in parts]
        at = min(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


LETTERS = st.lists(st.sampled_from(b"abcx"), min_size=1, max_size=60).map(bytes)


@given(LETTERS, st.permutations(TOKENS), st.integers(0, len(TOKENS)))
@example(b"a" * 60, TOKENS, len(TOKENS))
@example(b"ab", [], 0)
def test_merging(piece, order, count):
    ids, vocabulary = tables(order[:count])
    data = np.frombuffer(b"b" + piece + b"c", np.uint8)
    found, ranks = np.empty((2, len(piece)), np.uint32)
    length = merge_scanning(data, 1, 1 + len(piece), *vocabulary, found, ranks, 1)
    assert found[:length].tolist() == plain(ids, piece)
    found, length = merge_with_heap(data, 1, 1 + len(piece), vocabulary.byte_ids, vocabulary.pairs)
    assert found[:length].tolist() == plain(ids, piece)


def test_the_last_pair_of_a_token():
    ids, vocabulary = tables(TOKENS)
    pieces = [token for token in TOKENS if plain(ids, token) == [ids[token]]] + [b"xyz", b"xy"]
    assert len(pieces) > 8
    offsets = np.cumsum([0, *map(len, pieces)])
    found = last_pairs(np.frombuffer(b"".join(pieces), np.uint8), offsets, vocabulary)
    assert found[-2].tolist() == [0xFFFF, 0xFFFF]
    assert found[-1].tolist() == list(b"xy")
    for piece, pair in zip(pieces[:-2], found.tolist(), strict=False):
        without = {token: number for token, number in ids.items() if token != piece}
        assert plain(without, piece) == pair


CLASSES = np.random.default_rng(5).integers(0, 4, 0x110000).astype(np.uint8)


@given(st.lists(st.binary(max_size=80), max_size=4), st.integers(1, 4))
@example([b"\xf4", b"\xff\xff\xff\xff", b" \xe2", b"a" * 31 + b"\xf0\x90"], 1)
def test_bytes_that_are_no_utf_8_are_all_kept(documents, words):
    _, vocabulary = tables([])
    offsets = np.cumsum([0, *map(len, documents)])
    data, lines = np.frombuffer(b"".join(documents), np.uint8), empty_lines(words)
    for _ in range(2):
        tokens, found = gpt2_tokens(data, offsets, CLASSES, vocabulary, lines)
        np.testing.assert_array_equal(tokens, data)
        np.testing.assert_array_equal(found, offsets)
        np.testing.assert_array_equal(count_gpt2_tokens(data, offsets, CLASSES, vocabulary, lines), np.diff(offsets))


def test_lines_are_whole_cache_lines():
    for words in (1, 2, 1000):
        lines = empty_lines(words)
        assert lines.ctypes.data % 64 == 0
        assert lines.shape[1] * lines.itemsize == 64
        assert words <= len(lines) < words + 8


#: Runs in a process of its own, because a compiled kernel looks at bounds only where it was compiled to.
LOOK_AT_BOUNDS = """
import sys
import numpy as np
import pytest
from test_gpt2_kernels import CLASSES, TOKENS, tables
from gpurefine.kernels import count_gpt2_tokens, empty_lines, gpt2_tokens
random, (_, vocabulary) = np.random.default_rng(11), tables(TOKENS)
some = np.frombuffer(b"abc abcabcabc  \\n'll \\xc3\\xa9\\xe4\\xb8\\xad\\xf0\\x9f\\x91\\x8d", np.uint8)
for size in [*range(70), *range(120, 140), 2000] * 3:
    data = random.choice(some, size) if size % 2 else random.integers(0, 256, size).astype(np.uint8)
    cuts = np.sort(random.integers(0, size + 1, 3))
    offsets, lines = np.concatenate([[0], cuts, [size]]), empty_lines(int(random.integers(1, 9)))
    counts = count_gpt2_tokens(data, offsets, CLASSES, vocabulary, lines)
    tokens, found = gpt2_tokens(data.copy(), offsets, CLASSES, vocabulary, lines)
    assert (np.diff(found) == counts).all()
print("done")
"""


@pytest.mark.slow
def test_no_index_is_out_of_bounds(tmp_path):
    settings = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.path.dirname(__file__)}
    environment = {**os.environ, **settings}
    done = subprocess.run(
        [sys.executable, "-c", LOOK_AT_BOUNDS], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "done\n", done.stderr
