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


@kernel
def class_log_likelihood(nodes: Array, class_counts: Array, mean: float, std: float) -> float:
    """sum_v n_vk log f_k(v), for the pixels (n_counts,) that are of one class."""
    n, binned = class_counts.size, nodes.size > class_counts.size
    tail, mass = np.empty(n + 1), np.empty(n)
    fill_mass(nodes, mean, std, tail, mass)
    total = 0.0
    for v in range(n):
        if class_counts[v] > 0.0:
            if mass[v] > TINY:
                total += class_counts[v] * fast_log(mass[v])
            else:
                total += class_counts[v] * log_mass(nodes, v, binned, mean, std)
    return total


@kernel
def log_prior(family: int, first: float, second: float, x: float) -> float:
    """Log density of one family of ``gibbs.FAMILY_CODES`` at x, up to a constant."""
    if family == 0:  # normal
        return -0.5 * ((x - first) / second) ** 2
    if family == 1:  # uniform
        return 0.0 if first <= x <= second else -math.inf
    if family == 2:  # half-normal
        return -0.5 * (x / first) ** 2
    return -(2.0 * first + 1.0) * math.log(x) - second / (x * x)  # inverse gamma on the square


@kernel
def class_log_posterior(nodes, class_counts, families, priors, bounds, k, point, j, x):
    """Log conditional of one class at ``point`` (mean, log std) with coordinate j set to x.

    ``priors`` is (2, 2, n_classes): of means and stds, both parameters; ``bounds`` (2,) hold the mean.
    """
    mean, log_std = (x, point[1]) if j == 0 else (point[0], x)
    if abs(log_std) > 300.0 or not bounds[0] < mean < bounds[1]:
        return -math.inf
    std = math.exp(log_std)
    prior = log_prior(families[0], priors[0, 0, k], priors[0, 1, k], mean)
    prior += log_prior(families[1], priors[1, 0, k], priors[1, 1, k], std) + log_std
    return prior if prior == -math.inf else prior + class_log_likelihood(nodes, class_counts, mean, std)


@kernel
def slice_class(nodes, class_counts, families, priors, bounds, k, point, widths, rng):
    """Draw one class's mean, then its log std, in place, by slice sampling with doubling.

    Neal 2003, Annals of Statistics 31, 705, figures 4 to 6: it leaves the conditional invariant exactly,
    whatever prior and intervals, and finds a slice of any width in few steps.
    """
    for j in range(2):
        held, width = point[j], widths[j]
        level = class_log_posterior(nodes, class_counts, families, priors, bounds, k, point, j, held)
        level -= rng.standard_exponential()
        left = held - width * rng.random()
        right = left + width
        at_left = class_log_posterior(nodes, class_counts, families, priors, bounds, k, point, j, left)
        at_right = class_log_posterior(nodes, class_counts, families, priors, bounds, k, point, j, right)
        for _ in range(200):
            if at_left <= level and at_right <= level:
                break
            if rng.random() < 0.5:
                left -= right - left
                at_left = class_log_posterior(
                    nodes, class_counts, families, priors, bounds, k, point, j, left
                )
            else:
                right += right - left
                at_right = class_log_posterior(
                    nodes, class_counts, families, priors, bounds, k, point, j, right
                )
        low, high = left, right
        while True:
            x = low + (high - low) * rng.random()
            height = class_log_posterior(nodes, class_counts, families, priors, bounds, k, point, j, x)
            if x == held:
                break
            if height > level and reachable(
                nodes, class_counts, families, priors, bounds, k, point, j, x, left, right, width, level
            ):
                break
            if x < held:
                low = x
            else:
                high = x
        point[j] = x


@kernel
def reachable(nodes, class_counts, families, priors, bounds, k, point, j, x, left, right, width, level):
    """Whether doubling from x could have made the interval (left, right): Neal's acceptance test."""
    apart = False
    while right - left > 1.1 * width:
        middle = 0.5 * (left + right)
        if not left < middle < right:
            break
        apart |= (point[j] < middle) != (x < middle)
        if x < middle:
            right = middle
        else:
            left = middle
        if apart:
            at_left = class_log_posterior(nodes, class_counts, families, priors, bounds, k, point, j, left)
            if at_left <= level:
                at_right = class_log_posterior(
                    nodes, class_counts, families, priors, bounds, k, point, j, right
                )
                if at_right <= level:
                    return False
    return True


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
            if left > 0 and mass[k, v] > 0.0:
                own = rng.binomial(left, min(1.0, mass[k, v] / rest)) if mass[k, v] < rest else left
            split[k, v] = own
            left -= own
            rest -= mass[k, v]
        split[n_classes - 1, v] = left


@kernel
def gibbs_sweeps(
    nodes, counts, families, priors, concentration, exchangeable, narrowest, weights, means, stds, rng, draws
):
    """Run one sweep for every row of ``draws`` (n, 3, n_classes), and store weights, means, stds in it.

    ``narrowest`` is the least first width of a mean's slice, far above the rounding of the means.

    The state (``weights``, ``means``, ``stds``) is changed in place. Under an exchangeable prior classes
    cross freely and are sorted after the sweep; else each mean stays between its neighbors.
    """
    n_classes = weights.size
    split, widths, bounds, point = np.empty((n_classes, counts.size)), np.empty(2), np.empty(2), np.empty(2)
    for i in range(draws.shape[0]):
        split_counts(nodes, counts, weights, means, stds, rng, split)
        total = 0.0
        for k in range(n_classes):
            size = 0.0
            for v in range(counts.size):
                size += split[k, v]
            bounds[0] = -math.inf if exchangeable or k == 0 else means[k - 1]
            bounds[1] = math.inf if exchangeable or k == n_classes - 1 else means[k + 1]
            widths[0] = max(3.0 * stds[k] / math.sqrt(size + 1.0), narrowest)
            widths[1] = 3.0 / math.sqrt(2.0 * size + 1.0)
            point[0], point[1] = means[k], math.log(stds[k])
            slice_class(nodes, split[k], families, priors, bounds, k, point, widths, rng)
            means[k], stds[k] = point[0], math.exp(point[1])
            weights[k] = max(rng.standard_gamma(concentration[k] + size), 1e-300)
            total += weights[k]
        for k in range(1, n_classes):  # sort by insertion
            j = k
            while j > 0 and means[j - 1] > means[j]:
                weights[j - 1], weights[j] = weights[j], weights[j - 1]
                means[j - 1], means[j] = means[j], means[j - 1]
                stds[j - 1], stds[j] = stds[j], stds[j - 1]
                j -= 1
        for k in range(n_classes):
            weights[k] /= total
            draws[i, 0, k], draws[i, 1, k], draws[i, 2, k] = weights[k], means[k], stds[k]
