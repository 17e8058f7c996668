"""One class's mean and standard deviation given its pixels, by slice sampling, compiled."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import fast_log, kernel
from .kernels import TINY, fill_mass, log_mass

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
def draw_class(model, own, k, free, means, stds, rng):
    """Draw one class's mean and std given its pixels ``own`` (n_counts,), in place; return their number.

    Where not ``free``, the mean stays between its neighbors.
    """
    widths, bounds, point = np.empty(2), np.empty(2), np.empty(2)
    moments = moments_of(model.nodes, own, means[k])
    bounds[0] = -math.inf if free or k == 0 else means[k - 1]
    bounds[1] = math.inf if free or k == means.size - 1 else means[k + 1]
    widths[0] = max(3.0 * stds[k] / math.sqrt(moments.size + 1.0), model.narrowest)
    widths[1] = 3.0 / math.sqrt(2.0 * moments.size + 1.0)
    point[0], point[1] = means[k], math.log(stds[k])
    slice_class(model, own, moments, bounds, k, point, widths, rng)
    means[k], stds[k] = point[0], math.exp(point[1])
    return moments.size
