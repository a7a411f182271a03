"""The benchmark of the whole dedup on GPUs: its profile on a device that is emulated, and what it looks for."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gpurefine.engine.tables import dedup_pipeline

ROOT = Path(__file__).resolve().parents[2]


def test_copies_that_are_left_are_counted(benchmark_module):
    program, generated = benchmark_module("dedup_device"), benchmark_module("generated")
    base, rate, _ = generated.families(program.SEED, 0, 4000)
    equal = np.flatnonzero(np.isnan(rate) | (rate == 0.0))
    _, first = np.unique(base[equal], return_index=True)

    def run(kept):
        ids = pd.Series([generated.document_id(number) for number in kept], dtype=pd.ArrowDtype(pa.string()))
        return SimpleNamespace(refined=lambda columns: pd.DataFrame({"id": ids}))

    copies = equal.size - first.size
    assert copies > 20
    assert program.copies_left(run(np.arange(4000)), 4000) == copies
    assert program.copies_left(run(equal[first]), 4000) == 0


def test_the_profile_has_all_parts(benchmark_module, cudf_of, tmp_path):
    program, generated = benchmark_module("dedup_device"), benchmark_module("generated")
    cudf_of("emulated")
    (path,) = generated.write_parts(tmp_path, program.SEED, 6)
    pipeline = dedup_pipeline("minhash", bands=2, rows=3, shingle="word-2")
    parts = program.profile(sys.modules["cupy"], pipeline, path)
    assert [kind for _, kind, _ in parts] == [
        "I/O",
        "copies",
        "kernels",
        "kernels",
        "copies",
        "I/O",
        "copies",
        "kernels",
    ]
    size = program.size_of_texts([path])
    assert size == generated.generate(program.SEED, 0, 6).data.size
    rows = program.shares(parts, size)
    assert [row[:2] for row in rows[-4:]] == [["all", kind] for kind in ("I/O", "copies", "kernels", "all")]
    assert rows[-1][3] == "100.0%"


@pytest.mark.slow
def test_the_whole_program(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUREFINE_IMITATED_GPUS", "1")
    monkeypatch.delenv("PYTHONSAFEPATH")
    program = [ROOT / "tests" / "emulation" / "dry_run.py", ROOT / "benchmarks" / "dedup_device.py"]
    options = ["--documents=60", "--workers=1", "--set=bands=14", "--set=rows=8", f"--out={tmp_path}/out.md"]
    subprocess.run([sys.executable, *program, *options], check=True, cwd=tmp_path, capture_output=True)
    told = (tmp_path / "out.md").read_text()
    assert "TB a GPU-hour" in told and "0 of them have the text of another one" in told
