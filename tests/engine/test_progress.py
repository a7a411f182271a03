"""What is told while a run goes on: pictures on a terminal, JSON lines elsewhere, and nothing that could end a run."""

import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import gpurefine
from gpurefine.engine import progress
from gpurefine.engine.meter import Meter
from gpurefine.engine.progress import StepProgress, duration, facts, line_interval, moment, picture, tell
from gpurefine.engine.tables import dedup_pipeline

NOON = datetime(2026, 3, 4, 12, 0)


def meter_of(pieces, done, size=0, seconds=10.0):
    """A meter whose pieces ended every so many seconds; each had 400 documents, a quarter of which stayed."""
    meter = Meter(pieces, size * pieces, 0.0)
    for piece in range(done):
        meter.advance((piece + 1) * seconds, 400, 100, size, True)
    return meter, done * seconds


def shown(width, *arguments):
    console = Console(width=width, file=io.StringIO())
    console.print(picture(*arguments))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_json_line_tells_all_that_is_known():
    meter, now = meter_of(200, 100, 5_000_000)
    told = facts("read, extract", meter, now, NOON)
    assert told.pop("expected_end") == (NOON + timedelta(seconds=1000)).astimezone().isoformat(timespec="seconds")
    assert told == {
        "step": "read, extract",
        "done": 100,
        "of": 200,
        "share_done": 0.5,
        "seconds": 1000.0,
        "documents": 40_000,
        "documents_per_second": 40.0,
        "megabytes_per_second": 0.5,
        "share_kept": 0.25,
        "recent_seconds": 600,
        "recent_documents_per_second": 40.0,
        "recent_megabytes_per_second": 0.5,
    }


def test_a_json_line_leaves_out_what_is_not_known():
    assert set(facts("x", Meter(3, 0, 0.0), 5.0, NOON)) == {"step", "done", "of", "share_done", "seconds"}
    assert set(facts("x", meter_of(3, 1)[0], 10.0, NOON)) >= {"expected_end"}
    assert "expected_end" not in facts("x", meter_of(3, 3)[0], 30.0, NOON)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (
            130,
            [
                "read, extract  ━━━━━━━━━━━━━━━━━━━━                      50 %  ends 12:16, in 17 min",
                "  100 of 200   40,000 documents   25.0% kept   40 documents/s   0.5 MB/s   "
                "last 10 min: 40 documents/s, 0.5 MB/s",
            ],
        ),
        (
            60,
            [
                "read, extract  ━━━━━━━━          50 %  ends 12:16, in 17 min",
                "  100 of 200   40,000 documents   25.0% kept   40",
                "documents/s   0.5 MB/s   last 10 min: 40 documents/s, 0.5",
                "MB/s",
            ],
        ),
    ],
)
def test_the_picture_of_a_step(width, expected):
    meter, now = meter_of(200, 100, 5_000_000)
    assert shown(width, "read, extract", meter, now, NOON) == expected


def test_the_picture_of_a_dedup_phase_that_nothing_is_known_of_yet_and_that_is_done():
    begun = shown(80, "exact: collide", Meter(12, 0, 0.0), 65.0, NOON)
    assert begun == [f"exact: collide  {'':40}  0 %  for 65 s", "  0 of 12"]
    meter = Meter(2, 0, 0.0)
    for now in (50.0, 60.0):
        meter.advance(now, 0, 0, 0, True)
    assert shown(80, "exact: collide", meter, 60.0, NOON)[0].endswith("  100 %  took 60 s")


def test_all_but_done_is_not_called_done():
    meter, now = meter_of(1000, 999)
    assert "  99 %  ends 14:" in shown(100, "x", meter, now, datetime(2026, 3, 4, 14, 0))[0]


def test_what_counts_bytes_alone_tells_their_rate():
    meter = Meter(4, 4_000_000, 0.0)
    meter.advance(2.0, 0, 0, 1_000_000, True)
    assert shown(100, "put into s3://bucket/run", meter, 2.0, NOON)[1] == "  1 of 4   0.5 MB/s"
    told = facts("put into s3://bucket/run", meter, 2.0, NOON)
    assert told["megabytes_per_second"] == 0.5 and not {"documents", "documents_per_second", "share_kept"} & set(told)


def test_a_picture_of_any_width_is_drawn():
    meter, now = meter_of(200, 100, 5_000_000)
    for width in (1, 5, 20, 40):
        assert shown(width, "dedup.minhash: gather from old runs", meter, now, NOON)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5400, "90 min"), (6001, "1 h 40 min"), (10**6, "11 d 14 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("later", "text"),
    [(0, "12:00"), (11 * 3600, "23:00"), (12 * 3600, "Thu 00:00"), (40 * 86400, "2026-04-13 12:00")],
)
def test_moments(later, text):
    assert moment(NOON + timedelta(seconds=later), NOON) == text


def test_an_end_beyond_all_calendars_is_not_told():
    meter = Meter(10**15, 0, 0.0)
    meter.advance(10.0**5, 1, 1, 0, True)
    assert "expected_end" not in facts("x", meter, 10.0**5, NOON)


def test_lines_come_every_ten_seconds_and_later_every_minute():
    assert [line_interval(age) for age in (0, 599, 600, 10**6)] == [10, 10, 60, 60]


def test_lines_are_told_while_a_job_goes_on_and_end_with_the_step(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_EVERY", 0.02)
    with StepProgress("connect", 1) as step:
        deadline = time.monotonic() + 20
        told = ""
        while told.count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
            told += capsys.readouterr().err
        step.advance(documents=5, kept=5)
    lines = [json.loads(line) for line in told.splitlines()]
    assert len(lines) >= 3 and {line["done"] for line in lines} == {0}
    last = [json.loads(line) for line in capsys.readouterr().err.splitlines()][-1]
    assert (last["done"], last["share_done"], last["share_kept"]) == (1, 1.0, 1.0)
    time.sleep(0.1)
    assert capsys.readouterr().err == ""
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_quiet_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_EVERY", 0.01)
    with StepProgress("x", 1, quiet=True) as step:
        time.sleep(0.05)
        step.advance(10, 10)
    tell("a note", quiet=True)
    assert capsys.readouterr().err == ""


PROGRAM = """
import time
from gpurefine.engine.progress import StepProgress, tell
with StepProgress("read, extract", 4, 400) as step:
    for _ in range(4):
        time.sleep(0.3)
        step.advance(1000, 250, 100)
    tell("a note")
print("the result")
"""


def on_a_terminal(program, **environment):
    """What a program writes on a pseudo-terminal as its standard error, and its standard output."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "100", **environment},
    )
    os.close(theirs)
    told = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        told += piece
    os.close(ours)
    assert child.wait(60) == 0
    return told.decode(), child.stdout.read().decode()


def test_a_terminal_gets_one_bar_with_notes_above_it():
    told, result = on_a_terminal(PROGRAM, TERM="xterm")
    assert result == "the result\n"
    assert "{" not in told
    last = told[told.rindex("read, extract") :]
    assert "100 %" in last and "took 1 s" in last and "4,000 documents" in last and "25.0% kept" in last
    assert "ends" in told and "a note\r\n" in told
    # it is drawn twice a second, not at each piece
    assert 3 <= told.count("read, extract") <= 8


def test_a_terminal_that_cannot_move_its_cursor_gets_lines():
    told, _ = on_a_terminal(PROGRAM, TERM="dumb")
    lines = told.replace("\r", "").splitlines()
    assert lines[0] == "a note" and json.loads(lines[1])["share_kept"] == 0.25 and len(lines) == 2


@pytest.mark.parametrize("how", ["2>&-", "2>/dev/full", "2> >(exit)"])
def test_a_standard_error_that_is_gone_ends_nothing(how, tmp_path):
    """Closed, full, and a pipe that nobody reads."""
    program = tmp_path / "program.py"
    program.write_text("from gpurefine.engine import progress\nprogress.LINE_EVERY = 0.05\n" + PROGRAM)
    done = subprocess.run(["bash", "-c", f"{sys.executable} {program} {how}"], stdout=subprocess.PIPE, text=True)
    assert done.stdout == "the result\n"


def test_a_terminal_that_is_shut_ends_nothing():
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    os.read(ours, 100)
    os.close(ours)
    assert child.wait(60) == 0 and child.stdout.read() == b"the result\n"


def test_a_run_whose_standard_error_is_closed_ends_well(tmp_path, monkeypatch, scheduler):
    closed = open(os.devnull, "w")  # noqa: SIM115
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    pq.write_table(pa.table({"text": ["one text", "one text", "another"]}), tmp_path / "a.parquet")
    run = gpurefine.run(dedup_pipeline("exact"), tmp_path / "a.parquet", tmp_path / "run", scheduler=scheduler)
    assert run.summary()["kept"] == 2


def test_counting_costs_a_run_next_to_nothing(capsys):
    """A million partitions in less than 20 seconds here, when a partition takes a second of a worker."""
    pieces = 100_000
    begin = time.perf_counter()
    with StepProgress("x", pieces, pieces) as step:
        for _ in range(pieces):
            step.advance(1, 1, 1)
    assert time.perf_counter() - begin < 2
