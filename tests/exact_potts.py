"""Exact hidden Potts fields: by enumeration of all labelings, and of strips by transfer matrices."""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, eye
from scipy.sparse.linalg import splu
from scipy.special import logsumexp

from segmix.potts.external import ExternalField
from segmix.potts.lattice import Lattice

from . import naive_potts as naive

Array = NDArray[np.float64]

STEP = 1e-4  # of a slope: its error is a few 1e-9 of a curve's own size


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


def transfer(log_shares: Array, beta: float, connectivity: int = 1) -> Exact:
    """Solve a strip by forward and backward passes over its rows; marginals are (rows, cols, n_classes).

    log_shares (rows, cols, n_classes); all n_classes^cols states of a row are held, so that cols is small.
    """
    rows, cols, n_classes = log_shares.shape
    states = np.array(list(product(range(n_classes), repeat=cols)))
    within = (states[:, 1:] == states[:, :-1]).sum(axis=1).astype(float)
    between = (states[:, None] == states[None]).sum(axis=2).astype(float)
    if connectivity == 2:
        between += (states[:, None, 1:] == states[None, :, :-1]).sum(axis=2)
        between += (states[:, None, :-1] == states[None, :, 1:]).sum(axis=2)
    most = between.max()
    step = np.exp(beta * (between - most))
    own = np.stack([log_shares[r][np.arange(cols), states].sum(axis=1) for r in range(rows)]) + beta * within
    forward, backward = np.empty_like(own), np.zeros_like(own)
    forward[0] = own[0]
    for r in range(1, rows):
        top = forward[r - 1].max()
        forward[r] = own[r] + top + np.log(np.exp(forward[r - 1] - top) @ step) + beta * most
    for r in range(rows - 2, -1, -1):
        after = own[r + 1] + backward[r + 1]
        top = after.max()
        backward[r] = top + np.log(step @ np.exp(after - top)) + beta * most
    total = float(logsumexp(forward[-1]))
    p = np.exp(forward + backward - total)
    agreements = float((p @ within).sum())
    for r in range(1, rows):
        after = own[r] + backward[r]
        top = after.max()
        pairs = np.exp(forward[r - 1] + top + beta * most - total) @ (step * between) @ np.exp(after - top)
        agreements += float(pairs)
    return Exact(np.stack([p @ (states == k) for k in range(n_classes)], axis=2), agreements, total)


def strip_constant(shape: tuple[int, int], n_classes: int, beta: float) -> float:
    """log C(beta) of the prior on a strip with four neighbors, by a transfer matrix a pixel at a time.

    Held is a number for every state of the last row, n_classes^cols of them, so that cols may be 16 for two
    classes.
    """
    rows, cols = shape
    gain = np.where(np.eye(n_classes, dtype=bool), np.exp(beta), 1.0)
    mass, log_scale = np.ones((n_classes,) * cols), 0.0
    for pixel in range(rows * cols):
        c = pixel % cols
        if pixel >= cols:  # the label above is summed out
            mass = np.moveaxis(np.tensordot(gain, mass, (1, c)), 0, c)
        if c > 0:
            mass = mass * gain.reshape((n_classes, n_classes) + (1,) * (cols - c - 1))
        top = float(mass.max())
        mass, log_scale = mass / top, log_scale + np.log(top)
    return float(log_scale + np.log(mass.sum()))


def ising_constant(shape: tuple[int, int], beta: float) -> float:
    """log C(beta) of two classes with four neighbors on any rectangle: the formula of Kac and Ward (1952).

    With J = beta / 2, E edges and N pixels, sum exp(J sum s_i s_j) = 2^N cosh(J)^E det(1 - tanh(J) W)^(1/2),
    where W is of directed edges: exp(i turn / 2) from an edge to each that begins where it ends, but for the
    way back (a proof: Lis 2016, A short proof of the Kac-Ward formula).
    """
    rows, cols = shape
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]  # each a quarter turn from the last
    places = [(r, c, d) for r in range(rows) for c in range(cols) for d in range(4)]
    edges = {
        e: i for i, e in enumerate(e for e in places if 0 <= e[0] + steps[e[2]][0] < rows
                                   and 0 <= e[1] + steps[e[2]][1] < cols)
    }  # fmt: skip
    entries: list[tuple[complex, int, int]] = []
    for (r, c, d), i in edges.items():
        for turn in (-1, 0, 1):
            after = (r + steps[d][0], c + steps[d][1], (d + turn) % 4)
            if after in edges:
                entries.append((np.exp(0.25j * np.pi * turn), i, edges[after]))
    values, one, other = zip(*entries, strict=True)
    n, half = len(edges), beta / 2
    turns = coo_matrix((values, (one, other)), shape=(n, n))
    factors = splu((eye(n) - np.tanh(half) * turns).tocsc())
    log_det = float(np.log(np.abs(factors.U.diagonal())).sum())
    n_edges = n / 2
    log_sum = rows * cols * np.log(2.0) + n_edges * np.log(np.cosh(half)) + log_det / 2
    return float(log_sum + beta * n_edges / 2)


def slope(function: Callable[[float], float], at: float) -> float:
    """The derivative, so E[S] from log C."""
    return (function(at + STEP) - function(at - STEP)) / (2 * STEP)


def all_statistics(lattice: Lattice, n_classes: int) -> tuple[NDArray[Any], Array]:
    """Every labeling, and its pixels of each class but the last with its agreements."""
    field = enumerate_field(lattice, n_classes)
    sizes = [(field.labels == k).sum(axis=1) for k in range(n_classes - 1)]
    return field.labels, np.stack([*sizes, field.agreements], axis=1).astype(float)


class ExactConstant(ExternalField):
    """The constant by enumeration of all labelings."""

    statistics: Array

    def log_constant(self, thetas: Array) -> Array:
        return np.asarray(logsumexp(self.statistics @ thetas.T, axis=0))

    def distance(self, thetas: Array) -> Array:
        return np.zeros(len(thetas))


def exact_constant(lattice: Lattice, n_classes: int) -> ExactConstant:
    d = n_classes
    found = ExactConstant(
        0, 0, np.zeros(d), np.eye(d), np.zeros((1, d), int), np.zeros(1), 1.0, 0.7 * np.eye(d)
    )
    object.__setattr__(found, "statistics", all_statistics(lattice, n_classes)[1])
    return found
