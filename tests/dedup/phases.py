"""All phases of a dedup in one folder, as a run orders them, over documents made of plain dicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.dedup.collisions import CollisionTask, collide, plan_collisions
from gpurefine.dedup.components import connect
from gpurefine.dedup.hashing import text_hashes
from gpurefine.dedup.keys import SLICES, join_key_files, slice_rows, write_key_file
from gpurefine.dedup.members import METADATA, gather_members
from gpurefine.dedup.policies import TEXT_LENGTH, best_column, text_lengths
from gpurefine.dedup.removals import read_removals
from gpurefine.dedup.scopes import scoped_keys
from gpurefine.dedup.survivors import choose, plan_choice
from gpurefine.documents import document_numbers
from gpurefine.frames import string_column

MIB = 1 << 20


def document(number: int, text: str, **changes) -> dict:
    """A document with metadata of its own, unless ``changes`` says otherwise."""
    return {
        "id": f"<urn:uuid:{number}>",
        "url": f"http://site/{number}",
        "date": datetime(2023, 1, 1, tzinfo=UTC),
        "file": "a.warc.gz",
        "offset": number,
        "text": text,
    } | changes


@dataclass
class Ways:
    """What must not change the result."""

    slices_a_task: int | None = None
    passes: int = 1
    joined: int = 1
    gathered: int = 1
    budget: int = 64 * MIB
    run_bytes: int = 64 * MIB
    choice_budget: int = 64 * MIB


@dataclass
class Result:
    """What a dedup left, by (file, offset) of the documents."""

    removed: dict = field(default_factory=dict)
    clusters: list = field(default_factory=list)
    counts: dict = field(default_factory=dict)


def deduplicate(
    folder: Path,
    partitions: list[list[dict]],
    seed: int = 0,
    ways: Ways = Ways(),  # noqa: B008
    keep: str = "random",
    scope: str | None = None,
    others: tuple[pa.Field, ...] = (),
) -> Result:
    """Run the phases: exact keys, collisions, components, survivors; documents have the columns ``others`` too."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [folder / f"documents-{index}.parquet" for index in range(len(partitions))]
    key_paths = [folder / f"{index}.keys" for index in range(len(partitions))]
    for index, documents in enumerate(partitions):
        high, low = text_hashes(string_column([each["text"] for each in documents]))
        types = {each.name: each.type for each in [*METADATA, *others]}
        column = None if scope is None else pa.array([each[scope] for each in documents], types[scope])
        keys = scoped_keys(np.stack([high, low]), None if column is None else _series(column), 0)
        write_key_file(key_paths[index], list(keys), document_numbers(index, len(documents)), ["high", "low"])
        write_documents(parts[index], documents, high, low, others)
    key_paths = _joined(folder, key_paths, ways.joined)

    counts: dict = {"rows": 0, "edges": 0, "shared": 0}
    edge_paths = []
    for number, task in enumerate(_tasks(key_paths, ways)):
        edge_paths.append(folder / f"{number}.edges")
        for name, count in collide(task, key_paths, edge_paths[-1], ways.budget).items():
            counts[name] += count
    labels = folder / "labels.parquet"
    counts["connected"] = connect(edge_paths, labels, 64 * MIB)

    member_paths = []
    numbered = list(enumerate(parts))
    for begin in range(0, len(numbered), ways.gathered):
        member_paths.append(folder / f"members-{begin}.parquet")
        gather_members(
            labels, numbered[begin : begin + ways.gathered], seed, member_paths[-1], ways.run_bytes, best_column(keep)
        )

    result, removal_paths = Result(counts=counts), []
    for number, roots in enumerate(plan_choice(member_paths, ways.choice_budget)):
        clusters, removals = folder / f"clusters-{number}.parquet", folder / f"removals-{number}.parquet"
        choose(member_paths, roots, clusters, removals, "exact", keep)
        removal_paths.append(removals)
        result.clusters += pq.read_table(clusters).to_pylist()
    counts["ranges"] = len(removal_paths)
    for index, documents in enumerate(partitions):
        for removal in read_removals(removal_paths, index).to_pylist():
            assert removal["document"] >> 32 == index
            gone = documents[removal["document"] & 0xFFFFFFFF]
            assert (gone["file"], gone["offset"]) not in result.removed
            result.removed[gone["file"], gone["offset"]] = (
                removal["cluster"], removal["survivor"], removal["members"]
            )  # fmt: skip
    return result


def _series(column: pa.Array) -> pd.Series:
    return pd.Series(pd.array(column, dtype=pd.ArrowDtype(column.type)))


def write_documents(
    path: Path, documents: list[dict], high: np.ndarray, low: np.ndarray, others: tuple[pa.Field, ...] = ()
) -> None:
    """A partition as a step leaves it, with columns that no dedup may need."""
    digests = np.stack([high, low], axis=1).astype(">u8").tobytes()
    hashes = [digests[begin : begin + 16] for begin in range(0, len(digests), 16)]
    columns = [
        pa.array(hashes if each.name == "text_hash" else [document[each.name] for document in documents], each.type)
        for each in METADATA
    ]
    table = pa.table(columns, schema=pa.schema(METADATA))
    texts = pa.array([each["text"] for each in documents], pa.large_string())
    table = table.append_column("text", texts).append_column(TEXT_LENGTH, text_lengths(texts))
    for each in others:
        table = table.append_column(each, pa.array([document[each.name] for document in documents], each.type))
    pq.write_table(table, path, write_page_checksum=True)


def _joined(folder: Path, paths: list[Path], size: int) -> list[Path]:
    if size == 1:
        return paths
    joined = []
    for begin in range(0, len(paths), size):
        joined.append(folder / f"joined-{begin}.keys")
        join_key_files(paths[begin : begin + size], joined[-1])
    return joined


def _tasks(key_paths: list[Path], ways: Ways) -> list[CollisionTask]:
    if ways.slices_a_task is None:
        return plan_collisions(slice_rows(key_paths), 2, ways.budget)
    return [
        CollisionTask(first, min(first + ways.slices_a_task, SLICES), ways.passes)
        for first in range(0, SLICES, ways.slices_a_task)
    ]
