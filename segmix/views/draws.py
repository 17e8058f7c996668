"""Figures of draws: traces, autocorrelations, marginals, and what the prior said before."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from .figure import DASHES, FILL, GRAY, INK, RIM, matplotlib_of_ours, rim, title_of
from .render import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

WIDTH, ROW = 10.0, 2.4  # inches of 100 pixels
MAX_TRACE = 4000  # points of a line; longer chains are shown by their lowest and highest in even pieces
MAX_LAG = 60
LABELS = {"means": "mean", "stds": "standard deviation", "weights": "weight"}
UNITS = {"means": "intensity", "stds": "intensity", "weights": "share"}


class Marginal(NamedTuple):
    """One number's draws (n_chains, n_draws), what they say of it, and the truth where it is known."""

    draws: Floats
    mean: float
    low: float
    high: float
    ess: float
    mcse: float
    truth: float | None = None


def trace_figure(draws: Mapping[str, Floats], n_tune: int, *, title: str) -> bytes:
    """Draw every chain's way: a panel for the means, the stds and the weights, the tune shaded.

    Parameters
    ----------
    draws : mapping of str to (n_chains, n_tune + n_draws, n_classes) float64
        By "means", "stds", "weights".
    n_tune : int
        How many of the draws were thrown away.
    title : str

    Returns
    -------
    bytes
        A PNG of 1000 pixels in width.
    """
    with matplotlib_of_ours():
        figure, rows = _panels(
            title, len(draws), 1, hint="one line a chain; the darker the class, the lower its mean"
        )
        for (axes,), (name, values) in zip(rows, draws.items(), strict=True):
            n_chains, n, n_classes = values.shape
            if n_tune:
                axes.axvspan(0, n_tune, color=FILL, linewidth=0)
                axes.text(
                    n_tune / 2,
                    1.0,
                    "tune",
                    transform=axes.get_xaxis_transform(),
                    ha="center",
                    va="top",
                    color=GRAY,
                )
            for k, color in enumerate(palette(n_classes) / 255):
                for chain in range(n_chains):
                    at, line = _thinned(values[chain, :, k])
                    axes.plot(at, line, color=tuple(color), linewidth=0.7, alpha=0.9 - 0.5 * chain / n_chains)
            axes.set_xlim(0, n)
            axes.set_ylabel(LABELS.get(name, name))
        rows[-1][0].set_xlabel("draw")
        rows[-1][0].xaxis.set_major_formatter(lambda draw, _: f"{draw:,.0f}")
        return _png(figure)


def _thinned(line: Floats) -> tuple[NDArray[Any], Floats]:
    """Every draw of a short line; the lowest and the highest of even pieces of a long one."""
    if len(line) <= MAX_TRACE:
        return np.arange(len(line)) + 0.5, line
    starts = np.linspace(0, len(line), MAX_TRACE // 2 + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(line, starts), np.maximum.reduceat(line, starts)
    return np.repeat(starts + 0.5, 2), np.stack([low, high], axis=1).reshape(-1)


def autocorrelation_figure(marginals: Mapping[str, Marginal], *, title: str) -> bytes:
    """Draw the autocorrelation of every number by chain, ESS and MCSE in each panel's title."""
    with matplotlib_of_ours():
        figure, grid = _grid(
            title, list(marginals), hint="one line a chain; the band holds 94 % of white noise"
        )
        for axes, (name, marginal) in zip(grid, marginals.items(), strict=True):
            lags = min(MAX_LAG, marginal.draws.shape[1] - 1)
            axes.axhspan(
                *(np.array([-1.88, 1.88]) / np.sqrt(marginal.draws.shape[1])), color=FILL, linewidth=0
            )
            for chain, line in enumerate(marginal.draws):
                alpha = 0.9 - 0.5 * chain / len(marginal.draws)
                axes.plot(
                    _autocorrelation(line, lags), color=_color(name, marginals), linewidth=1.5, alpha=alpha
                )
            axes.set_ylim(-0.25, 1.05)
            axes.set_xlim(0, lags)
            axes.set_title(f"{name}: ESS {marginal.ess:,.0f}, MCSE {marginal.mcse:.2g}", size=10, loc="left")
            axes.set_xlabel("lag (draws)")
        return _png(figure)


def _autocorrelation(line: Floats, lags: int) -> Floats:
    """Autocorrelation at lags 0..lags; 0 beyond lag 0 for a chain that stands still."""
    centered = line - line.mean()
    size = 1 << (2 * len(line) - 1).bit_length()
    spectrum = np.fft.rfft(centered, size)
    covariance: Floats = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[: lags + 1]
    if covariance[0] <= 0:
        still: Floats = np.eye(1, lags + 1)[0]
        return still
    scaled: Floats = covariance / covariance[0]
    return scaled


def histogram_figure(
    marginals: Mapping[str, Marginal], *, title: str, prior: Mapping[str, Floats] | None = None
) -> bytes:
    """Draw the posterior of every number with its mean and 94 % interval, over its prior's draws if given."""
    with matplotlib_of_ours():
        hint = "line: mean, bar: 94 % interval" + (", dashed: truth" if _has_truth(marginals) else "")
        hint += ", gray: prior" if prior else ""
        figure, grid = _grid(title, list(marginals), hint=hint)
        for axes, (name, marginal) in zip(grid, marginals.items(), strict=True):
            pooled = marginal.draws.reshape(-1)
            spans = [pooled] if prior is None else [pooled, _bulk(prior[name])]
            edges: Any = np.histogram_bin_edges(pooled, 40)
            if prior is not None:
                wide: Any = np.linspace(min(map(np.min, spans)), max(map(np.max, spans)), 60)
                axes.hist(prior[name], wide, density=True, color=FILL, edgecolor=RIM, linewidth=0.5)
            axes.hist(pooled, edges, density=True, color=_color(name, marginals), alpha=0.85)
            top = axes.get_ylim()[1]
            axes.plot(
                [marginal.low, marginal.high], [0.04 * top] * 2, color=INK, linewidth=4, solid_capstyle="butt"
            )
            axes.axvline(marginal.mean, color=INK, linewidth=1.2)
            if marginal.truth is not None:
                axes.axvline(
                    marginal.truth, color=INK, linewidth=1.6, linestyle=DASHES[1], path_effects=rim()
                )
            axes.set_title(
                f"{name}: {marginal.mean:.4g} [{marginal.low:.4g}, {marginal.high:.4g}]", size=10, loc="left"
            )
            axes.set_xlabel(UNITS[name.partition("[")[0]])
            axes.set_yticks([])
        return _png(figure)


def _bulk(values: Floats) -> Floats:
    low, high = np.quantile(values, (0.005, 0.995))
    kept: Floats = values[(values >= low) & (values <= high)]
    return kept


def _has_truth(marginals: Mapping[str, Marginal]) -> bool:
    return any(marginal.truth is not None for marginal in marginals.values())


def _color(name: str, marginals: Mapping[str, Any]) -> Any:
    """The color of the class that a name such as "means[1]" ends in."""
    classes = [int(key.partition("[")[2].rstrip("]")) for key in marginals]
    own = int(name.partition("[")[2].rstrip("]"))
    return tuple(palette(max(classes) + 1)[own] / 255)


def _grid(title: str, names: Sequence[str], *, hint: str) -> tuple[Figure, list[Axes]]:
    """A panel for every name, one row for each kind of parameter, at most four in a row."""
    if not names:
        raise OptionError("there must be a number to draw, got none; pass the marginals")
    kinds = list(dict.fromkeys(name.partition("[")[0] for name in names))
    largest = max(sum(name.startswith(f"{kind}[") for name in names) for kind in kinds)
    columns = min(largest, 4)
    places: list[tuple[int, int]] = []
    row = 0
    for kind in kinds:
        own = [name for name in names if name.startswith(f"{kind}[")]
        places += [(row + i // columns, i % columns) for i in range(len(own))]
        row += -(-len(own) // columns)
    figure, rows = _panels(title, row, columns, hint=hint, shared=False)
    used = set(places)
    for r, line in enumerate(rows):
        for c, axes in enumerate(line):
            axes.set_visible((r, c) in used)
    return figure, [rows[r][c] for r, c in places]


def _panels(
    title: str, n_rows: int, n_columns: int, *, hint: str, shared: bool = True, height: float = 0.0
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a title, a hint how to read it, and rows of axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = height or n_rows * ROW + 0.9
    figure = Figure(figsize=(WIDTH, height), dpi=100)
    FigureCanvasAgg(figure)
    figure.text(
        0.075, 1 - 0.32 / height, title_of(title), size=13, weight="bold", color=INK, parse_math=False
    )
    figure.text(0.075, 1 - 0.58 / height, hint, size=10, color=GRAY)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex="col" if shared else "none")
    figure.subplots_adjust(
        left=0.075, right=0.965, top=1 - 0.95 / height, bottom=0.55 / height,
        hspace=0.18 if shared else 0.62, wspace=0.22,
    )  # fmt: skip
    return figure, [list(line) for line in grid]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


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
        figure, grid = _panels(
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
        return _png(figure)


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
