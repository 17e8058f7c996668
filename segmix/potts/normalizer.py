"""The normalizing constant of the Potts prior, log C(beta) = log sum_z exp(beta S(z)), and draws of beta.

d log C / d beta = E[S | beta], so that log C(beta) = N log K + the integral of E[S] from 0 (thermodynamic
integration; for hidden Potts fields Moores, Drovandi, Mengersen and Robert 2015, Statistics and Computing
25, 23). E[S] comes from Swendsen-Wang on the very lattice, or, per pair, from the exact infinite one.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import effective_sample_size
from .lattice import Lattice
from .philox import keys_of
from .sweeps import Sweeps

Array = NDArray[np.float64]

N_NODES = 33
N_SWEEPS = 300
N_TUNE = 50
N_GRID = 257  # points of the grid that beta is drawn on
N_SDS = 8.0  # its half width


def critical_beta(n_classes: int) -> float:
    """log(1 + sqrt(K)): where order sets in on the square lattice (Potts 1952)."""
    return float(np.log1p(np.sqrt(n_classes)))


def ising_agreements(beta: Array) -> Array:
    """E of [z_i = z_j] for neighbors on the infinite square lattice, K = 2, at each beta (Onsager 1944).

    With coupling J = beta / 2 the mean of s_i s_j is coth(2 J) (1 + 2 / pi (2 tanh(2 J)^2 - 1) K(k)) / 2,
    where k = 2 sinh(2 J) / cosh(2 J)^2, and the mean agreement (1 + that) / 2.
    """
    from scipy.special import ellipkm1

    safe = np.maximum(np.asarray(beta, np.float64), 1e-6)
    tangent = np.tanh(safe)
    lack = (2 * tangent**2 - 1) ** 2  # 1 - k^2
    with np.errstate(invalid="ignore", divide="ignore"):
        product = np.where(lack > 0, (2 * tangent**2 - 1) * ellipkm1(lack), 0.0)
    return 0.5 + 0.25 / tangent * (1 + 2 / np.pi * product)


@dataclass(frozen=True, eq=False)
class Normalizer:
    """E[S | beta] at some betas, with what follows between them.

    Attributes
    ----------
    betas : (n,) float64
        Ascending from 0.
    agreements : (n,) float64
        E[S | beta], not descending.
    log_constant_at_0 : float
        N log K.
    source : str
        Where the numbers are from.
    errors : (n,) float64
        Monte Carlo errors of ``agreements``, 0 where they are exact.
    """

    betas: Array
    agreements: Array
    log_constant_at_0: float
    source: str
    errors: Array

    @cached_property
    def _curve(self) -> Any:
        from scipy.interpolate import PchipInterpolator

        return PchipInterpolator(self.betas, self.agreements)

    @cached_property
    def _integral(self) -> Any:
        return self._curve.antiderivative()

    def mean_agreements(self, beta: Array | float) -> Array:
        """E[S | beta]."""
        return np.asarray(self._curve(beta), np.float64)

    def log_constant(self, beta: Array | float) -> Array:
        """log C(beta)."""
        return self.log_constant_at_0 + np.asarray(self._integral(beta), np.float64)

    def draw_beta(self, agreements: float, *, rng: np.random.Generator) -> float:
        """Draw beta from p(beta | S) in proportion to exp(beta S) / C(beta), flat prior on the nodes' range.

        On a grid of 257 points around the mode, linear in between.
        """
        low, high = self._window(agreements)
        grid = np.linspace(low, high, N_GRID)
        log_density = grid * agreements - self.log_constant(grid)
        density = np.exp(log_density - log_density.max())
        mass = (density[1:] + density[:-1]) / 2
        total = np.cumsum(mass)
        u = rng.random() * total[-1]
        cell = min(int(np.searchsorted(total, u, side="right")), len(mass) - 1)
        left, right = density[cell], density[cell + 1]
        share = (u - (total[cell] - mass[cell])) / mass[cell]
        # the inverse of a distribution function whose density goes linearly from left to right
        root = np.sqrt(left**2 + share * (right**2 - left**2))
        within = share if abs(right - left) < 1e-9 * (left + right) else (root - left) / (right - left)
        return float(grid[cell] + within * (grid[cell + 1] - grid[cell]))

    def _window(self, agreements: float) -> tuple[float, float]:
        """Where p(beta | S) has its mass: eight sds, from its curvature, around its mode."""
        first, last = float(self.betas[0]), float(self.betas[-1])
        means = self.agreements
        place = int(np.clip(np.searchsorted(means, agreements), 1, len(means) - 1))
        low, high = float(self.betas[place - 1]), float(self.betas[place])
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.mean_agreements(middle) < agreements else (low, middle)
        step = (last - first) * 1e-4
        around = np.clip([low - step, low + step], first, last)
        slope = float(np.ptp(self.mean_agreements(around)) / np.ptp(around))
        reach = N_SDS / np.sqrt(max(slope, 1e-12)) + step
        return max(first, low - reach), min(last, low + reach)


def nodes_up_to(highest: float, center: float) -> Array:
    """Betas from 0 on, half of them evenly, half close to ``center``, where E[S] is steepest."""
    even = np.linspace(0.0, highest, N_NODES // 2 + 1)
    near = center + highest / 4 * np.linspace(-1, 1, N_NODES // 2) ** 3
    return np.unique(np.concatenate([even, near[(near > 0) & (near < highest)]]))


def simulate_normalizer(lattice: Lattice, n_classes: int, betas: Array, *, seed: int) -> Normalizer:
    """E[S] on this lattice by Swendsen-Wang, 300 sweeps at each beta after 50 for tune.

    With its Monte Carlo error; means are made not to descend (by averaging neighbors that do).
    """
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, n_classes, by_table=False)
    labels = sweeps.lay_out(np.zeros(lattice.shape, np.uint8))
    means, errors, flat = [], [], np.zeros((1, n_classes))
    for node, beta in enumerate(betas):
        keys, found = keys_of(seed, node), []
        for number in range(N_TUNE + N_SWEEPS):
            sweeps.sweep_clusters(labels, flat, float(beta), keys=keys, number=number)
            found.append(sweeps.agreements(labels))
        drawn = np.array(found[N_TUNE:])
        means.append(drawn.mean())
        errors.append(drawn.std() / np.sqrt(effective_sample_size(drawn[None])) if np.ptp(drawn) else 0.0)
    return Normalizer(
        betas, _rising(np.array(means)), lattice.n_pixels * float(np.log(n_classes)),
        "Swendsen-Wang on this lattice", np.array(errors),
    )  # fmt: skip


def _rising(values: Array) -> Array:
    """The closest row that does not descend, in least squares (pool adjacent violators)."""
    from scipy.optimize import isotonic_regression

    fitted: Array = isotonic_regression(values).x
    return fitted


def ising_normalizer(lattice: Lattice, betas: Array) -> Normalizer:
    """E[S] of two classes on a large square lattice: the exact infinite one's, times the number of pairs."""
    means = lattice.n_pairs * ising_agreements(betas)
    start = lattice.n_pixels * float(np.log(2))
    return Normalizer(betas, means, start, "Onsager's exact solution", np.zeros(len(betas)))
