"""The stage ``dedup.minhash``: its parameters, and keys that depend on each text alone."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpurefine.config import load_pipeline, pipeline_from_data
from gpurefine.dedup import minhash
from gpurefine.dedup.keys import NO_KEY
from gpurefine.dedup.minhash import MinHash
from gpurefine.documents import Batch
from gpurefine.errors import ConfigError
from gpurefine.frames import string_column
from gpurefine.resources.cache import default_resources

GOLDEN = Path(__file__).parents[1] / "golden" / "clusters.jsonl"
TEXTS = [
    "The quick brown fox jumps over the lazy dog and runs away from the old barn.",
    "",
    "Ångström, naïve café: 100 %!",
    None,
    "中文，标点。没有空格的一行文字。",
    "...",
    "one",
    "a b c d e " * 500,
]


def keys_of(stage, texts):
    """uint64, (bands, n)."""
    resources = default_resources()
    stage.provide(resources)
    return stage.keys(Batch(pd.DataFrame({"text": string_column(texts)})), stage.open(resources))


def clusters_of(keys):
    """Connected components of all pairs with an equal key in one band, by repeated relabelling."""
    label = list(range(keys.shape[1]))
    for one, other in combinations(range(keys.shape[1]), 2):
        if ((keys[:, one] == keys[:, other]) & (keys[:, one] != NO_KEY)).any():
            label = [label[one] if each == label[other] else each for each in label]
    return sorted([i for i, each in enumerate(label) if each == root] for root in set(label))


def golden_clusters():
    entries = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]
    return [entry for entry in entries if entry["rule"] == "minhash_clusters"]


@pytest.mark.parametrize("entry", golden_clusters(), ids=lambda entry: entry["id"])
def test_golden_clusters(entry):
    assert clusters_of(keys_of(MinHash(), entry["input"])) == sorted(entry["expected"])


@pytest.mark.parametrize("shingle", ["gpt2-5", "word-2", "char-24"])
def test_the_keys_of_a_text_depend_on_it_alone(shingle, monkeypatch):
    stage = MinHash(bands=7, rows=3, shingle=shingle)
    together = keys_of(stage, TEXTS)
    assert together.shape == (7, len(TEXTS))
    for number, text in enumerate(TEXTS):
        np.testing.assert_array_equal(keys_of(stage, [text])[:, 0], together[:, number])
    # groups of all sizes, also smaller than a text
    for size in (1, 20, 100, 1000):
        monkeypatch.setattr(minhash, "GROUP_BYTES", size)
        np.testing.assert_array_equal(keys_of(stage, TEXTS), together)


def test_a_text_without_units_has_no_key_and_any_other_has_one_in_each_band():
    keys = keys_of(MinHash(bands=20, rows=2), TEXTS)
    without = [number for number, text in enumerate(TEXTS) if not any(map(str.isalnum, text or ""))]
    assert without == [1, 3, 5]
    assert (keys[:, without] == NO_KEY).all()
    assert (np.delete(keys, without, axis=1) != NO_KEY).all()
    # equal texts meet in every band, and no two bands have one key
    assert (keys_of(MinHash(bands=20, rows=2), ["one"])[:, 0] == keys[:, 6]).all()
    assert len(set(keys[:, 0].tolist())) == 20


@pytest.mark.slow
def test_a_document_of_100_mb_has_the_keys_of_what_it_repeats():
    stage, text = MinHash(bands=14, rows=8), TEXTS[0] + " "
    keys = keys_of(stage, ["one", text * (100_000_000 // len(text)), text * 2, "one"])
    np.testing.assert_array_equal(keys[:, 1], keys[:, 2])
    np.testing.assert_array_equal(keys[:, 0], keys[:, 3])
    assert (keys[:, 0] != keys[:, 1]).all()


def test_no_documents_have_no_keys():
    assert keys_of(MinHash(bands=3, rows=2), []).shape == (3, 0)


def test_seed_normalisation_and_punctuation_change_keys():
    plain = {"bands": 4, "rows": 1, "shingle": "word-1"}
    first = keys_of(MinHash(**plain), TEXTS[:1])
    assert (keys_of(MinHash(**plain, hash_seed=2), TEXTS[:1]) != first).all()
    texts = ["Don't Stop", "don t stop", "dont stop"]
    blank = keys_of(MinHash(**plain), texts)
    assert (blank[:, 0] == blank[:, 1]).all() and (blank[:, 0] != blank[:, 2]).any()
    deleted = keys_of(MinHash(**plain, punctuation="delete"), texts)
    assert (deleted[:, 0] == deleted[:, 2]).all() and (deleted[:, 0] != deleted[:, 1]).any()
    untouched = keys_of(MinHash(**plain, normalise=False), texts)
    assert len(np.unique(untouched, axis=1).T) == 3


def test_the_preset_has_the_paper_s_parameters():
    (stage,) = (stage for stage in load_pipeline("refinedweb").stages if isinstance(stage, MinHash))
    assert stage.verify == "none"
    assert (stage.permutations, stage.bands, stage.rows, stage.shingle) == (9_000, 450, 20, "gpt2-5")
    assert stage.key_bands == 450


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"permutations": 9000, "bands": 14, "rows": 8},
            "14 bands of 8 rows are 112 .* is 9000: set permutations=112",
        ),
        ({"bands": 65536, "rows": 65536}, "1048576 .* set fewer"),
        ({"bands": 0}, "bands"),
        ({"shingle": "gpt3-5"}, "gpt2"),
        ({"shingle": "word"}, "word"),
        ({"shingle": "word-0"}, "word"),
        ({"bnads": 3}, "did you mean 'bands'"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_a_sentence(parameters, said):
    with pytest.raises(ConfigError, match=said):
        pipeline_from_data({"name": "x", "stages": ["extract", {"dedup.minhash": parameters}]})
