"""Proposals that do not look at the current point: t distributions around the posterior's modes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .density import Target
from .modes import Mode

Array = NDArray[np.float64]

DEGREES = 12.0
LOWEST_SHARE = 0.05
MAX_ORDERS = 24
N_PILOT = 400
N_ROUNDS = 3
GOOD_EFFICIENCY = 0.6


class Proposal(NamedTuple):
    """A mixture of multivariate t distributions.

    shares (m,), centers (m, d), factors (m, d, d) with factor times its transpose the scale matrix.
    """

    shares: Array
    centers: Array
    factors: Array

    @classmethod
    def nowhere(cls, d: int) -> "Proposal":
        """No component: nothing is ever proposed."""
        return cls(np.zeros(0), np.zeros((0, d)), np.zeros((0, d, d)))

    def draw(self, n: int, *, rng: np.random.Generator) -> Array:
        """Draw n points, (n, d)."""
        which = np.searchsorted(np.cumsum(self.shares)[:-1], rng.random(n), side="right")
        normal = rng.standard_normal((n, self.centers.shape[1]))
        radius = np.sqrt(DEGREES / rng.chisquare(DEGREES, n))
        points: Array = radius[:, None] * np.einsum("nij,nj->ni", self.factors[which], normal)
        return points + self.centers[which]

    def log_density(self, points: Array) -> Array:
        """Log density at points (n, d); shape (n,)."""
        from scipy.special import gammaln, logsumexp

        d = points.shape[1]
        constant = gammaln((DEGREES + d) / 2) - gammaln(DEGREES / 2) - d / 2 * np.log(np.pi * DEGREES)
        rows = []
        for share, center, factor in zip(*self, strict=True):
            standard = np.einsum("ij,nj->ni", np.linalg.inv(factor), points - center)
            kernel = -(DEGREES + d) / 2 * np.log1p((standard**2).sum(axis=1) / DEGREES)
            rows.append(np.log(share) + constant - np.log(np.diag(factor)).sum() + kernel)
        density: Array = rows[0] if len(rows) == 1 else logsumexp(rows, axis=0)
        return density


class Weighted(NamedTuple):
    """Points (n, d) from a proposal, with the log of posterior over proposal at each."""

    points: Array
    log_weights: Array
    log_density: Array

    @property
    def efficiency(self) -> float:
        """Effective share of the points as importance draws, in (0, 1]."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def weigh(target: Target, proposal: Proposal, points: Array) -> Weighted:
    """Compute the importance weights of points."""
    density = target.log_density(points)
    return Weighted(points, density - proposal.log_density(points), density)


def around_modes(modes: list[Mode]) -> Proposal:
    """Place a t distribution on every mode, with Laplace's covariance and share."""
    evidence = np.array([mode.log_evidence for mode in modes])
    shares = np.maximum(np.exp(evidence - evidence.max()), LOWEST_SHARE)
    factors = [mode.scales[:, None] * _inverse_factor(mode.precision) for mode in modes]
    return Proposal(shares / shares.sum(), np.stack([mode.point for mode in modes]), np.stack(factors))


def with_exchanges(proposal: Proposal, n_classes: int) -> Proposal:
    """Add components for classes whose order is uncertain.

    Where two means are closer than four sds of their difference, sorting moves part of the posterior to the
    place where the two classes have exchanged their weights, means and stds; no mode need be there. Of three
    near classes there are six orders, and so on up to 24.
    """
    shares, centers, factors = ([*part] for part in proposal)
    for share, center, factor in zip(*proposal, strict=True):
        covariance = np.einsum("ij,kj->ik", factor, factor)
        means = slice(n_classes - 1, 2 * n_classes - 1)
        for order in _orders(center[means], covariance[means, means])[1:]:
            exchange = _reorder(order)
            shares.append(max(0.5 * share, LOWEST_SHARE))
            centers.append(np.einsum("ij,j->i", exchange, center))
            factors.append(np.linalg.cholesky(np.einsum("ij,jk,lk->il", exchange, covariance, exchange)))
    return Proposal(np.array(shares) / sum(shares), np.stack(centers), np.stack(factors))


def _orders(means: Array, covariance: Array) -> list[tuple[int, ...]]:
    """Orders of the classes that exchanges of near neighbors lead to, the present one first."""
    variance = np.diag(covariance)[:, None] + np.diag(covariance) - 2 * covariance
    near = np.abs(means[:, None] - means) < 4 * np.sqrt(np.maximum(variance, 0.0))
    orders = [tuple(range(len(means)))]
    for order in orders:  # grows meanwhile
        for k in range(len(means) - 1):
            i, j = order[k : k + 2]
            exchanged = (*order[:k], j, i, *order[k + 2 :])
            if near[i, j] and exchanged not in orders and len(orders) < MAX_ORDERS:
                orders.append(exchanged)
    return orders


def _reorder(order: Sequence[int]) -> Array:
    """The matrix that puts classes in another order, in the coordinates of ``density.pack``."""
    n_classes = len(order)
    classes = np.eye(n_classes)[list(order)]
    logits = classes[:, :-1]
    matrix = np.zeros((3 * n_classes - 1, 3 * n_classes - 1))
    matrix[: n_classes - 1, : n_classes - 1] = logits[:-1] - logits[-1]
    matrix[n_classes - 1 : 2 * n_classes - 1, n_classes - 1 : 2 * n_classes - 1] = classes
    matrix[2 * n_classes - 1 :, 2 * n_classes - 1 :] = classes
    return matrix


def _inverse_factor(precision: Array) -> Array:
    """Lower Cholesky factor of the inverse."""
    return np.linalg.cholesky(np.linalg.inv(precision))


def adapt(target: Target, proposal: Proposal, *, rng: np.random.Generator) -> tuple[Proposal, Weighted]:
    """Fit the proposal to pilot draws weighted by the posterior, until it is efficient or the rounds end.

    Each t distribution takes the weighted mean and covariance of the pilots that are its own (Cappe,
    Douc, Guillin, Marin and Robert 2008, Statistics and Computing 18, 447).
    """
    pilot = weigh(target, proposal, proposal.draw(N_PILOT, rng=rng))
    for _ in range(N_ROUNDS):
        if pilot.efficiency > GOOD_EFFICIENCY:
            break
        candidate = _refit(proposal, pilot)
        trial = weigh(target, candidate, candidate.draw(2 * N_PILOT, rng=rng))
        if trial.efficiency > pilot.efficiency:
            proposal, pilot = candidate, trial
    return proposal, pilot


def _refit(proposal: Proposal, pilot: Weighted) -> Proposal:
    """Weighted moments about each center, blended with the old ones as far as the weights are uneven."""
    weights = _tempered(pilot.log_weights)
    owner = np.argmin(
        [_distance(c, f, pilot.points) for c, f in zip(proposal.centers, proposal.factors, strict=True)],
        axis=0,
    )
    shares, centers, factors = [], [], []
    for m in range(len(proposal.shares)):
        own = weights * (owner == m)
        trust = own.sum() ** 2 / max((own**2).sum(), 1e-300) / (4 * pilot.points.shape[1])
        trust = min(1.0, float(trust))
        total = max(float(own.sum()), 1e-300)
        center = proposal.centers[m] + trust * (own @ (pilot.points - proposal.centers[m])) / total
        centered = pilot.points - center
        old = np.einsum("ij,kj->ik", proposal.factors[m], proposal.factors[m])
        covariance = np.einsum("n,ni,nj->ij", own, centered, centered) / total * (DEGREES - 2) / DEGREES
        factors.append(np.linalg.cholesky(trust * 1.1 * covariance + (1.001 - trust) * old))
        shares.append(max(total, LOWEST_SHARE))
        centers.append(center)
    return Proposal(np.array(shares) / sum(shares), np.stack(centers), np.stack(factors))


def _tempered(log_weights: Array) -> Array:
    """Importance weights, flattened until a tenth of the points carries them."""
    finite = log_weights - log_weights.max()
    for power in 0.8 ** np.arange(30):
        weights: Array = np.exp(power * finite)
        if weights.sum() ** 2 > 0.1 * len(weights) * (weights**2).sum():
            break
    weights /= weights.sum()
    return weights


def _distance(center: Array, factor: Array, points: Array) -> Array:
    standard = np.einsum("ij,nj->ni", np.linalg.inv(factor), points - center)
    distance: Array = (standard**2).sum(axis=1) + 2 * np.log(np.diag(factor)).sum()
    return distance
