"""What the benchmarks on a GPU share: the device and its versions, times between events on it, tables of rates."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from types import ModuleType
from typing import Any

from machine import describe, markdown

PACKAGES = ("cupy", "cudf", "dask-cudf", "dask-cuda", "rmm", "numba-cuda")


@dataclass(frozen=True)
class Contender:
    """Something to be timed.

    Attributes
    ----------
    name : what the table calls it
    run : does the work once, on the device
    amount, unit : how much work that is, such as 1e9 bytes
    limit : name of the contender that does no more than must be, and so is the limit for this one
    """

    name: str
    run: Callable[[], object]
    amount: float
    unit: str
    limit: str = ""


def open_cupy() -> tuple[ModuleType, str] | None:
    """CuPy and the name of its first device; None, and a word on standard error, if no device can be used."""
    try:
        import cupy

        return cupy, cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except Exception as error:  # CuPy is missing, or its driver: each has an exception of its own
        print(f"no CUDA device can be used: {error}", file=sys.stderr)
        return None


def describe_device() -> str:
    """Device, driver, clocks and versions of the packages that use it, as nvidia-smi and pip tell."""
    asked = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,memory.total"
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"], capture_output=True, text=True, timeout=20
        )
        told = done.stdout.strip().replace("\n", "; ") or "nvidia-smi tells nothing"
    except (OSError, subprocess.TimeoutExpired):
        told = "no nvidia-smi"
    names = {each.metadata["Name"] for each in distributions()}
    wanted = sorted(name for name in names if name and name.startswith(PACKAGES))
    return f"{asked}: {told}. {', '.join(f'{name} {_version(name)}' for name in wanted)}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def seconds(cupy: ModuleType, function: Callable[[], object]) -> float:
    """Time between two events on the device, around a call; waits of the host in between count."""
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    begin.record()
    function()
    end.record()
    end.synchronize()
    return cupy.cuda.get_elapsed_time(begin, end) / 1e3


def median_seconds(cupy: ModuleType, contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Median time of each contender over rounds in which all take turns; the first call of each is not timed."""
    times: dict[str, list[float]] = {each.name: [] for each in contenders}
    for turn in range(rounds + 1):
        for each in contenders:
            taken = seconds(cupy, each.run)
            if turn:  # kernels are compiled at the first call
                times[each.name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def rates(contenders: Sequence[Contender], medians: dict[str, float]) -> list[list[str]]:
    """Rows of a table: name, amount a second, share of what its limit does in the same run."""
    by_name = {each.name: each for each in contenders}
    rows = []
    for each in contenders:
        rate = each.amount / medians[each.name]
        share = ""
        if each.limit:
            most = by_name[each.limit]
            share = f"{rate / (most.amount / medians[most.name]):.1%} of {most.name}"
        rows.append([each.name, f"{rate:.3e} {each.unit}/s", f"{1e3 * medians[each.name]:.3f} ms", share])
    return rows


def rates_page(title: str, told: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a page of results: where they were measured, what on, and what ``rates`` returned."""
    table = markdown(["what", "rate", "time", "share"], rows)
    return [f"# {title}", "", *describe(), "", describe_device(), "", told, "", *table, ""]


def mixed_numbers(cupy: ModuleType, count: int) -> Any:
    """So many different uint32 with irregular bits, made on the device (the finaliser of MurmurHash3)."""
    numbers = cupy.arange(count, dtype=cupy.uint32)
    for shift, multiplier in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        numbers ^= numbers >> cupy.uint32(shift)
        numbers *= cupy.uint32(multiplier)
    return numbers ^ numbers >> cupy.uint32(16)
