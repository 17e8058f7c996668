"""Swendsen-Wang: whole clusters of equal labels change together, which single pixels take long to do.

Swendsen and Wang (1987), Physical Review Letters 58, 86: equal neighbors are bound with probability
1 - exp(-beta c_ij), and every cluster of bound pixels draws a common label from the product of its pixels'
weights.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import inlined, kernel
from .kernels import Grid
from .philox import BONDS, CLUSTERS, fill_words

_OUTSIDE = np.uint8(255)
_WHOLE = 4294967296.0


@inlined
def root_of(parents, t):
    """The first pixel of a cluster, with the path to it halved on the way."""
    while parents[t] != t:
        parents[t] = parents[parents[t]]
        t = parents[t]
    return t


@kernel
def bind(
    labels: NDArray[np.uint8],
    grid: Grid,
    chances: NDArray[np.float64],
    keys: NDArray[np.uint32],
    number: int,
    parents: NDArray[np.int32],
) -> None:
    """Bind equal neighbors, those at offset j with probability ``chances[j]``.

    Fills ``parents`` (n_planes * plane size,), where a cluster's first pixel is its own parent.
    """
    size, width = labels.shape[1], grid.width
    words = np.empty((4, (width + 3) // 4), np.uint32)
    bits = words.reshape(-1)
    for t in range(parents.size):
        parents[t] = t
    for p in range(labels.shape[0]):
        for j in range(0, grid.couplings.size, 2):  # of each pair of opposite offsets one
            cut = np.uint32(min(chances[j] * _WHOLE, _WHOLE - 1.0))
            q, shift = grid.planes[p, j], grid.shifts[p, j]
            for r in range(grid.rows.size):
                fill_words(keys, r, number, BONDS + 32 * p + j, words)
                for i in range(width):
                    t = grid.rows[r] + i
                    if bits[i] >= cut or labels[p, t] == _OUTSIDE or labels[p, t] != labels[q, t + shift]:
                        continue
                    one, other = root_of(parents, p * size + t), root_of(parents, q * size + t + shift)
                    parents[max(one, other)] = min(one, other)


@inlined
def pick(logs, u):
    """The class at u in [0, 1) of the distribution whose logs are given up to a constant."""
    top, total = logs.max(), 0.0
    for k in range(logs.size):
        total += math.exp(logs[k] - top)
    left, k = u * total, 0
    while k < logs.size - 1:
        mass = math.exp(logs[k] - top)
        if left < mass:
            break
        left -= mass
        k += 1
    return k


@kernel
def relabel(
    labels: NDArray[np.uint8],
    codes: NDArray[Any],
    grid: Grid,
    log_shares: NDArray[np.float64],
    keys: NDArray[np.uint32],
    number: int,
    parents: NDArray[np.int32],
) -> None:
    """Draw a label for every cluster, in place; log_shares (n_levels, n_classes) are logs of the weights."""
    size, width, n_classes = labels.shape[1], grid.width, log_shares.shape[1]
    place, n_clusters = np.empty(parents.size, np.int32), 0
    for t in range(parents.size):
        if parents[t] == t:
            place[t] = n_clusters
            n_clusters += 1
    totals = np.zeros((n_clusters, n_classes))
    for p in range(labels.shape[0]):
        for t in range(size):
            if labels[p, t] != _OUTSIDE:
                cluster = place[root_of(parents, p * size + t)]
                for k in range(n_classes):
                    totals[cluster, k] += log_shares[codes[p, t], k]
    words = np.empty((4, (width + 3) // 4), np.uint32)
    bits = words.reshape(-1)
    for p in range(labels.shape[0]):
        for r in range(grid.rows.size):
            fill_words(keys, r, number, CLUSTERS + p, words)
            for i in range(width):
                t = grid.rows[r] + i
                if labels[p, t] == _OUTSIDE:
                    continue
                root = root_of(parents, p * size + t)
                if root != p * size + t:  # its first pixel came before
                    labels[p, t] = labels[root // size, root % size]
                else:
                    labels[p, t] = pick(totals[place[root]], bits[i] / _WHOLE)
