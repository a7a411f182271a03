"""Cores and memory of this machine that a run may use, and the counts that a user gives in their place."""

from __future__ import annotations

import contextlib
import os
from numbers import Integral
from pathlib import Path

from gpurefine.errors import ConfigError

#: Share of the free memory that is planned with when ``--memory`` is not given.
MEMORY_SHARE = 0.7


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_count(name: str, value: object) -> None:
    """Raise ConfigError if a parameter of a call is neither None (its default) nor a whole number of 1 or more."""
    if value is not None and (not isinstance(value, Integral) or value < 1):
        raise ConfigError(f"{name} must be a whole number of at least 1, found {value!r}")


def planned_memory(memory: int | None = None) -> int:
    """Bytes that keys and tables may take: what is asked for, or a share of what is free."""
    return memory or int(available_memory() * MEMORY_SHARE)


def available_memory() -> int:
    """Bytes of memory that are free for a run: of the machine, or in the control group where that is less."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text())
        free = min(free, int((group / "memory.max").read_text()) - used)
    return free
