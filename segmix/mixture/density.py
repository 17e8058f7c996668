"""The mixture's posterior density over levels, and the coordinates that samplers move in.

log p(y | w, mu, sigma) = sum_v n_v log sum_k w_k f_k(v). With intervals, f_k(v) = Phi((v + h/2 - mu_k) /
sigma_k) - Phi((v - h/2 - mu_k) / sigma_k), open at a saturated end; without, f_k is the normal density.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..imaging.levels import Levels
from .threads import in_threads

if TYPE_CHECKING:
    from .priors import ResolvedPriors

Array = NDArray[np.float64]

BATCH = 1000  # draws that one thread takes; fixed, so that sums don't depend on the number of threads


class Observed(NamedTuple):
    """Levels as the kernels take them.

    ``nodes`` are the edges of contiguous intervals (one more than ``counts``), or the levels themselves;
    unoccupied gaps are intervals with no count. ``columns`` are the places of the levels among the counts.
    """

    nodes: Array
    counts: Array
    columns: NDArray[np.intp]

    @property
    def binned(self) -> bool:
        """Whether a level stands for an interval."""
        return len(self.nodes) > len(self.counts)

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest finite node, never equal."""
        finite = self.nodes[np.isfinite(self.nodes)]
        low, high = (float(finite[0]), float(finite[-1])) if len(finite) else (-0.5, 0.5)
        return (low, high) if low < high else (low - 0.5, high + 0.5)


def observe(levels: Levels) -> Observed:
    """Lay levels out for the kernels."""
    values, counts = levels.values, levels.counts.astype(np.float64)
    if levels.step == 0:
        return Observed(values, counts, np.arange(len(values)))
    half = levels.step / 2
    after_gap = np.diff(values, prepend=values[0]) > (1 + 1e-6) * levels.step
    columns = np.arange(len(values)) + np.cumsum(after_gap)
    nodes = np.sort(np.concatenate([[values[0] - half], values[after_gap] - half, values + half]))
    full = np.zeros(len(nodes) - 1)
    full[columns] = counts
    nodes[0] = -np.inf if levels.open_ends[0] else nodes[0]
    nodes[-1] = np.inf if levels.open_ends[1] else nodes[-1]
    return Observed(nodes, full, columns)


def std_limits(observed: Observed) -> tuple[float, float]:
    """The least and the largest standard deviation that EM gives a class."""
    low, high = observed.span
    return (high - low) / (float(np.sqrt(12)) * 4096), 2 * (high - low)


def log_table(observed: Observed, means: Array, stds: Array) -> Array:
    """log f_k(v) of every class and level, (n_classes, n_counts): the reference for the kernels.

    Tails are differences of log Phi on the side where both are small, so that no digits are lost.
    """
    from scipy.special import log_ndtr

    z = (observed.nodes - np.asarray(means)[:, None]) / np.asarray(stds)[:, None]
    if not observed.binned:
        density: Array = -0.5 * z**2 - np.log(np.sqrt(2 * np.pi) * np.asarray(stds))[:, None]
        return density
    lower, upper = z[:, :-1], z[:, 1:]
    right = lower + np.where(np.isinf(upper), lower, upper) > 0
    lower, upper = np.where(right, -upper, lower), np.where(right, -lower, upper)
    with np.errstate(divide="ignore"):
        table: Array = log_ndtr(upper) + np.log1p(-np.exp(log_ndtr(lower) - log_ndtr(upper)))
    return table


class Parameters(NamedTuple):
    """Weights, means and standard deviations, each (..., n_classes)."""

    weights: Array
    means: Array
    stds: Array


def pack(parameters: Parameters) -> Array:
    """Coordinates (..., 3 K - 1): log(w_k / w_K) for k < K, means, log stds."""
    weights, means, stds = parameters
    logits = np.log(weights[..., :-1] / weights[..., -1:])
    return np.concatenate([logits, means, np.log(stds)], axis=-1)


def unpack(points: Array) -> Parameters:
    """Invert ``pack``."""
    n_classes = (points.shape[-1] + 1) // 3
    logits = np.concatenate([points[..., : n_classes - 1], np.zeros((*points.shape[:-1], 1))], axis=-1)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    stds = np.exp(np.clip(points[..., 2 * n_classes - 1 :], -300.0, 300.0))
    return Parameters(weights, points[..., n_classes - 1 : 2 * n_classes - 1], stds)


def log_jacobian(parameters: Parameters) -> Array:
    """Log of |d parameters / d coordinates| of ``pack``: sum_k log w_k + log sigma_k; (n, K) to (n,)."""
    with np.errstate(divide="ignore"):
        jacobian: Array = np.log(parameters.weights).sum(axis=1) + np.log(parameters.stds).sum(axis=1)
    return jacobian


class Likelihood(NamedTuple):
    """The likelihood as a function of coordinates (see ``pack``): no prior, no Jacobian."""

    observed: Observed
    n_classes: int

    def log_density(self, points: Array) -> Array:
        """Log likelihood of points (n, 3 K - 1); shape (n,)."""
        from .kernels import log_likelihood

        nodes, counts, _ = self.observed
        likelihood: Array = log_likelihood(nodes, counts, *map(np.ascontiguousarray, unpack(points)))
        return likelihood

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates that a class of the data can have, (3 K - 1,) each, as EM's."""
        low, high = self.observed.span
        free, each = np.full(self.n_classes - 1, np.inf), np.ones(self.n_classes)
        least, most = (np.log(std) for std in std_limits(self.observed))
        margin = 2 * (high - low)
        return (
            np.concatenate([-free, (low - margin) * each, least * each]),
            np.concatenate([free, (high + margin) * each, most * each]),
        )

    def gradient(self, points: Array) -> Array:
        """Gradient of the log likelihood at points (n, 3 K - 1)."""
        from .kernels import scores

        parameters = Parameters(*map(np.ascontiguousarray, unpack(points)))
        _, sizes, by_mean, by_log_std = scores(self.observed.nodes, self.observed.counts, *parameters)
        by_logit = sizes - sizes.sum(axis=1, keepdims=True) * parameters.weights
        return np.concatenate([by_logit[:, :-1], by_mean, by_log_std], axis=1)


class Target(NamedTuple):
    """The posterior as a density of coordinates (see ``pack``), Jacobian included."""

    observed: Observed
    priors: ResolvedPriors

    def log_density(self, points: Array) -> Array:
        """Log posterior up to a constant, of points (n, 3 K - 1); shape (n,), -inf outside the support."""
        parameters = unpack(points)
        density = self.log_posterior(parameters)
        inside = np.isfinite(density)
        density[inside] += log_jacobian(Parameters(*(part[inside] for part in parameters)))
        return density

    def log_posterior(self, parameters: Parameters) -> Array:
        """Log of likelihood times prior, of parameters (n, n_classes); (n,), -inf outside the support."""
        from .kernels import log_likelihood

        prior = self.priors.log_density(*parameters)
        density = np.full(len(prior), -np.inf)
        inside = np.isfinite(prior) & (parameters.weights > 0).all(axis=1)
        chosen = Parameters(*(np.ascontiguousarray(part[inside]) for part in parameters))
        density[inside] = log_likelihood(self.observed.nodes, self.observed.counts, *chosen) + prior[inside]
        return density

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates that the prior allows, (3 K - 1,) each, a little inside."""
        means, stds = self.priors.means.support, self.priors.stds.support
        free = np.full(len(means[0]) - 1, np.inf)
        with np.errstate(divide="ignore"):
            logs = [np.log(np.maximum(end, 0.0)) for end in stds]
        low = np.concatenate([-free, means[0], logs[0]])
        high = np.concatenate([free, means[1], logs[1]])
        margin = np.where(np.isfinite(high - low), 1e-9 * (high - low), 1e-9)
        return low + margin, high - margin

    def gradient(self, points: Array) -> Array:
        """Gradient of the log posterior at points (n, 3 K - 1) inside the support."""
        from .kernels import scores

        parameters = Parameters(*(np.ascontiguousarray(part) for part in unpack(points)))
        weights, means, stds = parameters
        _, sizes, by_mean, by_log_std = scores(self.observed.nodes, self.observed.counts, *parameters)
        prior_counts = self.priors.weights.parameters[0]
        total = sizes.sum(axis=1, keepdims=True) + prior_counts.sum()
        by_logit = sizes + prior_counts - total * weights
        prior_by_mean, prior_by_log_std = self.priors.means.slopes_given(means, stds)
        by_log_std = by_log_std + prior_by_log_std + self.priors.stds.slope(stds) * stds + 1.0
        return np.concatenate([by_logit[:, :-1], by_mean + prior_by_mean, by_log_std], axis=1)


def class_probabilities(observed: Observed, parameters: Parameters, *, times: Array | None = None) -> Array:
    """p(z = k | v) averaged over draws (n_draws, n_classes) that count ``times`` each; (K, n_levels)."""
    from .kernels import sum_probabilities

    times = np.ones(len(parameters.weights)) if times is None else times
    parts = [
        np.array_split(np.ascontiguousarray(part), -(-len(times) // BATCH)) for part in (*parameters, times)
    ]
    batches = list(zip(*parts, strict=True))
    nodes, n = observed.nodes, len(observed.counts)
    tables = in_threads(lambda batch: sum_probabilities(nodes, n, *batch), batches)
    probabilities: Array = np.sum(tables, axis=0)[:, observed.columns] / times.sum()
    return probabilities
