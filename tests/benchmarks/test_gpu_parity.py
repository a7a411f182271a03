"""The comparison of GPU and CPU sees any difference of a bit, and runs to its end with stand-ins."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["dedup.minhash.bands=4", "dedup.minhash.rows=3", "dedup.minhash.shingle=word-2"]
TEXTS = [
    "The same words in two texts.",
    "the same words, in two texts",
    "",
    None,
    "Another one — ganz anders",
    "• x\n" * 9,
]


@pytest.fixture
def parity(benchmark_module):
    return benchmark_module("gpu_parity")


def column(values, kind):
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


def test_floats_are_compared_by_their_bits(parity):
    one = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([0.1, None, float("nan"), 0.0])))
    assert parity.same(one, one.copy())
    nearly = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([np.nextafter(0.1, 1), None, float("nan"), 0.0])))
    signed = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([0.1, None, float("nan"), -0.0])))
    missing = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([0.1, None, None, 0.0])))
    assert not any(parity.same(one, other) for other in (nearly, signed, missing))


def test_columns_are_compared_by_type_and_value_whatever_the_order_of_rows(parity):
    table = pd.DataFrame({"id": column(["b", "a"], pa.string()), "n": column([2, 1], pa.int64())})
    assert parity.differing_columns(table, table.iloc[::-1]) == []
    other = table.assign(n=column([2, 3], pa.int64()))
    assert parity.differing_columns(table, other) == ["n"]
    assert parity.differing_columns(table, table.assign(n=column([2, 1], pa.int32()))) == ["n"]
    assert parity.differing_columns(table, table.iloc[:1]) == ["(other rows or columns)"]


@pytest.fixture
def table(tmp_path):
    pq.write_table(pa.table({"text": pa.array(TEXTS)}), tmp_path / "texts.parquet")
    return str(tmp_path / "texts.parquet")


def test_batches_on_a_device_that_is_emulated(parity, cudf_of, table, monkeypatch):
    cudf_of("emulated")
    chosen = parity.pipeline(SMALL)
    monkeypatch.setattr(parity, "ROWS", 4)
    compared, wrong = parity.differing_batches([table], chosen)
    assert wrong == [] and compared > len(TEXTS) * (4 + 20)
    original = parity.measured

    def one_bit_off(table, on_device, chosen, tools):
        found = original(table, on_device, chosen, tools)
        found["band keys"] ^= np.uint64(on_device)
        return found

    monkeypatch.setattr(parity, "measured", one_bit_off)
    _, wrong = parity.differing_batches([table], chosen)
    assert wrong == ["batch 0: band keys differ", "batch 1: band keys differ"]


@pytest.mark.slow
def test_the_whole_program(table, tmp_path, monkeypatch):
    monkeypatch.setenv("GPUREFINE_IMITATED_GPUS", "1")
    settings = [word for setting in SMALL for word in ("--set", setting)]
    program = [ROOT / "tests" / "emulation" / "dry_run.py", ROOT / "benchmarks" / "gpu_parity.py", table]
    command = [sys.executable, *program, "--workers=1", *settings, f"--out={tmp_path}/out.md"]
    monkeypatch.delenv("PYTHONSAFEPATH")
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    told = (tmp_path / "out.md").read_text()
    assert "# Results on a CPU and on CPUs" in told and told.count("| none |") == 5
