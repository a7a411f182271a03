"""deduplicate() by MinHash: near copies that were planted, on pandas and Dask frames, and as a run decides."""

from __future__ import annotations

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xxhash

import gpurefine
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import ConfigError

SMALL = {"bands": 14, "rows": 8, "shingle": "word-5"}
NEW = ["keep", "reason", "cluster", "survivor"]


def planted(originals=12, copies=4, words=120):
    """Texts and the number of the original of each; a copy has one other word, other capitals and punctuation."""
    generator = np.random.default_rng(5)
    vocabulary = [f"{first}{second}" for first in ("ba", "do", "ki", "mu", "ré") for second in range(200)]
    texts, truth = [], []
    for number in range(originals):
        original = generator.choice(vocabulary, words)
        for copy in range(1 + number % copies):
            changed = original.copy()
            changed[generator.integers(words)] = "changed"
            texts.append(" ".join(changed) if copy % 2 else ", ".join(changed).upper() + "!")
            truth.append(number)
    order = generator.permutation(len(texts))
    return [texts[place] for place in order], [truth[place] for place in order]


TEXTS, TRUTH = planted()


def expected(ids, seed):
    """(keep, cluster, survivor) of each text."""
    rows = []
    for row, original in enumerate(TRUTH):
        cluster = [other for other, each in enumerate(TRUTH) if each == original]
        best = ids[min(cluster, key=lambda other: xxhash.xxh3_64_intdigest(ids[other].encode(), seed))]
        keep = ids[row] == best
        rows.append((keep, best if len(cluster) > 1 else None, None if keep else best))
    return rows


def decisions(frame):
    columns = frame[["keep", "cluster", "survivor"]].astype(object)
    return list(columns.where(columns.notna(), None).itertuples(index=False, name=None))


@pytest.mark.parametrize("parameters", [SMALL, {}, {"shingle": "char-24"}], ids=["14x8", "paper", "characters"])
def test_planted_copies_are_found_and_no_others(parameters):
    marked = gpurefine.deduplicate(pd.DataFrame({"text": TEXTS}), "minhash", seed=2, **parameters)
    assert decisions(marked) == expected([str(row) for row in range(len(TEXTS))], 2)
    assert set(marked.loc[~marked["keep"], "reason"]) == {"dedup.minhash:duplicate"}


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_dask_gives_what_pandas_gives(partitions):
    frame = pd.DataFrame({"text": TEXTS, "id": [f"<{row}>" for row in range(len(TEXTS))]})
    parts = dd.from_pandas(frame, npartitions=partitions)
    with dask.config.set(scheduler="threads", num_workers=4):
        marked = gpurefine.deduplicate(parts, "minhash", **SMALL).compute()
    pd.testing.assert_frame_equal(marked[NEW], gpurefine.deduplicate(frame, "minhash", **SMALL)[NEW])
    assert decisions(marked) == expected(list(frame["id"]), 0)


def test_threads_that_tokenise_give_the_same():
    frame = pd.DataFrame({"text": TEXTS})
    with dask.config.set(scheduler="threads", num_workers=4):
        marked = gpurefine.deduplicate(dd.from_pandas(frame, npartitions=8), "minhash").compute()
    assert decisions(marked) == decisions(gpurefine.deduplicate(frame, "minhash"))


def test_a_text_without_tokens_stays_and_is_in_no_cluster():
    frame = pd.DataFrame({"text": ["", None, "...", " ", None, "", "one", "ONE", "!"]})
    marked = gpurefine.deduplicate(frame, "minhash")
    assert np.flatnonzero(marked["cluster"].notna()).tolist() == [6, 7]
    assert marked["keep"].sum() == 8


def test_a_run_over_the_same_texts_and_ids_decides_the_same(tmp_path, scheduler):
    frame = pd.DataFrame({"text": TEXTS, "id": [f"<urn:uuid:{row}>" for row in range(len(TEXTS))]})
    frame.to_parquet(tmp_path / "texts.parquet", row_group_size=7)
    pipeline = dedup_pipeline("minhash", ["seed=9"], **SMALL)
    run = gpurefine.run(pipeline, [tmp_path / "texts.parquet"], tmp_path / "run", scheduler=scheduler, quiet=True)
    marked = gpurefine.deduplicate(frame, "minhash", seed=9, **SMALL)
    gone = marked[~marked["keep"]]
    columns = ["id", "cluster", "survivor"]
    assert sorted(run.removed()[columns].itertuples(index=False, name=None)) == sorted(
        gone[columns].itertuples(index=False, name=None)
    )
    assert sorted(run.refined()["id"]) == sorted(marked.loc[marked["keep"], "id"])


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"bands": 20, "rows": 10, "permutations": 9000}, r"20 bands of 10 rows are 200 hash functions"),
        ({"shingle": "word-0"}, r"shingle"),
        ({"rows": "many"}, r"parameter 'rows'"),
        ({"band": 20}, r"no parameter 'band'; did you mean 'bands'"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters, sentence):
    with pytest.raises(ConfigError, match=sentence):
        gpurefine.deduplicate(pd.DataFrame({"text": ["x"]}), "minhash", **parameters)
