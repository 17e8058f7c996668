"""Figures of priors: what they said before the posterior did, and what bad guesses cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..numbers import format_of
from .draws import Marginal, draw_marginal, truth_hint
from .figure import FILL, GRAY, INK, RIM, matplotlib_of_ours, panel_of_each, panels, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

BULK = (0.005, 0.995)
MAX_WIDTHS = 20.0  # a prior so many times as wide as the posterior is shown in part
LEAST_HEIGHT = 0.3  # of the posterior's peak
N_BINS = 60


def prior_figure(marginals: Mapping[str, Marginal], prior: Mapping[str, Floats], *, title: str) -> bytes:
    """Draw the posterior of every number over its prior, where the posterior is.

    Parameters
    ----------
    marginals : mapping of str to Marginal
    prior : mapping of str to (n,) float64
        Draws from the prior, by the same names. Where the prior is so wide that it would not be seen beside
        the posterior, its outline is drawn higher; each panel says by what factor, and where 94 % of it are.
    title : str
    """
    with matplotlib_of_ours():
        known = truth_hint(marginals)
        hint = (
            f"gray: prior and where 94 % of it are; colored: posterior, line: mean, bar: 94 % interval{known}"
        )
        figure, grid = panel_of_each(title, list(marginals), hint=hint)
        for axes, (name, marginal) in zip(grid, marginals.items(), strict=True):
            draw_marginal(axes, name, marginals)
            _draw_prior(axes, prior[name], marginal.draws)
        return to_png(figure)


def _draw_prior(axes: Axes, prior: Floats, draws: Floats) -> None:
    """Put the prior's outline behind the posterior, and say where it is and how much it was raised."""
    left, right = _window(prior, draws)
    first, last = np.quantile(prior, BULK)
    heights, edges = np.histogram(prior, N_BINS, (first, last), density=True)
    top, seen = axes.get_ylim()[1], heights[(edges[1:] > left) & (edges[:-1] < right)].max(initial=0)
    raised = LEAST_HEIGHT * top / seen if 0 < seen < LEAST_HEIGHT * top else 1.0
    style: dict[str, Any] = {"color": FILL, "edgecolor": GRAY, "linewidth": 1.2, "zorder": 0.6}
    axes.stairs(heights * raised, edges, fill=True, **style)
    low, high = np.quantile(prior, (0.03, 0.97))
    factor = f"{raised:,.0f}" if raised >= 10 else f"{raised:.1f}"
    form = format_of([low, high], [high - low])
    text = f"prior {low:{form}} to {high:{form}}" + (f", height x {factor}" if raised > 1 else "")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.text(0.01, 0.99, text, transform=axes.transAxes, size=8, va="top", color=GRAY, bbox=box)
    axes.set_xlim(left, right)
    axes.set_ylim(0, max(top, seen * raised) * 1.2)


def _window(prior: Floats, draws: Floats) -> tuple[float, float]:
    """From where to where a panel goes: both bulks, or where the prior's is far wider, near the posterior."""
    (low, high), (first, last) = np.quantile(draws, BULK), np.quantile(prior, BULK)
    width = high - low
    if last - first > MAX_WIDTHS * width > 0:
        first, last = max(first, low - width), min(last, high + width)
    left, right = min(low, first), max(high, last)
    margin = 0.03 * (right - left)
    return left - margin, right + margin


def sweep_figure(
    draws: NDArray[np.integer[Any]],
    notes: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
) -> bytes:
    """Draw a table of how many draws each prior took; darker is more, hatched (0) is never.

    Parameters
    ----------
    draws : (n_rows, n_columns) int
    notes : sequence of str
        A second line in each cell, row by row.
    rows, columns : sequence of str
        The priors' centers and widths.
    title : str
    """
    with matplotlib_of_ours():
        figure, grid = panels(
            title, 1, 1, hint="below each number the means found; hatched: not within the limit", height=4.6
        )
        axes = grid[0][0]
        figure.subplots_adjust(left=0.12)
        largest = max(int(draws.max()), 2)
        for r in range(len(rows)):
            for c in range(len(columns)):
                _cell(axes, r, c, int(draws[r, c]), notes[r * len(columns) + c], largest)
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.set_xlabel("width of the prior on the centers (sd)")
        axes.set_ylabel("centers")
        axes.grid(False)
        return to_png(figure)


def _cell(axes: Axes, row: int, column: int, draws: int, note: str, largest: int) -> None:
    """One prior's cell: gray by the logarithm of the draws."""
    from matplotlib.patches import Rectangle

    shade = 1 - 0.7 * np.log2(max(draws, 1)) / np.log2(largest)
    color = "white" if not draws else (shade,) * 3
    hatch = None if draws else "///"
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=color, edgecolor=RIM, hatch=hatch))
    ink = "white" if draws and shade < 0.55 else INK
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 2.0} if not draws else None
    text = f"{draws:,}" if draws else "never"
    axes.text(
        column + 0.5, row + 0.5, f"{text}\n{note}", ha="center", va="center", size=10, color=ink, bbox=box
    )
