"""Places to climb from: many cheap EM runs on joined levels, each optimum once."""

import numpy as np
from numpy.typing import NDArray

from .density import Observed, Parameters
from .em import em_step

Array = NDArray[np.float64]

N_STARTS, N_KEPT = 16, 3  # times the number of classes squared: local maxima multiply with the classes
MOST_CLASSES = 5  # whose square counts: K = 8 and 16 found the same best of 74 starts as of 191
FIRST_STEPS, STEPS_PER_CLASS = 6, 12  # of EM: from all starts, and from those that are kept
START_LEVELS = 64
SAME, WITHIN = 0.05, 40.0  # in units of weights, stds and log stds; nats below the best


def good_starts(observed: Observed, n_classes: int, *, rng: np.random.Generator) -> Parameters:
    """Distinct results of EM from many starts, the most likely first, (n, n_classes)."""
    times = min(n_classes, MOST_CLASSES) ** 2
    coarse = coarsen(observed, START_LEVELS * max(1, n_classes // 2))
    starts = random_starts(coarse, n_classes, N_STARTS * times, rng=rng)
    for n_steps in (FIRST_STEPS, STEPS_PER_CLASS * n_classes):
        for _ in range(n_steps):
            likelihood, starts = em_step(coarse, starts)
        kept = _distinct(likelihood, starts, N_KEPT * times)
        starts = Parameters(*(part[kept] for part in starts))
    return starts


def _distinct(likelihood: Array, starts: Parameters, least: int) -> list[int]:
    """Rows that differ, by descending likelihood: all within 40 nats of the best, and at least so many."""
    order = np.argsort(starts.means, axis=1)
    weights, means, stds = (np.take_along_axis(part, order, axis=1) for part in starts)
    places = np.concatenate([weights, means / stds, np.log(stds)], axis=1)
    rows = np.argsort(-likelihood, kind="stable")
    kept: list[int] = []
    for row in rows:
        if len(kept) >= least and likelihood[row] < likelihood[rows[0]] - WITHIN:
            break
        if not kept or np.abs(places[kept] - places[row]).max(axis=1).min() >= SAME:
            kept.append(int(row))
    return kept


def random_starts(observed: Observed, n_classes: int, n: int, *, rng: np.random.Generator) -> Parameters:
    """Starts of two kinds in turn, (n, n_classes): neighboring shares of the pixels, and scattered classes.

    The first kind are the moments between random quantiles (equal shares at first); the second have means at
    random pixels and stds over two orders of magnitude, so that a narrow class may lie inside a broad one.
    """
    half = -(-n // 2)
    first, second = _neighbors(observed, n_classes, half, rng), _scattered(observed, n_classes, n - half, rng)
    return Parameters(*(np.concatenate(parts) for parts in zip(first, second, strict=True)))


def _scattered(observed: Observed, n_classes: int, n: int, rng: np.random.Generator) -> Parameters:
    reached = np.cumsum(observed.counts) / observed.counts.sum()
    place = np.searchsorted(reached, rng.random((n, n_classes)))
    means = centers_of(observed)[np.minimum(place, len(reached) - 1)]
    low, high = observed.span
    stds = (high - low) * 10 ** rng.uniform(-2.5, -0.4, (n, n_classes))
    return Parameters(rng.dirichlet(np.full(n_classes, 2.0), n), means, stds)


def _neighbors(observed: Observed, n_classes: int, n: int, rng: np.random.Generator) -> Parameters:
    shares = rng.dirichlet(np.ones(n_classes), n)
    shares[0] = 1 / n_classes
    cuts = np.concatenate([np.zeros((n, 1)), np.cumsum(shares, axis=1)], axis=1)
    values, counts = centers_of(observed), observed.counts
    reached = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    part = np.diff(np.minimum(cuts[:, 1:, None], reached[None, None]), axis=2) - np.diff(
        np.minimum(cuts[:, :-1, None], reached[None, None]), axis=2
    )
    sizes = np.maximum(part.sum(axis=2), 1e-12)
    means = (part * values).sum(axis=2) / sizes
    variance = (part * (values - means[..., None]) ** 2).sum(axis=2) / sizes
    low, high = observed.span
    floor = (high - low) / (8 * len(counts)) + (high - low) / 1000
    spread = np.arange(n_classes) * 1e-6 * (high - low)
    return Parameters(np.maximum(shares, 1e-3), means + spread, np.sqrt(variance + floor**2))


def centers_of(observed: Observed) -> Array:
    """An intensity for each count; the finite edge of an open interval."""
    if not observed.binned:
        return observed.nodes
    lower, upper = observed.nodes[:-1], observed.nodes[1:]
    lower, upper = np.where(np.isinf(lower), upper, lower), np.where(np.isinf(upper), lower, upper)
    return np.nan_to_num((lower + upper) / 2, posinf=0.0, neginf=0.0)


def coarsen(observed: Observed, n_levels: int) -> Observed:
    """Join neighboring levels until at most ``n_levels`` of about equal width are left."""
    every = -(-len(observed.counts) // n_levels)
    if every == 1:
        return observed
    first = np.arange(0, len(observed.counts), every)
    counts = np.add.reduceat(observed.counts, first)
    if observed.binned:
        return Observed(np.append(observed.nodes[first], observed.nodes[-1]), counts, first)
    total = np.add.reduceat(observed.counts * observed.nodes, first)
    kept = counts > 0
    return Observed(total[kept] / counts[kept], counts[kept], first[kept])
