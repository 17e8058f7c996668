"""Random numbers by counter: the same number for the same place, in whatever order places are visited.

Philox 4x32-10 of Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC11: a
bijection of a 128-bit counter under a 64-bit key. The key is of the seed and the chain; the counter is
(block, row, sweep, purpose).
"""

import numpy as np
from numpy.typing import NDArray

from ..kernels import inlined, kernel

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_HALF = np.uint64(32)


# What numbers are for: the counter's last word is one of these plus the plane (of bonds, 32 planes + offset).
LABELS, LOW_BITS, BONDS, CLUSTERS = 0, 256, 512, 1024


def keys_of(seed: int, *key: int) -> NDArray[np.uint32]:
    """The generator's key, (2,), of a stream of a seed: what for, which chain."""
    return np.random.SeedSequence(seed, spawn_key=key).generate_state(2).astype(np.uint32)


@inlined
def philox(x0, x1, x2, x3, k0, k1):
    """Ten rounds on a counter (x0..x3) under a key (k0, k1), all uint32."""
    for _ in range(10):
        p0 = _MULTIPLIER_0 * np.uint64(x0)
        p1 = _MULTIPLIER_1 * np.uint64(x2)
        y0 = np.uint32(p1 >> _HALF) ^ x1 ^ k0
        y2 = np.uint32(p0 >> _HALF) ^ x3 ^ k1
        x0, x1, x2, x3 = y0, np.uint32(p1), y2, np.uint32(p0)
        k0, k1 = np.uint32(k0 + _WEYL_0), np.uint32(k1 + _WEYL_1)
    return x0, x1, x2, x3


@kernel
def fill_words(
    keys: NDArray[np.uint32], row: int, sweep: int, purpose: int, words: NDArray[np.uint32]
) -> None:
    """Fill ``words`` (4, n) uint32: column i is the generator's output for block i of a row."""
    first, second, third, fourth = words[0], words[1], words[2], words[3]
    for i in range(words.shape[1]):
        first[i], second[i], third[i], fourth[i] = philox(
            np.uint32(i), np.uint32(row), np.uint32(sweep), np.uint32(purpose), keys[0], keys[1]
        )
