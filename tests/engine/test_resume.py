"""kill -9 at random moments, then the same command: the same bytes, and little is done twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from tables import assert_same_results

import gpurefine
from gpurefine.engine.store import RunStore
from gpurefine.workers import IMITATED_GPUS

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A pipeline that notes every page that was extracted."""
    path = tmp_path_factory.mktemp("config") / "counting.yaml"
    stages = [
        {"urls": {"blocklist": "off"}},
        "counting_stage:Counting",
        "extract",
        {"language": {}},
        "repetition",
        "quality",
        "dedup.exact",
        "lines",
        "dedup.exact",
    ]
    path.write_text(yaml.safe_dump({"name": "counting", "stages": stages}))
    return path


def start(config, crawl, output, counting, gpus=0):
    """Start the run in a process group of its own, with so many GPUs that are imitated."""
    command = [sys.executable, "-m", "gpurefine", "run", str(config), str(crawl), "-o", str(output)]
    command += ["--workers", "2", "--partition-size", "40000"]
    environment = {**os.environ, "COUNTING_FILE": str(counting), "PYTHONPATH": str(HERE), IMITATED_GPUS: str(gpus)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def kill_and_resume(kills, seed, config, crawl, tmp_path, gpus=(0,)):
    """Kill runs at ``kills`` random moments, each run until it ends, and compare each with an undisturbed one.

    Each time a run is started it has one of these numbers of GPUs. Returns the number of pages that were extracted
    twice.
    """
    process = start(config, crawl, tmp_path / "undisturbed", tmp_path / "once")
    assert process.wait(300) == 0, process.stderr.read().decode()
    undisturbed = gpurefine.open_run(tmp_path / "undisturbed")
    once = Counter((tmp_path / "once").read_text().split())
    assert set(once.values()) == {1}
    partition = max(record_counts(undisturbed))
    generator = random.Random(seed)
    killed_in_all = extra_in_all = rounds = 0
    # seconds of a run with compiled kernels; the first guess is learnt from runs that were not killed
    duration = 10.0
    while killed_in_all < kills:
        rounds += 1
        assert rounds <= 3 * kills, f"{killed_in_all} of {kills} kills came in time in {rounds} runs"
        output = tmp_path / f"disturbed-{rounds}"
        began = time.monotonic()
        killed, extra = run_until_it_ends(config, crawl, output, generator, duration, kills - killed_in_all, gpus)
        if not killed:
            duration = time.monotonic() - began
        assert_same_results(undisturbed, gpurefine.open_run(output))
        assert not list(output.rglob(".unfinished-*"))
        # a kill loses at most the partition that each of the two workers has in hand
        assert extra <= killed * 2 * partition, (extra, killed, partition)
        killed_in_all, extra_in_all = killed_in_all + killed, extra_in_all + extra
    return extra_in_all


def run_until_it_ends(config, crawl, output, generator, duration, kills, gpus):
    """Start the run again and again, killed at random moments at most ``kills`` times; kills and pages done twice."""
    counting = output.with_suffix(".count")
    killed = 0
    while True:
        process = start(config, crawl, output, counting, gpus[killed % len(gpus)])
        try:
            assert process.wait(generator.uniform(0.1, 0.9) * duration if killed < kills else 300) == 0
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    often = Counter(counting.read_text().split())
    return killed, sum(often.values()) - len(often)


def record_counts(run):
    """Response records of each partition of the first step."""
    from gpurefine.read.warc import WarcRecord, WarcSplit

    (file,) = run.manifest["inputs"]
    for partition in run.manifest["steps"][0]["partitions"]:
        split = WarcSplit(file["path"], partition["begin"], partition["end"], start=partition["start"])
        yield sum(isinstance(item, WarcRecord) and item.type == "response" for item in split)


def test_a_killed_run_goes_on_to_the_same_bytes(config, demo_crawl, tmp_path):
    kill_and_resume(2, 1, config, demo_crawl[0], tmp_path)


def test_a_run_with_gpu_workers_that_is_killed_goes_on_with_and_without_them(config, demo_crawl, tmp_path):
    kill_and_resume(2, 3, config, demo_crawl[0], tmp_path, gpus=(1, 0))


@pytest.mark.slow
def test_ten_kills_on_a_real_crawl(config, shared_data, tmp_path):
    extra = kill_and_resume(10, 7, config, shared_data / "sample_medium_a.warc.gz", tmp_path)
    print(f"10 kills, {extra} of 440 pages extracted twice in all")


def test_the_trial_file_of_a_second_start_is_not_taken_for_somebody_s(tmp_path):
    (tmp_path / ".writable-1").touch()
    assert RunStore(tmp_path).foreign_files() == []


def test_a_lock_of_a_dead_process_is_taken_over(tmp_path):
    store = RunStore(tmp_path / "run")
    store.prepare()
    program = f"""
import time
from gpurefine.engine.store import RunStore
from gpurefine.workers import IMITATED_GPUS
with RunStore({str(store.root)!r}).lock():
    print("locked", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"locked\n"
    with pytest.raises(gpurefine.errors.OutputError, match=f"process {process.pid}"), store.lock():
        pass
    process.kill()
    process.wait()
    with store.lock():
        pass
