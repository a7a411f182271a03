"""tiktoken on the same vocabulary: what GPT-2's tokens should be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

from gpurefine.frames import string_column, text_buffers
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import fetch_models, merge_ranks, model_path

_WHITE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_LONG_WHITE = re.compile(f"(?<!{_WHITE}){_WHITE}{{10000,}}")


def gpt2_ranks() -> dict[bytes, int]:
    """Token -> id of the real vocabulary, without the special token."""
    resources = default_resources()
    fetch_models(resources, ["gpt2-vocab.bpe"])
    return merge_ranks(model_path("gpt2-vocab.bpe", resources).read_text("utf-8"))


def single_bytes() -> dict[bytes, int]:
    """A vocabulary without merges."""
    return {bytes([byte]): byte for byte in range(256)}


def encoding(ranks: Mapping[bytes, int]) -> tiktoken.Encoding:
    """GPT-2's pattern with any ranks."""
    return tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=dict(ranks), special_tokens={})


def encode(oracle: tiktoken.Encoding, text: str) -> list[int]:
    """``encode_ordinary`` for any text.

    Its regular expression engine overflows its stack on a run of a million blanks, which is a panic. A run of white
    space but for its last character is one piece when something follows it, so a text may be cut there.
    """
    tokens: list[int] = []
    start = 0
    for run in _LONG_WHITE.finditer(text):
        if run.end() < len(text):
            tokens += oracle.encode_ordinary(text[start : run.end() - 1])
            start = run.end() - 1
    return tokens + oracle.encode_ordinary(text[start:])


def expected(oracle: tiktoken.Encoding, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (uint16) and offsets (int64) of all texts."""
    encoded = [encode(oracle, text) for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(tokens) for tokens in encoded], out=offsets[1:])
    return np.array([token for tokens in encoded for token in tokens], np.uint16), offsets


def assert_equal_tokens(tokenizer, oracle: tiktoken.Encoding, texts: list[str]) -> None:
    """All tokens and their counts, for the texts as one batch."""
    data, starts = text_buffers(string_column(texts))
    tokens, offsets = tokenizer.tokens(data, starts)
    wanted, wanted_offsets = expected(oracle, texts)
    assert tokens.dtype == np.uint16 and offsets.dtype == np.int64
    differing = np.flatnonzero(np.diff(offsets) != np.diff(wanted_offsets))
    assert not differing.size, f"{len(differing)} texts, the first {texts[differing[0]][:200]!r}"
    np.testing.assert_array_equal(offsets, wanted_offsets)
    np.testing.assert_array_equal(tokens, wanted)
    np.testing.assert_array_equal(tokenizer.count(data, starts), np.diff(offsets))
