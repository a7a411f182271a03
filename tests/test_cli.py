"""The command line: exit codes, one sentence for each mistake, and readable answers."""

import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpurefine

CLI = [sys.executable, "-m", "gpurefine"]


def call(*arguments, **options):
    return subprocess.run([*CLI, *map(str, arguments)], capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo, run by its command."""
    output = tmp_path_factory.mktemp("cli") / "demo"
    done = call("demo", "-o", output)
    assert done.returncode == 0, done.stderr
    return output, done


def test_the_demo_prints_the_waterfall_and_one_page_of_each_rule(demo):
    output, done = demo
    run = gpurefine.open_run(output / "run")
    for rule in run.summary()["removed"]:
        assert rule in done.stdout, rule
    assert "published" in done.stdout
    assert "\x1b]" not in done.stdout
    assert '"documents_per_second"' in done.stderr


def test_the_demo_a_second_time_is_there_at_once(demo):
    output, _ = demo
    again = call("demo", "-o", output)
    assert again.returncode == 0, again.stderr


def test_explain_by_id_and_url(demo):
    output, _ = demo
    removed = gpurefine.open_run(output / "run").removed("quality:words").iloc[0]
    for key in (removed.id, removed.url):
        done = call("explain", output / "run", key)
        assert done.returncode == 0, done.stderr
        assert "quality" in done.stdout
        assert "words" in done.stdout
        assert "50" in done.stdout
    done = call("explain", output / "run", "https://nowhere.example/\x1b[31m")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_a_line_of_a_page_does_not_look_like_one_of_explain(demo):
    output, _ = demo
    removed = gpurefine.open_run(output / "run").removed("repetition:dup_line_frac").iloc[0]
    lines = call("explain", output / "run", removed.url).stdout.splitlines()
    ours = [line for line in lines if not line.startswith(" " * 11)]
    assert len(lines) > len(ours) > 5
    assert [line.split(":")[0].strip() for line in ours][-1] == "text"


def test_presets_and_version():
    assert "refinedweb" in call("presets").stdout
    assert call("--version").stdout.strip() == gpurefine.__version__


def test_plan_says_what_many_workers_with_little_memory_get(tmp_path):
    pq.write_table(pa.table({"text": pa.repeat("x", 200_000)}), tmp_path / "t.parquet")
    options = ["--plan", "--shingle", "word-5", "--workers", "40", "--memory", "64MiB", "--offline", "--quick"]
    done = call("dedup", "minhash", tmp_path / "t.parquet", "-o", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    assert "collide tasks: 40, of up to 64.0 MiB each" in done.stdout
    assert "half of the memory budget over the workers, but 64.0 MiB at least" in done.stdout
    # keys twice, and an edge of each task
    assert "2,500 bytes of text, up to 7,840 of keys and edges each" in done.stdout


def test_plan_shows_steps_and_writes_nothing(demo, tmp_path):
    output, _ = demo
    crawl = next((output / "crawl").glob("*.warc.gz"))
    done = call("plan", "refinedweb", crawl, "--set", "urls.blocklist=off", "--memory", "1GiB", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in (
        "step 0: read, urls, extract",
        "step 1: apply dedup.minhash",
        "3,600 bytes of keys a document",
        "collide tasks: 1",
        "memory",
        "disk",
        "ms a page",
        "lid.176",
    ):
        assert word in done.stdout, word
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "refinedwep", "x.warc", "-o", "out"], "did you mean 'refinedweb'"),
        (["run", "refinedweb", "missing.warc.gz", "-o", "out", "--set", "urls.blocklist=off"], "missing.warc.gz"),
        (["run", "refinedweb", ".", "-o", "out", "--set", "urls.blocklist=off"], "folder"),
        (["run", "refinedweb", "x.warc", "-o", "out", "--set", "quality.min_word=5"], "min_word"),
        (["run", "refinedweb", "x.warc", "-o", "out", "--set", "language.min_score=high"], "min_score"),
        (["run", "refinedweb", "x.warc", "-o", "out", "--memory", "lots"], "size in bytes"),
        (["run", "refinedweb", "x.warc", "-o", "out", "--backend", "tpu"], "auto, cpu, gpu"),
        (["explain", "nowhere", "x"], "no run directory"),
        (["run", "refinedweb", "x.warc"], "output"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments, words, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, told = cli(*arguments)
    assert code == 2, told
    assert words in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_no_block_list_is_refused_with_the_command_that_helps(tmp_path, demo):
    output, _ = demo
    crawl = next((output / "crawl").glob("*.warc.gz"))
    environment = {**os.environ, "GPUREFINE_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    done = call("run", "refinedweb", crawl, "-o", tmp_path / "out", "--offline", env=environment)
    assert done.returncode == 2
    assert "gpurefine fetch lists" in done.stderr
    assert "--set urls.blocklist=off" in done.stderr
    assert not (tmp_path / "out").exists()


def test_input_without_pages_is_told(tmp_path, torture):
    warc = tmp_path / "requests.warc"
    warc.write_bytes((torture / "conversion.wet").read_bytes().replace(b"Type: conversion", b"Type: request", 1))
    done = call("run", "refinedweb", warc, "-o", tmp_path / "out", "--set", "urls.blocklist=off")
    assert done.returncode == 0, done.stderr
    assert "no document was read: the input holds no pages and no texts, but 3 conversion, 1 request" in done.stdout
