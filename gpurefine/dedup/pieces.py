"""Pieces of texts, and spans of them: what the dedups that look inside documents compare and take away.

A document is a row of *pieces*: its lines, its sentences or its tokens. A key stands for one or more consecutive pieces
(one line, three sentences, fifty tokens) and belongs to the first of them. Where keys collide, copies are marked, and
the union of what they cover are the *spans* of a document.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

#: Bits of a place that count the piece inside its partition; the bits above are the partition. Places of a step rise
#: with documents and, inside a document, with pieces.
PLACE_BITS = 40


def first_place(partition: int) -> int:
    """The place of the first piece of a partition; that of piece i is this plus i."""
    return partition << PLACE_BITS


@dataclass
class Pieces:
    """The pieces of n documents.

    Attributes
    ----------
    keys : uint64, (2, m), high and low half of a 128-bit key of each piece; of tokens, which have no keys yet, None
    starts : int64, (n + 1,), from 0; the pieces of document i are ``starts[i]`` .. ``starts[i + 1] - 1``
    compared : bool, (m,), whether the piece has a key at all; None if all have
    again : bool, (m,), copies of an earlier piece of the same document, which leave whatever other documents hold;
        None if there are none. They are not compared with other documents
    tokens : uint16, (m,), of a kind that compares windows of tokens; else None
    salts : uint64, (2, n), what both hashes of a document's windows are mixed with, so that only documents of one scope
        are compared; None where all are, or where ``keys`` are mixed already
    """

    keys: np.ndarray | None
    starts: np.ndarray
    compared: np.ndarray | None = None
    again: np.ndarray | None = None
    tokens: np.ndarray | None = None
    salts: np.ndarray | None = None


@dataclass
class Spans:
    """Spans of n documents.

    Attributes
    ----------
    starts : int64, (n + 1,), from 0; the spans of document i are ``starts[i]`` .. ``starts[i + 1] - 1``
    bounds : int64, (k, 2), first piece and the one behind the last, counted in the document; in order, and spans of one
        document neither overlap nor touch
    """

    starts: np.ndarray
    bounds: np.ndarray


@dataclass
class Edit:
    """What became of n documents with spans.

    Attributes
    ----------
    texts : n strings (``large_string``): what goes on, or, of a document that leaves, its text as it was
    characters : int64, (k, 2), for each span its first character and the one behind its last, in code points of the
        text as it was
    rules : rule by which each document leaves, None where it stays
    values, limits : float64, (n,), what was measured and what it was compared with; NaN where nothing was
    """

    texts: pa.Array
    characters: np.ndarray
    rules: list[str | None]
    values: np.ndarray
    limits: np.ndarray
