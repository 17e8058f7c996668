"""Exact posteriors of few pixels.

They share no code with segmix: a sum over all ways to split the pixels of each level among the classes,
with integrals over each class's mean and standard deviation on a grid.
"""

from functools import cache
from itertools import product
from math import comb, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr
from scipy.stats import halfnorm, invgamma, norm, uniform

from segmix import Priors
from segmix.mixture.distributions import Dirichlet, HalfNormal, InverseGamma, Normal, Uniform

Array = NDArray[np.float64]

# midpoints in the mean, Gauss-Legendre nodes in the std; with twice as many no result moves by 2e-4 of itself
GRID = (400, 120)


class Case(NamedTuple):
    """A few pixels and the prior, in segmix's words and as distributions of SciPy, one a class."""

    values: tuple[float, ...]
    counts: tuple[int, ...]
    step: float | None
    limits: tuple[float | None, float | None]
    priors: Priors
    means: tuple[Any, ...]
    stds: tuple[Any, ...]
    concentration: tuple[float, ...]
    mean_range: tuple[float, float]
    std_range: tuple[float, float]


def inverse_gamma_std(shape: float, scale: float) -> Any:
    """The distribution of a standard deviation whose square is inverse gamma."""

    class Std:
        def pdf(self, x: Array) -> Array:
            return invgamma(shape, scale=scale).pdf(x**2) * 2 * x

        def rvs(self, size: int, random_state: np.random.Generator) -> Array:
            return np.sqrt(invgamma(shape, scale=scale).rvs(size, random_state=random_state))

    return Std()


FREE = (None, None)
CASES = {
    "k1-binned": Case(
        (3.0, 4.0, 6.0), (6, 9, 3), 1.0, FREE,
        Priors(Normal(3.0, 2.0), HalfNormal(1.0), Dirichlet(1.0)),
        (norm(3, 2),), (halfnorm(scale=1),), (1.0,), (-15.0, 21.0), (0.0, 8.0),
    ),
    "k1-plain": Case(
        (3.0, 4.0, 6.0), (6, 9, 3), None, FREE,
        Priors(Uniform(0.0, 5.0), InverseGamma(3.0, 2.0), Dirichlet(1.0)),
        (uniform(0, 5),), (inverse_gamma_std(3, 2),), (1.0,), (0.0, 5.0), (0.1, 25.0),
    ),
    "k2-binned": Case(
        (0.0, 1.0, 3.0, 4.0), (2, 1, 2, 3), 1.0, FREE,
        Priors(Normal(2.0, 2.0), Uniform(0.3, 2.0), Dirichlet(1.0)),
        (norm(2, 2),) * 2, (uniform(0.3, 1.7),) * 2, (1.0, 1.0), (-12.0, 16.0), (0.3, 2.0),
    ),
    "k2-clipped": Case(
        (0.0, 1.0, 2.0, 5.0), (3, 1, 2, 2), 1.0, (0.0, None),
        Priors(Uniform(-2.0, 8.0), HalfNormal(1.5), Dirichlet((2.0, 1.5))),
        (uniform(-2, 10),) * 2, (halfnorm(scale=1.5),) * 2, (2.0, 1.5), (-2.0, 8.0), (0.0, 12.0),
    ),
    "k2-apart": Case(
        (0.0, 1.0, 5.0, 6.0), (2, 1, 2, 3), 1.0, FREE,
        Priors(Normal(3.0, 3.0), InverseGamma(12.0, 11.0), Dirichlet(3.0)),
        (norm(3, 3),) * 2, (inverse_gamma_std(12, 11),) * 2, (3.0, 3.0), (-12.0, 18.0), (0.2, 8.0),
    ),
    "k2-plain": Case(
        (95.0, 112.0, 190.0, 205.0, 220.0), (1, 2, 2, 2, 1), None, FREE,
        Priors(Normal((110.0, 210.0), 10.0), InverseGamma(6.0, 1125.0), Dirichlet((2.0, 3.0))),
        (norm(110, 10), norm(210, 10)), (inverse_gamma_std(6, 1125),) * 2, (2.0, 3.0),
        (40.0, 280.0), (3.0, 110.0),
    ),
    "k2-overlapping-priors": Case(
        (0.0, 1.0, 2.0, 3.0), (2, 2, 3, 1), 1.0, FREE,
        Priors(Normal((1.5, 1.0), (1.0, 0.8)), InverseGamma(12.0, (6.0, 9.0)), Dirichlet((4.0, 8.0))),
        (norm(1.5, 1), norm(1, 0.8)), (inverse_gamma_std(12, 6), inverse_gamma_std(12, 9)), (4.0, 8.0),
        (-7.0, 9.0), (0.15, 7.0),
    ),
    "k2-own-stds": Case(
        (0.0, 1.0, 2.0, 3.0), (2, 2, 3, 1), 1.0, FREE,
        Priors(Normal(1.5, 1.0), InverseGamma(12.0, (4.0, 16.0)), Dirichlet(6.0)),
        (norm(1.5, 1),) * 2, (inverse_gamma_std(12, 4), inverse_gamma_std(12, 16)), (6.0, 6.0),
        (-7.0, 9.0), (0.15, 7.0),
    ),
    "k3-binned": Case(
        (0.0, 2.0, 4.0, 7.0), (2, 2, 1, 3), 1.0, FREE,
        Priors(Normal(3.0, 3.0), Uniform(0.3, 1.5), Dirichlet(2.0)),
        (norm(3, 3),) * 3, (uniform(0.3, 1.2),) * 3, (2.0,) * 3, (-17.0, 23.0), (0.3, 1.5),
    ),
}  # fmt: skip


class Exact(NamedTuple):
    """Posterior means and sds in the order of ``names``, p(z = k | v) (K, V), and p(area) (K, n + 1)."""

    means: Array
    stds: Array
    table: Array
    areas: Array


def log_densities(case: Case, means: Array, stds: Array) -> Array:
    """log f(v) for each level (rows) and each mean and standard deviation, which broadcast."""
    values = np.reshape(case.values, (-1, *[1] * np.broadcast(means, stds).ndim))
    if case.step is None:
        return norm.logpdf(values, means, stds)
    lower, upper = (values - case.step / 2 - means) / stds, (values + case.step / 2 - means) / stds
    if case.limits[0] is not None:
        lower[0] = -np.inf
    right = lower + upper > 0
    lower, upper = np.where(right, -upper, lower), np.where(right, -lower, upper)
    with np.errstate(divide="ignore"):
        return np.log(ndtr(upper) - ndtr(lower))


class Integrals:
    """Of one class's likelihood times prior over its standard deviation, as functions of its mean."""

    def __init__(self, case: Case) -> None:
        low, high = case.mean_range
        self.means = low + (high - low) * (np.arange(GRID[0]) + 0.5) / GRID[0]
        nodes, weights = np.polynomial.legendre.leggauss(GRID[1])
        low, high = case.std_range
        self.stds, self.std_weights = (low + high) / 2 + (high - low) / 2 * nodes, (high - low) / 2 * weights
        self.case = case
        self.table = log_densities(case, self.means[:, None], self.stds)
        self.known: dict[tuple[int, tuple[int, ...]], Array] = {}

    def __call__(self, k: int, own: tuple[int, ...]) -> Array:
        """Rows 1, mean, mean^2, std, std^2 for class k with ``own`` pixels of each level; (5, n_means)."""
        if (k, own) not in self.known:
            used = np.flatnonzero(own)
            density = np.exp(np.tensordot(np.take(own, used), self.table[used], axes=1))
            density *= self.case.means[k].pdf(self.means)[:, None] * self.case.stds[k].pdf(self.stds)
            by_std = [density @ (self.std_weights * self.stds**power) for power in range(3)]
            by_mean = [by_std[0] * self.means**power for power in range(3)]
            self.known[k, own] = np.stack([*by_mean, *by_std[1:]])
        return self.known[k, own]


def compositions(n: int, n_classes: int) -> list[tuple[int, ...]]:
    """All ways to write n as a sum of ``n_classes`` whole numbers in order."""
    return [split for split in product(range(n + 1), repeat=n_classes) if sum(split) == n]


def in_order(rows: list[Array]) -> Array:
    """Integrals over mean_1 < ... < mean_K with each row of each class in place of its first; (K, 5)."""
    before, after = [np.ones_like(rows[0][0])], [np.ones_like(rows[0][0])]
    for row, last in zip(rows[:-1], rows[:0:-1], strict=True):
        mass = row[0] * before[-1]
        before.append(np.cumsum(mass) - mass / 2)
        mass = last[0] * after[-1]
        after.append(mass.sum() - np.cumsum(mass) + mass / 2)
    return np.stack([row @ (b * a) for row, b, a in zip(rows, before, reversed(after), strict=True)])


@cache
def solve(name: str) -> Exact:
    """The exact posterior of a case, by a sum over all splits of the pixels among the classes."""
    case, n, n_classes = CASES[name], sum(CASES[name].counts), len(CASES[name].means)
    integrals, a = Integrals(case), np.array(case.concentration)
    moments, weights, evidence = np.zeros((n_classes, 5)), np.zeros((n_classes, 2)), 0.0
    table, areas = np.zeros((n_classes, len(case.counts))), np.zeros((n_classes, n + 1))
    for split in product(*(compositions(count, n_classes) for count in case.counts)):
        own = np.array(split).T
        ways = prod(comb(sum(s[k:]), s[k]) for s in split for k in range(n_classes))
        posterior = a + own.sum(axis=1)
        parts = in_order([integrals(k, tuple(row)) for k, row in enumerate(own.tolist())])
        parts *= ways * np.exp(gammaln(posterior).sum())
        total = parts[0, 0]
        share = posterior / posterior.sum()
        second = share * (posterior + 1) / (posterior.sum() + 1)
        moments += parts
        evidence += total
        weights += total * np.stack([share, second], axis=1)
        table += total * own / np.array(case.counts)
        areas[np.arange(n_classes), own.sum(axis=1)] += total
    first = np.concatenate([weights[:, 0], moments[:, 1], moments[:, 3]]) / evidence
    second = np.concatenate([weights[:, 1], moments[:, 2], moments[:, 4]]) / evidence
    start = 0 if n_classes > 1 else 1
    return Exact(first[start:], np.sqrt(second - first**2)[start:], table / evidence, areas / evidence)
