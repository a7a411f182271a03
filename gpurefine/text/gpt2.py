"""GPT-2 tokens of text columns, for shingles and for token counts.

Text becomes tokens as GPT-2's own encoder makes them (Radford et al. 2019): cut by its pattern, each piece byte-pair
encoded, no special tokens. The kernel does it over the bytes of a column; here are the tables it needs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gpurefine.kernels import (
    LONGEST_TOKEN,
    BytePairs,
    byte_pairs,
    count_gpt2_tokens,
    empty_lines,
    gpt2_tokens,
    last_pairs,
)
from gpurefine.kernels.cuda import gpt2 as cuda
from gpurefine.kernels.cuda.device import on_device, to_host
from gpurefine.text.unicode import gpt2_classes

if TYPE_CHECKING:
    from gpurefine.kernels.sides import Array

#: Distinct pre-tokens that are remembered: 16 MiB.
WORDS = 1 << 18

#: Ids are below this: tokens have 16 bits, of which one value means none.
MOST_IDS = 0xFFFF


class Gpt2Tokenizer:
    """GPT-2's byte-level byte-pair encoding with a memory of the words it met.

    The memory is bounded: ``words`` lines of 64 bytes, 16 MiB by default, and some 2 MiB for the tables of vocabulary
    and code points. When it is full, new words take the place of old ones. It makes a tokenizer quicker from batch to
    batch and never changes a token. One tokenizer is not for several threads at a time.

    Parameters
    ----------
    ranks : bytes of each token -> its id, which is also its rank: pairs that make a token of lower id are merged first.
        All 256 single bytes are among them, ids are different and below 65,535, a token has at most 128 bytes and
        merging them leads to it
    words : how many different pre-tokens (words with the blank before them) are remembered, at least 1

    Raises
    ------
    ValueError
        if the ranks or ``words`` are not like that
    """

    def __init__(self, ranks: Mapping[bytes, int], words: int = WORDS) -> None:
        self._lines = _memory(words)
        self._vocabulary = _tables(ranks)
        self._classes = gpt2_classes()
        self._on_device: cuda.DeviceVocabulary | None = None
        self._token_bytes = np.zeros(max(ranks.values()) + 1, np.uint8)
        for token, rank in ranks.items():
            self._token_bytes[rank] = len(token)

    def fresh(self, words: int = WORDS) -> Gpt2Tokenizer:
        """One with the same vocabulary, whose tables are made but once, and a memory of its own.

        Raises ``ValueError`` for less than one word.
        """
        other = copy.copy(self)
        other._lines = _memory(words)
        return other

    @property
    def token_bytes(self) -> np.ndarray:
        """How many bytes each token has: uint8, (largest id + 1,), 0 where there is none."""
        return self._token_bytes

    def tokens(self, data: Array, offsets: Array) -> tuple[Array, Array]:
        """Tokens of each document, equal to those of tiktoken's ``encode_ordinary``.

        Parameters
        ----------
        data : uint8, (bytes,), UTF-8; on the host or on a device, where the tokens then are too
        offsets : int64, (n + 1,); document i is ``data[offsets[i]:offsets[i + 1]]``

        Returns
        -------
        tokens : uint16, (m,)
        offsets : int64, (n + 1,), from 0; the tokens of document i are ``tokens[offsets[i]:offsets[i + 1]]``

        Raises
        ------
        ValueError
            if the arrays are not of these types and shapes, or the offsets fall or lie outside the data
        """
        if on_device(data):
            return cuda.gpt2_tokens(data, offsets, self._device_vocabulary())
        _check_buffers(data, offsets)
        return gpt2_tokens(data, offsets, self._classes, self._vocabulary, self._lines)

    def count(self, data: Array, offsets: Array) -> np.ndarray:
        """How many tokens each document has, without making them; see ``tokens``.

        Returns
        -------
        int64, (n,), on the host
        """
        if on_device(data):
            return to_host(cuda.count_gpt2_tokens(data, offsets, self._device_vocabulary()))
        _check_buffers(data, offsets)
        return count_gpt2_tokens(data, offsets, self._classes, self._vocabulary, self._lines)

    def _device_vocabulary(self) -> cuda.DeviceVocabulary:
        if self._on_device is None:
            self._on_device = cuda.device_vocabulary(self._classes, self._vocabulary)
        return self._on_device


def _memory(words: int) -> np.ndarray:
    if words < 1:
        raise ValueError(f"a tokenizer that remembers {words} words: give 1 or more")
    return empty_lines(words)


def _tables(ranks: Mapping[bytes, int]) -> BytePairs:
    """The kernel's tables, after a look at the ranks."""
    ids = np.fromiter(ranks.values(), np.int64, len(ranks))
    if len(ids) and (ids.min() < 0 or ids.max() >= MOST_IDS or len(np.unique(ids)) < len(ids)):
        raise ValueError(f"the ids of a GPT-2 vocabulary are different and from 0 to {MOST_IDS - 1}")
    single = [bytes([byte]) for byte in range(256)]
    if not all(token in ranks for token in single):
        raise ValueError("a GPT-2 vocabulary has all 256 single bytes")
    tokens = [token for token in ranks if len(token) > 1]
    if any(len(token) > LONGEST_TOKEN for token in tokens):
        raise ValueError(f"the tokens of a GPT-2 vocabulary have at most {LONGEST_TOKEN} bytes")
    splits = [
        (left, right, ranks[token])
        for token in tokens
        for cut in range(1, len(token))
        if (left := ranks.get(token[:cut])) is not None and (right := ranks.get(token[cut:])) is not None
    ]
    byte_ids = np.array([ranks[byte] for byte in single], np.uint16)
    every_split = byte_pairs(byte_ids, *np.array(splits, np.uint16).reshape(-1, 3).T.copy())
    # Until the bytes of a token have become two parts, nothing outside was merged with them, so in any text they are
    # the two that the token alone comes to: of all its splits one is enough, which makes the table half as large.
    parts = last_pairs(*_joined(tokens), every_split)
    if (parts == MOST_IDS).any():
        # tiktoken takes a piece that is a token as it is; here a piece is always merged, which must come to the same
        token = tokens[int(np.argmax(parts[:, 0] == MOST_IDS))]
        raise ValueError(f"no merges lead to token {token!r} of this GPT-2 vocabulary")
    merged = np.array([ranks[token] for token in tokens], np.uint16)
    return byte_pairs(byte_ids, *parts.T.copy(), merged)


def _joined(pieces: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.frombuffer(b"".join(pieces), np.uint8), offsets


def _check_buffers(data: np.ndarray, offsets: np.ndarray) -> None:
    if data.dtype != np.uint8 or data.ndim != 1 or offsets.dtype != np.int64 or offsets.ndim != 1 or not offsets.size:
        raise ValueError(
            f"text to tokens: {data.dtype} data {data.shape} and {offsets.dtype} offsets {offsets.shape}, "
            "expected uint8 (bytes,) and int64 (documents + 1,)"
        )
    if offsets[0] < 0 or offsets[-1] > data.size or (np.diff(offsets) < 0).any():
        raise ValueError(
            f"text to tokens: offsets must rise from 0 or more to {data.size}, the number of bytes, at most"
        )
