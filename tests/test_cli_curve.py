"""``gpurefine curve``, ``Run.curve`` and where a setting is warned of."""

import subprocess
import sys
import warnings

import pandas as pd
import pytest

import gpurefine
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import InputError, SettingWarning

TRAP = {"bands": 20, "rows": 450, "shingle": "word-5"}


def call(*arguments):
    command = [sys.executable, "-m", "gpurefine", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "texts.parquet"
    pd.DataFrame(
        {"id": ["a", "b", "c"], "text": ["one text of some words", "another one", "one text of some words"]}
    ).to_parquet(path)
    return path


def test_settings_stand_beside_each_other_with_a_picture(tmp_path):
    done = call("curve", "450x20", "20x450", "--plot", tmp_path / "curve.png")
    assert done.returncode == 0, done.stderr
    for words in ("76.1 %", "450 x 20: half of the pairs at similarity 0.7234", "9,000 hashes", "warning: bands=20"):
        assert words in done.stdout
    assert (tmp_path / "curve.png").stat().st_size > 10_000


def test_the_default_is_the_paper_s_setting():
    done = call("curve")
    assert "450 x 20" in done.stdout and "warning" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["450"], "expected BANDSxROWS"),
        (["0x3"], "bands must be a whole number of at least 1"),
        (["--rows", "0"], "rows must be a whole number of at least 1"),
        (["--plot", "curve.pdf"], "ends in .png or .svg"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, said, cli):
    code, _, told = cli("curve", *arguments)
    assert code == 2
    assert said in told and "Traceback" not in told


def test_a_trap_is_warned_of_in_run_plan_and_frames(table, tmp_path, scheduler):
    with pytest.warns(SettingWarning, match="bands=20 and rows=450"):
        run = gpurefine.run(dedup_pipeline("minhash", **TRAP), table, tmp_path / "run", scheduler=scheduler, quiet=True)
    assert run.curve()["probability"].iloc[99] == pytest.approx(0.196, abs=1e-3)
    with pytest.warns(SettingWarning, match="bands=20 and rows=450"):
        gpurefine.deduplicate(pd.read_parquet(table), "minhash", **TRAP)
    planned = call("dedup", "minhash", table, "--bands", 20, "--rows", 450, "--shingle", "word-5", "--plan")
    assert "warning: dedup.minhash: bands=20 and rows=450" in planned.stdout
    done = call(
        "dedup", "minhash", table, "-o", tmp_path / "cli", "--bands", 20, "--rows", 450, "--workers", 1, "--quiet"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("gpurefine: warning: dedup.minhash: bands=20 and rows=450") == 1


def test_the_curve_of_a_run(table, tmp_path, scheduler):
    with warnings.catch_warnings():
        warnings.simplefilter("error", SettingWarning)
        pipeline = dedup_pipeline("minhash", bands=14, rows=8, shingle="word-2")
        run = gpurefine.run(pipeline, table, tmp_path / "run", scheduler=scheduler, quiet=True)
    assert run.curve().set_index("similarity")["probability"].loc[0.8] == pytest.approx(0.9235, abs=5e-5)
    exact = gpurefine.run(dedup_pipeline("exact"), table, tmp_path / "exact", scheduler=scheduler, quiet=True)
    with pytest.raises(InputError, match=r"no stage dedup\.minhash"):
        exact.curve()
