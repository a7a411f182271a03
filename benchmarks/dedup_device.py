"""The whole MinHash dedup on GPUs, from Parquet to survivors, and where its time goes. Needs a GPU, CuPy and cuDF.

    python benchmarks/dedup_device.py [--documents 500000] [--workers 8] [--set bands=14] [--out FILE.md]

Generated documents (2 KB on average, known duplicates; generated.py) are written as Parquet; then ``dedup minhash``
runs with ``--backend gpu`` on workers that are up and warm, 450 bands of 20 rows where nothing else is set. Rates are
of uncompressed text and of the run's wall time, a GPU-hour being an hour of one GPU worker. Of documents with equal
texts no two may be left, or the program ends with status 1.

The profile is of one batch on one GPU in this process, in turn and with a wait behind each part: what reads, what
copies between host and device, what computes. In a run parts of different workers overlap.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from device import describe_device, open_cupy
from generated import families, write_parts
from machine import describe, markdown, publish

import gpurefine
from gpurefine import frames
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.kernels.cuda import collisions, minhash
from gpurefine.kernels.cuda.device import to_device, to_host
from gpurefine.machine import available_cores
from gpurefine.resources.cache import default_resources
from gpurefine.workers import decide_backend, open_client

SEED = 3
#: Documents of the run that is not timed, and of the batch that is profiled: 128 MB of text.
WARM_DOCUMENTS, BATCH_DOCUMENTS = 2000, 60_000


@contextmanager
def gpu_cluster(workers: int, scratch: Path):
    """Address of a scheduler with GPU and CPU workers, and how many GPU workers there are."""
    backend = decide_backend("gpu")
    with open_client(workers, None, scratch, backend) as client:
        yield client.scheduler.address, len(backend.devices)


def timed_run(pipeline: Any, paths: list[Path], output: Path, scheduler: str) -> tuple[float, gpurefine.Run]:
    """Wall seconds of a run, and the run."""
    began = time.perf_counter()
    run = gpurefine.run(pipeline, list(map(str, paths)), output, backend="gpu", scheduler=scheduler, quiet=True)
    return time.perf_counter() - began, run


def copies_left(run: gpurefine.Run, count: int) -> int:
    """How many kept documents have the text of another kept one: as they were generated, not as they were compared."""
    base, rate, _ = families(SEED, 0, count)
    kept = np.sort(run.refined(columns=["id"])["id"].str.slice(1).astype("int64").to_numpy())
    equal = kept[np.isnan(rate[kept]) | (rate[kept] == 0.0)]
    return equal.size - np.unique(base[equal]).size


def profile(cupy: ModuleType, pipeline: Any, path: Path) -> list[tuple[str, str, float]]:
    """(part, kind, seconds) of a batch from its file to edges: the second time, when all is compiled."""
    stage = pipeline.stages[-1]
    tool = stage.open(default_resources(offline=True))
    family = tool.permutations
    tables = to_device(family.multipliers), to_device(family.increments)
    for _ in range(2):
        parts: list[tuple[str, str, float]] = []

        def part(name: str, kind: str, call: Callable[[], Any], parts: list = parts) -> Any:
            began = time.perf_counter()
            result = call()
            cupy.cuda.get_current_stream().synchronize()
            parts.append((name, kind, time.perf_counter() - began))
            return result

        table = part("read Parquet", "I/O", lambda: pq.read_table(path, columns=["text"]))
        frame = part("text to the device", "copies", lambda given=table: frames.from_arrow(given, True))
        data, offsets = frames.text_buffers(frame["text"])
        shingles = part("text to shingles", "kernels", lambda given=(data, offsets): tool.shingler.shingles(*given))
        keys = part(
            "band keys",
            "kernels",
            lambda given=shingles: minhash.new_band_keys(*given, *tables, stage.bands, stage.rows),
        )
        host = part("keys to the host", "copies", lambda given=keys: to_host(given))
        part("write keys", "I/O", lambda given=host: write_away(given))
        again = part("keys to the device", "copies", lambda given=host: to_device(given))
        part("sort-and-run, union-find", "kernels", lambda given=again: link_all(cupy, given))
    return parts


def write_away(keys: np.ndarray) -> None:
    """Keys to a file that is gone afterwards."""
    with tempfile.TemporaryFile() as file:
        keys.tofile(file)


def link_all(cupy: ModuleType, keys: Any) -> None:
    """Join the documents that share a key, band by band."""
    positions = cupy.arange(keys.shape[1], dtype=cupy.uint32)
    parent = positions.copy()
    for band in range(keys.shape[0]):
        collisions.link_band_keys(keys[band], positions, parent)


def shares(parts: list[tuple[str, str, float]], text_bytes: int) -> list[list[str]]:
    """Rows of the profile: each part, then each kind."""
    total = sum(taken for *_, taken in parts)
    kinds: dict[str, float] = {}
    for _, kind, taken in parts:
        kinds[kind] = kinds.get(kind, 0.0) + taken
    told = [*parts, *(("all", kind, taken) for kind, taken in kinds.items()), ("all", "all", total)]
    return [
        [name, kind, f"{1e3 * taken:.2f} ms", f"{taken / total:.1%}", f"{text_bytes / taken / 1e9:.3g} GB of text/s"]
        for name, kind, taken in told
    ]


def main() -> int:
    """Generate, run, look for copies that are left, profile, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=500_000)
    parser.add_argument("--workers", type=int, default=max(1, available_cores() - 1), help="CPU workers")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="parameter of MinHash")
    parser.add_argument("--out", type=Path, help="write the tables to this file")
    options = parser.parse_args()
    pipeline = dedup_pipeline("minhash", options.overrides)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "warm").mkdir()
        paths = write_parts(scratch, SEED, options.documents)
        warm = write_parts(scratch / "warm", SEED + 1, min(WARM_DOCUMENTS, options.documents))
        with gpu_cluster(options.workers, scratch / "workers") as (scheduler, gpus):
            timed_run(pipeline, warm, scratch / "first", scheduler)
            taken, run = timed_run(pipeline, paths, scratch / "run", scheduler)
        summary, left = run.summary(), copies_left(run, options.documents)
        batch = write_parts(scratch / "warm", SEED, min(BATCH_DOCUMENTS, options.documents), BATCH_DOCUMENTS)[0]
        batch_bytes, text_bytes = size_of_texts([batch]), size_of_texts(paths)
        opened = open_cupy()
        if opened is None:
            return 2
        parts = profile(opened[0], pipeline, batch)
    rate = text_bytes / taken
    lines = [
        f"# MinHash dedup from Parquet to survivors on {gpus} x {opened[1]}",
        "",
        *describe(),
        "",
        describe_device(),
        "",
        f"{options.documents:,} documents, {text_bytes / 1e9:.3f} GB of text, {pipeline.stages[-1].bands} bands of "
        f"{pipeline.stages[-1].rows} rows; {gpus} GPU workers, {options.workers} CPU workers; {taken:.1f} s: "
        f"{rate / 1e9:.3g} GB of text/s, {rate * 3600 / 1e12 / gpus:.3g} TB a GPU-hour. {summary['kept']:,} documents "
        f"stayed; {left} of them have the text of another one.",
        "",
        *markdown(["phases of the run", "seconds"], phases(summary)),
        "",
        f"One batch of {batch_bytes / 1e6:.1f} MB of text:",
        "",
        *markdown(["part", "kind", "time", "share", "rate"], shares(parts, batch_bytes)),
        "",
    ]
    publish(lines, options.out)
    return 1 if left else 0


def size_of_texts(paths: list[Path]) -> int:
    """Bytes of text in tables."""
    columns = (pq.read_table(path, columns=["text"])["text"] for path in paths)
    return sum(pc.sum(pc.binary_length(column)).as_py() for column in columns)


def phases(summary: dict[str, Any]) -> list[list[str]]:
    """Seconds of each step of a run and of the dedup behind it."""
    rows = []
    for number, step in enumerate(summary["steps"]):
        rows.append([f"step {number}: {', '.join(step['stages']) or 'write'}", f"{step['seconds']:.2f}"])
        if step["dedup"]:
            rows.append([f"dedup behind step {number}", f"{step['dedup']['seconds']:.2f}"])
    return rows


if __name__ == "__main__":
    sys.exit(main())
