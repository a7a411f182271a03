"""Peak memory of a worker with its children while a crawl is refined.

    python benchmarks/peak_memory.py CRAWL.warc.gz... [--workers 2] [--set KEY=VALUE]... [--out FILE.md]

Every 50 ms the resident memory of each worker process and its children is added up (shared pages count in each, so the
figure is an upper bound). One worker's largest sum is what is reported; the driver's peak stands beside it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import psutil
from machine import describe


def resident(process: psutil.Process) -> int:
    """Resident bytes of a process and all below it."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def watch(command: list[str]) -> tuple[int, int]:
    """Run a command; the largest sum of one worker with its children, and of the driver alone."""
    driver = psutil.Popen(command)
    worker_peak = driver_peak = 0
    while driver.poll() is None:
        try:
            driver_peak = max(driver_peak, driver.memory_info().rss)
            for child in driver.children():
                worker_peak = max(worker_peak, resident(child))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.05)
    if driver.returncode:
        raise SystemExit(f"the run failed with {driver.returncode}")
    return worker_peak, driver_peak


def main() -> None:
    """Run, watch, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = ["# Peak memory of a worker with its children", "", *describe(), ""]
    for path in options.warc:
        folder = tempfile.mkdtemp()
        command = [sys.executable, "-m", "gpurefine", "run", "refinedweb", path, "-o", f"{folder}/run", "--quiet"]
        command += ["--workers", str(options.workers)]
        for override in options.overrides:
            command += ["--set", override]
        worker, driver = watch(command)
        shutil.rmtree(folder)
        figures = f"worker with children {worker / 2**20:.0f} MiB, driver {driver / 2**20:.0f} MiB"
        lines.append(f"- {Path(path).name}: {figures}")
        print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
