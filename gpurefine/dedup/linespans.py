"""What the dedups of lines and sentences share: a text as a row of pieces, and the text without some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gpurefine.dedup.pieces import Pieces


def pieces_of_keys(rows: Sequence[Sequence[tuple[int, int] | None]]) -> Pieces:
    """Pieces of documents from their keys.

    Parameters
    ----------
    rows : of each document, of each piece the two halves of its key, or None for a piece that has none
    """
    flat = [key for row in rows for key in row]
    keys = np.array([key or (0, 0) for key in flat], np.uint64).reshape(-1, 2).T
    compared = np.array([key is not None for key in flat], bool)
    return with_copies(Pieces(keys, np.cumsum([0, *map(len, rows)]), compared))


def with_copies(pieces: Pieces) -> Pieces:
    """Pieces with ``again``, from their keys and from what is compared of them."""
    assert pieces.keys is not None
    high, low = pieces.keys
    again = np.zeros(len(high), bool)
    own = np.arange(len(high)) if pieces.compared is None else np.flatnonzero(pieces.compared)
    # most keys occur once in all the documents: only the others are sorted by document
    order = own[np.argsort(high[own])]
    equal = high[order[1:]] == high[order[:-1]]
    suspects = np.sort(order[np.append(equal, False) | np.append(False, equal)]) if len(order) else order
    documents = np.searchsorted(pieces.starts, suspects, "right")
    columns = documents, high[suspects], low[suspects]
    order = np.lexsort(columns)
    same = np.logical_and.reduce([column[order[1:]] == column[order[:-1]] for column in columns])
    again[suspects[order[1:][same]]] = True
    return replace(pieces, again=again)


def line_borders(text: str) -> list[int]:
    """Where the lines of a text begin, in code points, and one behind the last newline that would end it.

    An empty text has no line.
    """
    if not text:
        return [0]
    borders = [0]
    for line in text.split("\n"):
        borders.append(borders[-1] + len(line) + 1)
    return borders


def without(text: str, borders: Sequence[int], bounds: np.ndarray, *, lines: bool) -> tuple[str, list[tuple[int, int]]]:
    """A text without some of its pieces.

    Parameters
    ----------
    text : its pieces are ``text[borders[i]:borders[i + 1]]``, white space at their ends included
    borders : rising; the last may lie behind the end
    bounds : int64, (k, 2), first piece and the one behind the last of each span; in order and apart
    lines : whether pieces are lines, between which there is one newline, not sentences with white space behind them

    Returns
    -------
    The other pieces together, without the newline or white space that stood before the last piece if that went; and
    the characters of each span, without what stands between it and the next piece
    """
    left, characters, end, last = [], [], 0, 0
    for first, last in bounds.tolist():
        left.append(text[end : borders[first]])
        end = borders[last]
        span = text[borders[first] : end]
        inner = span[: borders[last] - 1 - borders[first]] if lines else span.rstrip()
        characters.append((borders[first], borders[first] + len(inner)))
    left.append(text[end:])
    new = "".join(left)
    if last < len(borders) - 1:
        return new, characters
    return new.removesuffix("\n") if lines else new.rstrip(), characters
