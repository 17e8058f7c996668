"""Potts fields written down as the equations are: the slow twins of segmix.potts."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmix.potts.lattice import Lattice

Array = NDArray[np.float64]
MASK = 0xFFFFFFFF


def philox(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Philox 4x32-10, with Python's integers."""
    x, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(p1 >> 32) ^ x[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ x[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return tuple(x)


def random_bits(keys: Any, *, row: int, number: int, plane: int, place: int, width: int, table: bool) -> int:
    """The 32 bits of a place in a row of a plane: two halves for a table, one word else."""
    key = tuple(int(k) for k in keys)
    if not table:
        block, word = place % -(-width // 4), place // -(-width // 4)
        return philox((block, row, number, plane), key)[word]
    n = -(-width // 8)
    word, half = divmod(place // 2, n)[0], place % 2
    block = (place // 2) % n
    high, low = (
        philox((block, row, number, plane + purpose), key)[word] >> 16 * half & 0xFFFF for purpose in (0, 256)
    )
    return high << 16 | low


def neighbors(lattice: Lattice, site: tuple[int, ...]) -> list[tuple[tuple[int, ...], float]]:
    """Neighbors inside the domain, with their couplings."""
    found = []
    for offset, coupling in zip(lattice.offsets, lattice.couplings, strict=True):
        other = tuple(a + b for a, b in zip(site, offset, strict=True))
        inside = all(0 <= x < n for x, n in zip(other, lattice.shape, strict=True))
        if inside and (lattice.domain is None or lattice.domain[other]):
            found.append((other, float(coupling)))
    return found


def sites(lattice: Lattice) -> list[tuple[int, ...]]:
    """All pixels that count."""
    every = product(*(range(n) for n in lattice.shape))
    return [site for site in every if lattice.domain is None or lattice.domain[site]]


def agreements(lattice: Lattice, labels: Any) -> float:
    """S(z) over each pair once."""
    pairs = ((s, o, c) for s in sites(lattice) for o, c in neighbors(lattice, s))
    return sum(c for s, o, c in pairs if labels[s] == labels[o]) / 2


def conditional(lattice: Lattice, labels: Any, site: tuple[int, ...], shares: Array, beta: float) -> Array:
    """p(z_i = k | rest), with shares (n_classes,) of the pixel's own level."""
    agreeing = np.zeros(len(shares))
    for other, coupling in neighbors(lattice, site):
        agreeing[labels[other]] += coupling
    mass = shares * np.exp(beta * agreeing)
    return mass / mass.sum()


def leaving(p: Array, now: int) -> Array:
    """What follows a label: others sooner than by p, all classes as often as by p."""
    often = np.minimum(1 / (1 - p), 1.5)
    chances = p * np.minimum(often, often[now])
    chances[now] = 0.0
    chances[now] = 1 - chances.sum()
    return chances


def sweep(
    lattice: Lattice, labels: Any, codes: Any, shares: Array, beta: float, keys: Any, number: int, table: bool
) -> None:
    """Draw every label once, in place, by the counter's numbers."""
    order = [lattice.parities[p] for p in lattice.order]
    plane_of = {parity: p for p, parity in enumerate(lattice.parities)}
    inner = [n - 2 for n in lattice.padded]
    for parity in order:
        for site in sites(lattice):
            if tuple(x % 2 for x in site) != parity:
                continue
            place = [x // 2 for x in site]
            row = int(np.ravel_multi_index(place[:-1], inner[:-1]))
            bits = random_bits(
                keys, row=row, number=number, plane=plane_of[parity], place=place[-1],
                width=lattice.width, table=table,
            )  # fmt: skip
            p = conditional(lattice, labels, site, shares[codes[site]], beta)
            if table and number % 4:
                p = leaving(p, int(labels[site]))
            cuts = np.minimum(np.cumsum(p)[:-1] * 2.0**32, 2.0**32 - 1)
            labels[site] = sum(bits >= int(cut) for cut in cuts)
