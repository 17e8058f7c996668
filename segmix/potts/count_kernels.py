"""What the labels of a Potts field add up to: pixels by level and class, agreements, states of neighbors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel
from .kernels import OUTSIDE, Codes, Grid, Halves, Labels, add_neighbors


@kernel
def count_classes(labels: Labels, codes: Codes, grid: Grid, counts: NDArray[np.int64]) -> None:
    """Add to ``counts`` (2, n_levels, n_classes) how many pixels of each level are of each class.

    Two partial counts, to be added, keep runs of equal pixels from waiting on one memory cell.
    """
    for p in range(labels.shape[0]):
        for first in grid.rows:
            z, code = labels[p][first : first + grid.width], codes[p][first : first + grid.width]
            for i in range(grid.width):
                if z[i] != OUTSIDE:
                    counts[i & 1, code[i], z[i]] += 1


@kernel
def agreements_of(labels: Labels, grid: Grid) -> float:
    """sum over neighbor pairs of c_ij [z_i = z_j].

    Up to 255 rows are added up column by column, in bytes, before their sum is taken.
    """
    width, total = grid.width, 0.0
    columns = np.zeros(width, np.uint8)
    for j in range(0, grid.couplings.size, 2):  # of each pair of opposite offsets one
        equal, n_rows = 0, 0
        for p in range(labels.shape[0]):
            for first in grid.rows:
                start = first + grid.shifts[p, j]
                z = labels[p][first : first + width]
                near = labels[grid.planes[p, j]][start : start + width]
                for i in range(width):
                    columns[i] += np.uint8(z[i] == near[i]) & np.uint8(z[i] != OUTSIDE)
                n_rows += 1
                if n_rows % 255 == 0:
                    equal += sum_up(columns)
        equal += sum_up(columns)
        total += grid.couplings[j] * equal
    return total


@kernel
def sum_up(columns: Labels) -> int:
    """The sum of bytes, which become 0."""
    total = 0
    for i in range(columns.size):
        total += columns[i]
    columns[:] = 0
    return total


@kernel
def count_states(
    labels: Labels,
    codes: Codes,
    grid: Grid,
    base: Any,
    strides: NDArray[Any],
    state_of: Halves,
    joined: NDArray[np.intp],
    counts: NDArray[np.int64],
) -> None:
    """Add to ``counts`` (n, n_states) how many pixels of each joined level have neighbors of each state.

    ``joined`` (n_levels,) tells which joined level a level is in.
    """
    sums = np.empty(grid.width, strides.dtype)
    for p in range(labels.shape[0]):
        for first in grid.rows:
            add_neighbors(labels, grid, p, first, base, strides, sums)
            z, code = labels[p][first : first + grid.width], codes[p][first : first + grid.width]
            for i in range(grid.width):
                if z[i] != OUTSIDE:
                    state = state_of[sums[i]] if state_of.size else sums[i]
                    counts[joined[code[i]], state] += 1
