"""Generated documents: each from (seed, number) alone, with the statistics and duplicates that are promised."""

import numpy as np
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def generated(benchmark_module):
    return benchmark_module("generated")


@pytest.fixture(scope="module")
def documents(generated):
    return generated.generate(7, 0, 20_000)


def text(documents, row):
    return documents.data[documents.offsets[row] : documents.offsets[row + 1]].tobytes().decode("ascii")


@pytest.mark.parametrize("index", [0, 19, 399, 12_345, 19_999])
def test_a_document_depends_on_nothing_but_seed_and_number(generated, documents, index):
    alone = generated.generate(7, index, 1)
    assert text(alone, 0) == text(documents, index)
    assert alone.base[0] == documents.base[index]
    assert text(generated.generate(8, index, 1), 0) != text(documents, index)


def test_length_and_words(documents):
    sizes = np.diff(documents.offsets)
    assert 1900 < sizes.mean() < 2100
    assert np.median(sizes) < 0.85 * sizes.mean()
    words = " ".join(text(documents, row) for row in range(3_000)).replace(".\n", " ").split()
    counts = np.sort(np.unique(words, return_counts=True)[1])[::-1]
    # Zipf: the k-th word is some k times rarer than the first, here log(1 + 1 / k) / log 2
    for rank in (5, 50, 500):
        assert counts[rank - 1] / counts[0] == pytest.approx(np.log2(1 + 1 / rank), rel=0.1)


def test_families(documents):
    copies = ~np.isnan(documents.rate)
    assert copies.sum() == 1000
    assert (documents.base[copies] < np.flatnonzero(copies)).all()
    assert not copies[documents.base].any()
    sizes = np.unique(np.unique(documents.base, return_counts=True)[1], return_counts=True)
    assert [column.tolist() for column in sizes] == [[1, 2, 3, 4, 5], [18_600, 100, 100, 100, 100]]


def test_copies_differ_by_their_rate(documents):
    share = {}
    for row in np.flatnonzero(~np.isnan(documents.rate)):
        one, other = (text(documents, index).split() for index in (row, documents.base[row]))
        assert len(one) == len(other)
        different, words = share.get(documents.rate[row], (0, 0))
        share[documents.rate[row]] = different + sum(a != b for a, b in zip(one, other, strict=True)), words + len(one)
    assert share[0.0][0] == 0
    for rate, (different, words) in share.items():
        # a word drawn anew is now and then the same word
        assert abs(different - rate * words) <= 5 * np.sqrt(rate * words) + 0.02 * rate * words
    assert set(share) == {0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08}


def test_unrelated_documents_share_no_run_of_words(documents):
    seen = {}
    for row in np.flatnonzero(documents.base == np.arange(20_000))[:1000]:
        words = text(documents, row).split()
        for run in zip(*(words[first:] for first in range(8)), strict=False):
            assert seen.setdefault(run, row) == row


def test_parts_are_the_documents(generated, documents, tmp_path):
    paths = generated.write_parts(tmp_path, 7, 2_500, part=1_000)
    assert [path.name for path in paths] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 2_500
    for index in (0, 999, 1_000, 2_499):
        assert rows[index] == {
            "id": f"d{index:09d}",
            "cluster": int(documents.base[index]),
            "text": text(documents, index),
        }
