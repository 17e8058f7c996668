"""Exact hidden Potts fields: by enumeration of all labelings, and of strips by transfer matrices."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from segmix.potts.external import ExternalField
from segmix.potts.lattice import Lattice

from . import naive_potts as naive

Array = NDArray[np.float64]


class Field(NamedTuple):
    """All labelings of a small lattice: labels (m, n) of the pixels in ``sites`` order, and S (m,)."""

    labels: NDArray[np.int8]
    agreements: Array


class Exact(NamedTuple):
    """p(z_i = k) (n, n_classes), E[S], and the log of the sum over all labelings."""

    marginals: Array
    agreements: float
    log_sum: float


def enumerate_field(lattice: Lattice, n_classes: int) -> Field:
    """All n_classes^n labelings."""
    sites = naive.sites(lattice)
    place = {site: i for i, site in enumerate(sites)}
    labels = np.array(list(product(range(n_classes), repeat=len(sites))), np.int8)
    total = np.zeros(len(labels))
    for i, site in enumerate(sites):
        for other, coupling in naive.neighbors(lattice, site):
            if place[other] > i:
                total += coupling * (labels[:, i] == labels[:, place[other]])
    return Field(labels, total)


def solve(field: Field, log_shares: Array, beta: float) -> Exact:
    """Sums over all labelings with the log weights (n, n_classes) of each pixel's classes."""
    n, n_classes = log_shares.shape
    energy = beta * field.agreements + log_shares[np.arange(n), field.labels].sum(axis=1)
    total = float(logsumexp(energy))
    p = np.exp(energy - total)
    marginals = np.stack([p @ (field.labels == k) for k in range(n_classes)], axis=1)
    return Exact(marginals, float(p @ field.agreements), total)


def transfer(log_shares: Array, beta: float, connectivity: int = 1) -> tuple[Array, float]:
    """Marginals (rows, cols, n_classes) and log sum of a strip, by forward and backward passes over rows.

    log_shares (rows, cols, n_classes); all n_classes^cols states of a row are held, so that cols is small.
    """
    rows, cols, n_classes = log_shares.shape
    states = np.array(list(product(range(n_classes), repeat=cols)))
    within = beta * (states[:, 1:] == states[:, :-1]).sum(axis=1)
    between = (states[:, None] == states[None]).sum(axis=2).astype(float)
    if connectivity == 2:
        between += (states[:, None, 1:] == states[None, :, :-1]).sum(axis=2)
        between += (states[:, None, :-1] == states[None, :, 1:]).sum(axis=2)
    step = np.exp(beta * (between - between.max()))
    own = np.stack([log_shares[r][np.arange(cols), states].sum(axis=1) + within for r in range(rows)])
    forward, backward = np.empty_like(own), np.zeros_like(own)
    forward[0] = own[0]
    for r in range(1, rows):
        top = forward[r - 1].max()
        forward[r] = own[r] + top + np.log(np.exp(forward[r - 1] - top) @ step) + beta * between.max()
    for r in range(rows - 2, -1, -1):
        after = own[r + 1] + backward[r + 1]
        top = after.max()
        backward[r] = top + np.log(step @ np.exp(after - top)) + beta * between.max()
    total = float(logsumexp(forward[-1]))
    p = np.exp(forward + backward - total)
    marginals = np.stack([p @ (states == k) for k in range(n_classes)], axis=2)
    return marginals, total


def all_statistics(lattice: Lattice, n_classes: int) -> tuple[NDArray[Any], Array]:
    """Every labeling, and its pixels of each class but the last with its agreements."""
    field = enumerate_field(lattice, n_classes)
    sizes = [(field.labels == k).sum(axis=1) for k in range(n_classes - 1)]
    return field.labels, np.stack([*sizes, field.agreements], axis=1).astype(float)


class ExactConstant(ExternalField):
    """The constant by enumeration of all labelings."""

    statistics: Array

    def log_constant(self, thetas: Array) -> Array:
        return np.log(np.exp(self.statistics @ thetas.T).sum(axis=0))

    def distance(self, thetas: Array) -> Array:
        return np.zeros(len(thetas))


def exact_constant(lattice: Lattice, n_classes: int) -> ExactConstant:
    d = n_classes
    found = ExactConstant(
        0, 0, np.zeros(d), np.eye(d), np.zeros((1, d), int), np.zeros(1), 1.0, 0.7 * np.eye(d)
    )
    object.__setattr__(found, "statistics", all_statistics(lattice, n_classes)[1])
    return found
