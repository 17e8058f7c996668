"""Sweeps with planted faults, in place of ``Sweeps.sweep``: controls that tests must catch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmix.potts.kernels import fill_cuts, sweep_table
from segmix.potts.sweeps import UNSEEN, Sweeps

Array = NDArray[np.float64]

SWEEP = Sweeps.sweep  # the right one, whatever a test puts in its place


def gibbs(sweeps: Sweeps, labels: Any, shares: Array, beta: float, **rest: Any) -> None:
    """No fault."""
    SWEEP(sweeps, labels, shares, beta, **rest)


def stale(sweeps: Sweeps, labels: Any, shares: Array, beta: float, **rest: Any) -> None:
    """All planes drawn from the labels before the sweep, as if all pixels were of one color."""
    _sweep_at_once(sweeps, [range(len(labels))], labels, shares, beta, **rest)


def pairs(sweeps: Sweeps, labels: Any, shares: Array, beta: float, **rest: Any) -> None:
    """Neighbors in a row drawn at once: the wrong order of colors."""
    _sweep_at_once(sweeps, [(0, 1), (2, 3)], labels, shares, beta, **rest)


def two_colors(sweeps: Sweeps, labels: Any, shares: Array, beta: float, **rest: Any) -> None:
    """The two colors of four neighbors, wrong where there are eight."""
    _sweep_at_once(sweeps, [(0, 3), (1, 2)], labels, shares, beta, **rest)


def half(sweeps: Sweeps, labels: Any, shares: Array, beta: float, **rest: Any) -> None:
    """Beta of Ising's coupling, half of Potts'."""
    SWEEP(sweeps, labels, shares, beta / 2, **rest)


def shared(sweeps: Sweeps, labels: Any, shares: Array, beta: float, **rest: Any) -> None:
    """The same random numbers in every other sweep."""
    SWEEP(sweeps, labels, shares, beta, **rest | {"number": rest["number"] // 2 % 7})


def biased(
    sweeps: Sweeps, labels: Any, shares: Array, beta: float, *,
    keys: Any, number: int, table: Any, seen: Any = UNSEEN,
) -> None:  # fmt: skip
    """A generator whose numbers are 4 % too high: each reaches a cut that is 4 % above it."""
    assert sweeps.states is not None
    agreements = sweeps.states.agreements
    gains = np.exp(beta * (agreements - agreements.max(axis=1, keepdims=True)))
    fill_cuts(shares, gains, True, table.high, table.low)
    table.high[:] = (table.high * 0.96).astype(np.uint16)
    sweep_table(labels, sweeps.codes, sweeps.grid, table, table.columns.dtype.type(0), keys, number, seen)


def _sweep_at_once(sweeps: Sweeps, groups: Any, labels: Any, shares: Array, beta: float, **rest: Any) -> None:
    """Draw group after group of planes, all planes of one from the labels before it."""
    one = Sweeps.__new__(Sweeps)
    one.__dict__.update(sweeps.__dict__)
    for group in groups:
        before = labels.copy()
        for plane in group:
            copy = before.copy()
            one.grid = sweeps.grid._replace(order=np.array([plane]))
            SWEEP(one, copy, shares, beta, **rest)
            labels[plane] = copy[plane]
