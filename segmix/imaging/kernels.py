"""Passes over all pixels: counting codes, looking codes up, and reducing a range.

A code is an unsigned integer below the length of the table it indexes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel


@kernel
def count_codes(codes: NDArray[Any], n_codes: int) -> NDArray[np.int64]:
    """Count each code in a flat array: counts[c] = #{i : codes[i] = c}, shape (n_codes,).

    Four partial counts keep runs of equal pixels from waiting on one memory cell.
    """
    partial = np.zeros((4, n_codes), np.int64)
    first, second, third, fourth = partial[0], partial[1], partial[2], partial[3]
    end = codes.size - codes.size % 4
    for i in range(0, end, 4):
        first[codes[i]] += 1
        second[codes[i + 1]] += 1
        third[codes[i + 2]] += 1
        fourth[codes[i + 3]] += 1
    for i in range(end, codes.size):
        first[codes[i]] += 1
    for c in range(n_codes):
        first[c] += second[c] + third[c] + fourth[c]
    return first


@kernel
def look_up(codes: NDArray[Any], table: NDArray[Any], out: NDArray[Any]) -> None:
    """Fill out[i] = table[codes[i]] over flat arrays."""
    for i in range(codes.size):
        out[i] = table[codes[i]]


@kernel
def encode_grid(
    pixels: NDArray[Any], counted: NDArray[np.bool_], low: float, step: float, n: int, out: NDArray[np.uint16]
) -> None:
    """Fill out[i] = clip(floor((pixels[i] - low) / step), 0, n - 1), or n where the pixel does not count."""
    for i in range(pixels.size):
        if not counted[i]:
            out[i] = n
            continue
        position = (np.float64(pixels[i]) - low) / step
        out[i] = np.uint16(min(max(position, 0.0), n - 1.0))
