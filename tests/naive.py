"""Slow and obvious twins of the kernels."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from segmix.mixture.density import Observed, log_table

Array = NDArray[np.float64]


def joint_table(observed: Observed, weights: Array, means: Array, stds: Array) -> Array:
    """log w_k f_k(v), (n_classes, n_counts)."""
    return np.log(weights)[:, None] + log_table(observed, means, stds)


def log_likelihood(observed: Observed, weights: Array, means: Array, stds: Array) -> float:
    """sum_v n_v log sum_k w_k f_k(v)."""
    occupied = observed.counts > 0
    mix = logsumexp(joint_table(observed, weights, means, stds), axis=0)
    return float((observed.counts[occupied] * mix[occupied]).sum())


def probabilities(observed: Observed, weights: Array, means: Array, stds: Array) -> Array:
    """p(z = k | v), (n_classes, n_counts)."""
    joint = joint_table(observed, weights, means, stds)
    result: Array = np.exp(joint - logsumexp(joint, axis=0))
    return result
