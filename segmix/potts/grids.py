"""Draws of one number whose log density is known on a grid around its mode."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_GRID = 257  # points of the grid
N_SDS = 8.0  # its half width
FAR = 1e-9  # of the distribution function, from its ends
OVER = 0.7  # of how far to the other side a number moves


def draw_on_grid(grid: Array, log_density: Array, now: float, *, rng: np.random.Generator) -> float:
    """Move a number so that the density that is linear between the points of a grid stays.

    With u the density's distribution function at ``now``, Phi^-1(u) goes to the other side of 0, 0.7 times as
    far, with noise that restores its variance (overrelaxation: Adler 1981, Physical Review D 23, 2901; Neal
    1995, Suppressing random walks in Markov chain Monte Carlo using ordered overrelaxation). Where labels and
    beta hold each other fast they come apart sooner so than by draws that forget ``now``.

    Parameters
    ----------
    grid, log_density : (n,) float64
        Evenly spaced points, and the log density there up to a constant.
    now : float
        From where to move; it is forgotten where the density is hardly any.
    """
    density = np.exp(log_density - log_density.max())
    total = np.append(0.0, np.cumsum((density[1:] + density[:-1]) / 2))
    reached = _reached(grid, density, total, now) if grid[0] < now < grid[-1] else 0.0
    u = _overrelaxed(reached, rng) if FAR < reached < 1 - FAR else 1 - rng.random()
    return _quantile(grid, density, total, u)


def _overrelaxed(u: float, rng: np.random.Generator) -> float:
    """Move a uniform number to about 1 - u; its distribution stays."""
    from scipy.special import ndtr, ndtri

    return float(ndtr(-OVER * ndtri(u) + np.sqrt(1 - OVER**2) * rng.standard_normal()))


def _reached(grid: Array, density: Array, total: Array, x: float) -> float:
    """The distribution function at x."""
    cell = min(int(np.searchsorted(grid, x, side="right")) - 1, len(grid) - 2)
    within = (x - grid[cell]) / (grid[cell + 1] - grid[cell])
    left, right = density[cell], density[cell + 1]
    return float((total[cell] + within * (left + within * (right - left) / 2)) / total[-1])


def _quantile(grid: Array, density: Array, total: Array, u: float) -> float:
    """Where the distribution function is u."""
    cell = max(int(np.searchsorted(total, u * total[-1], side="left")) - 1, 0)
    left, right = density[cell], density[cell + 1]
    share = (u * total[-1] - total[cell]) / (total[cell + 1] - total[cell])
    root = np.sqrt(left**2 + share * (right**2 - left**2))
    within = share if abs(right - left) < 1e-9 * (left + right) else (root - left) / (right - left)
    return float(grid[cell] + within * (grid[cell + 1] - grid[cell]))
