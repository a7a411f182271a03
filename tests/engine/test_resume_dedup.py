"""kill -9 in the middle of emit, collide and apply of a dedup, then the same command: the same bytes."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import assert_same_results

import gpurefine
from gpurefine.engine.tables import dedup_pipeline

WORDS = ("river", "mill", "house", "field", "stone", "bridge", "winter", "market", "child", "bread", "wheel", "garden")
#: Enough for several collide tasks of 450 bands.
DOCUMENTS = 9_999

#: Phase of the dedup -> what is seen in the run directory when it is under way and not before.
PHASES = {
    "emit": "work/keys-0/part-*.keys",
    "collide": "work/dedup-0/edges-*",
    "apply": "refined/.unfinished-*",
}


def texts() -> list[str]:
    """Texts of 80 words; each third one is that of the document before it but for a word."""
    generator = random.Random(1)
    made: list[str] = []
    for number in range(DOCUMENTS):
        words = [f"{word}{number}" for word in generator.choices(WORDS, k=80)]
        made.append(f"{made[-1]} again" if number % 3 == 2 else " ".join(words))
    return made


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of many row groups."""
    path = tmp_path_factory.mktemp("table") / "texts.parquet"
    columns = {"id": [f"d{number}" for number in range(DOCUMENTS)], "text": texts()}
    pq.write_table(pa.table(columns), path, row_group_size=500)
    return path


def partition_bytes(table: Path) -> int:
    """A partition for every second row group."""
    return table.stat().st_size // 9


def run_to_the_end(table: Path, output: Path, scheduler: str) -> gpurefine.Run:
    pipeline = dedup_pipeline("minhash", shingle="word-5")
    return gpurefine.run(
        pipeline, str(table), output, scheduler=scheduler, partition_bytes=partition_bytes(table), quiet=True
    )


def was_killed(table: Path, output: Path, pattern: str) -> bool:
    """Start or go on with the run and kill it as soon as a file of this name is there; false if it ended before."""
    command = [sys.executable, "-m", "gpurefine", "dedup", "minhash", str(table), "-o", str(output), "--quiet"]
    command += ["--workers", "2", "--partition-size", str(partition_bytes(table)), "--shingle", "word-5"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and next(output.glob(pattern), None) is None:
        time.sleep(0.0005)
    process.kill()
    process.wait()
    return not gpurefine.open_run(output).complete


def test_killed_in_the_middle_of_each_phase_it_goes_on_to_the_same_bytes(table, scheduler, tmp_path):
    undisturbed = run_to_the_end(table, tmp_path / "undisturbed", scheduler)
    assert len(undisturbed.manifest["steps"][0]["partitions"]) > 5
    assert len(undisturbed.manifest["steps"][0]["dedup"]["collide"]) > 3
    assert len(undisturbed.refined()) == DOCUMENTS * 2 // 3
    for attempt in range(5):
        output = tmp_path / str(attempt)
        if all(was_killed(table, output, pattern) for pattern in PHASES.values()):
            break
    else:
        pytest.fail("no run could be killed in each phase")
    run = run_to_the_end(table, output, scheduler)
    assert run.complete
    assert_same_results(undisturbed, run)
    assert sorted(map(tuple, run.clusters().to_numpy())) == sorted(map(tuple, undisturbed.clusters().to_numpy()))
    assert not list(output.rglob(".unfinished-*"))
