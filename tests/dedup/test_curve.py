"""S-curves of MinHash settings: golden values, exact arithmetic, the warning, the picture."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.dedup import curve as curves
from gpurefine.dedup import plot
from gpurefine.dedup.minhash import MinHash
from gpurefine.errors import ConfigError, OutputError, ResourceError

GOLDEN = [json.loads(line) for line in (Path(__file__).parents[1] / "golden" / "lsh.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: entry["id"])
def test_golden_values(entry):
    found = curves.match_probability(entry["input"], **entry["parameters"])
    np.testing.assert_allclose(found, entry["expected"], rtol=1e-9, atol=0)


@given(st.fractions(0, 1, max_denominator=1000), st.integers(1, 60), st.integers(1, 30))
@example(Fraction(0), 1, 1)
@example(Fraction(1), 60, 30)
@example(Fraction(1, 1000), 60, 30)
def test_the_formula_in_exact_arithmetic(similarity, bands, rows):
    # the similarity as the nearest float, so that only the formula is compared
    exact = 1 - (1 - Fraction(float(similarity)) ** rows) ** bands
    found = float(curves.match_probability(float(similarity), bands, rows))
    assert found == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(
    ("bands", "rows", "middle"),
    [(450, 20, 0.7234), (20, 450, 0.9925), (14, 8, 0.6847), (20, 13, 0.7711), (10, 1, 0.0670)],
)
def test_half_points_of_known_settings(bands, rows, middle):
    found = curves.half_point(bands, rows)
    assert found == pytest.approx(middle, abs=5e-5)
    assert float(curves.match_probability(found, bands, rows)) == pytest.approx(0.5, rel=1e-12)


def test_the_curve_is_a_table_that_rises():
    table = curves.curve(450, 20)
    assert table.columns.tolist() == ["similarity", "probability"]
    assert table["similarity"].iloc[[0, 50, 100]].tolist() == [0, 0.5, 1]
    assert table["probability"].is_monotonic_increasing
    assert curves.curve(14, 8, [0.8])["probability"].tolist() == pytest.approx([0.9235], abs=5e-5)


def test_only_settings_that_find_next_to_nothing_are_warned_of():
    said = curves.warning(20, 450)
    assert "bands=20 and rows=450" in said and "0.9925" in said and "450 bands of 20 rows" in said
    assert MinHash(bands=20, rows=450).warning() == said
    assert [curves.warning(*setting) for setting in [(450, 20), (14, 8), (9, 13), (1, 10)]] == [None] * 4


@pytest.mark.parametrize("setting", [(0, 20), (450, 0), (-1, 1), (2.0, 3), (True, 3), (1 << 11, 1 << 10)])
def test_no_settings(setting):
    with pytest.raises(ConfigError, match=r"whole number|hash functions"):
        curves.half_point(*setting)


@pytest.mark.parametrize("similarity", [-0.1, 1.1, float("nan")])
def test_no_similarity(similarity):
    with pytest.raises(ConfigError, match=r"outside 0 \.\. 1"):
        curves.match_probability(similarity, 450, 20)


def test_intervals_of_shares_hold_the_share_and_shrink():
    for found, pairs in [(0, 10), (5, 10), (10, 10), (500, 1000)]:
        low, high = curves.share_interval(found, pairs)
        assert 0 <= low <= found / pairs <= high <= 1
        assert (low == 0) == (found == 0) and (high == 1) == (found == pairs)
    wide, narrow = (np.diff(curves.share_interval(n // 2, n)) for n in (10, 1000))
    assert narrow < wide
    # Wilson's interval of 5 in 10 at 95 %, by his formula
    assert curves.share_interval(5, 10, 0.95) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    with pytest.raises(ValueError, match="no share"):
        curves.share_interval(3, 2)


def test_the_picture_has_a_line_a_setting_and_the_measured_points(tmp_path):
    points = pd.DataFrame({"similarity": [0.7, 0.8], "share": [0.3, 1.0], "low": [0.2, 0.9], "high": [0.4, 1.0]})
    figure = plot.plot_curves([(450, 20), (20, 450)], measured={(450, 20): points})
    (axes,) = figure.axes
    assert [text.get_text().split(":")[0] for text in axes.get_legend().get_texts()] == ["450 x 20", "20 x 450"]
    assert len(axes.containers) == 1
    for name in ("a.png", "b.svg", "c.svg"):
        plot.check_plot(tmp_path / name)
        plot.save_plot(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "b.svg").read_bytes() == (tmp_path / "c.svg").read_bytes()


def test_a_picture_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"ends in \.png or \.svg"):
        plot.check_plot(tmp_path / "a.jpg")
    with pytest.raises(OutputError, match="is not there"):
        plot.check_plot(tmp_path / "missing" / "a.png")
    with pytest.raises(ConfigError, match="no setting"):
        plot.plot_curves([])
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ResourceError, match=r"gpurefine\[notebook\]"):
        plot.plot_curves([(450, 20)])
