"""How fast a step goes and when it will end, from what is done so far. Arithmetic only: the time is always given.

A step is a row of pieces, its partitions or jobs, and what is known when one of them ends. How much of it is done is
told by bytes where the pieces have a known size, else by their number. Rates leave out what an earlier try has done.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

#: Seconds over which the rate of late is taken: several partitions of the largest size on a machine of two cores.
LATELY = 600.0
#: Seconds between two marks that are kept of them.
MARK_EVERY = 2.0


class Mark(NamedTuple):
    """What was done in this try by a moment: documents, bytes, and work in the unit of the step."""

    when: float
    documents: int
    size: int
    work: int


@dataclass(frozen=True)
class Rates:
    """What was done a second, over so many seconds."""

    seconds: float
    documents: float
    size: float
    work: float


class Meter:
    """Counts of one step as its pieces end.

    Parameters
    ----------
    pieces : partitions or jobs of the step
    size : bytes of all pieces; 0 where they have no known size
    now : seconds of a clock that never goes back, as everywhere here
    """

    def __init__(self, pieces: int, size: int, now: float) -> None:
        self.pieces, self._by_size = pieces, size > 0
        self._all_work = size if self._by_size else pieces
        self.began = now
        self.done = self.documents = self.kept = self.size = 0
        self._work = self._work_before = 0
        self._marks = deque([Mark(now, 0, 0, 0)])

    def advance(self, now: float, documents: int, kept: int, size: int, timed: bool) -> None:
        """One more piece is done; ``timed`` is false for what an earlier try had done."""
        self.done += 1
        work = size if self._by_size else 1
        if not timed:
            self._work_before += work
            return
        self.documents += documents
        self.kept += kept
        self.size += size
        self._work += work
        if now - self._marks[-1].when >= MARK_EVERY:
            self._marks.append(Mark(now, self.documents, self.size, self._work))
        while len(self._marks) > 1 and self._marks[1].when <= now - LATELY:
            self._marks.popleft()

    def share(self) -> float:
        """Share of the step that is done, 0 to 1."""
        if self.done >= self.pieces:
            return 1.0
        return min(1.0, (self._work_before + self._work) / self._all_work) if self._all_work else 0.0

    def seconds(self, now: float) -> float:
        """How long this try has been at the step."""
        return max(1e-9, now - self.began)

    def from_start(self, now: float) -> Rates:
        """Rates since this try has begun the step."""
        return self._since(Mark(self.began, 0, 0, 0), now)

    def of_late(self, now: float) -> Rates | None:
        """Rates over the last ``LATELY`` seconds or a little more; None while the step is not older than that."""
        old = [mark for mark in self._marks if mark.when <= now - LATELY]
        return self._since(old[-1], now) if old and old[-1].when > self.began else None

    def seconds_left(self, now: float) -> float | None:
        """How long the rest will take at the rate of late; None where nothing is done by which it could be told."""
        if self.done >= self.pieces:
            return 0.0
        rate = (self.of_late(now) or self.from_start(now)).work or self.from_start(now).work
        return max(0, self._all_work - self._work - self._work_before) / rate if rate else None

    def _since(self, mark: Mark, now: float) -> Rates:
        seconds = max(1e-9, now - mark.when)
        return Rates(
            seconds,
            (self.documents - mark.documents) / seconds,
            (self.size - mark.size) / seconds,
            (self._work - mark.work) / seconds,
        )
