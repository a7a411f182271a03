"""Peak memory of a piece of Python in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

PREAMBLE = dedent("""
    import sys
    from pathlib import Path

    def status(name):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    def current_memory():
        "Bytes in use; the peak starts again from here."
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError as error:
            sys.exit(f"peak cannot be reset: {error}")
        return status("VmRSS")

    def peak_memory():
        return status("VmHWM")
""")


def measure(program: str, *arguments: object) -> list[int]:
    """Run ``program`` with ``current_memory`` and ``peak_memory`` (bytes) at hand; the integers that it prints."""
    command = [sys.executable, "-c", PREAMBLE + dedent(program), *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "peak cannot be reset" in answer.stderr:
        pytest.skip(answer.stderr.strip())
    assert answer.returncode == 0, answer.stderr
    return [int(word) for word in answer.stdout.split()]
