"""Edit distance (Levenshtein) of pairs of documents: insertions, deletions and changes of single units, each 1.

What two documents have in common at their beginning and end changes no distance and is left out. The rest is done by
Myers' bit vectors (A fast bit-vector algorithm for approximate string matching, JACM 46, 1999) in Hyyro's form: 64 rows
of the table are a word that holds the differences between neighbouring cells. A band of 64 rows goes through all
columns before the next begins, so what is held is a byte a column and 64 entries of the table of units.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

WORD_ROWS = 64
ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(nogil=True, cache=True)
def edit_distances(units, starts, left, right, matches, most_steps):
    """Edit distances of pairs of documents.

    Parameters
    ----------
    units : unsigned integers below ``matches.size``
    starts : int64, (documents + 1,); document i has ``units[starts[i]:starts[i + 1]]``
    left, right : int64, (pairs,), the documents of each pair
    matches : uint64, zeros, an entry for each unit; zeros afterwards
    most_steps : words that are worked on for a pair, at most

    Returns
    -------
    int64, (pairs,); -1 where it would take more steps: what has to be compared is cut into words of 64 units of one
    document, each worked on once for each unit of the other
    """
    distances = np.empty(left.size, np.int64)
    for pair in range(left.size):
        one = units[starts[left[pair]] : starts[left[pair] + 1]]
        other = units[starts[right[pair]] : starts[right[pair] + 1]]
        begin = _equal_begin(one, other)
        one, other = one[begin:], other[begin:]
        end = _equal_end(one, other)
        one, other = one[: one.size - end], other[: other.size - end]
        # the longer one in words, since a last word that is not full is as dear as a full one
        if one.size < other.size:
            one, other = other, one
        steps = (one.size + WORD_ROWS - 1) // WORD_ROWS * other.size
        distances[pair] = _distance(one, other, matches) if steps <= most_steps else -1
    return distances


@njit(nogil=True, cache=True)
def _equal_begin(one, other):
    size = min(one.size, other.size)
    for place in range(size):
        if one[place] != other[place]:
            return place
    return size


@njit(nogil=True, cache=True)
def _equal_end(one, other):
    size = min(one.size, other.size)
    for place in range(1, size + 1):
        if one[one.size - place] != other[other.size - place]:
            return place - 1
    return size


@njit(nogil=True, cache=True)
def _distance(rows, columns, matches):
    if columns.size == 0:
        return rows.size
    # differences from column to column in the last row that was done; above the first row they are all 1
    across = np.ones(columns.size, np.int8)
    for begin in range(0, rows.size, WORD_ROWS):
        end = min(begin + WORD_ROWS, rows.size)
        for row in range(begin, end):
            matches[rows[row]] |= uint64(1) << uint64(row - begin)
        _word(columns, matches, across, uint64(1) << uint64(end - begin - 1))
        for row in range(begin, end):
            matches[rows[row]] = 0
    distance = rows.size
    for column in range(columns.size):
        distance += across[column]
    return distance


@njit(nogil=True, cache=True)
def _word(columns, matches, across, last_row):
    """Take 64 rows through all columns; ``across`` is of the row above them and becomes that of their last one."""
    # rows whose cell is one more, one less than the one above it
    more, less = ONES, uint64(0)
    for column in range(columns.size):
        equal, above = matches[columns[column]], across[column]
        down = equal | less
        if above < 0:
            equal |= uint64(1)
        same = (((equal & more) + more) ^ more) | equal
        # cells that are one more, one less than the one before them in their row
        up_across, down_across = less | ~(same | more), more & same
        across[column] = (1 if up_across & last_row else 0) - (1 if down_across & last_row else 0)
        up_across, down_across = up_across << uint64(1), down_across << uint64(1)
        if above < 0:
            down_across |= uint64(1)
        elif above > 0:
            up_across |= uint64(1)
        more = down_across | ~(down | up_across)
        less = up_across & down
