"""Weights as an external field: p(z | w, beta) = prod_i w_{z_i} exp(beta S(z)) / C(w, beta).

The exponential family of theta = (log w_1 / w_K, ..., log w_{K-1} / w_K, beta), of the statistics s(z) =
(n_1, ..., n_{K-1}, S(z)) of N pixels and M pairs. To first order in beta log C is N log sum_k exp(alpha_k) +
beta M sum_k w_k^2, exactly so at beta 0. What is left is smooth, and a polynomial of theta is fitted to its
slopes E[s | theta] where theta is wanted: means over fields of the prior, simulated on this very lattice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from .lattice import Lattice
from .normalizer import ordering_beta
from .philox import keys_of
from .sweeps import Sweeps

Array = NDArray[np.float64]

N_CANDIDATES = 12
BEYOND = 1.25  # times as far out as the anchors reach: no further is theta taken
CLUSTERS_UP_TO = 1 << 16  # pixels, up to which every fourth sweep of the prior is by clusters


class PriorFields:
    """Fields of the prior alone, on the lattice of an image, drawn one after the other.

    Parameters
    ----------
    lattice : Lattice
    n_classes : int
    labels : (n_planes, plane size) uint8
        Where to begin; it is changed.
    seed : list of int
        Of their random numbers, and the stream.
    """

    heard: Callable[[], None] | None = None  # is called after every sweep

    def __init__(
        self, lattice: Lattice, n_classes: int, labels: NDArray[np.uint8], *, seed: list[int]
    ) -> None:
        self.sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, n_classes)
        self.labels, self.keys, self.number = labels, keys_of(*seed), 0
        self.table = self.sweeps.prepare()
        self.slow = 0.7 * ordering_beta(lattice, n_classes)  # where single pixels begin to take long

    def draw(self, theta: Array, n: int, *, tune: int) -> Array:
        """Statistics of n fields at theta after ``tune`` sweeps, (n, n_classes)."""
        found = []
        for step in range(tune + n):
            self._sweep(theta)
            if self.heard:
                self.heard()
            if step >= tune:
                sizes = self.sweeps.count(self.labels)[0]
                found.append([*sizes[:-1], self.sweeps.agreements(self.labels)])
        return np.array(found, np.float64)

    def _sweep(self, theta: Array) -> None:
        logs, beta, keys = np.append(theta[:-1], 0.0)[None], float(theta[-1]), self.keys
        if self.number % 4 == 0 and beta > self.slow and self.sweeps.lattice.n_pixels <= CLUSTERS_UP_TO:
            self.sweeps.sweep_clusters(self.labels, logs, beta, keys=keys, number=self.number)
        else:
            shares = np.exp(logs - logs.max())
            self.sweeps.sweep(self.labels, shares, beta, keys=keys, number=self.number, table=self.table)
        self.number += 1


@dataclass(frozen=True, eq=False)
class ExternalField:
    """log C(theta) around anchors, up to a constant.

    Attributes
    ----------
    n_pixels, n_pairs : float
    center, whiten : (d,), (d, d) float64
        The polynomial's variables are whiten (theta - center), in which anchors have covariance 1.
    powers, coefficients : (n_terms, d) int, (n_terms,) float64
        Of the polynomial.
    reach : float
        How far out the anchors are, in those variables.
    factor : (d, d) float64
        About the width of p(theta | z).
    misfit : float
        The largest difference between fitted and simulated E[s], in sds of s.
    """

    n_pixels: float
    n_pairs: float
    center: Array
    whiten: Array
    powers: NDArray[np.intp]
    coefficients: Array
    reach: float
    factor: Array
    misfit: float = 0.0

    def log_constant(self, thetas: Array) -> Array:
        """log C of thetas (m, d), (m,)."""
        rest = monomials(self.standardize(thetas), self.powers) @ self.coefficients
        logs = log_weights(thetas)
        chance = np.exp(2 * logs).sum(axis=1)
        total: Array = self.n_pixels * (rest - logs[:, -1]) + self.n_pairs * thetas[:, -1] * chance
        return total

    def standardize(self, thetas: Array) -> Array:
        """The polynomial's variables at thetas (m, d), (m, d)."""
        standard: Array = np.einsum("ij,mj->mi", self.whiten, thetas - self.center)
        return standard

    def distance(self, thetas: Array) -> Array:
        """How far out thetas (m, d) are, in units of the anchors' reach: (m,)."""
        far: Array = np.sqrt((self.standardize(thetas) ** 2).sum(axis=1)) / self.reach
        return far

    def draw(
        self,
        theta: Array,
        statistics: Array,
        concentration: Array,
        *,
        fixed_beta: bool,
        highest: float,
        rng: np.random.Generator,
    ) -> Array:
        """Move theta so that p(theta | z) stays, with a Dirichlet prior of weights and a flat one of beta.

        Thetas far beyond the anchors have no density: there the constant is not known. All candidates are
        as far from a common point as theta itself, so that each is taken in proportion to its density
        (Tjelmeland 2004, Using all Metropolis-Hastings proposals to estimate mean values).
        """
        noise = np.einsum("ij,nj->ni", self.factor, rng.standard_normal((N_CANDIDATES + 1, len(theta))))
        if fixed_beta:
            noise[:, -1] = 0.0
        candidates = np.concatenate([theta[None], theta + noise[:1] + noise[1:]])
        density = candidates @ statistics - self.log_constant(candidates)
        density += log_weights(candidates) @ concentration
        inside = (candidates[:, -1] >= 0) & (candidates[:, -1] <= highest)
        inside &= self.distance(candidates) <= BEYOND
        inside[0] = True
        density = np.where(inside, density, -np.inf)
        mass = np.cumsum(np.exp(density - density.max()))
        chosen: Array = candidates[int(np.searchsorted(mass, rng.random() * mass[-1], side="right"))]
        return chosen


def log_weights(thetas: Array) -> Array:
    """log w of thetas (m, n_classes), (m, n_classes)."""
    logits = np.concatenate([thetas[:, :-1], np.zeros((len(thetas), 1))], axis=1)
    top = logits.max(axis=1, keepdims=True)
    logs: Array = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return logs


def monomials(x: Array, powers: NDArray[np.intp]) -> Array:
    """prod_i x_i^p_i of points (m, d) for each row of powers, (m, n_terms)."""
    terms: Array = np.prod(x[:, None, :] ** powers, axis=2)
    return terms


def powers_up_to(d: int) -> NDArray[np.intp]:
    """Powers of all monomials from degree 1 to 4, or to 3 or 2 of more variables; (n_terms, d)."""
    degree = 4 if d <= 2 else 3 if d <= 4 else 2
    which = [each for n in range(1, degree + 1) for each in combinations_with_replacement(range(d), n)]
    return np.array([np.bincount(each, minlength=d) for each in which])


def fit_constant(
    anchors: Array, fields: list[Array], factor: Array, *, n_pixels: float, n_pairs: float
) -> ExternalField:
    """Fit the polynomial to the mean statistics of fields (n_j, d) drawn at each of the anchors (m, d).

    Its slopes are fitted by least squares in units of the statistics' sds.
    """
    d = anchors.shape[1]
    center = anchors.mean(axis=0)
    covariance = np.cov(anchors.T).reshape(d, d)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance + 1e-9 * np.eye(d)))
    powers = powers_up_to(d)
    x = np.einsum("ij,mj->mi", whiten, anchors - center)
    means = np.array([part.mean(axis=0) for part in fields])
    sds = np.maximum(np.array([part.std(axis=0) for part in fields]), 1e-3 * np.sqrt(n_pixels))
    known = _first_order(anchors, n_pixels, n_pairs)
    design = np.stack([_slope_rows(x, powers, whiten[:, i]) for i in range(d)], axis=1) * n_pixels
    weighted = (design / sds[..., None]).reshape(-1, len(powers))
    target = ((means - known) / sds).ravel()
    coefficients = np.linalg.lstsq(weighted, target, rcond=None)[0]
    misfit = float(np.abs(weighted @ coefficients - target).max())
    reach = float(np.sqrt((x**2).sum(axis=1)).max())
    return ExternalField(n_pixels, n_pairs, center, whiten, powers, coefficients, reach, factor, misfit)


def _first_order(thetas: Array, n_pixels: float, n_pairs: float) -> Array:
    """E[s] to first order in beta, (m, d)."""
    weights = np.exp(log_weights(thetas))
    chance = (weights**2).sum(axis=1, keepdims=True)
    sizes = weights * (n_pixels + 2 * n_pairs * thetas[:, -1:] * (weights - chance))
    return np.concatenate([sizes[:, :-1], n_pairs * chance], axis=1)


def _slope_rows(x: Array, powers: NDArray[np.intp], direction: Array) -> Array:
    """Slopes of the monomials at points (m, d) when they move along a direction (d,): (m, n_terms)."""
    total = np.zeros((len(x), len(powers)))
    for j, step in enumerate(direction):
        lower = powers.copy()
        lower[:, j] = np.maximum(lower[:, j] - 1, 0)
        total += step * powers[:, j] * monomials(x, lower)
    return total
