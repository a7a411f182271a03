"""kill -9 in the middle of emit, collide and apply of a dedup, then the same command: the same bytes."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import assert_same_results

import gpurefine

WORDS = ("river", "mill", "house", "field", "stone", "bridge", "winter", "market", "child", "bread", "wheel", "garden")
#: Enough for several collide tasks of 450 bands.
DOCUMENTS = 15_000

#: Phase of the dedup -> what is seen in the run directory when it is under way.
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
    pq.write_table(pa.table(columns), path, row_group_size=1000)
    return path


def command(table, output):
    return [
        sys.executable, "-m", "gpurefine", "dedup", "minhash", str(table), "-o", str(output),
        "--workers", "2", "--partition-size", "1", "--shingle", "word-5", "--quiet",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(table, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    subprocess.run(command(table, output), check=True, stdout=subprocess.DEVNULL)
    run = gpurefine.open_run(output)
    assert len(run.manifest["steps"][0]["partitions"]) > 5
    assert len(run.manifest["steps"][0]["dedup"]["collide"]) > 5
    assert len(run.refined()) == DOCUMENTS * 2 // 3
    return run


def kill_when_seen(table, output: Path, pattern: str) -> bool:
    """Start the run and kill it as soon as a file of this name is there; false when it ended before that."""
    process = subprocess.Popen(command(table, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if next(output.glob(pattern), None) is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


@pytest.mark.parametrize("phase", PHASES)
def test_killed_in_the_middle_of_a_phase_it_goes_on_to_the_same_bytes(table, undisturbed, tmp_path, phase):
    for attempt in range(5):
        output = tmp_path / str(attempt)
        if kill_when_seen(table, output, PHASES[phase]) and not gpurefine.open_run(output).complete:
            break
    else:
        pytest.fail(f"no run could be killed in {phase}")
    subprocess.run(command(table, output), check=True, stdout=subprocess.DEVNULL)
    run = gpurefine.open_run(output)
    assert run.complete
    assert_same_results(undisturbed, run)
    assert sorted(map(tuple, run.clusters().to_numpy())) == sorted(map(tuple, undisturbed.clusters().to_numpy()))
    assert not list(output.rglob(".unfinished-*"))
