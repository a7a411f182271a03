"""The parent's side of a guarded extraction: pages go to a child process, answers come back in order.

One page is one message, and the next page is already on its way while the child works on the one before. So the child
is never idle, and a page that ends its child costs nothing but itself: it is tried once more, alone in a fresh child
that does not accelerate, and only then given up; the page behind it was not touched.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from gpurefine.stages.extraction.process import Answer, ChildProcess
from gpurefine.stages.extraction.wire import GuardSettings

_log = logging.getLogger(__name__)

#: A child is replaced after so many pages, so that nothing it remembers or leaks grows without bound.
PAGES_A_CHILD = 5000

#: How a child may have ended that a second try could undo; processor time was measured on the page alone.
_TRIED_AGAIN = frozenset({"crash", "memory"})


class Guard:
    """Extracts pages in a guarded child process, which is started when needed and kept between calls.

    One thread at a time may use it. ``starts`` counts the children. ``wall_limit_s`` is for a child that neither
    answers nor uses processor time: generous, because a busy machine must not remove pages.
    """

    def __init__(self, settings: GuardSettings, pages_a_child: int = PAGES_A_CHILD) -> None:
        self.settings = settings
        self.pages_a_child = pages_a_child
        self.wall_limit_s = 60 + 10 * settings.time_limit_s
        self.starts = 0
        self._child: ChildProcess | None = None

    def extract(self, pages: Sequence[bytes | memoryview]) -> list[Answer]:
        """Extract pages, in order.

        Parameters
        ----------
        pages : HTML in UTF-8

        Raises
        ------
        RunError
            if a child cannot be started
        """
        answers: list[Answer] = []
        alone = False  # the page at hand has already ended one child
        try:
            while len(answers) < len(pages):
                child = self._ready_child(alone)
                self._send(child, pages, len(answers), alone)
                answer = child.receive(self.wall_limit_s)
                if child.ended:
                    self.close()
                    if answer.outcome in _TRIED_AGAIN and not alone:
                        alone = True
                        continue
                if alone and self.settings.options.accelerate:
                    self.close()  # it has served its one page
                    answer = replace(answer, by_stock=answer.outcome in ("text", "empty"))
                alone = False
                answers.append(answer)
        except BaseException:
            self.close()  # it may hold pages whose answers nobody will ask for
            raise
        return answers

    def close(self) -> None:
        """End the child, whatever it is doing."""
        if self._child is not None:
            self._child.end()
            self._child = None

    @property
    def child_process(self) -> int | None:
        """Process number of the child, if there is one."""
        return self._child.number if self._child is not None else None

    def _ready_child(self, alone: bool) -> ChildProcess:
        if self._child is not None and self._child.accepted >= self.pages_a_child and not self._child.pending:
            self.close()
        if self._child is None:
            stock = replace(self.settings, options=replace(self.settings.options, accelerate=False))
            self._child = ChildProcess(stock if alone else self.settings)
            self.starts += 1
            why_stock = self._child.wait_until_ready()
            if why_stock and self.starts == 1:
                _log.warning("extraction in this process is not accelerated: %s", why_stock)
        return self._child

    def _send(self, child: ChildProcess, pages: Sequence[bytes | memoryview], at: int, alone: bool) -> None:
        """See to it that the child has page ``at``, and the one behind it unless it is to be alone."""
        for page in pages[at + child.pending : at + (1 if alone else 2)]:
            if child.accepted < self.pages_a_child:
                child.send(page)
