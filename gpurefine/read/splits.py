"""Ranges of input files: how they are cut, and how ranges read apart are made to fit together.

A table is cut between rows, a WARC anywhere: a split of it is read from the first byte in its range that looks like a
record start, and a page that contains a WARC can look like one. So each split says where its first record began and
where its last one ended, and where the end of one is not the start of the next, the next is read again from there.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

#: Most ranges into which one row group is cut: whoever reads a range decodes the rows of its row group before it, too.
MOST_PARTS = 16


def plan_splits(size: int, split_bytes: int) -> list[tuple[int, int]]:
    """Cut a file of ``size`` bytes into ranges ``(begin, end)`` of ``split_bytes``; the last one may be shorter.

    An empty file has the one range (0, 0), so that each file has a split that vouches for it.
    """
    if split_bytes < 1:
        raise ValueError(f"split_bytes is {split_bytes}; a split has at least one byte")
    return [(begin, min(begin + split_bytes, size)) for begin in range(0, size, split_bytes)] or [(0, 0)]


def plan_rows(row_groups: Sequence[tuple[int, int]], split_bytes: int) -> list[tuple[int, int]]:
    """Cut a table into ranges of rows ``(begin, end)`` of some ``split_bytes``, at row groups where these are smaller.

    Parameters
    ----------
    row_groups : rows and bytes of each

    Returns
    -------
    The ranges in order, adjoining; a table without rows has the one range (0, 0)
    """
    borders, row, filled = [0], 0, 0
    for rows, size in row_groups:
        if row > borders[-1] and filled + size > split_bytes:
            borders.append(row)
            filled = 0
        parts = max(1, min(MOST_PARTS, rows, -(-size // split_bytes)))
        borders += [row + rows * part // parts for part in range(1, parts)]
        filled = filled + size if parts == 1 else size // parts
        row += rows
    return list(itertools.pairwise([*borders, row]))


def next_correction(splits: Sequence[tuple[int, int, int | None, int | None]]) -> tuple[int, int] | None:
    """The first split that was read from a wrong place, and the right one.

    Parameters
    ----------
    splits : ``(begin, end, first_start, last_end)`` of all splits of one file in order, adjoining, the first from 0 on;
        the last two are offsets in bytes as the reader of the split left them, None where it found nothing

    Returns
    -------
    ``(index, start)``: read this split again with ``start``, then ask again; splits before it are right. A start at or
    beyond the split's end means that the record before it reaches over all of it, and reading it so gives nothing.
    None when all splits fit together.
    """
    expected = 0
    for index, (_, end, first_start, last_end) in enumerate(splits):
        if first_start != (expected if expected < end else None):
            return index, expected
        expected = expected if last_end is None else last_end
    return None
