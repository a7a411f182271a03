"""Standard error that may be gone: closed from the start, a terminal that was shut, a pipe whose reader has ended.

What a run tells there is for a person who looks on. That nobody looks any more must never end a run, so what cannot be
written is dropped.
"""

from __future__ import annotations

import sys
from typing import TextIO


class StandardError:
    """What ``sys.stderr`` was when this was made, as a file to write to that raises nothing."""

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr
        self.encoding: str = getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether a terminal is there."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def write(self, text: str) -> int:
        """Write, or drop what cannot be written."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                # what stays in its buffer would fail again at every later write
                self._stream = None
        return len(text)

    def flush(self) -> None:
        """Hand over what was written."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None

    def line(self, text: str) -> None:
        """Write a line at once, whole, so that lines of several threads do not mix."""
        self.write(text + "\n")
        self.flush()
