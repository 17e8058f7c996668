"""Draws of one number whose log density is known on a grid around its mode."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_GRID = 257  # points of the grid
N_SDS = 8.0  # its half width


def draw_on_grid(grid: Array, log_density: Array, *, rng: np.random.Generator) -> float:
    """Draw from the density that is linear between the points of a grid.

    Parameters
    ----------
    grid, log_density : (n,) float64
        Evenly spaced points, and the log density there up to a constant.
    """
    density = np.exp(log_density - log_density.max())
    mass = (density[1:] + density[:-1]) / 2
    total = np.cumsum(mass)
    u = rng.random() * total[-1]
    cell = min(int(np.searchsorted(total, u, side="right")), len(mass) - 1)
    left, right = density[cell], density[cell + 1]
    share = (u - (total[cell] - mass[cell])) / mass[cell]
    root = np.sqrt(left**2 + share * (right**2 - left**2))
    within = share if abs(right - left) < 1e-9 * (left + right) else (root - left) / (right - left)
    return float(grid[cell] + within * (grid[cell + 1] - grid[cell]))
