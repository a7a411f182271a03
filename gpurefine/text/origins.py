"""GPT-2 tokens of a text, and from spans of tokens back to characters of the text as it was.

Spans are found between tokens of normalised text, where case, accents, punctuation and white space cannot hide a copy;
what is taken out are characters of the text itself. Few documents have spans, so tokens are made a second time, from
the same text, and no map is kept from the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpurefine.kernels import bytes_before, characters_at, characters_of_normalised
from gpurefine.text.normalise import normalise
from gpurefine.text.unicode import Punctuation, normalisation_table

if TYPE_CHECKING:
    from gpurefine.kernels.sides import Array
    from gpurefine.text.gpt2 import Gpt2Tokenizer

_BLANK = ord(" ")

#: From a first item and the one behind the last to a first and a last item.
_BEHIND = np.array([0, 1])


def comparable_tokens(
    data: Array, offsets: Array, tokenizer: Gpt2Tokenizer, punctuation: Punctuation | None
) -> tuple[Array, Array]:
    """GPT-2 tokens of normalised texts, or of texts as they are.

    Parameters
    ----------
    data : uint8, UTF-8; on the host or on a device, where the tokens then are too
    offsets : int64, (n + 1,); text i is ``data[offsets[i]:offsets[i + 1]]``
    tokenizer : makes them
    punctuation : what normalising makes of punctuation and symbols; None: texts are not normalised

    Returns
    -------
    tokens : uint16, (m,)
    offsets : int64, (n + 1,), from 0; the tokens of text i are ``tokens[offsets[i]:offsets[i + 1]]``
    """
    if punctuation is not None:
        data, offsets = normalise(data, offsets, punctuation)
    return tokenizer.tokens(data, offsets)


def span_characters(
    data: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    bounds: np.ndarray,
    tokenizer: Gpt2Tokenizer,
    punctuation: Punctuation | None,
) -> np.ndarray:
    """The characters that spans of tokens come from.

    A span begins with the character that wrote the first byte of its first token and ends with the one that wrote the
    last byte of its last: all between belongs to it, also what normalising dropped. A character that is split between
    two tokens belongs to the span as a whole; one that two spans share is the former's. In normalised text a blank at
    an end of a span does not count, so that white space and punctuation there stay outside.

    One text is looked at after another; beside it that takes some 4 bytes for each byte of the longest.

    Parameters
    ----------
    data : uint8, UTF-8
    offsets : int64, (n + 1,); text i is ``data[offsets[i]:offsets[i + 1]]``
    starts : int64, (n + 1,), from 0; the spans of text i are ``bounds[starts[i]:starts[i + 1]]``
    bounds : int64, (k, 2), first token and the one behind the last, as ``comparable_tokens`` counts them in a text; in
        order, none is empty, and those of one text do not overlap
    tokenizer, punctuation : as for ``comparable_tokens``

    Returns
    -------
    int64, (k, 2), first character and the one behind the last, in code points of each text; in order, and those of one
    text do not overlap. Both are equal where nothing is left for a span

    Raises
    ------
    ValueError
        if a span reaches beyond the tokens of its text
    """
    out = np.empty(bounds.shape, np.int64)
    for text in range(len(starts) - 1):
        own, ends = slice(starts[text], starts[text + 1]), offsets[text : text + 2]
        if starts[text] == starts[text + 1]:
            continue
        if punctuation is None:
            found = _characters(data, ends, bounds[own], tokenizer)
        else:
            found = _characters_of_normalised(data, ends, bounds[own], tokenizer, punctuation)
        out[own] = apart(found)
    return out


def _characters(data: np.ndarray, ends: np.ndarray, bounds: np.ndarray, tokenizer: Gpt2Tokenizer) -> np.ndarray:
    """Spans of the text between ``ends`` by its own tokens."""
    inside = _bytes(data, ends, bounds, tokenizer) - _BEHIND
    return characters_at(data, int(ends[0]), int(ends[1]), inside.ravel()).reshape(-1, 2) + _BEHIND


def _characters_of_normalised(
    data: np.ndarray, ends: np.ndarray, bounds: np.ndarray, tokenizer: Gpt2Tokenizer, punctuation: Punctuation
) -> np.ndarray:
    """Spans of the text between ``ends`` by the tokens of its normalised text."""
    normalised, own_ends = normalise(data, ends, punctuation)
    inside = _bytes(normalised, own_ends, bounds, tokenizer) - _BEHIND
    inside += (normalised[inside] == _BLANK) * [1, -1]  # blanks are single
    some = inside[:, 0] <= inside[:, 1]
    table = normalisation_table(punctuation)
    tables = table.ascii_map, table.place, table.replacements
    found = characters_of_normalised(data, int(ends[0]), int(ends[1]), *tables, inside[some].ravel())
    characters = np.zeros_like(bounds)
    characters[some] = found.reshape(-1, 2) + _BEHIND
    return characters


def _bytes(data: np.ndarray, ends: np.ndarray, bounds: np.ndarray, tokenizer: Gpt2Tokenizer) -> np.ndarray:
    """int64, (k, 2): first byte of each span and the one behind its last, counted in the text between ``ends``."""
    tokens, _ = tokenizer.tokens(data, ends)
    if bounds[-1, 1] > len(tokens):
        raise ValueError(
            f"a span ends with token {bounds[-1, 1]} of a text that has {len(tokens)}: give the text in which it was "
            "found, and the same tokenizer"
        )
    return bytes_before(tokens, tokenizer.token_bytes, bounds.ravel()).reshape(-1, 2)


def apart(spans: np.ndarray) -> np.ndarray:
    """Spans of one text, int64, (k, 2), in order, each without what those before it cover; such may become empty."""
    last = np.maximum.accumulate(spans[:, 1])
    first = spans[:, 0].copy()
    first[1:] = np.maximum(first[1:], last[:-1])
    return np.stack([first, np.maximum(first, last)], axis=1)
