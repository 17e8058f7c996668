"""Sweeps of one image's labels: by table where it fits, else by the general kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .clusters import bind, relabel
from .count_kernels import agreements_of, count_classes, count_states
from .kernels import Grid, Table, fill_cuts, sweep_any, sweep_table
from .lattice import OUTSIDE, Lattice
from .states import States, number_states, number_sums

Array = NDArray[np.float64]
Planes = NDArray[np.uint8]

MAX_TABLE = 1 << 20  # bytes, to stay in a core's cache
FEW = 1 << 13  # columns, which are filled in less time than all else of a step takes
PLAIN_EVERY = 4  # sweeps by table, in which a label's place now does not matter
UNSEEN = np.zeros((0, 1, 1), np.uint32)


class Sweeps:
    """Gibbs sweeps over the labels of a lattice whose pixels have levels.

    Parameters
    ----------
    lattice : Lattice
    codes : (*shape) uint8 or uint16
        The level of each pixel; any value outside the domain.
    n_levels, n_classes : int
    by_table : bool, optional
        Whether conditional probabilities are looked up. Default: where the table is small against the image
        and a core's cache.
    """

    def __init__(
        self,
        lattice: Lattice,
        codes: NDArray[Any],
        n_levels: int,
        n_classes: int,
        *,
        by_table: bool | None = None,
    ) -> None:
        self.lattice, self.n_levels, self.n_classes = lattice, n_levels, n_classes
        self.codes = lattice.split(codes, fill=0)
        self.grid = Grid(lattice.rows, lattice.width, lattice.order, *lattice.neighbors, lattice.couplings)
        self.units, self.couplings = number_sums(lattice)
        self.states = None if by_table is False else number_states(lattice, n_classes)
        if by_table is None and self.states is not None and not self._pays(self.states):
            self.states = None

    def _pays(self, states: States) -> bool:
        entries = self.n_levels * len(states.agreements)
        size = 4 * entries * (self.n_classes - 1) * self.n_classes
        return size <= MAX_TABLE and entries * self.n_classes <= max(self.lattice.n_pixels // 4, FEW)

    def prepare(self) -> Table | None:
        """A table to be filled by one thread at a time; None where there is none."""
        if self.states is None:
            return None
        n = self.n_classes * self.n_levels * len(self.states.agreements)
        kind: Any = np.uint16 if n <= 1 << 16 else np.uint32
        high, low = (np.zeros((self.n_classes - 1, n), np.uint16) for _ in range(2))
        return Table(
            self.states.strides.dtype.type(self.states.base), self.states.strides, self.states.state_of,
            kind(len(self.states.agreements)), high, low, np.zeros(self.lattice.width, kind),
        )  # fmt: skip

    def sweep(
        self,
        labels: Planes,
        shares: Array,
        beta: float,
        *,
        keys: NDArray[np.uint32],
        number: int,
        table: Table | None,
        seen: NDArray[np.uint32] = UNSEEN,
    ) -> None:
        """Draw every label once, in place.

        Parameters
        ----------
        labels : (n_planes, plane size) uint8
        shares : (n_levels, n_classes)
            Weight of each class at each level, up to a factor a level.
        beta : float
            Inverse temperature.
        keys : (2,) uint32
            From ``philox.keys_of``.
        number : int
            Of the sweep; the same numbers give the same labels.
        table : Table or None
            From ``prepare``.
        seen : (n_classes - 1, n_planes, plane size) uint32, optional
            P(z <= k | rest) is added to it, in units of 2^-16.
        """
        if table is None or self.states is None:
            by_class = np.ascontiguousarray(shares.T)
            gains = np.exp(beta * self.couplings)
            sweep_any(labels, self.codes, self.grid, self.units, by_class, gains, keys, number, seen)
            return
        agreements = self.states.agreements
        gains = np.exp(beta * (agreements - agreements.max(axis=1, keepdims=True)))
        plain = seen.size > 0 or number % PLAIN_EVERY == 0
        fill_cuts(shares, gains, plain, table.high, table.low)
        apart = table.columns.dtype.type(0 if plain else table.high.shape[1] // self.n_classes)
        sweep_table(labels, self.codes, self.grid, table, apart, keys, number, seen)

    def sweep_clusters(
        self, labels: Planes, log_shares: Array, beta: float, *, keys: NDArray[np.uint32], number: int
    ) -> None:
        """Draw every cluster of bound pixels once, in place, by Swendsen and Wang's method.

        ``log_shares`` (n_levels, n_classes) are logs of the weights; the rest is as in ``sweep``.
        """
        parents = np.empty(labels.size, np.int32)
        chances = -np.expm1(-beta * self.lattice.couplings)
        bind(labels, self.grid, chances, keys, number, parents)
        relabel(labels, self.codes, self.grid, log_shares, keys, number, parents)

    def agreements(self, labels: Planes) -> float:
        """S(z), the sum of the couplings of neighbor pairs of one class."""
        return float(agreements_of(labels, self.grid))

    def count_states(
        self, labels: Planes, states: States, joined: NDArray[np.intp] | None = None
    ) -> NDArray[np.int64]:
        """How many pixels of each level have neighbors of each state, (n_levels, n_states).

        Levels of one number of ``joined`` (n_levels,), which ascends from 0, count together.
        """
        joined = np.arange(self.n_levels) if joined is None else joined
        counts = np.zeros((int(joined[-1]) + 1, len(states.agreements)), np.int64)
        base = states.strides.dtype.type(states.base)
        count_states(labels, self.codes, self.grid, base, states.strides, states.state_of, joined, counts)
        return counts

    def count(self, labels: Planes) -> NDArray[np.int64]:
        """How many pixels of each level are of each class, (n_levels, n_classes)."""
        counts = np.zeros((2, self.n_levels, self.n_classes), np.int64)
        count_classes(labels, self.codes, self.grid, counts)
        total: NDArray[np.int64] = counts.sum(axis=0)
        return total

    def lay_out(self, labels: NDArray[np.uint8]) -> Planes:
        """Put labels (*shape) into planes, 255 outside the domain."""
        domain = self.lattice.domain
        inside = labels if domain is None else np.where(domain, labels, np.uint8(OUTSIDE))
        planes: Planes = self.lattice.split(inside.astype(np.uint8), fill=OUTSIDE)
        return planes
