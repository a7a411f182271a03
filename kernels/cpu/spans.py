"""Marked pieces to spans: the union of what repeated keys cover, from one bit a piece."""

from __future__ import annotations

import numpy as np
from numba import njit, uint8, uint64


@njit(nogil=True, cache=True)
def mark_pieces(numbers, bits):
    """Set the bits of some pieces.

    Parameters
    ----------
    numbers : uint64, (n,), pieces, in any order, also repeated
    bits : uint8, ((pieces + 7) // 8,), changed in place; bit ``i % 8`` of byte ``i // 8`` is that of piece i
    """
    for number in numbers:
        bits[number >> uint64(3)] |= uint8(1) << uint8(number & uint64(7))


@njit(nogil=True, cache=True)
def list_spans(bits, starts, length, documents, bounds):
    """Spans of each document: the union of ``[piece, piece + length)`` over its marked pieces.

    Overlapping and touching ones are joined; none goes beyond the end of its document.

    Parameters
    ----------
    bits : uint8, as ``mark_pieces`` left them
    starts : int64, (n + 1,), from 0; the pieces of document i are ``starts[i]`` .. ``starts[i + 1] - 1``
    length : pieces that a mark covers, at least 1
    documents : int64, (k,), gets the document of each span; with no room (k = 0) spans are only counted
    bounds : int64, (k, 2), gets its first piece and the one behind its last, counted in the document

    Returns
    -------
    Number of spans; they come in order
    """
    spans, write = 0, documents.size > 0
    for document in range(starts.size - 1):
        begin, end = starts[document], starts[document + 1]
        first, reach = np.int64(-1), np.int64(-1)
        piece = begin
        while piece < end:
            byte = bits[piece >> 3]
            if byte == 0 and piece & 7 == 0:
                piece += 8
                continue
            if (byte >> uint8(piece & 7)) & uint8(1):
                if first < 0 or piece > reach:
                    if first >= 0:
                        if write:
                            documents[spans], bounds[spans, 0], bounds[spans, 1] = (
                                document,
                                first - begin,
                                reach - begin,
                            )
                        spans += 1
                    first = piece
                reach = min(end, piece + length)
            piece += 1
        if first >= 0:
            if write:
                documents[spans], bounds[spans, 0], bounds[spans, 1] = document, first - begin, reach - begin
            spans += 1
    return spans
