"""Ranges of input files: how they are cut, and how ranges read apart are made to fit together.

A table is cut at row groups, a WARC anywhere: a split of it is read from the first byte in its range that looks like a
record start, and a page that contains a WARC can look like one. So each split says where its first record began and
where its last one ended, and where the end of one is not the start of the next, the next is read again from there.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence


def plan_splits(size: int, split_bytes: int) -> list[tuple[int, int]]:
    """Cut a file of ``size`` bytes into ranges ``(begin, end)`` of ``split_bytes``; the last one may be shorter.

    An empty file has the one range (0, 0), so that each file has a split that vouches for it.
    """
    if split_bytes < 1:
        raise ValueError(f"split_bytes is {split_bytes}; a split has at least one byte")
    return [(begin, min(begin + split_bytes, size)) for begin in range(0, size, split_bytes)] or [(0, 0)]


def plan_row_groups(sizes: Sequence[int], split_bytes: int) -> list[tuple[int, int]]:
    """Cut a table into ranges ``(begin, end)`` of row groups of at most ``split_bytes``, or of one that is larger.

    Parameters
    ----------
    sizes : bytes of each row group

    Returns
    -------
    The ranges in order; a table without row groups has the one range (0, 0)
    """
    borders, filled = [0], 0
    for index, size in enumerate(sizes):
        if index > borders[-1] and filled + size > split_bytes:
            borders.append(index)
            filled = 0
        filled += size
    return list(itertools.pairwise([*borders, len(sizes)]))


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
