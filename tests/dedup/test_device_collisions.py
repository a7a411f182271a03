"""Collide and connect on a device: the labels of the CPU, to the byte; passes, damage, memory that does not suffice."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpurefine.dedup import devicecollisions
from gpurefine.dedup.collisions import CollisionTask, collide, plan_collisions
from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import open_key_writer, slice_rows
from gpurefine.errors import DamagedFileError, RunError
from gpurefine.kernels.cuda.collisions import BYTES_A_KEY

MIB = 1 << 20


def key_files(folder, partitions):
    """Key files of partitions, each uint64 (bands, documents)."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, keys in enumerate(partitions):
        paths.append(folder / f"{number}.keys")
        with open_key_writer(paths[-1], ["key"], len(keys), number) as writer:
            writer.add(keys)
    return paths


def labels(folder, paths, bands, on_device, tasks=2):
    """The labels file's bytes, and the counts of all tasks."""
    edge_paths, counts = [], {"rows": 0, "edges": 0, "shared": 0}
    name = "device" if on_device else "cpu"
    for number, task in enumerate(plan_collisions(slice_rows(paths), 1, MIB, bands, tasks)):
        edge_paths.append(folder / f"{name}-{number}.edges")
        for key, count in collide(task, paths, edge_paths[-1], MIB, on_device).items():
            counts[key] += count
    connected = connect(edge_paths, folder / f"{name}.parquet", MIB, on_device)
    return (folder / f"{name}.parquet").read_bytes(), counts | connected


def check(folder, partitions, bands):
    paths = key_files(folder, partitions)
    found, expected = (labels(folder, paths, bands, on_device) for on_device in (True, False))
    assert found == expected
    return found[1]


def keys_of(bands):
    return np.array(bands, np.uint64) * np.uint64(0x9E3779B97F4A7C15)


@given(
    st.lists(
        st.lists(st.tuples(*[st.integers(0, 9)] * 3), max_size=12).map(lambda rows: np.array(rows).reshape(-1, 3).T),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([np.zeros((3, 0), int), np.ones((3, 5), int)])
def test_labels_are_those_of_the_cpu(cuda, tmp_path_factory, partitions):
    cuda(order="mixed")
    check(tmp_path_factory.mktemp("keys"), [keys_of(bands) for bands in partitions], 3)


def test_equal_documents_cost_one_edge_each(cuda, tmp_path):
    cuda()
    counts = check(tmp_path, [np.full((4, 300), 9, np.uint64)] * 3, 4)
    assert counts == {"rows": 3600, "edges": 899, "shared": 4, "documents": 900, "clusters": 1}


def test_no_duplicates_no_edges(cuda, tmp_path):
    cuda()
    counts = check(tmp_path, [np.arange(1, 401, dtype=np.uint64).reshape(2, 200)], 2)
    assert counts == {"rows": 400, "edges": 0, "shared": 0, "documents": 0, "clusters": 0}


def test_bands_beyond_the_memory_are_read_in_passes(emulated, tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    partitions = [keys_of(rng.integers(0, 40, (2, 100))) for _ in range(2)]
    passes, original = [], devicecollisions._collide

    def noted(bands, files, documents, count, *arguments):
        passes.append(count)
        return original(bands, files, documents, count, *arguments)

    monkeypatch.setattr(devicecollisions, "_collide", noted)
    emulated(memory=int((200 * BYTES_A_KEY / 3 + 800) / 0.7))
    monkeypatch.setattr(devicecollisions, "BYTES_AN_EDGE", 0)
    check(tmp_path, partitions, 2)
    assert set(passes) == {3}


def test_memory_that_is_not_there_after_all_is_asked_for_in_smaller_pieces(cuda, tmp_path, monkeypatch, caplog):
    cuda()
    rng = np.random.default_rng(3)
    partitions = [keys_of(rng.integers(0, 40, (2, 100)))]
    sizes, original = [], devicecollisions.link_band_keys

    def failing(keys, *arguments):
        sizes.append(keys.size)
        if keys.size > 60:
            raise MemoryError("std::bad_alloc: out_of_memory")
        return original(keys, *arguments)

    monkeypatch.setattr(devicecollisions, "link_band_keys", failing)
    counts = check(tmp_path, partitions, 2)
    # the try that did it: two bands in two passes or more, whatever the salt
    assert sizes[0] == 100 and max(sizes[-4:]) <= 60 and counts["edges"] > 0
    told = [record.getMessage() for record in caplog.records]
    assert "does not do for 1 passes" in told[0] and not any("CPU" in each for each in told)


@pytest.mark.parametrize("function", ["link_band_keys", "unite"])
def test_a_device_without_memory_leaves_it_to_the_cpu(cuda, tmp_path, monkeypatch, caplog, function):
    cuda()

    def failing(*_):
        raise MemoryError("std::bad_alloc: out_of_memory")

    monkeypatch.setattr(devicecollisions, function, failing)
    check(tmp_path, [keys_of(np.random.default_rng(3).integers(0, 40, (2, 100)))], 2)
    assert not list(tmp_path.rglob(".unfinished*"))
    assert any("on the CPU" in record.getMessage() for record in caplog.records)


def test_edges_beyond_the_memory_are_left_to_the_cpu(emulated, tmp_path, monkeypatch):
    emulated(memory=1000)
    monkeypatch.setattr(devicecollisions, "unite", None)
    check(tmp_path, [keys_of(np.random.default_rng(3).integers(0, 40, (2, 100)))], 2)


def test_labels_beyond_the_budget_are_refused_as_on_the_cpu(cuda, tmp_path):
    cuda()
    paths = key_files(tmp_path, [np.full((1, 300), 9, np.uint64)])
    collide(CollisionTask(0, 1), paths, tmp_path / "edges", MIB)
    refusals = []
    for on_device in (True, False):
        with pytest.raises(RunError, match="give more --memory") as refused:
            connect([tmp_path / "edges"], tmp_path / "labels.parquet", 3000, on_device)
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]


def test_edges_of_a_document_with_itself_are_none(cuda, tmp_path):
    cuda()
    with ColumnWriter(tmp_path / "edges", ["left", "right"]) as writer:
        writer.write_slice([[np.array([5, 7, 9], np.uint64)], [np.array([5, 9, 9], np.uint64)]])
    counts = connect([tmp_path / "edges"], tmp_path / "labels.parquet", MIB, on_device=True)
    assert counts == {"documents": 2, "clusters": 1}


def test_a_damaged_key_file_is_named(cuda, tmp_path):
    cuda()
    (path,) = key_files(tmp_path, [keys_of([[1, 1, 2]])])
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"\xff")
    assert path.stat().st_size == size
    with pytest.raises(DamagedFileError, match=r"0\.keys is damaged"):
        collide(CollisionTask(0, 1), [path], tmp_path / "edges", MIB, on_device=True)
    assert not (tmp_path / "edges").exists()


def test_kinds_without_bands_stay_on_the_cpu(emulated, tmp_path, monkeypatch):
    monkeypatch.setattr("gpurefine.dedup.collisions.collide_bands_on_device", None)
    with open_key_writer(tmp_path / "0.keys", ["high", "low"], 0, 0) as writer:
        writer.add(keys_of([[1, 1, 2], [3, 3, 3]]))
    counts = collide(CollisionTask(0, 256), [tmp_path / "0.keys"], tmp_path / "edges", MIB, on_device=True)
    assert counts == {"rows": 3, "edges": 1, "shared": 1}
    assert ColumnFile(tmp_path / "edges").rows.sum() == 1
