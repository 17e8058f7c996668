"""What the neighbors of a pixel can be, numbered, so that a conditional probability is one look-up.

A label has a digit for each class, and the sum of the neighbors' digits tells how many are of each class.
With two classes only their difference matters.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .lattice import Lattice

MAX_SUM = 1 << 16
MAX_STATES = 4096


class States(NamedTuple):
    """Numbered neighborhoods.

    base: the sum of a pixel without neighbors. strides (n_offsets, n_classes) unsigned, of one byte if sums
    fit into it, else two: what a neighbor adds to it, modulo their range, by its place and class. state_of
    (n_sums,) uint16: the state of a sum; empty where each sum is its state. agreements (n_states, n_classes)
    float64: the couplings to neighbors of each class, up to a constant of the state.
    """

    base: int
    strides: NDArray[Any]
    state_of: NDArray[np.uint16]
    agreements: NDArray[np.float64]


def number_states(lattice: Lattice, n_classes: int) -> States | None:
    """Number the neighborhoods of a lattice's pixels; None where they are too many for a table."""
    values, kind = np.unique(lattice.couplings, return_inverse=True)
    degrees = np.bincount(kind)
    digits = _differences(degrees) if n_classes == 2 else _counts(degrees, n_classes)
    if digits is None:
        return None
    strides, counts, sums = digits
    base = -min(0, int(sums.min()))
    sums = sums + base
    by_sum = np.argsort(sums)
    sums, counts = sums[by_sum], counts[by_sum]
    n_sums = int(sums[-1]) + 1
    state_of = np.zeros(0 if n_sums == len(sums) else n_sums, np.uint16)
    if state_of.size:
        state_of[sums] = np.arange(len(sums))
    smallest = np.uint8 if n_sums <= 1 << 8 else np.uint16
    return States(base, strides[kind].astype(smallest), state_of, np.einsum("c,sck->sk", values, counts))


def number_sums(lattice: Lattice) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Number what the neighbors of one class can couple to in sum.

    Returns
    -------
    units : (n_offsets,) uint16
        What a neighbor adds to the number of a sum.
    couplings : (n_sums,) float64
        The sum of the couplings that a number stands for.
    """
    values, kind = np.unique(lattice.couplings, return_inverse=True)
    degrees = np.bincount(kind)
    units = np.cumprod([1, *(degrees[:-1] + 1)])
    counts = np.array(list(product(*(range(d + 1) for d in degrees))))
    couplings = np.empty(len(counts))
    couplings[counts @ units] = counts @ values
    return units[kind].astype(np.uint16), couplings


Digits = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


def _differences(degrees: NDArray[np.intp]) -> Digits | None:
    """Two classes: for each kind of coupling, how many more neighbors are of class 1 than of class 0.

    A neighbor of class 1 adds a unit, one of class 0 takes it away.
    """
    units = np.cumprod([1, *(2 * degrees[:-1] + 1)])
    differences = np.array(list(product(*(range(-d, d + 1) for d in degrees))))
    if len(differences) > MAX_STATES:
        return None
    counts = np.stack([-differences / 2, differences / 2], axis=2)
    strides = np.stack([-units, units], axis=1)
    return strides.astype(np.int64), counts, differences @ units


def _counts(degrees: NDArray[np.intp], n_classes: int) -> Digits | None:
    """Three classes or more: how many neighbors of each kind of coupling are of each class."""
    base = (degrees + 1).astype(object)
    if np.prod(base**n_classes) > MAX_SUM:
        return None
    units = np.cumprod([1, *np.repeat(degrees + 1, n_classes)])[:-1].reshape(len(degrees), n_classes)
    each = [[row for row in product(range(d + 1), repeat=n_classes) if sum(row) <= d] for d in degrees]
    if np.prod([len(rows) for rows in each]) > MAX_STATES:
        return None
    counts = np.array(list(product(*each)))
    return units.astype(np.int64), counts.astype(np.float64), np.einsum("ck,sck->s", units, counts)
