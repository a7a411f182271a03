"""Parts of a crawl that are refined one after another: which records belong to one.

RefinedWeb (3.3) was made in 100 parts, each with a hundredth of each dump; how it was cut is not said. Here a record's
part follows from its id, so that parts are disjoint and make the whole, however the files are cut and named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gpurefine.dedup.hashing import keyed_hash

#: Under what the records of other parts are counted among those that were skipped.
OTHER_PARTS = "of other parts"


def parse_part(text: str) -> tuple[int, int]:
    """``K/N`` as two numbers. Raises ValueError unless 1 <= K <= N."""
    number, slash, count = text.partition("/")
    if not (slash and all(each.isascii() and each.isdigit() and len(each) < 10 for each in (number, count))):
        raise ValueError(f"'{text}' is no part: expected K/N, for example 1/100 for the first of a hundred")
    if not 1 <= int(number) <= int(count):
        raise ValueError(f"'{text}' is no part: parts are counted from 1 to N, here from 1/{count} to {count}/{count}")
    return int(number), int(count)


@dataclass(frozen=True)
class Part:
    """One of ``count`` parts: the records whose keyed hash of the id, modulo ``count``, is ``number - 1``.

    The id is hashed with a word before it, so that parts are independent of what else is chosen by id and seed.
    """

    number: int
    count: int
    seed: int

    @staticmethod
    def of(text: str | None, seed: int) -> Part | None:
        """The part called ``K/N`` under a pipeline's seed; None for all."""
        return None if text is None else Part(*parse_part(text), seed)

    def members(self, ids: Iterable[str]) -> np.ndarray:
        """Which of n ids belong to it: bool, (n,)."""
        return keyed_hash(self.seed, (f"part {name}" for name in ids)) % np.uint64(self.count) == self.number - 1

    def has(self, name: str) -> bool:
        """Whether the record with this id belongs to it."""
        return bool(self.members([name])[0])
