"""The benchmarks of text kernels and of sort-and-run run to their end on the CPU, and tell of wrong results."""

import sys

import numpy as np
import pytest


def run(program, monkeypatch, tmp_path, **options):
    arguments = [f"--{name}={value}" for name, value in options.items()]
    monkeypatch.setattr(sys, "argv", ["program", *arguments, f"--out={tmp_path}/out.md"])
    return program.main()


@pytest.mark.slow
def test_text_kernels_are_compared_and_timed(device_program, monkeypatch, tmp_path):
    program = device_program("text_device")
    assert run(program, monkeypatch, tmp_path, megabytes=0.01, rounds=1) == 0
    text = (tmp_path / "out.md").read_text()
    assert "# Kernels on text on a CPU" in text
    for name in ("statistics", "normalise", "GPT-2 tokens", "words", "shingles of 5 tokens", "text to shingles"):
        assert f"| {name}" in text
    assert "% of copy |" in text


def test_other_words_are_told(device_program, monkeypatch):
    """On one kernel: all of them are compared by the same function."""
    program = device_program("text_device")
    from gpurefine import kernels
    from gpurefine.text.characters import character_classes

    device = program.OnDevice.__new__(program.OnDevice)
    device.classes = program.to_device(character_classes())
    data, offsets = program.buffers(["two words", "", "and three more"])
    host = {"words": lambda data, offsets: kernels.word_units(data, offsets, character_classes())}
    assert program.differing(device, host, data, offsets) == []
    words = program.shingles.word_units
    monkeypatch.setattr(program.shingles, "word_units", lambda *given: (words(*given)[0] + 1, words(*given)[1]))
    assert [text.partition(":")[0] for text in program.differing(device, host, data, offsets)] == [
        "words",
        "shingles of words",
    ]


def test_links_are_compared_and_timed(device_program, monkeypatch, tmp_path):
    program = device_program("links_device")
    assert run(program, monkeypatch, tmp_path, keys=400, edges=300, rounds=1) == 0
    text = (tmp_path / "out.md").read_text()
    assert "% of sort |" in text and "| union-find, families of four |" in text


def test_other_components_are_told(device_program, monkeypatch, tmp_path, capsys):
    program = device_program("links_device")
    flatten = program.components.flatten
    monkeypatch.setattr(program.components, "flatten", lambda parent: flatten(parent) + 1)
    assert run(program, monkeypatch, tmp_path, keys=400, edges=300, rounds=1) == 1
    assert "union-find: components of 100 nodes" in capsys.readouterr().err


def test_a_band_has_the_repeated_keys_that_are_told(device_program):
    program = device_program("links_device")
    keys = program.band(sys.modules["cupy"], 4000).get()
    assert keys.dtype == np.uint64 and 4000 - np.unique(keys).size == 4000 // program.SPACING


@pytest.mark.parametrize("name", ["text_device", "links_device"])
def test_without_a_device_they_say_so(benchmark_module, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(sys, "argv", ["program"])
    assert benchmark_module(name).main() == 2
    assert "no CUDA device" in capsys.readouterr().err
