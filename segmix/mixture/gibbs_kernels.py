"""The sweeps of the Gibbs sampler, compiled."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import fast_log, kernel
from .kernels import TINY, fill_mass, log_likelihood, log_mass, mix_in_log

Array = NDArray[np.float64]


class Model(NamedTuple):
    """Data and prior.

    ``families`` (2,) are codes of ``gibbs.FAMILY_CODES`` for means and stds, and ``priors`` (2, 2, n_classes)
    both parameters of each. ``narrowest`` is the least first width of a mean's slice, far above rounding.
    """

    nodes: Array
    counts: Array
    families: NDArray[np.int64]
    priors: Array
    concentration: Array
    exchangeable: bool
    narrowest: float


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


class Moments(NamedTuple):
    """Number, mean, and sum of squares about it, of the pixels of a class."""

    size: float
    center: float
    scatter: float


@kernel
def moments_of(nodes: Array, class_counts: Array, near: float) -> Moments:
    """Moments of a class, by sums about a value near its mean; only the size where levels are intervals."""
    size, first, second = 0.0, 0.0, 0.0
    if nodes.size > class_counts.size:
        return Moments(class_counts.sum(), 0.0, 0.0)
    for v in range(class_counts.size):
        deviation = nodes[v] - near
        size += class_counts[v]
        first += class_counts[v] * deviation
        second += class_counts[v] * deviation * deviation
    offset = first / size if size > 0.0 else 0.0
    return Moments(size, near + offset, max(second - first * offset, 0.0))


@kernel
def class_log_likelihood(
    nodes: Array, class_counts: Array, moments: Moments, mean: float, std: float
) -> float:
    """sum_v n_vk log f_k(v), for the pixels (n_counts,) that are of one class.

    Where f is a density the moments suffice, and a constant is left out.
    """
    n = class_counts.size
    if nodes.size == n:
        squares = moments.scatter + moments.size * (moments.center - mean) ** 2
        return -moments.size * math.log(std) - 0.5 * squares / std / std
    tail, mass = np.empty(n + 1), np.empty(n)
    fill_mass(nodes, mean, std, tail, mass)
    total = 0.0
    for v in range(n):
        if class_counts[v] > 0.0:
            if mass[v] > TINY:
                total += class_counts[v] * fast_log(mass[v])
            else:
                total += class_counts[v] * log_mass(nodes, v, True, mean, std)
    return total


@kernel
def log_prior(family: int, first: float, second: float, x: float, std: float) -> float:
    """Log density of one family of ``gibbs.FAMILY_CODES`` at x, up to a constant; ``std`` is the class's."""
    if family == 0:  # normal
        return -0.5 * ((x - first) / second) ** 2
    if family == 1:  # uniform
        return 0.0 if first <= x <= second else -math.inf
    if family == 2:  # half-normal
        return -0.5 * (x / first) ** 2
    if family == 3:  # inverse gamma on the square
        return -(2.0 * first + 1.0) * math.log(x) - second / (x * x)
    return -0.5 * second * ((x - first) / std) ** 2 - math.log(std)  # normal scaled by the class's std


@kernel
def class_log_prior(model: Model, k: int, mean: float, std: float) -> float:
    """Log prior of one class's mean and std, up to a constant."""
    of_mean = log_prior(model.families[0], model.priors[0, 0, k], model.priors[0, 1, k], mean, std)
    return of_mean + log_prior(model.families[1], model.priors[1, 0, k], model.priors[1, 1, k], std, std)


@kernel
def class_log_posterior(model, own, moments, bounds, k, point, j, x):
    """Log conditional of one class at ``point`` (mean, log std) with coordinate j set to x.

    ``own`` (n_counts,) are the class's pixels; ``bounds`` (2,) hold the mean.
    """
    mean, log_std = (x, point[1]) if j == 0 else (point[0], x)
    if abs(log_std) > 300.0 or not bounds[0] < mean < bounds[1]:
        return -math.inf
    std = math.exp(log_std)
    prior = class_log_prior(model, k, mean, std) + log_std
    return prior if prior == -math.inf else prior + class_log_likelihood(model.nodes, own, moments, mean, std)


@kernel
def slice_class(model, own, moments, bounds, k, point, widths, rng):
    """Draw one class's mean, then its log std, in place, by slice sampling with doubling.

    Neal 2003, Annals of Statistics 31, 705, figures 4 to 6: it leaves the conditional invariant exactly,
    whatever prior and intervals, and finds a slice of any width in few steps.
    """
    for j in range(2):
        held, width = point[j], widths[j]
        level = class_log_posterior(model, own, moments, bounds, k, point, j, held)
        level -= rng.standard_exponential()
        left = held - width * rng.random()
        right = left + width
        at_left = class_log_posterior(model, own, moments, bounds, k, point, j, left)
        at_right = class_log_posterior(model, own, moments, bounds, k, point, j, right)
        for _ in range(200):
            if at_left <= level and at_right <= level:
                break
            if rng.random() < 0.5:
                left -= right - left
                at_left = class_log_posterior(model, own, moments, bounds, k, point, j, left)
            else:
                right += right - left
                at_right = class_log_posterior(model, own, moments, bounds, k, point, j, right)
        low, high = left, right
        while True:
            x = low + (high - low) * rng.random()
            height = class_log_posterior(model, own, moments, bounds, k, point, j, x)
            if x == held:
                break
            if height > level and reachable(
                model, own, moments, bounds, k, point, j, x, left, right, width, level
            ):
                break
            if x < held:
                low = x
            else:
                high = x
        point[j] = x


@kernel
def reachable(model, own, moments, bounds, k, point, j, x, left, right, width, level):
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
        if (
            apart
            and class_log_posterior(model, own, moments, bounds, k, point, j, left) <= level
            and class_log_posterior(model, own, moments, bounds, k, point, j, right) <= level
        ):
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

    Under an exchangeable prior classes cross freely and are sorted afterwards; else each mean stays between
    its neighbors.
    """
    n_classes = weights.size
    widths, bounds, point = np.empty(2), np.empty(2), np.empty(2)
    split_counts(model.nodes, model.counts, weights, means, stds, rng, split)
    total = 0.0
    for k in range(n_classes):
        moments = moments_of(model.nodes, split[k], means[k])
        bounds[0] = -math.inf if model.exchangeable or k == 0 else means[k - 1]
        bounds[1] = math.inf if model.exchangeable or k == n_classes - 1 else means[k + 1]
        widths[0] = max(3.0 * stds[k] / math.sqrt(moments.size + 1.0), model.narrowest)
        widths[1] = 3.0 / math.sqrt(2.0 * moments.size + 1.0)
        point[0], point[1] = means[k], math.log(stds[k])
        slice_class(model, split[k], moments, bounds, k, point, widths, rng)
        means[k], stds[k] = point[0], math.exp(point[1])
        weights[k] = max(rng.standard_gamma(model.concentration[k] + moments.size), 1e-300)
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
