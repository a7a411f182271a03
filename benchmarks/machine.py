"""The machine and the versions that a benchmark ran on, and Markdown tables: shared by all benchmarks."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("gpurefine", "trafilatura", "lxml", "numba", "numpy", "pyarrow", "pandas", "dask", "datatrove")


def describe() -> list[str]:
    """Lines that say when, on what and with which versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return [
        f"{datetime.date.today().isoformat()}; {model}, {len(os.sched_getaffinity(0))} cores; "
        f"Python {platform.python_version()}; {', '.join(found)}."
    ]


def markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table as Markdown lines."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def publish(lines: list[str], path: Path | None) -> None:
    """Print a result, and write it to a file where one is named."""
    text = "\n".join(lines)
    print(text)
    if path:
        path.write_text(text, "utf-8")
