"""Progress: one bar a step on a terminal, JSON lines elsewhere; and notes between them.

The run itself only counts (``meter``). A thread of its own draws or writes, twice a second on a terminal, else every
ten seconds and later every minute, also while a long job goes on; so a slow terminal does not slow the run down.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gpurefine.engine.meter import Meter, Rates
from gpurefine.standarderror import StandardError

#: Seconds between two JSON lines of one step, and after how many seconds they become fewer.
LINE_EVERY, FEWER_AFTER, LATER_EVERY = 10.0, 600.0, 60.0

#: Pictures a second on a terminal.
PICTURES = 2

#: Columns of a terminal that a title and a bar take at most.
TITLE_WIDTH, BAR_WIDTH = 34, 40


def tell(message: str, *, quiet: bool = False) -> None:
    """Something a user should know while a run goes on: a line on a terminal, a JSON line elsewhere."""
    if not quiet:
        stream = StandardError()
        stream.line(message if stream.isatty() else json.dumps({"note": message}))


class StepProgress:
    """Progress of one step; a context manager.

    Parameters
    ----------
    title : what the step does
    pieces : its partitions or jobs
    size : bytes of all of them; 0 if the pieces have no known size, so that their number tells what is done
    quiet : show nothing
    """

    def __init__(self, title: str, pieces: int, size: int = 0, *, quiet: bool = False) -> None:
        self._title, self._quiet = title, quiet
        self._meter = Meter(pieces, size, time.monotonic())
        self._stream = StandardError()
        self._live: Live | None = None
        self._ended = threading.Event()
        # between the run, which counts, and the thread that tells
        self._lock = threading.Lock()
        console = Console(file=self._stream)  # type: ignore[arg-type]
        if not quiet and self._stream.isatty() and not console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._picture,
                console=console,
                refresh_per_second=PICTURES,
                # notes go above the bar; what is printed into a file goes there
                redirect_stdout=sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty(),
            )

    def __enter__(self) -> StepProgress:
        if self._live is not None:
            self._live.start()
        elif not self._quiet:
            threading.Thread(target=self._write_lines, daemon=True, name="progress").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._live is not None:
            self._live.stop()
        elif not self._quiet and kind is None:
            now = time.monotonic()
            if self._meter.documents or self._meter.seconds(now) > 1:
                self._write_line()

    def advance(self, documents: int = 0, kept: int = 0, size: int = 0, *, timed: bool = True) -> None:
        """One more piece is done.

        Parameters
        ----------
        documents, kept : read in it, and left of them
        size : bytes, its part of the size of all
        timed : false for what an earlier try had done
        """
        with self._lock:
            self._meter.advance(time.monotonic(), documents, kept, size, timed)

    def _picture(self) -> Group:
        with self._lock:
            return picture(self._title, self._meter, time.monotonic(), datetime.now())

    def _write_lines(self) -> None:
        while not self._ended.wait(line_interval(self._meter.seconds(time.monotonic()))):
            self._write_line()

    def _write_line(self) -> None:
        with self._lock:
            told = facts(self._title, self._meter, time.monotonic(), datetime.now())
        self._stream.line(json.dumps(told))


def line_interval(age: float) -> float:
    """Seconds until the next JSON line of a step that is so many seconds old."""
    return LINE_EVERY if age < FEWER_AFTER else LATER_EVERY


def facts(title: str, meter: Meter, now: float, clock: datetime) -> dict[str, Any]:
    """What a JSON line says.

    Parameters
    ----------
    title : of the step
    meter : its counts
    now : time of the meter's clock
    clock : time of the wall's clock

    Returns
    -------
    ``step``, ``done``, ``of``, ``share_done``, ``seconds``; where documents are counted ``documents``, ``share_kept``
    and ``documents_per_second``; where bytes are, ``megabytes_per_second``; after some minutes ``recent_seconds`` and
    the same rates over these, ``recent_...``; while it is not done ``expected_end``, in ISO 8601 with the time zone.
    """
    told: dict[str, Any] = {
        "step": title,
        "done": meter.done,
        "of": meter.pieces,
        "share_done": round(meter.share(), 4),
        "seconds": round(meter.seconds(now), 1),
    }
    if meter.documents:
        told |= {"documents": meter.documents, "share_kept": round(meter.kept / meter.documents, 4)}
    told |= _said_rates(meter, meter.from_start(now), "")
    late = meter.of_late(now)
    if late is not None:
        told |= {"recent_seconds": round(late.seconds)} | _said_rates(meter, late, "recent_")
    end = _expected_end(meter, now, clock)
    if end is not None:
        told["expected_end"] = end.astimezone().isoformat(timespec="seconds")
    return told


def _said_rates(meter: Meter, rates: Rates, before: str) -> dict[str, float]:
    """Rates of what the step counts, which for a phase of a dedup is neither documents nor bytes."""
    told = {}
    if meter.documents:
        told[f"{before}documents_per_second"] = round(rates.documents, 1)
    if meter.size:
        told[f"{before}megabytes_per_second"] = round(rates.size / 1e6, 2)
    return told


def picture(title: str, meter: Meter, now: float, clock: datetime) -> Group:
    """What a terminal shows of a step: a bar with its end, and a line of rates below it. Parameters as in ``facts``."""
    share, ended = meter.share(), meter.done >= meter.pieces
    end = _expected_end(meter, now, clock)
    if ended:
        when = f"took {duration(meter.seconds(now))}"
    elif end is None:
        when = f"for {duration(meter.seconds(now))}"
    else:
        when = f"ends {moment(end, clock)}, in {duration((end - clock).total_seconds())}"
    bar = Table.grid(padding=(0, 2, 0, 0))
    bar.add_column(max_width=TITLE_WIDTH, no_wrap=True)
    bar.add_column(min_width=8, max_width=BAR_WIDTH)
    for _ in range(2):
        bar.add_column(no_wrap=True, justify="right")
    # rounded down: 100 % is said when all is done
    percent = Text(f"{int(share * 100)} %", style="" if ended else "bold")
    bar.add_row(Text(title), ProgressBar(1.0, share), percent, Text(when))
    return Group(bar, Text("   ".join(_counts(meter, now)), style="dim"))


def _counts(meter: Meter, now: float) -> list[str]:
    told = [f"  {meter.done:,} of {meter.pieces:,}"]
    if meter.documents:
        told += [f"{meter.documents:,} documents", f"{meter.kept / meter.documents:.1%} kept"]
    told += _shown_rates(meter, meter.from_start(now))
    late = meter.of_late(now)
    if late is not None and (meter.documents or meter.size):
        told.append(f"last {duration(late.seconds)}: {', '.join(_shown_rates(meter, late))}")
    return told


def _shown_rates(meter: Meter, rates: Rates) -> list[str]:
    told = [f"{rates.documents:,.0f} documents/s"] if meter.documents else []
    return told + ([f"{rates.size / 1e6:,.1f} MB/s"] if meter.size else [])


def _expected_end(meter: Meter, now: float, clock: datetime) -> datetime | None:
    """When the step will be done; None if it is, or if nothing tells."""
    left = meter.seconds_left(now)
    if not left:
        return None
    try:
        return clock + timedelta(seconds=left)
    except OverflowError:
        return None


def moment(when: datetime, now: datetime) -> str:
    """A time as a person says it: with the day where it is another one."""
    if when.date() == now.date():
        return f"{when:%H:%M}"
    return f"{when:%a %H:%M}" if when - now < timedelta(days=6) else f"{when:%Y-%m-%d %H:%M}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 04 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02} h"
