"""The benchmark on a device runs to its end, on the CPU in place of one."""

import sys

import numpy as np
import pytest

from gpurefine.kernels.cuda import minhash


@pytest.fixture
def program(device_program, monkeypatch):
    """The program, its shapes fewer, with a CuPy of the CPU."""
    module = device_program("band_keys_device")
    monkeypatch.setattr(module, "SHAPES", ((450, 20), (14, 8)))
    return module


def options(tmp_path):
    sizes = {"documents": 3, "shingles": 9, "rounds": 1, "turns": 2, "repeats": 1}
    return ["program", *(f"--{name}={value}" for name, value in sizes.items()), f"--out={tmp_path}/out.md"]


def test_all_of_it_runs(program, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", options(tmp_path))
    assert program.main() == 0
    text = (tmp_path / "out.md").read_text()
    assert "# Band keys on a CPU" in text and "% of limit" in text and "| 14 x 8, 48 documents |" in text


def test_other_keys_end_it(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", options(tmp_path))
    launch = minhash.band_keys
    monkeypatch.setattr(program.minhash, "band_keys", lambda *arguments: (launch(*arguments), arguments[-1].sort()))
    assert program.main() == 1
    assert "450 bands of 20 rows" in capsys.readouterr().err


def test_without_a_device_it_says_so(benchmark_module, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(sys, "argv", ["program"])
    assert benchmark_module("band_keys_device").main() == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_mixed_numbers_are_different_ones(program):
    numbers = program.mixed_numbers(sys.modules["cupy"], 4096).get()
    assert numbers.dtype == np.uint32 and np.unique(numbers).size == 4096
    assert abs(float(numbers.mean()) / 2**32 - 0.5) < 0.03
