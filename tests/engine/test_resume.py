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

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A pipeline that notes every page that was extracted."""
    path = tmp_path_factory.mktemp("config") / "counting.yaml"
    stages = [
        {"urls": {"blocklist": "off"}},
        "extract",
        "counting_stage:Counting",
        {"language": {}},
        "repetition",
        "quality",
        "dedup.exact",
        "lines",
        "dedup.exact",
    ]
    path.write_text(yaml.safe_dump({"name": "counting", "stages": stages}))
    return path


def start(config, crawl, output, counting):
    """Start the run in a process group of its own."""
    command = [sys.executable, "-m", "gpurefine", "run", str(config), str(crawl), "-o", str(output)]
    command += ["--workers", "2", "--partition-size", "40000"]
    environment = {**os.environ, "COUNTING_FILE": str(counting), "PYTHONPATH": str(HERE)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def kill_and_resume(kills, seed, config, crawl, tmp_path):
    """Kill a run ``kills`` times, let it end, compare it with an undisturbed one and count what was done twice."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    began = time.monotonic()
    process = start(config, crawl, undisturbed, tmp_path / "once")
    assert process.wait(300) == 0, process.stderr.read().decode()
    duration = time.monotonic() - began
    generator = random.Random(seed)
    killed = 0
    for _ in range(kills):
        process = start(config, crawl, disturbed, tmp_path / "often")
        try:
            process.wait(generator.uniform(0.1, 0.9) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    process = start(config, crawl, disturbed, tmp_path / "often")
    assert process.wait(300) == 0, process.stderr.read().decode()
    one, other = gpurefine.open_run(undisturbed), gpurefine.open_run(disturbed)
    assert_same_results(one, other)
    assert not list(Path(disturbed).rglob(".unfinished-*"))
    once = Counter((tmp_path / "once").read_text().split())
    often = Counter((tmp_path / "often").read_text().split())
    assert set(once) == set(often)
    assert set(once.values()) == {1}
    partition = max(record_counts(one))
    extra = sum(often.values()) - len(often)
    # a kill loses at most the partition that each of the two workers has in hand
    assert extra <= killed * 2 * partition, (extra, killed, partition)
    return killed, extra


def record_counts(run):
    """Response records of each partition of the first step."""
    from gpurefine.read.warc import WarcRecord, WarcSplit

    (file,) = run.manifest["inputs"]
    for partition in run.manifest["steps"][0]["partitions"]:
        split = WarcSplit(file["path"], partition["begin"], partition["end"], start=partition["start"])
        yield sum(isinstance(item, WarcRecord) and item.type == "response" for item in split)


def test_a_killed_run_goes_on_to_the_same_bytes(config, demo_crawl, tmp_path):
    killed, _ = kill_and_resume(2, 1, config, demo_crawl[0], tmp_path)
    assert killed >= 1


@pytest.mark.slow
def test_ten_kills_on_a_real_crawl(config, shared_data, tmp_path):
    killed, extra = kill_and_resume(10, 7, config, shared_data / "sample_medium_a.warc.gz", tmp_path)
    assert killed >= 5
    print(f"{killed} kills, {extra} pages extracted twice")


def test_a_lock_of_a_dead_process_is_taken_over(tmp_path):
    store = RunStore(tmp_path / "run")
    store.prepare()
    program = f"""
import time
from gpurefine.engine.store import RunStore
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
