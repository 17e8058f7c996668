"""Figures of draws: traces, autocorrelations and marginals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..numbers import format_of
from .figure import DASHES, FILL, GRAY, INK, matplotlib_of_ours, panel_of_each, rim, to_png
from .render import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

MAX_TRACE, N_PIECES = 4000, 500  # draws shown one by one; longer chains are shown in so many pieces
MAX_LAG = 60
TITLE = 520  # points of size times letters that fit above a panel
CHAINS = ("#0072b2", "#d55e00", "#009e73", "#b0558f", "#222222", "#8a6d00")  # after Okabe and Ito
UNITS = {
    "means": "intensity",
    "stds": "intensity",
    "weights": "share",
    "beta": "inverse temperature",
    "agreements": "share of neighbor pairs",
    "field": "weight in the prior",
}


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
    """Draw every chain's way: a panel for every number, a color for every chain, the tune shaded.

    Parameters
    ----------
    draws : mapping of str to (n_chains, n_tune + n_draws) float64
        By names such as "means[0]".
    n_tune : int
        How many of the draws were thrown away.
    title : str

    Returns
    -------
    bytes
        A PNG of 1000 pixels in width.
    """
    with matplotlib_of_ours():
        long = next(iter(draws.values())).shape[1] > MAX_TRACE
        hint = "lines: means of each chain's pieces, over their ranges" if long else "lines: chains"
        hint += "; shaded: thrown away as tune" if n_tune else ""
        figure, grid = panel_of_each(title, list(draws), hint=hint)
        for axes, (name, values) in zip(grid, draws.items(), strict=True):
            if n_tune:
                axes.axvspan(0, n_tune, color=FILL, linewidth=0)
            for chain, line in enumerate(values):
                at, low, mean, high = _pieces(line)
                axes.plot(at, mean, color=_chain_color(chain), linewidth=0.7)
                if long:
                    axes.fill_between(at, low, high, color=_chain_color(chain), alpha=0.15, linewidth=0)
            axes.set_xlim(0, values.shape[1])
            axes.set_title(name, size=10, loc="left")
            axes.xaxis.set_major_formatter(lambda draw, _: f"{draw:,.0f}")
            axes.set_xlabel("draw")
        _name_chains(figure, grid[0])
        return to_png(figure)


def _chain_color(chain: int) -> str:
    """The color of a chain: distinct for the color-blind, and dark enough on white."""
    return CHAINS[chain % len(CHAINS)]


def _name_chains(figure: Figure, axes: Axes) -> None:
    """Say which color is which chain, if no two share one."""
    lines = axes.get_lines()[: len(CHAINS) + 1]
    if len(lines) > len(CHAINS):
        return
    legend = figure.legend(
        lines, [f"chain {chain}" if not chain else str(chain) for chain in range(len(lines))],
        loc="upper right", bbox_to_anchor=(0.97, 1 - 0.36 / figure.get_figheight()), ncols=len(lines),
        fontsize=9, handlelength=1.4, columnspacing=1.0,
    )  # fmt: skip
    for handle in legend.get_lines():
        handle.set_linewidth(2.5)


def _pieces(line: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Middles, lowest, means and highest of even pieces of a long line; every draw of a short one."""
    edges = np.linspace(0, len(line), 1 + (len(line) if len(line) <= MAX_TRACE else N_PIECES)).astype(int)
    starts, sizes = edges[:-1], np.diff(edges)
    low, high = np.minimum.reduceat(line, starts), np.maximum.reduceat(line, starts)
    mean: Floats = np.add.reduceat(line, starts) / sizes
    return starts + sizes / 2, low, mean, high


def autocorrelation_figure(marginals: Mapping[str, Marginal], *, title: str) -> bytes:
    """Draw the autocorrelation of every number by chain, ESS and MCSE in each panel's title."""
    with matplotlib_of_ours():
        figure, grid = panel_of_each(
            title, list(marginals), hint="lines: chains; the band holds 94 % of white noise"
        )
        for axes, (name, marginal) in zip(grid, marginals.items(), strict=True):
            lags = min(MAX_LAG, marginal.draws.shape[1] - 1)
            axes.axhspan(
                *(np.array([-1.88, 1.88]) / np.sqrt(marginal.draws.shape[1])), color=FILL, linewidth=0
            )
            for chain, line in enumerate(marginal.draws):
                correlation = _autocorrelation(line, lags)
                axes.plot(correlation, color=_chain_color(chain), linewidth=1.5)
            axes.set_ylim(-0.25, 1.05)
            axes.set_xlim(0, lags)
            axes.set_title(f"{name}: ESS {marginal.ess:,.0f}, MCSE {marginal.mcse:.2g}", size=10, loc="left")
            axes.set_xlabel("lag (draws)")
        _name_chains(figure, grid[0])
        return to_png(figure)


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


def histogram_figure(marginals: Mapping[str, Marginal], *, title: str) -> bytes:
    """Draw every number's draws with their mean and 94 % interval."""
    with matplotlib_of_ours():
        figure, grid = panel_of_each(
            title, list(marginals), hint=f"line: mean, bar: 94 % interval{truth_hint(marginals)}"
        )
        for axes, name in zip(grid, marginals, strict=True):
            draw_marginal(axes, name, marginals)
        return to_png(figure)


def draw_marginal(axes: Axes, name: str, marginals: Mapping[str, Marginal]) -> None:
    """Draw a histogram of one number's draws, with mean, interval and truth."""
    marginal = marginals[name]
    axes.hist(marginal.draws.reshape(-1), 40, density=True, color=_color(name, marginals), alpha=0.85)
    bar = [marginal.low, marginal.high], [0.04 * axes.get_ylim()[1]] * 2
    axes.plot(*bar, color=INK, linewidth=4, solid_capstyle="butt")
    axes.axvline(marginal.mean, color=INK, linewidth=1.2)
    if marginal.truth is not None:
        axes.axvline(marginal.truth, color=INK, linewidth=1.6, linestyle=DASHES[1], path_effects=rim())
    form = format_of([marginal.low, marginal.mean, marginal.high], [marginal.high - marginal.low])
    title = f"{name}: {marginal.mean:{form}} [{marginal.low:{form}}, {marginal.high:{form}}]"
    axes.set_title(title, size=min(10.0, TITLE / len(title)), loc="left")
    axes.set_xlabel(UNITS[name.partition("[")[0]])
    axes.set_yticks([])


def truth_hint(marginals: Mapping[str, Marginal]) -> str:
    """What the hint says of the truth."""
    return ", dashed: truth" if any(row.truth is not None for row in marginals.values()) else ""


def _color(name: str, marginals: Mapping[str, Any]) -> Any:
    """The color of the class that a name such as "means[1]" ends in; gray of what classes have in common."""
    number = re.compile(r"\[(\d+)\]$")
    classes = [int(found[1]) for key in marginals if (found := number.search(key))]
    own = number.search(name)
    return tuple(palette(max(classes) + 1)[int(own[1])] / 255) if own else GRAY
