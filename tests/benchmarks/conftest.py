"""Benchmarks are programs of the repository and no part of the package."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def benchmark_module():
    """A function that imports a module of ``benchmarks/`` by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module


@pytest.fixture
def device_program(benchmark_module, emulated):
    """A function that imports a benchmark by its name and puts CuPy on the CPU, with a clock, in place of a device."""
    from dry_run import with_clock

    def load(name):
        with_clock(emulated(multiprocessors=1))
        return benchmark_module(name)

    return load
