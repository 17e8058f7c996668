"""Sweeps over the labels of a Potts field: one plane of pixels that are no neighbors after the other.

p(z_i = k | rest) is in proportion to m_k(v_i) exp(beta sum_j c_ij [z_j = k]), with m_k(v) the weight of class
k at the pixel's level. Labels (n_planes, plane size) are uint8, 255 outside the domain (see ``lattice``);
codes are the pixels' levels in the same layout. Random numbers belong to a place and a sweep, not to a
moment, so that no order of work changes a label.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import inlined, kernel
from .philox import LABELS, LOW_BITS, fill_words

Array = NDArray[np.float64]
Labels = NDArray[np.uint8]
Codes = NDArray[Any]
Words = NDArray[np.uint32]
Halves = NDArray[np.uint16]

OUTSIDE = np.uint8(255)
_HALF, _LOW, _LAST_HALF = np.uint32(16), np.uint32(0xFFFF), np.uint16(0xFFFF)
MOST = 1.5  # times as often as by the conditional: of two like classes three of four labels change
_WHOLE, _LAST = 4294967296.0, 4294967295.0  # 2^32, and the largest cut there is


class Table(NamedTuple):
    """A conditional distribution by look-up: ``states.States``, their number, and the cuts of ``fill_cuts``.

    ``base`` is of the type of ``strides``, ``n_states`` of that of ``columns`` (width,), which is scratch.
    """

    base: Any
    strides: NDArray[Any]
    state_of: NDArray[np.uint16]
    n_states: np.uint32
    high: NDArray[np.uint16]
    low: NDArray[np.uint16]
    columns: NDArray[Any]


class Grid(NamedTuple):
    """A lattice as the kernels take it.

    Where rows begin (n_rows,) and their width, the planes in the order of a sweep, and of the neighbors their
    planes and distances in memory (n_planes, n_offsets) and their couplings (n_offsets,).
    """

    rows: NDArray[np.int64]
    width: int
    order: NDArray[np.int64]
    planes: NDArray[np.int64]
    shifts: NDArray[np.int64]
    couplings: NDArray[np.float64]


@kernel
def fill_cuts(shares: Array, gains: Array, plain: bool, high: Halves, low: Halves) -> None:
    """Fill P(z <= k | level, state, label now) in units of 2^-32, as high and low 16 bits (n_classes - 1, n).

    The column of level v, state s and label z is (z n_levels + v) n_states + s. shares (n_levels, n_classes)
    are m_k(v) up to a factor a level, gains (n_states, n_classes) are exp(beta times the agreements), so that
    p_k = m_k(v) gains_k / sum is the conditional probability. With ``plain`` that is what is filled, under
    label 0. Else a label leaves more often: another class k follows with p_k min(r_z, r_k), r_k = min(1 /
    (1 - p_k), 3/2), which keeps p (Liu 1996, Biometrika 83, 681, has it without the 3/2, which keeps labels
    that nothing tells apart from changing in step).
    """
    n_levels, n_classes = shares.shape
    n_states = gains.shape[0]
    p, often = np.empty(n_classes), np.ones(n_classes)
    for v in range(n_levels):
        for s in range(n_states):
            total = 0.0
            for k in range(n_classes):
                p[k] = shares[v, k] * gains[s, k]
                total += p[k]
            for k in range(n_classes):
                p[k] /= total
                if not plain:
                    often[k] = min(1.0 / (1.0 - p[k]), MOST)
            for z in range(1 if plain else n_classes):
                column = (z * n_levels + v) * n_states + s
                leaves = 0.0
                for k in range(n_classes):
                    leaves += p[k] * min(often[z], often[k]) if k != z else 0.0
                mass = 0.0
                for k in range(n_classes - 1):
                    mass += p[k] * min(often[z], often[k]) if k != z else 1.0 - leaves
                    cut = np.uint32(min(max(mass, 0.0) * _WHOLE, _LAST))
                    high[k, column] = cut >> _HALF
                    low[k, column] = cut & _LOW


@kernel
def sweep_table(
    labels: Labels, codes: Codes, grid: Grid, table: Table, apart: Any, keys: Words, number: int, seen: Words
) -> None:
    """Draw every label once, in place, by look-up of its level, its neighbors' state and what it is now.

    ``apart`` is how far apart in the table the columns of two labels are; 0 where the label now does not
    matter. The new label is the number of cuts (see ``fill_cuts``) that 32 random bits reach. The first 16
    decide for all but a few in 65,536, whose row then gets its second 16. ``number`` is the sweep's. Where
    ``seen`` (n_classes - 1, n_planes, plane size) uint32 is not empty, the cuts are added to it in units of
    2^-16, rounded down.
    """
    width, high, low, columns = grid.width, table.high, table.low, table.columns
    n_cuts, n_states, last = high.shape[0], table.n_states, np.uint8(high.shape[0])
    words = np.empty((4, (width + 7) // 8), np.uint32)
    rest = np.empty((4, (width + 7) // 8), np.uint32)
    bits, more = words.reshape(-1).view(np.uint16), rest.reshape(-1).view(np.uint16)
    sums, new, cut = (
        np.empty(width, table.strides.dtype),
        np.empty(width, np.uint8),
        np.empty(width, np.uint16),
    )
    for p in grid.order:
        for r in range(grid.rows.size):
            first = grid.rows[r]
            fill_words(keys, r, number, LABELS + p, words)
            add_neighbors(labels, grid, p, first, table.base, table.strides, sums)
            code, z = codes[p][first : first + width], labels[p][first : first + width]
            if table.state_of.size:
                for i in range(width):
                    columns[i] = code[i] * n_states + table.state_of[sums[i]]
            else:
                for i in range(width):
                    columns[i] = code[i] * n_states + sums[i]
            if apart:
                for i in range(width):
                    columns[i] += min(z[i], last) * apart
            new[:] = 0
            nearest = _LAST_HALF  # of all cuts to the bits, in a measure that is 0 for equal ones
            for k in range(n_cuts):
                row = high[k]
                for i in range(width):
                    cut[i] = row[columns[i]]
                for i in range(width):
                    new[i] += np.uint8(bits[i] >= cut[i])
                    nearest = min(nearest, np.uint16(bits[i] ^ cut[i]))
                if seen.size:
                    total = seen[k, p, first : first + width]
                    for i in range(width):
                        total[i] += cut[i]
            if nearest == 0:
                fill_words(keys, r, number, LOW_BITS + p, rest)
                for k in range(n_cuts):
                    for i in range(width):
                        if bits[i] == high[k, columns[i]] and more[i] < low[k, columns[i]]:
                            new[i] -= 1
            for i in range(width):
                z[i] = OUTSIDE if z[i] == OUTSIDE else new[i]


@inlined
def add_neighbors(
    labels: Labels, grid: Grid, p: int, first: int, base: Any, strides: NDArray[Any], sums: NDArray[Any]
) -> None:
    """Fill ``sums`` (width,) with the neighbors' digits of one row of plane p, which begins at ``first``."""
    width, n_classes, zero = grid.width, strides.shape[1], strides.dtype.type(0)
    sums[:] = base
    for j in range(0, grid.couplings.size, 2):  # an offset and its opposite, whose digits are the same
        one, other = first + grid.shifts[p, j], first + grid.shifts[p, j + 1]
        near, far = labels[grid.planes[p, j]], labels[grid.planes[p, j + 1]]
        near, far = near[one : one + width], far[other : other + width]
        for k in range(0, n_classes, 2):
            label, digit = np.uint8(k), strides[j, k]
            next_label, next_digit = np.uint8(k + 1), strides[j, min(k + 1, n_classes - 1)]
            for i in range(width):
                a = digit if near[i] == label else next_digit if near[i] == next_label else zero
                b = digit if far[i] == label else next_digit if far[i] == next_label else zero
                sums[i] += a + b


@kernel
def sweep_any(
    labels: Labels,
    codes: Codes,
    grid: Grid,
    units: Halves,
    shares: Array,
    gains: Array,
    keys: Words,
    number: int,
    seen: Words,
) -> None:
    """Draw every label once, in place, for any number of classes and neighborhoods.

    shares (n_classes, n_levels) are m_k(v) up to a factor a level. A neighbor of a class adds ``units``
    (n_offsets,) to the class's sum, and ``gains`` (n_sums,) are exp(beta times the couplings) of a sum.
    ``seen`` is as in ``sweep_table``.
    """
    width, n_classes = grid.width, shares.shape[0]
    words = np.empty((4, (width + 3) // 4), np.uint32)
    bits, below, sums = words.reshape(-1), np.empty((n_classes, width)), np.empty(width, np.uint16)
    total, new = np.empty(width), np.empty(width, np.uint8)
    for p in grid.order:
        for r in range(grid.rows.size):
            first = grid.rows[r]
            fill_words(keys, r, number, LABELS + p, words)
            code, z = codes[p][first : first + width], labels[p][first : first + width]
            total[:] = 0.0
            for k in range(n_classes):
                add_class(labels, grid, p, first, k, units, sums)
                own, cumulative = shares[k], below[k]
                for i in range(width):
                    total[i] += own[code[i]] * gains[sums[i]]
                    cumulative[i] = total[i]
            new[:] = 0
            for k in range(n_classes - 1):
                cumulative = below[k]
                for i in range(width):
                    new[i] += np.uint8(bits[i] * (total[i] / _WHOLE) >= cumulative[i])
                if seen.size:
                    added = seen[k, p, first : first + width]
                    for i in range(width):
                        added[i] += np.uint32(min(cumulative[i] / total[i] * 65536.0, 65535.0))
            for i in range(width):
                z[i] = OUTSIDE if z[i] == OUTSIDE else new[i]


@kernel
def add_class(labels: Labels, grid: Grid, p: int, first: int, k: int, units: Halves, sums: Halves) -> None:
    """Fill ``sums`` (width,) with the units of the neighbors of class k of one row of plane p."""
    width, label = grid.width, np.uint8(k)
    sums[:] = 0
    for j in range(units.size):
        start, unit = first + grid.shifts[p, j], units[j]
        near = labels[grid.planes[p, j]][start : start + width]
        for i in range(width):
            sums[i] += unit if near[i] == label else np.uint16(0)
