"""A long run, unattended: is its rate steady, does its memory stay flat, and is anything left behind?

    python benchmarks/soak.py LARGE.warc.gz [--preset refinedweb] [--workers 2] [--shards 400] [--folder FOLDER]
        [--out FILE.md]

The records are dealt out to so many files, so that each tenth of the run has the same mix of pages. Then ``gpurefine
plan`` and ``gpurefine run`` go over them as a user gives them, in processes of their own. Every five seconds the run's
processes are looked at: memory of the driver, of workers and of extraction children, open files and sockets. The rate
of each tenth of the first step is taken from the times of its partitions' files. When it has ended, processes of the
run and temporary files that are still there are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from machine import describe, markdown, publish
from pipeline_datatrove import lay_out

import gpurefine

#: Seconds between two looks.
EVERY = 5.0
MIB = 1 << 20
#: Parts of the first step that are compared.
PARTS = ((0.1, 0.2), (0.9, 1.0))
#: Lines of the plan that are shown beside what came of it.
PLANNED = ("input", "measured", "time", "disk", "memory")


@dataclass
class Look:
    """What was seen of a run at a moment: seconds since its start, and bytes and counts by role of process."""

    seconds: float
    memory: dict[str, list[int]] = field(default_factory=dict)
    files: int = 0
    sockets: int = 0
    processes: int = 0


def role_of(process: psutil.Process, driver: int) -> str:
    """What a process of a run is."""
    if process.pid == driver:
        return "driver"
    line = " ".join(process.cmdline())
    if "extraction.child" in line:
        return "extraction child"
    return "worker" if "spawn_main" in line else "other"


def look(driver: psutil.Process, began: float) -> Look:
    """Look at a run's processes."""
    found = Look(time.monotonic() - began)
    for process in [driver, *driver.children(recursive=True)]:
        try:
            found.memory.setdefault(role_of(process, driver.pid), []).append(process.memory_info().rss)
            found.files += process.num_fds()
            found.sockets += len(process.net_connections())
            found.processes += 1
        except psutil.Error:
            continue
    return found


def ends_of_partitions(output: Path, before: float) -> np.ndarray:
    """Seconds, by a clock that stood at ``before`` at the start, at which each partition of the first step was done."""
    return np.sort([path.stat().st_mtime - before for path in (output / "removed").glob("part-0-*.parquet")])


def tenths(ends: np.ndarray, records: int) -> list[float]:
    """Records a second in each tenth of the partitions behind the first few, which warm up the workers."""
    marks = np.linspace(len(ends) // 50, len(ends) - 1, 11).astype(int)
    return (np.diff(marks) * records / len(ends) / np.diff(ends[marks])).tolist()


def flat(parts: list[list[Look]], role: str) -> list[str]:
    """Median and most of the memory of the largest process of a role in each part of the time, in MiB."""
    cells = []
    for part in parts:
        seen = [max(each.memory[role]) / MIB for each in part if role in each.memory]
        cells.append(f"{statistics.median(seen):,.0f} ({max(seen):,.0f})" if seen else "")
    return cells


def run_watched(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[list[Look], set[int], float]:
    """Run a command; what was seen of its processes, which they were, and how long it took."""
    began, looks, family = time.monotonic(), [], set()
    with (folder / "progress.jsonl").open("w") as progress:
        run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=progress)
        driver = psutil.Process(run.pid)
        while run.poll() is None:
            with contextlib.suppress(psutil.Error):
                looks.append(look(driver, began))
                family |= {child.pid for child in driver.children(recursive=True)}
            time.sleep(EVERY)
    if run.returncode:
        raise SystemExit(f"the run ended with {run.returncode}: {(folder / 'progress.jsonl').read_text()[-2000:]}")
    return [each for each in looks if "driver" in each.memory], family, time.monotonic() - began


def tables(ends: np.ndarray, records: int, looks: list[Look]) -> list[str]:
    """Rates by tenths, memory, and what was open at a time."""
    rates = tenths(ends, records)
    row = [*(f"{rate:.0f}" for rate in rates), f"**{rates[-1] / rates[0]:.3f}**"]
    lines = ["", "Records a second in each tenth of the first step:", ""]
    lines += markdown([*map(str, range(1, 11)), "last / first"], [row])
    parts = [[each for each in looks if low * ends[-1] <= each.seconds <= high * ends[-1]] for low, high in PARTS]
    parts.append([each for each in looks if each.seconds > ends[-1]])
    head = ["", "second tenth of the first step", "its last tenth", "behind it"]
    rows = [[role, *flat(parts, role)] for role in ("driver", "worker", "extraction child")]
    lines += ["", "Memory of the largest process of each role, MiB: median (most):", "", *markdown(head, rows)]
    rows = [
        [name, *(f"{statistics.median(getattr(each, name) for each in part):.0f}" if part else "" for part in parts)]
        for name in ("processes", "files", "sockets")
    ]
    return [*lines, "", "Open at a time, medians:", "", *markdown(head, rows), ""]


def main() -> None:
    """Lay out, plan, run, look and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc")
    parser.add_argument("--preset", default="refinedweb")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=400)
    parser.add_argument("--folder", type=Path, help="for files and results; deleted at the end if none is given")
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    if not (folder / "shards").exists():
        lay_out([options.warc], folder / "shards", options.shards)
    temporary, output = folder / "temporary", folder / "run"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "gpurefine"]
    common = [
        options.preset,
        str(folder / "shards" / "*.warc.gz"),
        "-o",
        str(output),
        "--workers",
        str(options.workers),
    ]
    plan = subprocess.run([*command, "plan", *common], env=environment, capture_output=True, text=True, check=True)
    before = time.time()
    looks, family, seconds = run_watched([*command, "run", *common], folder, environment)
    summary = gpurefine.open_run(output).summary()
    time.sleep(EVERY)
    left = [process for process in family if psutil.pid_exists(process)]
    scraps = [path for path in temporary.rglob("*") if path.is_file()]
    what = f"{summary['records']:,} records of {Path(options.warc).name} in {options.shards} files"
    lines = [f"# {Path(__file__).stem}", "", *describe(), ""]
    lines += [f"{what}, preset {options.preset}, {options.workers} workers.", ""]
    lines += [f"- wall time {seconds / 60:.1f} min; kept {summary['kept']:,}; noted {summary['noted'] or 'nothing'}"]
    lines += [f"- step {number}: {step['seconds']:.0f} s" for number, step in enumerate(summary["steps"])]
    lines += [f"- the plan: {line}" for line in plan.stdout.splitlines() if line.startswith(PLANNED)]
    lines += tables(ends_of_partitions(output, before), summary["records"], looks)
    names = f" ({', '.join(path.name for path in scraps)})" if scraps else ""
    lines += [f"Left behind when it had ended: {len(left)} processes, {len(scraps)} temporary files{names}.", ""]
    publish(lines, options.out)
    if options.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
