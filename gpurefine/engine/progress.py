"""Progress: one bar a step on a terminal, JSON lines elsewhere; and notes between them."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: Seconds between two JSON lines of one step.
LINE_EVERY = 10.0


def tell(message: str, *, quiet: bool = False) -> None:
    """Something a user should know while a run goes on: a line on a terminal, a JSON line elsewhere."""
    if not quiet:
        print(message if sys.stderr.isatty() else json.dumps({"note": message}), file=sys.stderr, flush=True)


class StepProgress:
    """Progress of one step; a context manager. ``quiet`` shows nothing."""

    def __init__(self, title: str, total: int, *, quiet: bool = False) -> None:
        self._title, self._total, self._quiet = title, total, quiet
        self._stream = sys.stderr
        self._began = self._told = time.monotonic()
        self._done = self._documents = self._bytes = self._kept = 0
        self._bar: Progress | None = None
        if not quiet and self._stream.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rates]}"),
                TimeRemainingColumn(),
                console=Console(file=self._stream),
            )

    def __enter__(self) -> StepProgress:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, rates="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif not self._quiet and kind is None and (self._documents or time.monotonic() - self._began > 1):
            self._line()

    def advance(self, documents: int = 0, kept: int = 0, size: int = 0, *, timed: bool = True) -> None:
        """One more partition or task is done; ``timed`` is false for what an earlier try had done."""
        self._done += 1
        if timed:
            self._documents += documents
            self._kept += kept
            self._bytes += size
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, rates=self._rates())
        elif not self._quiet and time.monotonic() - self._told >= LINE_EVERY:
            self._line()

    def _facts(self) -> dict[str, Any]:
        seconds = max(1e-9, time.monotonic() - self._began)
        facts: dict[str, Any] = {
            "step": self._title,
            "done": self._done,
            "of": self._total,
            "seconds": round(seconds, 1),
        }
        if self._documents:
            facts |= {
                "documents_per_second": round(self._documents / seconds, 1),
                "megabytes_per_second": round(self._bytes / seconds / 1e6, 2),
                "share_kept": round(self._kept / self._documents, 4),
            }
        return facts

    def _rates(self) -> str:
        facts = self._facts()
        if "share_kept" not in facts:
            return ""
        return (
            f"{facts['documents_per_second']:,.0f} documents/s  {facts['megabytes_per_second']:.1f} MB/s  "
            f"kept {facts['share_kept']:.1%}"
        )

    def _line(self) -> None:
        self._told = time.monotonic()
        print(json.dumps(self._facts()), file=self._stream, flush=True)
