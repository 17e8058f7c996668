"""Expectation-maximization over levels.

A step is a scaled gradient step (Xu and Jordan 1996, Neural Computation 8, 129), which holds for intervals
and points alike.
"""

import numpy as np
from numpy.typing import NDArray

from .density import Observed, Parameters, std_limits

Array = NDArray[np.float64]


def em_step(observed: Observed, parameters: Parameters) -> tuple[Array, Parameters]:
    """One EM step for a batch of parameters (n, n_classes); returns the log likelihood before it too."""
    from .kernels import scores

    weights, means, stds = (np.ascontiguousarray(part) for part in parameters)
    likelihood, sizes, by_mean, by_log_std = scores(observed.nodes, observed.counts, weights, means, stds)
    sizes = np.maximum(sizes, 1e-3)
    shift = stds**2 * by_mean / sizes
    variance = stds**2 * (1 + by_log_std / sizes) - shift**2
    low, high = observed.span
    moved = means + shift
    return likelihood, Parameters(
        sizes / sizes.sum(axis=1, keepdims=True),
        np.clip(moved, low - 2 * (high - low), high + 2 * (high - low)),
        np.clip(np.sqrt(np.maximum(variance, 0.0)), *std_limits(observed)),
    )
