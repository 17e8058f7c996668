"""Beta by pseudo-likelihood: each pixel's intensity given its neighbors' labels, in place of p(z | beta).

log PL(beta) = sum_i log sum_k f_k(y_i) p(z_i = k | neighbors, beta), which is Besag's (1975, The Statistician
24, 179) where intensities tell the labels, and where they don't takes a pixel's own label as unknown, as
Celeux, Forbes and Peyrard (2003, Pattern Recognition 36, 131) do with simulated neighbors. It needs no
normalizing constant, and is an approximation: pixels count as if their neighbors were fixed, which makes its
intervals too narrow or too wide.
"""

import numpy as np
from numpy.typing import NDArray

from .grids import N_GRID, N_SDS, draw_on_grid

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

N_COARSE, N_FINE = 17, 21  # betas at which it is computed, of each round; in between it is smooth
TINY = 1e-300
MAX_LEVELS = 256  # more are joined, neighbors each, which tells nearly as much


def joined_levels(n_levels: int) -> NDArray[np.intp]:
    """Which of at most 256 joined levels each level is in, (n_levels,)."""
    joined: NDArray[np.intp] = np.arange(n_levels) * min(n_levels, MAX_LEVELS) // n_levels
    return joined


def join_shares(shares: Array, counts: Counts) -> Array:
    """f_k of joined levels, (n, n_classes): means over their pixels of shares that sum to 1.

    ``shares`` (n_levels, n_classes) and ``counts`` (n_levels,), of pixels, are those of all levels.
    """
    if len(shares) <= MAX_LEVELS:
        return shares
    own = shares / np.maximum(shares.sum(axis=1, keepdims=True), TINY) * np.maximum(counts, TINY)[:, None]
    first = np.unique(joined_levels(len(shares)), return_index=True)[1]
    joined: Array = np.add.reduceat(own, first, axis=0)
    return joined


class PseudoLikelihood:
    """log PL(beta), of p(z = k | neighbors) in proportion to exp(beta a(k)), a(k) the couplings to class k.

    Parameters
    ----------
    agreements : (n_states, n_classes) float64
        a(k) of every state of a pixel's neighbors, as ``states.States`` numbers them.
    highest : float
        The flat prior's end.
    """

    def __init__(self, agreements: Array, highest: float) -> None:
        self.agreements, self.highest = agreements, highest

    def log_density(self, betas: Array, counts: Counts, shares: Array) -> Array:
        """log PL at betas (n,), up to a constant.

        Parameters
        ----------
        betas : (n,)
        counts : (n_levels, n_states) int64
            How many pixels of each level have neighbors of each state.
        shares : (n_levels, n_classes)
            f_k(v), up to a factor a level.
        """
        levels, states = np.nonzero(counts)
        energy = betas[:, None, None] * self.agreements
        chances = np.exp(energy - energy.max(axis=2, keepdims=True))
        chances /= chances.sum(axis=2, keepdims=True)
        mix = np.zeros((len(betas), len(levels)))
        for k in range(self.agreements.shape[1]):
            mix += shares[levels, k] * chances[:, states, k]
        density: Array = np.log(np.maximum(mix, TINY)) @ counts[levels, states]
        return density

    def draw_beta(self, counts: Counts, shares: Array, now: float, *, rng: np.random.Generator) -> float:
        """Draw beta from PL times the flat prior, on a grid around its mode."""
        from scipy.interpolate import CubicSpline

        low, high = 0.0, self.highest
        for _ in range(3):
            coarse = np.linspace(low, high, N_COARSE)
            best = int(self.log_density(coarse, counts, shares).argmax())
            low, high = float(coarse[max(best - 1, 0)]), float(coarse[min(best + 1, N_COARSE - 1)])
        center, step = (low + high) / 2, (high - low) / 2
        around = self.log_density(np.array([center - step, center, center + step]), counts, shares)
        curvature = float(2 * around[1] - around[0] - around[2]) / step**2
        reach = N_SDS / np.sqrt(max(curvature, 1e-12)) + step
        nodes = np.linspace(max(0.0, center - reach), min(self.highest, center + reach), N_FINE)
        grid = np.linspace(nodes[0], nodes[-1], N_GRID)
        density = CubicSpline(nodes, self.log_density(nodes, counts, shares))(grid)
        return draw_on_grid(grid, density, now, rng=rng)
