"""k-means over levels: every pixel to the nearest mean, every mean to its pixels' average.

Lloyd (1982), IEEE Transactions on Information Theory 28, 129. In one dimension classes are intervals.
"""

import numpy as np
from numpy.typing import NDArray

from .density import Observed, Parameters

Array = NDArray[np.float64]

N_STARTS, MAX_STEPS = 50, 300


def fit_kmeans(
    observed: Observed, values: Array, n_classes: int, *, rng: np.random.Generator
) -> tuple[Parameters, float]:
    """Run k-means from many starts and keep the best.

    Parameters
    ----------
    observed : Observed
        Its counts at its levels are the weights.
    values : (n_levels,) float64
        The intensity of each level.
    n_classes : int
        K, at most the number of levels.
    rng : Generator

    Returns
    -------
    Parameters (n_classes,) of the classes found, ascending, and the sum of squared distances.
    """
    counts = observed.counts[observed.columns]
    best: tuple[float, Array] = (np.inf, np.zeros(0))
    for _ in range(N_STARTS):
        starts = rng.choice(len(values), n_classes, replace=False, p=counts / counts.sum())
        centers = _lloyd(values, counts, np.sort(values[starts]))
        squares = float((counts * np.abs(values[:, None] - centers).min(axis=1) ** 2).sum())
        best = min(best, (squares, centers), key=lambda found: found[0])
    return _describe(values, counts, best[1]), best[0]


def _lloyd(values: Array, counts: Array, centers: Array) -> Array:
    """Move centers until they stand still."""
    for _ in range(MAX_STEPS):
        label = _nearest(values, centers)
        sizes = np.bincount(label, counts, len(centers))
        sums = np.bincount(label, counts * values, len(centers))
        moved = np.where(sizes > 0, sums / np.maximum(sizes, 1e-300), centers)
        if (moved == centers).all():
            break
        centers = moved
    return centers


def _nearest(values: Array, centers: Array) -> NDArray[np.intp]:
    return np.searchsorted((centers[1:] + centers[:-1]) / 2, values)


def _describe(values: Array, counts: Array, centers: Array) -> Parameters:
    label = _nearest(values, centers)
    sizes = np.bincount(label, counts, len(centers))
    squares = np.bincount(label, counts * (values - centers[label]) ** 2, len(centers))
    return Parameters(sizes / sizes.sum(), centers, np.sqrt(squares / np.maximum(sizes, 1e-300)))
