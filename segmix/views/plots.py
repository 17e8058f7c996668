"""Figures of a fit, as PNG files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import OptionError
from ..samples import MAX_CLASSES
from .figure import DASHES, FILL, GRAY, INK, RIM, matplotlib_of_ours, rim, title_of, to_png
from .render import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

SIZE = (10.0, 6.5)  # inches of 100 pixels
NEW = "#3b76c4"
MAX_BINS = 512  # more levels than that are shown in runs of equal length
MAX_POINTS = 256  # where the expected counts of a longer run are evaluated
LEGEND = 5  # entries in a row
REPLICATES = 10  # new counts for each draw of the expected ones
TAILS = (0.03, 0.97)
LOG_RANGE = 300  # counts that differ by more than this factor are shown on a log axis


class _Levels(NamedTuple):
    """What is known at each of V intensities."""

    values: Floats  # (V,)
    counts: Floats  # (V,)
    total: Floats  # (D, V)
    classes: Floats  # (K, V)


class _Bins(NamedTuple):
    """What is drawn: counts and expected counts, summed over runs of levels."""

    edges: Floats  # (bins + 1,)
    counts: Floats  # (bins,)
    total: Floats  # (D, bins)
    classes: Floats  # (K, bins)


def fit_figure(
    values: ArrayLike,
    counts: ArrayLike,
    step: float,
    total: ArrayLike,
    classes: ArrayLike,
    *,
    title: str,
    clipped: tuple[bool, bool] = (False, False),
    unit: str = "pixels",
    cell: str = "level",
    rng: np.random.Generator,
) -> bytes:
    """Draw the histogram of a picture and the mixture fitted to it.

    The dark band holds 94 % of the posterior of the expected count, the light one 94 % of what a new picture
    of as many pixels would count: y_new | theta ~ Binomial(n, expected(theta) / n), theta from the posterior.

    Parameters
    ----------
    values : array_like of float, (levels,)
        Intensities, ascending; levels without pixels may be left out.
    counts : array_like of int, (levels,)
        Pixels of each intensity.
    step : float
        Spacing of the levels, in intensity; 0 stands for the smallest difference of `values`.
    total : array_like of float, (draws, levels)
        The count expected within half a step of each intensity, of each draw of the posterior.
    classes : array_like of float, (n_classes, levels)
        Posterior mean of the count expected of each class.
    title : str
        Text above the figure, taken literally; long ones are cut in the middle.
    clipped : tuple of bool, (low, high)
        Whether the detector saturates at the first and the last level. Such a level has a bar of its own,
        and the mixture's expectation there is a point with its intervals.
    unit, cell : str
        What is counted, and what at.
    rng : numpy.random.Generator
        Of the new counts.

    Returns
    -------
    bytes
        A PNG of 1000 x 650 pixels; the same arguments give the same bytes. More than 512 levels are summed in
        runs of equal length. Counts that differ by more than a factor 300 are drawn on a log axis.

    Raises
    ------
    OptionError
        If the arrays do not fit together, or there are more than 16 classes.
    """
    levels = _Levels(*(np.asarray(part, dtype=np.float64) for part in (values, counts, total, classes)))
    step = _checked_step(levels, step)
    run = _run_length(levels, step)
    inner = slice(int(clipped[0]), len(levels.values) - int(clipped[1]))
    bins = _sum_runs(_Levels(*(part[..., inner] for part in levels)), step, run)
    size = int(levels.counts.sum())
    bands, ends = (_bands(part, size, rng) for part in (bins.total, levels.total[:, [0, -1]]))
    with matplotlib_of_ours():
        figure, axes = _new_figure(title, 4 + len(levels.classes) + any(clipped))
        _scale(axes, levels, bins, max(bands.max(initial=0), ends.max()))
        axes.set_ylabel(f"{unit} per {cell}" if run == 1 else f"{unit} per {run} {cell}s")
        _draw_bins(axes, bins, bands, unit)
        for side in (0, 1):
            if clipped[side]:
                _draw_end(axes, levels, ends[:, side], side, step, run)
        _add_legend(figure, axes)
        return to_png(figure)


def _bands(total: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Of expected counts (draws, m): low end of new and of expected counts, mean, high ends; (5, m)."""
    if not total.size:
        return np.zeros((5, 0))
    share = np.clip(total / size, 0, 1)
    new = rng.binomial(size, share, (REPLICATES, *share.shape))
    inner, outer = np.quantile(total, TAILS, axis=0), np.quantile(new, TAILS, axis=(0, 1))
    return np.stack([outer[0], inner[0], total.mean(axis=0), inner[1], outer[1]])


def _checked_step(levels: _Levels, step: float) -> float:
    """Return the spacing of the levels; complain about arrays that do not fit together."""
    n = levels.values.size
    shapes = [part.shape for part in levels]
    rows = [(len(part), n) if part.ndim == 2 and len(part) else None for part in levels[2:]]
    if n == 0 or shapes != [(n,), (n,), *rows]:
        raise OptionError(
            f"values, counts, total, classes must have shapes (n,), (n,), (draws, n), (k, n), got {shapes}; "
            "pass one entry per level"
        )
    if not 1 <= shapes[3][0] <= MAX_CLASSES:
        raise OptionError(f"classes must be 1 to {MAX_CLASSES} rows, got {shapes[3][0]}; draw fewer classes")
    gaps = np.diff(levels.values)
    if not (np.isfinite(levels.values).all() and (gaps > 0).all()):
        raise OptionError("values must be finite and ascending; sort the levels")
    if not 0 <= step < np.inf:
        raise OptionError(f"step must be positive, or 0 for the smallest difference, got {step}; pass 0")
    extent = float(levels.values[-1] - levels.values[0])
    return max(float(step or (gaps.min() if n > 1 else 1.0)), extent * 2.0**-40)


def _run_length(levels: _Levels, step: float) -> int:
    """Return how many steps make a bin; long runs are multiples of MAX_POINTS."""
    n_levels = round(float(levels.values[-1] - levels.values[0]) / step) + 1
    run = -(-n_levels // MAX_BINS)
    return run if run <= MAX_POINTS else -(-run // MAX_POINTS) * MAX_POINTS


def _sum_runs(levels: _Levels, step: float, run: int) -> _Bins:
    """Sum counts and expected counts (interpolated between the given levels) over runs of `run` steps."""
    values, expected = levels.values, np.vstack([levels.total, levels.classes])
    if not values.size:
        return _Bins(np.zeros(1), np.zeros(0), levels.total, levels.classes)
    place = np.rint((values - values[0]) / step)
    n_levels = int(place[-1]) + 1
    starts = np.arange(0, n_levels, run)
    counts = np.zeros(len(starts))
    np.add.at(counts, (place // run).astype(np.int64), levels.counts)
    cells = np.arange(0, n_levels, max(1, run // MAX_POINTS))
    widths = np.diff(cells, append=n_levels)
    middles, firsts = cells + (widths - 1) / 2, np.searchsorted(cells, starts)
    sums = np.stack([np.add.reduceat(np.interp(middles, place, row) * widths, firsts) for row in expected])
    edges = values[0] + step * (np.append(starts, starts[-1] + run) - 0.5)
    return _Bins(edges, counts, sums[: len(levels.total)], sums[len(levels.total) :])


def _new_figure(title: str, n_entries: int) -> tuple[Figure, Axes]:
    """Return a figure with its title and room for a legend of `n_entries` above the axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=100)
    FigureCanvasAgg(figure)
    top = 0.925 - 0.038 * np.ceil(n_entries / LEGEND)
    axes = figure.add_axes((0.095, 0.095, 0.885, float(top) - 0.105))
    figure.text(0.095, 0.955, title_of(title), size=13, weight="bold", color=INK, parse_math=False)
    return figure, axes


def _scale(axes: Axes, levels: _Levels, bins: _Bins, highest: float) -> None:
    """Choose linear or log counts and the limits, which hold the bands up to ``highest``."""
    from matplotlib.ticker import MaxNLocator

    occupied = np.concatenate([levels.counts[levels.counts > 0], bins.counts[bins.counts > 0]])
    least, most = (occupied.min(), occupied.max()) if occupied.size else (1.0, 1.0)
    most = max(most, highest)
    if most > LOG_RANGE * least:
        axes.set_yscale("log")
        axes.set_ylim(least / 2, most * 1.6)
    else:
        axes.set_ylim(0, most * 1.08)
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}" if count >= 1 or not count else "")
    axes.margins(x=0.04)
    axes.set_xlabel("intensity")


def _draw_bins(axes: Axes, bins: _Bins, bands: Floats, unit: str) -> None:
    """Draw the histogram, the mixture with its bands, and the classes."""
    if not bins.counts.size:
        return
    floor, centers = axes.get_ylim()[0], (bins.edges[1:] + bins.edges[:-1]) / 2
    new_low, low, mean, high, new_high = np.maximum(bands, floor / 10)
    bars: dict[str, Any] = {"edges": bins.edges, "baseline": floor}
    axes.stairs(np.maximum(bins.counts, floor), fill=True, color=FILL, label=unit, **bars)
    axes.stairs(np.maximum(bins.counts, floor), color=RIM, linewidth=0.8, **bars)
    marker = "o" if len(centers) <= 24 else None
    axes.fill_between(centers, new_low, new_high, color=NEW, alpha=0.3, linewidth=0, label="94 % predicted")
    axes.fill_between(centers, low, high, color=INK, alpha=0.45, linewidth=0, label="94 % expected")
    for k, (color, row) in enumerate(zip(palette(len(bins.classes)) / 255, bins.classes, strict=True)):
        axes.plot(
            centers,
            np.maximum(row, floor / 10),
            color=tuple(color),
            linewidth=2.5,
            linestyle=DASHES[k % len(DASHES)],
            marker=marker,
            markersize=4,
            path_effects=rim(),
            label=f"class {k}",
        )
    axes.plot(centers, mean, color=INK, linewidth=1.2, marker=marker, markersize=4, label="mixture")


def _draw_end(axes: Axes, levels: _Levels, band: Floats, side: int, step: float, run: int) -> None:
    """Draw a clipped level: its bar, the mixture's bands there, and its share of the pixels."""
    level, outward = (0, -1) if side == 0 else (-1, 1)
    count, (new_low, low, mean, high, new_high) = levels.counts[level], band
    center = levels.values[level] + outward * step * (run - 1) / 2
    floor = axes.get_ylim()[0]
    axes.bar(center, max(count - floor, 0), step * run, bottom=floor, color=GRAY)
    axes.vlines(center, new_low, new_high, color=NEW, linewidth=5, alpha=0.5)
    error = np.maximum([[mean - low], [high - mean]], 0)
    style: dict[str, Any] = {"fmt": "D", "color": INK, "markersize": 5, "capsize": 3}
    axes.errorbar(center, mean, error, label="mixture, clipped", **style)
    share = 100 * count / levels.counts.sum()
    axes.annotate(
        f"clipped {share:.1f} %" if share >= 0.1 else "clipped < 0.1 %",
        xy=(center, 1),
        xytext=(outward * 14, -4),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        va="top",
        rotation=90,
        color=GRAY,
    )


def _add_legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    entries = dict(zip(names, handles, strict=True))  # one entry for both ends
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.088, 0.945), "ncols": LEGEND}
    figure.legend(entries.values(), entries.keys(), **place)
