"""S-curves of MinHash settings as a picture, with measured points on them. The only place that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gpurefine.dedup.curve import half_point, match_probability
from gpurefine.errors import ConfigError, OutputError, ResourceError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")

#: Okabe and Ito's colours, which the colour-blind tell apart; a line style each as well, for print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
MARKS = ("o", "s", "^", "D", "v", "P", "X")

#: Inches and dots an inch: 960 x 600 dots.
SIZE, DOTS = (8.0, 5.0), 120


def plot_curves(
    settings: Sequence[tuple[int, int]], measured: Mapping[tuple[int, int], pd.DataFrame] | None = None
) -> Figure:
    """S-curves in one picture.

    Parameters
    ----------
    settings : (bands, rows) each
    measured : points to draw on the curve of a setting, as a table with the columns similarity, share, low and high
        (float64): the share of pairs of this similarity that was found, and the bounds of its interval

    Returns
    -------
    A figure of matplotlib, bound to no window: ``figure.savefig`` writes it, and a notebook shows it once pyplot has a
    backend (``plt.switch_backend(plt.get_backend())``).

    Raises
    ------
    ResourceError
        if matplotlib is not installed
    ConfigError
        for no setting, or one that is none
    """
    if not settings:
        raise ConfigError("no setting to draw: give bands and rows, for example (450, 20)")
    lines = [(setting, half_point(*setting)) for setting in settings]
    figure = _figure()
    axes = figure.add_subplot()
    # most of what can be told apart lies above 0.3; a curve that begins below begins in the picture
    least = min(0.3, 0.5 * min(middle for _, middle in lines))
    grid = np.linspace(least, 1, 1401)
    axes.axhline(0.5, color="0.75", linewidth=0.8, zorder=0)
    for index, (setting, middle) in enumerate(lines):
        bands, rows = setting
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(
            grid,
            match_probability(grid, bands, rows),
            color=colour,
            linestyle=STYLES[index % len(STYLES)],
            linewidth=1.8,
            label=f"{bands} x {rows}: half at {middle:.3f}, {bands * rows:,} hashes",
        )
        points = (measured or {}).get(setting)
        if points is not None and len(points):
            share = points["share"].to_numpy()
            around = [share - points["low"].to_numpy(), points["high"].to_numpy() - share]
            mark = MARKS[index % len(MARKS)]
            axes.errorbar(
                points["similarity"], share, yerr=around, fmt=mark, color=colour, markersize=5, capsize=3, linewidth=1.2
            )
    axes.set(xlim=(least, 1), ylim=(-0.02, 1.02))
    axes.set_xlabel("Jaccard similarity of the two sets of shingles")
    axes.set_ylabel("share of pairs that collide")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    note = "points: measured, with their intervals" if measured else None
    axes.legend(title="bands x rows", loc="upper left", frameon=True, framealpha=0.9, fontsize=9, title_fontsize=9)
    if note:
        axes.set_title(note, fontsize=9, loc="right", color="0.35")
    return figure


def check_plot(path: Path) -> None:
    """Refuse a path that no picture can be written to, before anything is drawn.

    Raises
    ------
    ResourceError
        if matplotlib is not installed
    OutputError
        for a suffix that is none of .png and .svg, or a folder that is not there
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"cannot plot to {path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise OutputError(f"cannot plot to {path}: the folder {path.parent} is not there, make it first")
    _figure()


def save_plot(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG; the same figure gives the same bytes each time."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "gpurefine"}):
        figure.savefig(path, dpi=DOTS, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)


def _figure() -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ResourceError(
            f'plots need matplotlib ({error}): install it by pip install "gpurefine[notebook]"'
        ) from None
    return Figure(figsize=SIZE, dpi=DOTS, layout="constrained")
