"""The command ``dedup``: what it prints, what it refuses, and that it plans without writing."""

import subprocess
import sys
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpurefine


@pytest.fixture
def command(cli):
    """Calls ``gpurefine dedup`` in this process."""
    return partial(cli, "dedup")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two tables, one that is none, and one without texts."""
    folder = tmp_path_factory.mktemp("tables")
    for number in range(2):
        pq.write_table(
            pa.table({"text": [f"text {i}" for i in range(60)], "extra": [1] * 60}), folder / f"{number}.parquet"
        )
    (folder / "pages.warc").write_bytes(b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 0\r\n\r\n\r\n\r\n")
    (folder / "lines.json").write_text('{"content": "a"}\n')
    pq.write_table(pa.table({"content": ["a"], "key": [1]}), folder / "content.table")
    return folder


def test_dedup_prints_the_waterfall_and_goes_on_from_where_it_was(folder, scheduler, tmp_path, command):
    options = ["exact", folder / "?.parquet", "-o", tmp_path / "run", "--scheduler", scheduler, "--quiet"]
    for _ in range(2):
        code, out, err = command(*options, "--set", "seed=3")
        assert code == 0, err
        assert "dedup-exact: 120 records" in out
        assert "kept 60 documents" in out
        assert "GPT-2" not in out
    run = gpurefine.open_run(tmp_path / "run")
    assert run.manifest["pipeline"]["seed"] == 3
    assert list(run.refined()["extra"]) == [1] * 60
    code, _, err = command(*options, "--set", "seed=4")
    assert code == 2
    assert "seed (3 -> 4)" in err
    assert command(*options, "--set", "seed=4", "--fresh")[0] == 0


def test_dedup_by_minhash_with_parameters(folder, scheduler, tmp_path, command):
    options = ["--bands", "5", "--set", "rows=2", "--shingle", "char-3", "--set", "dedup.minhash.hash_seed=9"]
    code, out, err = command(
        "minhash", folder / "?.parquet", "-o", tmp_path / "run", "--scheduler", scheduler, *options
    )
    assert code == 0, err
    assert "dedup-minhash: 120 records" in out
    (stage,) = gpurefine.open_run(tmp_path / "run").manifest["pipeline"]["stages"]
    parameters = stage["dedup.minhash"]
    assert [parameters[name] for name in ("bands", "rows", "shingle", "hash_seed")] == [5, 2, "char-3", 9]


def test_the_plan_knows_the_number_of_rows_and_writes_nothing(folder, tmp_path):
    arguments = ["dedup", "exact", folder / "?.parquet", "--plan", "--memory", "1GiB"]
    done = subprocess.run(
        [sys.executable, "-m", "gpurefine", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "120" in done.stdout
    assert "2 partitions" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["exakt", "0.parquet", "-o", "out"],
            "no kind of dedup is called 'exakt': known are exact, line, minhash, paragraph, sentences",
        ),
        (["exact", "0.parquet"], "name the run directory by -o"),
        (["exact", "0.parquet", "-o", "out", "--bands", "14"], "no parameter 'bands'"),
        (["exact", "0.parquet", "-o", "out", "--set", "input.text_colum=x"], "did you mean 'text_column'"),
        (["exact", "0.parquet", "-o", "out", "--set", "input.text_column=x"], "no column 'x'; it has text, extra"),
        (["exact", "content.table", "-o", "out"], "no column 'text'; it has content, key: choose one by --set input."),
        (["exact", "pages.warc", "-o", "out"], "pages.warc is no file of texts (Parquet, JSON lines, WET)"),
        (["exact", "lines.json", "-o", "out"], "no column 'text'; it has content: choose one by --set input."),
        (["exact", ".", "-o", "out"], "./*.parquet"),
        (["exact", "nothing-*", "-o", "out"], "no such input: nothing-*"),
        (["minhash", "0.parquet", "-o", "out", "--bands", "0"], "bands"),
        (["minhash", "0.parquet", "-o", "out", "--shingle", "words"], "shingle"),
        (["minhash", "0.parquet", "-o", "out", "--rows", "20", "--set", "permutations=10"], "permutations=9000"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments, words, folder, monkeypatch, command):
    monkeypatch.chdir(folder)
    code, _, err = command(*arguments)
    assert code == 2, err
    assert words in err
    assert err.count("\n") == 1
    assert not (folder / "out").exists()
