"""The mixture's likelihood over levels, compiled.

Nodes are the edges of contiguous intervals, one more than the counts, or the levels themselves. Loops over
levels have no branches, so that the compiler makes them vector code; levels further than 35 standard
deviations from every class are done again on the log scale.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..kernels import fast_exp, fast_log, kernel, mills_ratio

Array = NDArray[np.float64]

LOG_SQRT_2PI = 0.9189385332046727
INV_SQRT_2PI = 0.3989422804014327
TINY = 1e-280  # below this a level is done again on the log scale
FARTHEST = 37.5  # exp(-z^2/2) leaves the normal doubles a little further out


@kernel
def fill_mass(nodes: Array, mean: float, std: float, tail: Array, mass: Array) -> None:
    """Fill mass[v] with one class's probability of level v, or its density there; 0 when far away.

    ``tail`` (n_nodes,) receives 1 - Phi(|z|) at the nodes; between two nodes on one side of the mean the
    mass is the difference of tails, about the mean 1 less both.
    """
    n, inverse = mass.size, 1.0 / std
    if nodes.size == n:
        for v in range(n):
            z = min(abs((nodes[v] - mean) * inverse), FARTHEST)
            mass[v] = INV_SQRT_2PI * inverse * fast_exp(-0.5 * z * z)
        return
    for e in range(n + 1):
        z = min(abs((nodes[e] - mean) * inverse), FARTHEST)
        tail[e] = INV_SQRT_2PI * fast_exp(-0.5 * z * z) * mills_ratio(z)
    for v in range(n):
        one_side = abs(tail[v] - tail[v + 1])
        about = (nodes[v] < mean) & (nodes[v + 1] > mean)
        mass[v] = 1.0 - tail[v] - tail[v + 1] if about else one_side


@kernel
def log_mass(nodes: Array, v: int, binned: bool, mean: float, std: float) -> float:
    """Log of one class's probability of level v, or of its density there, at any distance."""
    if not binned:
        z = (nodes[v] - mean) / std
        return -0.5 * z * z - LOG_SQRT_2PI - math.log(std)
    near, far = (nodes[v] - mean) / std, (nodes[v + 1] - mean) / std
    if near < 0.0 < far:
        return math.log(1.0 - 0.5 * math.erfc(-near / math.sqrt(2.0)) - 0.5 * math.erfc(far / math.sqrt(2.0)))
    if far <= 0.0:
        near, far = -far, -near
    beyond = 0.0 if math.isinf(far) else mills_ratio(far) * math.exp(-0.5 * (far - near) * (far + near))
    ratio = mills_ratio(near) - beyond
    return -math.inf if ratio <= 0.0 else -0.5 * near * near - LOG_SQRT_2PI + math.log(ratio)


@kernel
def mix_in_log(
    nodes: Array, v: int, binned: bool, weights: Array, means: Array, stds: Array, shares: Array
) -> float:
    """Return log sum_k w_k f_k(v), and fill shares (n_classes,) with each class's part of that sum."""
    largest = -math.inf
    for k in range(weights.size):
        shares[k] = math.log(weights[k]) + log_mass(nodes, v, binned, means[k], stds[k])
        largest = max(largest, shares[k])
    total = 0.0
    for k in range(weights.size):
        shares[k] = math.exp(shares[k] - largest)
        total += shares[k]
    for k in range(weights.size):
        shares[k] /= total
    return largest + math.log(total)


@kernel
def log_likelihood(nodes: Array, counts: Array, weights: Array, means: Array, stds: Array) -> Array:
    """log p(y | w, mu, sigma) = sum_v n_v log sum_k w_k f_k(v), for parameters (n_draws, n_classes)."""
    n, binned = counts.size, nodes.size > counts.size
    tail, mass, mix, shares = np.empty(n + 1), np.empty(n), np.empty(n), np.empty(weights.shape[1])
    out = np.empty(weights.shape[0])
    for d in range(weights.shape[0]):
        mix[:] = 0.0
        for k in range(weights.shape[1]):
            fill_mass(nodes, means[d, k], stds[d, k], tail, mass)
            for v in range(n):
                mix[v] += weights[d, k] * mass[v]
        for v in range(n):
            mass[v] = counts[v] * fast_log(max(mix[v], TINY))
        total = 0.0
        for v in range(n):
            if mix[v] <= TINY and counts[v] > 0.0:
                total += counts[v] * mix_in_log(nodes, v, binned, weights[d], means[d], stds[d], shares)
            else:
                total += mass[v]
        out[d] = total
    return out


@kernel
def sum_probabilities(
    nodes: Array, n_levels: int, weights: Array, means: Array, stds: Array, times: Array
) -> Array:
    """p(z = k | v) summed over draws that count ``times`` (n_draws,) each; (n_classes, n_levels)."""
    n_classes, binned = weights.shape[1], nodes.size > n_levels
    tail, mix, shares = np.empty(n_levels + 1), np.empty(n_levels), np.empty(n_classes)
    mass, out = np.empty((n_classes, n_levels)), np.zeros((n_classes, n_levels))
    for d in range(weights.shape[0]):
        mix[:] = 0.0
        for k in range(n_classes):
            fill_mass(nodes, means[d, k], stds[d, k], tail, mass[k])
            for v in range(n_levels):
                mass[k, v] *= weights[d, k]
                mix[v] += mass[k, v]
        for v in range(n_levels):
            if mix[v] <= TINY:
                mix_in_log(nodes, v, binned, weights[d], means[d], stds[d], shares)
                mix[v] = 1.0
                for k in range(n_classes):
                    mass[k, v] = shares[k]
        for v in range(n_levels):
            mix[v] = times[d] / mix[v]
        for k in range(n_classes):
            for v in range(n_levels):
                out[k, v] += mass[k, v] * mix[v]
    return out


@kernel
def slopes(nodes: Array, v: int, binned: bool, mean: float, std: float) -> tuple[float, float]:
    """d log f(v) / d mean and d log f(v) / d log std, at any distance.

    For an interval (a, b) in standard units: (phi(a) - phi(b)) / (std P) and (a phi(a) - b phi(b)) / P.
    """
    if not binned:
        z = (nodes[v] - mean) / std
        return z / std, z * z - 1.0
    near, far, sign = (nodes[v] - mean) / std, (nodes[v + 1] - mean) / std, 1.0
    if abs(near) > abs(far):
        near, far, sign = -far, -near, -1.0
    if near <= 0.0:
        log_p = log_mass(nodes, v, binned, mean, std)
        first = math.exp(-0.5 * near * near - LOG_SQRT_2PI - log_p)
        last = 0.0 if math.isinf(far) else math.exp(-0.5 * far * far - LOG_SQRT_2PI - log_p)
    else:
        decay = 0.0 if math.isinf(far) else math.exp(-0.5 * (far - near) * (far + near))
        ratio = mills_ratio(near) - (0.0 if decay == 0.0 else mills_ratio(far) * decay)
        first, last = 1.0 / ratio, decay / ratio
    return sign * (first - last) / std, near * first - (0.0 if last == 0.0 else far * last)


@kernel
def fill_slopes(
    nodes: Array, mean: float, std: float, mass: Array, by_mean: Array, by_log_std: Array
) -> None:
    """Fill d f(v) / d mean and d f(v) / d log std of one class; 0 when far away. ``mass`` is f(v)."""
    n, inverse = mass.size, 1.0 / std
    if nodes.size == n:
        for v in range(n):
            z = min(max((nodes[v] - mean) * inverse, -FARTHEST), FARTHEST)
            by_mean[v] = mass[v] * z * inverse
            by_log_std[v] = mass[v] * (z * z - 1.0)
        return
    for v in range(n):
        a = min(max((nodes[v] - mean) * inverse, -FARTHEST), FARTHEST)
        b = min(max((nodes[v + 1] - mean) * inverse, -FARTHEST), FARTHEST)
        at_a, at_b = INV_SQRT_2PI * fast_exp(-0.5 * a * a), INV_SQRT_2PI * fast_exp(-0.5 * b * b)
        by_mean[v] = (at_a - at_b) * inverse
        by_log_std[v] = a * at_a - b * at_b


@kernel
def scores(
    nodes: Array, counts: Array, weights: Array, means: Array, stds: Array
) -> tuple[Array, Array, Array, Array]:
    """Log likelihood (n_draws,) and what its gradient is made of, for parameters (n_draws, n_classes).

    That is the expected pixels of each class, and the derivatives with respect to its mean and to the log of
    its standard deviation, each (n_draws, n_classes).
    """
    n_draws, n_classes = weights.shape
    n, binned = counts.size, nodes.size > counts.size
    tail, mix, shares = np.empty(n + 1), np.empty(n), np.empty(n_classes)
    mass, slope, log_slope = np.empty((n_classes, n)), np.empty(n), np.empty(n)
    total, sizes = np.zeros(n_draws), np.zeros((n_draws, n_classes))
    by_mean, by_log_std = np.zeros((n_draws, n_classes)), np.zeros((n_draws, n_classes))
    for d in range(n_draws):
        mix[:] = 0.0
        for k in range(n_classes):
            fill_mass(nodes, means[d, k], stds[d, k], tail, mass[k])
            for v in range(n):
                mix[v] += weights[d, k] * mass[k, v]
        for v in range(n):
            if mix[v] > TINY:
                total[d] += counts[v] * fast_log(mix[v])
                mix[v] = counts[v] / mix[v]
                continue
            mix[v] = 0.0
            if counts[v] > 0.0:
                total[d] += counts[v] * mix_in_log(nodes, v, binned, weights[d], means[d], stds[d], shares)
                for k in range(n_classes):
                    if shares[k] > 0.0:
                        first, second = slopes(nodes, v, binned, means[d, k], stds[d, k])
                        sizes[d, k] += counts[v] * shares[k]
                        by_mean[d, k] += counts[v] * shares[k] * first
                        by_log_std[d, k] += counts[v] * shares[k] * second
        for k in range(n_classes):
            fill_slopes(nodes, means[d, k], stds[d, k], mass[k], slope, log_slope)
            for v in range(n):
                factor = weights[d, k] * mix[v]
                sizes[d, k] += factor * mass[k, v]
                by_mean[d, k] += factor * slope[v]
                by_log_std[d, k] += factor * log_slope[v]
    return total, sizes, by_mean, by_log_std
