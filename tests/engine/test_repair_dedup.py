"""Files of a stopped dedup that are lost or damaged: the same command makes them again and gives the same results."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import assert_same_results

import gpurefine
from gpurefine.engine.tables import dedup_pipeline

#: Phases in their order: what each leaves in work/, and what the manifest knows of it.
PHASES = {
    "emit": ("keys-0/*", None),
    "join": ("dedup-0/joined-*", "joined"),
    "collide": ("dedup-0/edges-*", "collide"),
    "connect": ("dedup-0/labels.parquet", None),
    "gather": ("dedup-0/members-*", None),
    "choose": ("dedup-0/removals-*", "choose"),
}
FIRST_KEYS = "keys-0/part-000000.keys"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "texts.parquet"
    texts = [" ".join(f"w{number % 70}-{place}" for place in range(8)) for number in range(200)]
    pq.write_table(pa.table({"id": [f"d{number}" for number in range(200)], "text": texts}), path, row_group_size=20)
    return path


@pytest.fixture(scope="module")
def deduplicate(table, scheduler):
    """Run one kind of dedup into a directory, or go on there."""

    def call(kind: str, output: Path) -> gpurefine.Run:
        overrides = ["output.keep_work=true"]
        overrides += ["bands=4", "rows=2", "shingle=word-2"] if kind == "minhash" else []
        pipeline = dedup_pipeline(kind, overrides)
        return gpurefine.run(pipeline, table, output, scheduler=scheduler, partition_bytes=300, quiet=True)

    return call


@pytest.fixture(scope="module")
def finished(deduplicate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    runs = {kind: deduplicate(kind, folder / kind) for kind in ("exact", "minhash")}
    assert len(runs["exact"].manifest["steps"][0]["partitions"]) > 8
    assert len(runs["exact"].refined()) == len(runs["minhash"].refined()) == 70
    return runs


def stop_after(run: gpurefine.Run, phase: str, output: Path, *, known: bool = False) -> Path:
    """A copy of a run as it was when it was stopped behind a phase; ``known``: the manifest says the dedup is done."""
    root = run.store.root
    shutil.copytree(root, output)
    (output / "summary.json").unlink()
    shutil.rmtree(output / "refined")
    for path in (output / "removed").glob("part-1-*"):
        path.unlink()
    manifest = json.loads((output / "manifest.json").read_text())
    manifest["state"], manifest["steps"] = "running", manifest["steps"][:1]
    dedup = manifest["steps"][0]["dedup"]
    dedup["state"] = "done" if known else "planned"
    names = list(PHASES)
    for later in names[names.index(phase) + 1 :]:
        pattern, entry = PHASES[later]
        for path in (output / "work").glob(pattern):
            path.unlink()
        dedup.pop(entry, None)
    if phase != "choose":
        shutil.rmtree(output / "clusters")
    (output / "manifest.json").write_text(json.dumps(manifest))
    return output


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "lost":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "garbage":
        path.write_bytes(os.urandom(len(data)))
    else:
        path.write_bytes(data[: len(data) // 4] + bytes([data[len(data) // 4] ^ 64]) + data[len(data) // 4 + 1 :])


@pytest.mark.parametrize(
    ("kind", "phase", "name", "how"),
    [
        ("minhash", "emit", FIRST_KEYS, "lost"),
        ("exact", "emit", FIRST_KEYS, "lost"),
        ("exact", "emit", FIRST_KEYS, "empty"),
        ("minhash", "emit", FIRST_KEYS, "garbage"),
        ("minhash", "join", FIRST_KEYS, "lost"),
        ("minhash", "join", "dedup-0/joined-000000.keys", "cut"),
        ("minhash", "collide", "dedup-0/edges-000000", "bit"),
        ("minhash", "connect", "dedup-0/labels.parquet", "cut"),
        ("exact", "connect", "dedup-0/labels.parquet", "bit"),
        ("exact", "gather", "dedup-0/labels.parquet", "empty"),
        ("exact", "gather", "dedup-0/members-000000.parquet", "empty"),
        ("exact", "gather", "dedup-0/members-000000.parquet", "bit"),
        ("exact", "choose", "dedup-0/removals-000000.parquet", "cut"),
        ("exact", "choose", "dedup-0/removals-000000.parquet", "lost"),
    ],
)
def test_a_file_that_is_lost_or_damaged_is_made_again(finished, deduplicate, tmp_path, kind, phase, name, how):
    output = stop_after(finished[kind], phase, tmp_path / "run")
    damage(output / "work" / name, how)
    run = deduplicate(kind, output)
    assert run.complete
    assert_same_results(finished[kind], run)
    assert sorted(map(tuple, run.clusters().to_numpy())) == sorted(map(tuple, finished[kind].clusters().to_numpy()))


def test_all_key_files_lost_at_once_are_made_again(finished, deduplicate, tmp_path):
    output = stop_after(finished["minhash"], "emit", tmp_path / "run")
    assert len(list((output / "work" / "keys-0").iterdir())) > 8
    shutil.rmtree(output / "work" / "keys-0")
    assert_same_results(finished["minhash"], deduplicate("minhash", output))


@pytest.mark.parametrize("how", ["lost", "empty"])
def test_removals_lost_behind_a_finished_dedup_do_not_let_duplicates_pass(finished, deduplicate, tmp_path, how):
    output = stop_after(finished["exact"], "choose", tmp_path / "run", known=True)
    damage(output / "work" / "dedup-0" / "removals-000000.parquet", how)
    assert_same_results(finished["exact"], deduplicate("exact", output))
