"""Beta by pseudo-likelihood: the product of all pixels' conditional probabilities, in place of p(z | beta).

Besag (1975), The Statistician 24, 179. It needs no normalizing constant, and is an approximation: pixels
count as if their neighbors were fixed, which makes its intervals too narrow or too wide.
"""

import numpy as np
from numpy.typing import NDArray

from .grids import N_GRID, N_SDS, draw_on_grid

Array = NDArray[np.float64]

N_COARSE = 65


class PseudoLikelihood:
    """log PL(beta) = sum_i (beta a_i(z_i) - log sum_k exp(beta a_i(k))), a_i(k) the couplings to class k.

    Parameters
    ----------
    agreements : (n_states, n_classes) float64
        a(k) of every state of a pixel's neighbors, as ``states.States`` numbers them.
    highest : float
        The flat prior's end.
    """

    def __init__(self, agreements: Array, highest: float) -> None:
        self.agreements, self.highest = agreements, highest

    def log_density(self, beta: Array, counts: NDArray[np.int64]) -> Array:
        """log PL at betas (n,), for counts (n_states, n_classes) of pixels by state and own class."""
        own = float((counts * self.agreements).sum())
        used = counts.sum(axis=1) > 0
        energy = beta[:, None, None] * self.agreements[used]
        top = energy.max(axis=2)
        logs = top + np.log(np.exp(energy - top[..., None]).sum(axis=2))
        density: Array = beta * own - logs @ counts[used].sum(axis=1)
        return density

    def draw_beta(self, counts: NDArray[np.int64], now: float, *, rng: np.random.Generator) -> float:
        """Draw beta from PL times the flat prior, on a grid around the mode of that concave function."""
        low, high = 0.0, self.highest
        for _ in range(3):
            coarse = np.linspace(low, high, N_COARSE)
            best = int(self.log_density(coarse, counts).argmax())
            low, high = float(coarse[max(best - 1, 0)]), float(coarse[min(best + 1, N_COARSE - 1)])
        center, step = (low + high) / 2, (high - low) / 2
        around = self.log_density(np.array([center - step, center, center + step]), counts)
        curvature = float(2 * around[1] - around[0] - around[2]) / step**2
        reach = N_SDS / np.sqrt(max(curvature, 1e-12)) + step
        grid = np.linspace(max(0.0, center - reach), min(self.highest, center + reach), N_GRID)
        return draw_on_grid(grid, self.log_density(grid, counts), now, rng=rng)
