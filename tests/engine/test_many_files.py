"""A list of a thousand files: the run starts at once, and neither driver nor workers grow with the number of files."""

import gzip
import json
import os
import subprocess
import sys
import time
from statistics import median

import psutil
import pytest
from format_files import raw_records

import gpurefine

FILES, RECORDS = 1000, 3


@pytest.fixture
def paths(demo_crawl, tmp_path):
    """``warc.paths.gz`` with hard links of one small WARC."""
    (tmp_path / "crawl").mkdir()
    seed = tmp_path / "seed.warc.gz"
    seed.write_bytes(b"".join(gzip.compress(data, mtime=0) for data in raw_records(demo_crawl[0])[:4]))
    names = [f"crawl/{number:04}.warc.gz" for number in range(FILES)]
    for name in names:
        os.link(seed, tmp_path / name)
    path = tmp_path / "warc.paths.gz"
    path.write_bytes(gzip.compress("\n".join(names).encode()))
    return path


def memory_of(process):
    """Bytes that a process holds for itself, and each of those that it started."""
    return {each.pid: each.memory_info().rss for each in [process, *process.children(recursive=True)]}


@pytest.mark.slow
def test_a_thousand_files_with_flat_memory(paths, tmp_path):
    (tmp_path / "small.yaml").write_text(
        json.dumps({"name": "small", "output": {"tokens": False}, "stages": ["extract", "quality", "dedup.exact"]})
    )
    command = [sys.executable, "-m", "gpurefine", "run", tmp_path / "small.yaml", paths, "-o", tmp_path / "run"]
    began = time.monotonic()
    process = psutil.Popen([*map(str, command), "--workers", "2", "--quiet"], stdout=subprocess.DEVNULL)
    first = tmp_path / "run" / "work" / "documents-0"
    while not list(first.glob("part-*")):
        assert process.poll() is None
        time.sleep(0.02)
    started = time.monotonic() - began
    seen = []
    while process.poll() is None:
        try:
            done = len(list(first.glob("part-*")))
            seen.append((done, memory_of(process)))
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.25)
    assert process.wait() == 0
    run = gpurefine.open_run(tmp_path / "run")
    assert len(run.manifest["inputs"]) == FILES
    assert run.summary()["records"] == FILES * RECORDS
    # by tenths of the first step, of all processes that live through it
    tenths = [[memory for done, memory in seen if done * 10 // FILES == tenth] for tenth in range(1, 10)]
    lasting = set.intersection(*(set(memory) for tenth in tenths for memory in tenth))
    told = {pid: [round(median(memory[pid] for memory in some) / 2**20) for some in tenths if some] for pid in lasting}
    print(f"first partition after {started:.1f} s, {time.monotonic() - began:.0f} s in all; MiB by tenths of the run:")
    for pid, sizes in sorted(told.items()):
        print(f"  {'driver' if pid == process.pid else 'other'}: {sizes}")
    assert process.pid in lasting and len(lasting) >= 3
    assert all(sizes[-1] < 1.1 * sizes[2] + 8 for sizes in told.values())
    assert started < 60
