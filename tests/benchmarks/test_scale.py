"""What the scale benchmark makes of a run's clusters."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def scale(benchmark_module):
    return benchmark_module("scale")


def test_clusters_become_labels(scale, tmp_path):
    (tmp_path / "clusters").mkdir()
    for part, rows in enumerate([[("d000000004", "d000000004"), ("d000000004", "d000000002")], [("d000000005",) * 2]]):
        table = pa.table({"cluster": [row[0] for row in rows], "member": [row[1] for row in rows]})
        pq.write_table(table, tmp_path / "clusters" / f"part-{part}.parquet")
    assert scale.found_labels(tmp_path, 6).tolist() == [0, 1, 2, 3, 2, 5]


def test_pairs_of_two_families_are_false(scale):
    label, base = np.array([0, 0, 0, 3, 3]), np.array([0, 0, 2, 3, 3])
    assert scale.false_pairs(label, base) == 2
    assert scale.false_pairs(base, base) == 0


def test_every_rate_has_its_row(scale):
    base, rate, _ = scale.generated.families(scale.SEED, 0, 6_000)
    rows = scale.truth_rows(np.where(rate > 0.01, np.arange(6_000), base), base, rate)
    assert [row[0] for row in rows] == [f"{share:g} % of words" for share in (0, 0.25, 0.5, 1, 2, 4, 8)]
    assert [row[3] for row in rows] == ["100.00 %"] * 4 + ["0.00 %"] * 3
    # a quarter percent of the words leaves nearly all, 8 % next to none within reach of 450 x 20
    similarity, chance = (np.array([float(row[column].rstrip(" %")) for row in rows]) for column in (2, 4))
    assert similarity[0] == 1 and (np.diff(similarity) < 0).all() and 0.5 < similarity[-1] < 0.7
    assert chance[:3].tolist() == [100] * 3 and chance[-1] < 20


def test_the_plan_is_read(scale):
    minhash = "dedup.minhash: 3,600 bytes of keys a document, at most 3.4 GiB; written once, then read once"
    assert scale.planned_bytes(minhash, 0) == {"planned keys": 3600, "planned read": 3600, "planned written": 0}
    windows = (
        "dedup.substring: some 500.0 tokens a document (assumed): 1,008 bytes a document, written once, then read 6 "
        "times (3 times by each of 2 collide tasks); of each window with a copy, and of some 10.0 others a document, "
        "24 bytes more, written once and read twice, and 8 for each that leaves"
    )
    found = scale.planned_bytes(windows, 5)
    assert found == {"planned keys": 1008, "planned read": 6 * 1008 + 2 * 24 * 15, "planned written": 24 * 15 + 8 * 5}


def test_the_exponent_is_that_of_a_power(scale):
    runs = [{"documents": count, "steps": 3 * count**1.2} for count in (10, 100, 5000)]
    assert scale.exponent(runs, "steps") == pytest.approx(1.2)


def test_what_two_documents_share_is_a_share_of_tokens(scale):
    base, rate, _ = scale.generated.families(scale.SEED, 0, 2_000)
    exact = int(np.flatnonzero(rate == 0)[0])
    assert scale.shared_share(exact, int(base[exact])) == 1
    assert scale.shared_share(0, 1) == 0
