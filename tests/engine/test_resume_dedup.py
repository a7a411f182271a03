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

#: Phase of the dedup -> what is seen in the run directory when it is under way and not before; edges or marks.
PHASES = {
    "emit": "work/keys-0/part-*.keys",
    "collide": "work/dedup-0/[em]*s-*",
    "apply": "refined/.unfinished-*",
}

#: Kinds of dedup and their parameters. All but two are slow tests: they share most of what is tested.
KINDS = {
    "minhash": {"shingle": "word-5"},
    "substring": {},
    "exact": {},
    "url": {},
    "paragraph": {},
    "line": {"keep": "first"},
    "sentences": {},
}


def texts() -> list[str]:
    """Texts of eight sentences of ten words; each third one is that of the document before it and a word, or equal."""
    generator = random.Random(1)
    made: list[str] = []
    for number in range(DOCUMENTS):
        words = [f"{word}{number}" for word in generator.choices(WORDS, k=80)]
        lines = [" ".join(words[first : first + 10]) + "." for first in range(0, 80, 10)]
        made.append(made[-1] + "\nAgain." * (number % 2) if number % 3 == 2 else "\n".join(lines))
    return made


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of many row groups."""
    path = tmp_path_factory.mktemp("table") / "texts.parquet"
    names = [f"d{number}" for number in range(DOCUMENTS)]
    columns = {"id": names, "text": texts(), "url": [f"http://a.example/{number // 2}" for number in range(DOCUMENTS)]}
    pq.write_table(pa.table(columns), path, row_group_size=500)
    return path


def partition_bytes(table: Path) -> int:
    """A partition for every second row group."""
    return table.stat().st_size // 9


def run_to_the_end(kind: str, table: Path, output: Path, scheduler: str) -> gpurefine.Run:
    pipeline = dedup_pipeline(kind, **KINDS[kind])
    return gpurefine.run(
        pipeline, str(table), output, scheduler=scheduler, partition_bytes=partition_bytes(table), quiet=True
    )


def was_killed(kind: str, table: Path, output: Path, pattern: str) -> bool:
    """Start or go on with the run and kill it as soon as a file of this name is there; false if it ended before."""
    command = [sys.executable, "-m", "gpurefine", "dedup", kind, str(table), "-o", str(output), "--quiet"]
    command += ["--workers", "2", "--partition-size", str(partition_bytes(table))]
    command += [part for name, value in KINDS[kind].items() for part in ("--set", f"{name}={value}")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and next(output.glob(pattern), None) is None:
        time.sleep(0.0005)
    process.kill()
    process.wait()
    return not gpurefine.open_run(output).complete


@pytest.mark.parametrize(
    "kind", [kind if kind in ("minhash", "substring") else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_killed_in_the_middle_of_each_phase_it_goes_on_to_the_same_bytes(kind, table, scheduler, tmp_path):
    undisturbed = run_to_the_end(kind, table, tmp_path / "undisturbed", scheduler)
    assert len(undisturbed.manifest["steps"][0]["partitions"]) > 5
    if kind == "minhash":
        assert len(undisturbed.manifest["steps"][0]["dedup"]["collide"]) > 3
        assert len(undisturbed.refined()) == DOCUMENTS * 2 // 3
    assert len(undisturbed.removed()) > DOCUMENTS // 7
    for attempt in range(5):
        output = tmp_path / str(attempt)
        if all(was_killed(kind, table, output, pattern) for pattern in PHASES.values()):
            break
    else:
        pytest.fail("no run could be killed in each phase")
    run = run_to_the_end(kind, table, output, scheduler)
    assert run.complete
    assert_same_results(undisturbed, run)
    for one, other in ((run.clusters(), undisturbed.clusters()), (run.spans(), undisturbed.spans())):
        assert sorted(map(tuple, one.to_numpy())) == sorted(map(tuple, other.to_numpy()))
    assert not list(output.rglob(".unfinished-*"))
