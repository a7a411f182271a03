"""Runs a program that needs a GPU on the CPU: CuPy and cuDF are the stand-ins of this folder.

    python tests/emulation/dry_run.py PROGRAM [ARGUMENTS]

It shows that a benchmark runs to its end; times that it prints say nothing.
"""

import runpy
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import cuda_on_host
import cupy_on_host


class Event:
    """A moment of the host's clock in place of the device's."""

    def record(self):
        self.moment = time.perf_counter()

    def synchronize(self):
        pass


def with_clock(cupy):
    """The stand-in for CuPy with events and a name of its device, which only benchmarks ask for."""
    cupy.cuda.Event = Event
    cupy.cuda.get_elapsed_time = lambda begin, end: 1e3 * (end.moment - begin.moment)
    cupy.cuda.runtime = SimpleNamespace(getDeviceProperties=lambda device: {"name": b"a CPU"})
    return cupy


def main():
    program, *arguments = sys.argv[1:]
    import cudf_on_host
    import pytest

    cuda_on_host.compiler()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", with_clock(cupy_on_host.stand_in(Path(folder), multiprocessors=1)))
        cudf_on_host.install(patch)
        patch.setattr(sys, "argv", [program, *arguments])
        patch.syspath_prepend(str(Path(program).resolve().parent))
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
