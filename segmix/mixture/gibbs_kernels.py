"""The sweeps of the Gibbs sampler, compiled."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel
from .class_kernels import class_log_prior, draw_class
from .kernels import TINY, fill_mass, log_likelihood, mix_in_log

Array = NDArray[np.float64]


class Jumps(NamedTuple):
    """Points (n, d) proposed by a mixture of t distributions, and what decides on them.

    ``log_shares`` (m,) are less the log determinants of the factors, whose inverses (m, d, d) follow; a jump
    is made where the log of posterior over proposal rises by more than its threshold (n,).
    """

    degrees: float
    log_shares: Array
    centers: Array
    inverses: Array
    points: Array
    thresholds: Array


@kernel
def split_counts(nodes, counts, weights, means, stds, rng, split):
    """Draw how many pixels of each level are of each class, multinomial given the parameters.

    Fills ``split`` (n_classes, n_counts), whose columns sum to ``counts``.
    """
    n_classes, n, binned = weights.size, counts.size, nodes.size > counts.size
    tail, mix, shares, mass = np.empty(n + 1), np.zeros(n), np.empty(n_classes), np.empty((n_classes, n))
    for k in range(n_classes):
        fill_mass(nodes, means[k], stds[k], tail, mass[k])
        for v in range(n):
            mass[k, v] *= weights[k]
            mix[v] += mass[k, v]
    for v in range(n):
        left, rest = int(counts[v]), mix[v]
        if left > 0 and mix[v] <= TINY:
            mix_in_log(nodes, v, binned, weights, means, stds, shares)
            rest = 1.0
            for k in range(n_classes):
                mass[k, v] = shares[k]
        for k in range(n_classes - 1):
            own = 0
            if left == 1:
                own = 1 if rng.random() * rest < mass[k, v] else 0
            elif left > 0 and mass[k, v] > 0.0:
                own = rng.binomial(left, min(1.0, mass[k, v] / rest)) if mass[k, v] < rest else left
            split[k, v] = own
            left -= own
            rest -= mass[k, v]
        split[n_classes - 1, v] = left


@kernel
def sort_classes(weights: Array, means: Array, stds: Array) -> None:
    """Put the classes in order of ascending mean, by insertion."""
    for k in range(1, means.size):
        j = k
        while j > 0 and means[j - 1] > means[j]:
            weights[j - 1], weights[j] = weights[j], weights[j - 1]
            means[j - 1], means[j] = means[j], means[j - 1]
            stds[j - 1], stds[j] = stds[j], stds[j - 1]
            j -= 1


@kernel
def sweep(model, weights, means, stds, rng, split):
    """Draw the classes of all pixels, then every class's mean, std and weight, in place.

    Under an exchangeable prior classes cross freely and are sorted afterwards.
    """
    split_counts(model.nodes, model.counts, weights, means, stds, rng, split)
    total = 0.0
    for k in range(weights.size):
        size = draw_class(model, split[k], k, model.exchangeable, means, stds, rng)
        weights[k] = max(rng.standard_gamma(model.concentration[k] + size), 1e-300)
        total += weights[k]
    weights /= total
    sort_classes(weights, means, stds)


@kernel
def log_importance(model, jumps, point):
    """Log of posterior over proposal, up to a constant, at ``point`` in ``density.pack``'s coordinates."""
    n_classes = model.concentration.size
    logits = np.zeros(n_classes)
    logits[: n_classes - 1] = point[: n_classes - 1]
    largest = logits.max()
    log_weights = logits - (largest + math.log(np.exp(logits - largest).sum()))
    means, log_stds = point[n_classes - 1 : 2 * n_classes - 1], point[2 * n_classes - 1 :]
    stds = np.exp(log_stds)
    total = 0.0
    for k in range(n_classes):
        if abs(log_stds[k]) > 300.0 or (k > 0 and not means[k - 1] < means[k]):
            return -math.inf
        total += class_log_prior(model, k, means[k], stds[k])
        total += model.concentration[k] * log_weights[k] + log_stds[k]
    if not total > -math.inf:
        return -math.inf
    weights = np.exp(log_weights)
    rows = np.empty((3, 1, n_classes))
    rows[0, 0], rows[1, 0], rows[2, 0] = weights, means, stds
    return (
        total + log_likelihood(model.nodes, model.counts, rows[0], rows[1], rows[2])[0] - log_t(jumps, point)
    )


@kernel
def log_t(jumps, point):
    """Log density of the mixture of t distributions at ``point`` (d,), up to a constant."""
    d, m = point.size, jumps.log_shares.size
    rows = np.empty(m)
    for i in range(m):
        squares = 0.0
        for a in range(d):
            z = 0.0
            for b in range(d):
                z += jumps.inverses[i, a, b] * (point[b] - jumps.centers[i, b])
            squares += z * z
        rows[i] = jumps.log_shares[i] - 0.5 * (jumps.degrees + d) * math.log1p(squares / jumps.degrees)
    largest = rows.max()
    return largest + math.log(np.exp(rows - largest).sum())


@kernel
def jump(model, jumps, number, weights, means, stds):
    """Go to the point of this number, in place, or stay: an independence Metropolis step."""
    n_classes = weights.size
    held = np.concatenate((np.log(weights[:-1] / weights[-1]), means, np.log(stds)))
    point = jumps.points[number]
    gain = log_importance(model, jumps, point) - log_importance(model, jumps, held)
    if gain > jumps.thresholds[number]:
        weights[:-1], weights[-1] = point[: n_classes - 1], 0.0
        weights[:] = np.exp(weights - weights.max())
        weights /= weights.sum()
        means[:], stds[:] = point[n_classes - 1 : 2 * n_classes - 1], np.exp(point[2 * n_classes - 1 :])


@kernel
def gibbs_sweeps(model, jumps, done, every, weights, means, stds, rng, draws):
    """Make one sweep for every row of ``draws`` (n, 3, n_classes), and store weights, means, stds in it.

    ``done`` sweeps went before since the first of the ``jumps``; one is tried after ``every`` sweeps. The
    state (``weights``, ``means``, ``stds``) is changed in place.
    """
    split = np.empty((weights.size, model.counts.size))
    for i in range(draws.shape[0]):
        sweep(model, weights, means, stds, rng, split)
        if (done + i + 1) % every == 0:
            jump(model, jumps, (done + i + 1) // every - 1, weights, means, stds)
        draws[i, 0], draws[i, 1], draws[i, 2] = weights, means, stds
