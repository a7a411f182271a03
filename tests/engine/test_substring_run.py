"""``dedup.substring`` in runs: one answer for any partitions, memory, order of files, and in frames."""

import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import assert_same_results, plain

import gpurefine
from gpurefine.engine.tables import dedup_pipeline

WORDS = [f"{word}{number}" for number in range(40) for word in ("river", "mill", "bread", "stone", "wheel")]
PARAMETERS = {"length": 12}


def texts():
    """Texts of passages of which some are shared, by two documents or inside one."""
    generator = random.Random(5)
    passages = [" ".join(generator.choices(WORDS, k=generator.randrange(3, 30))) for _ in range(500)]
    return [
        ". ".join(generator.choices(passages, k=generator.randrange(1, 5)) + generator.choices(WORDS, k=8))
        for _ in range(200)
    ]


def scope_of(number):
    return (None, "a", "b")[number % 3]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder, every = tmp_path_factory.mktemp("substring"), texts()
    paths = []
    for part in range(4):
        numbers = range(50 * part, 50 * part + 50)
        table = pa.table(
            {
                "id": [f"d{number}" for number in numbers],
                "text": every[50 * part : 50 * part + 50],
                "half": [scope_of(number) for number in numbers],
            }
        )
        paths.append(folder / f"{part}.parquet")
        pq.write_table(table, paths[-1], row_group_size=5)
    return [str(path) for path in paths]


@pytest.mark.parametrize("keep", ["none", "first", "random"])
@pytest.mark.parametrize("on_match", ["cut", "drop_partial"])
def test_one_answer_for_any_partitions_memory_and_order(tables, scheduler, tmp_path, keep, on_match):
    def refine(name, inputs, **options):
        pipeline = dedup_pipeline("substring", keep=keep, on_match=on_match, **PARAMETERS)
        return gpurefine.run(pipeline, inputs, tmp_path / name, scheduler=scheduler, quiet=True, **options)

    one = refine("one", tables)
    many = refine("many", tables[::-1], partition_bytes=300, memory=64 << 20)
    assert len(many.manifest["steps"][0]["partitions"]) > 3 * len(one.manifest["steps"][0]["partitions"])
    assert_same_results(one, many)
    order = ["file", "offset", "first"]
    spans = [plain(run.spans()).sort_values(order, ignore_index=True) for run in (one, many)]
    pd.testing.assert_frame_equal(*spans)
    assert len(spans[0]) > 50

    frame = pd.DataFrame({"id": [f"d{number}" for number in range(200)], "text": texts()})
    marked = gpurefine.deduplicate(frame, "substring", keep=keep, on_match=on_match, **PARAMETERS)
    kept = one.refined(columns=["id", "text"])
    assert dict(zip(kept["id"], kept["text"], strict=True)) == dict(
        marked.loc[marked["keep"], ["id", "edited"]].itertuples(index=False, name=None)
    )


def test_documents_of_other_scopes_are_as_if_they_were_not_there(tables, scheduler, tmp_path):
    def left(run):
        kept = run.refined(columns=["id", "text"])
        return dict(zip(kept["id"], kept["text"], strict=True))

    def refine(name, inputs, **parameters):
        pipeline = dedup_pipeline("substring", **PARAMETERS, **parameters)
        return gpurefine.run(
            pipeline, inputs, tmp_path / name, scheduler=scheduler, quiet=True, partition_bytes=3000, memory=64 << 20
        )

    whole = pa.concat_tables([pq.read_table(path) for path in tables])
    alone = {}
    for number in range(3):
        mine = [row for row in range(len(whole)) if row % 3 == number]
        pq.write_table(whole.take(mine), tmp_path / f"{number}.parquet")
        alone |= left(refine(f"alone{number}", [str(tmp_path / f"{number}.parquet")]))
    together = left(refine("together", tables, scope="half"))
    assert together == alone
    assert together != left(refine("all", tables))

    frame = pd.DataFrame({"id": whole["id"].to_pylist(), "text": texts(), "half": whole["half"].to_pylist()})
    marked = gpurefine.deduplicate(frame, "substring", scope="half", **PARAMETERS)
    assert dict(marked.loc[marked["keep"], ["id", "edited"]].itertuples(index=False, name=None)) == together
