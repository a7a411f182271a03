"""A long run, unattended: is its rate steady, does its memory stay flat, and is anything left behind?

    python benchmarks/soak.py LARGE.warc.gz [--preset refinedweb] [--workers 2] [--shards 40] [--folder FOLDER]
        [--out FILE.md]

The records are dealt out to so many files, so that each tenth of the run has the same mix of pages. Then ``gpurefine
plan`` and ``gpurefine run`` go over them as a user gives them, in processes of their own. Every five seconds the run's
processes are looked at: memory of the driver, of workers and of extraction children, open files and sockets. The rate
of each tenth of the first step is taken from the run's own lines of progress. When it has ended, processes of the run
and temporary files that are still there are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
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
#: Parts of the time that are compared, where nearly all of it is the first step.
PARTS = ((0.1, 0.2), (0.6, 0.7))
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


def tenths(lines: list[dict[str, float]]) -> list[float]:
    """Documents a second in each tenth of a step, by its lines of progress."""
    times = np.array([0.0, *(line["seconds"] for line in lines)])
    counts = np.array([0.0, *(line["documents"] for line in lines)])
    keep = np.concatenate([[True], np.diff(counts) > 0])
    marks = np.interp(np.linspace(0, counts[-1], 11), counts[keep], times[keep])
    return (counts[-1] / 10 / np.diff(marks)).tolist()


def flat(looks: list[Look], role: str) -> list[str]:
    """Largest memory of a process of a role in the second and in the last tenth of the time, and at all, in MiB."""
    end = looks[-1].seconds
    cells = []
    for low, high in ((0.1, 0.2), (0.9, 1.0), (0.0, 1.0)):
        seen = [
            max(each.memory[role]) for each in looks if role in each.memory and low * end <= each.seconds <= high * end
        ]
        cells.append(f"{max(seen) / MIB:,.0f}" if seen else "")
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


def tables(folder: Path, looks: list[Look], seconds: float) -> list[str]:
    """Rates by tenths, memory, and what was open at a time."""
    told = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines() if line.startswith("{")]
    told = [line for line in told if "documents" in line]
    rates = tenths([line for line in told if line["step"] == told[0]["step"]])
    row = [*(f"{rate:.0f}" for rate in rates), f"**{rates[-1] / rates[0]:.3f}**"]
    lines = ["", "Documents a second in each tenth of the first step:", ""]
    lines += markdown([*map(str, range(1, 11)), "last / first"], [row])
    rows = [[role, *flat(looks, role)] for role in ("driver", "worker", "extraction child")]
    lines += ["", "Memory of the largest process of each role, MiB:", ""]
    lines += markdown(["role", "second tenth", "last tenth", "most"], rows)
    parts = [[each for each in looks if low * seconds <= each.seconds <= high * seconds] for low, high in PARTS]
    rows = [
        [name, *(f"{statistics.median(getattr(each, name) for each in part):.0f}" for part in parts if part)]
        for name in ("processes", "files", "sockets")
    ]
    return [*lines, "", "Open at a time, medians:", "", *markdown(["", *map(str, PARTS)], rows), ""]


def main() -> None:
    """Lay out, plan, run, look and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc")
    parser.add_argument("--preset", default="refinedweb")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=40)
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
    looks, family, seconds = run_watched([*command, "run", *common], folder, environment)
    summary = gpurefine.open_run(output).summary()
    left = [process for process in family if psutil.pid_exists(process)]
    scraps = [path for path in temporary.rglob("*") if path.is_file()]
    what = f"{summary['records']:,} records of {Path(options.warc).name} in {options.shards} files"
    lines = [f"# {Path(__file__).stem}", "", *describe(), ""]
    lines += [f"{what}, preset {options.preset}, {options.workers} workers.", ""]
    lines += [f"- wall time {seconds / 60:.1f} min; kept {summary['kept']:,}; noted {summary['noted'] or 'nothing'}"]
    lines += [f"- step `{step['stages']}`: {step['seconds']:.0f} s" for step in summary["steps"]]
    lines += [f"- the plan: {line}" for line in plan.stdout.splitlines() if line.startswith(PLANNED)]
    lines += tables(folder, looks, seconds)
    lines += [f"Left behind when it had ended: {len(left)} processes, {len(scraps)} temporary files.", ""]
    publish(lines, options.out)
    if options.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
