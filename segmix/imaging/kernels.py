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
def count_bytes(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count each byte of a flat array that is read eight bytes at a time: (256,).

    Eight partial counts, as above. Each block is read once at the memory's full speed before it is counted:
    counting alone is too slow for the processor to fetch ahead (1.8 GB/s from memory, 3.1 with this).
    """
    partial = np.zeros((9, 264), np.int64)  # 264: cells of two rows don't share the low bits of an address
    a, b, c, d = partial[0], partial[1], partial[2], partial[3]
    e, f, g, h = partial[4], partial[5], partial[6], partial[7]
    low, fetched = np.uint64(0xFF), np.uint64(0)
    for start in range(0, words.size, 2048):
        block = words[start : start + 2048]
        for i in range(block.size):
            fetched ^= block[i]
        for word in block:
            a[word & low] += 1
            b[(word >> np.uint64(8)) & low] += 1
            c[(word >> np.uint64(16)) & low] += 1
            d[(word >> np.uint64(24)) & low] += 1
            e[(word >> np.uint64(32)) & low] += 1
            f[(word >> np.uint64(40)) & low] += 1
            g[(word >> np.uint64(48)) & low] += 1
            h[word >> np.uint64(56)] += 1
    partial[8, 0] = np.int64(fetched)  # used, so that the compiler keeps the reading
    return partial[:8, :256].sum(axis=0)


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
