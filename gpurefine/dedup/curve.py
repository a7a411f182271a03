"""How likely MinHash finds a pair: the S-curve of bands and rows, its middle, and a warning where it is misplaced.

Two documents of Jaccard similarity s agree in the minimum of one hash function with probability s, in all rows of one
band with s^rows, and in at least one band with 1 - (1 - s^rows)^bands: RefinedWeb (arXiv 2306.01116) G.3.1, equation 2;
Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.2. Nothing here looks at documents: it is what
``gpurefine curve`` prints, ``Run.curve`` returns and ``dedup.minhash`` warns by.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from numbers import Integral
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpurefine.errors import ConfigError

#: RefinedWeb's setting, the default of ``dedup.minhash``.
PAPER_BANDS, PAPER_ROWS = 450, 20

#: Above this half-point a setting misses nearly all that is called a near duplicate (the paper's is 0.72).
HIGHEST_HALF_POINT = 0.95

#: As many hash functions as ``dedup.minhash`` takes.
MOST_HASHES = 1 << 20


def match_probability(similarity: ArrayLike, bands: int, rows: int) -> np.ndarray:
    """Probability that two documents collide: 1 - (1 - s^rows)^bands.

    Exact to some units in the last place also where it is tiny or nearly 1, where the formula as it is written would
    leave nothing but rounding.

    Parameters
    ----------
    similarity : Jaccard similarities of sets of shingles, 0 .. 1, of any shape
    bands, rows : number of bands, and of hash functions a band

    Returns
    -------
    float64, of the shape of ``similarity``

    Raises
    ------
    ConfigError
        if bands or rows are no whole numbers of at least 1, or a similarity is outside 0 .. 1
    """
    check_setting(bands, rows)
    s = np.asarray(similarity, np.float64)
    if not ((s >= 0) & (s <= 1)).all():
        raise ConfigError("a similarity is outside 0 .. 1: give the Jaccard similarity of two sets of shingles")
    # at s = 1 the logarithm is -inf, which is right: every band agrees. s^rows may underflow, and is 0 then
    with np.errstate(divide="ignore", under="ignore"):
        return -np.expm1(bands * np.log1p(-(s**rows)))


def half_point(bands: int, rows: int) -> float:
    """The similarity at which half of the pairs are found. Raises ConfigError as ``match_probability`` does."""
    check_setting(bands, rows)
    return (-math.expm1(-math.log(2) / bands)) ** (1 / rows)


def curve(bands: int, rows: int, similarities: ArrayLike | None = None) -> pd.DataFrame:
    """The S-curve as a table.

    Parameters
    ----------
    bands, rows : number of bands, and of hash functions a band
    similarities : float, (n,); default 0, 0.01, ..., 1

    Returns
    -------
    Columns similarity and probability (float64), one row a similarity. Raises ConfigError as ``match_probability`` does
    """
    points = np.arange(101) / 100 if similarities is None else np.atleast_1d(np.asarray(similarities, np.float64))
    return pd.DataFrame({"similarity": points, "probability": match_probability(points, bands, rows)})


def warning(bands: int, rows: int) -> str | None:
    """A sentence where half of the pairs are found above a similarity of 0.95 only, else None.

    RefinedWeb's section 3.3 says "20 buckets of 450 hashes", but the figures of its G.3.1 (76 % found at 0.75, 99.4 %
    at 0.8) are those of 450 bands of 20 rows; so whoever sets what 3.3 says is warned.
    """
    middle = half_point(bands, rows)
    if middle <= HIGHEST_HALF_POINT:
        return None
    found = [share(float(match_probability(similarity, bands, rows))) for similarity in (0.8, 0.9)]
    return (
        f"bands={bands} and rows={rows} find half of the pairs at a similarity of {middle:.4f} and few below: "
        f"{found[0]} of those at 0.8, {found[1]} at 0.9; RefinedWeb's 9,000 hash functions are {PAPER_BANDS} bands of "
        f"{PAPER_ROWS} rows (its section 3.3 has the two numbers the other way round than the figures of its G.3.1)"
    )


def share_interval(found: int, pairs: int, confidence: float = 0.99) -> tuple[float, float]:
    """Bounds of a share that was measured as ``found`` of ``pairs``, by Wilson's score interval (Wilson 1927).

    Raises
    ------
    ValueError
        if ``found`` is not among 0 .. ``pairs``, or there is no pair
    """
    if not 0 <= found <= pairs or pairs < 1:
        raise ValueError(f"{found} of {pairs} pairs is no share")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (found + z * z / 2) / (pairs + z * z)
    half = z / (pairs + z * z) * math.sqrt(found * (pairs - found) / pairs + z * z / 4)
    # rounding must not put the bound of all or none beyond it
    return (0.0 if found == 0 else middle - half, 1.0 if found == pairs else middle + half)


def parse_setting(text: str) -> tuple[int, int]:
    """Bands and rows of ``450x20``. Raises ConfigError for anything else."""
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX×]\s*([0-9]{1,9})\s*", text)
    if not found:
        raise ConfigError(f"'{text}' is no setting: expected BANDSxROWS, for example 450x20")
    return check_setting(int(found[1]), int(found[2]))


def check_setting(bands: int, rows: int) -> tuple[int, int]:
    """Bands and rows as they are. Raises ConfigError where they are none."""
    for name, value in (("bands", bands), ("rows", rows)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be a whole number of at least 1, found {value!r}")
    if bands * rows > MOST_HASHES:
        raise ConfigError(f"{bands} bands of {rows} rows are {bands * rows:,} hash functions, at most 2**20 work")
    return bands, rows


def share(value: float) -> str:
    """A probability in per cent: 0.0 % and 100.0 % only where it is so to 16 digits."""
    if 0 < value < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    return f"{value:.1%}".replace("%", " %")


def settings_of(stages: Sequence[dict[str, dict]]) -> dict[str, tuple[int, int]]:
    """Bands and rows of the stages ``dedup.minhash`` in a manifest's pipeline, by the stages' names."""
    found = {}
    for stage in stages:
        for kind, parameters in stage.items():
            if kind == "dedup.minhash":
                found[parameters.get("as") or kind] = (parameters["bands"], parameters["rows"])
    return found
