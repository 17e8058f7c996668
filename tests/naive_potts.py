"""Potts fields written down as the equations are: the slow twins of segmix.potts."""

import math
from collections.abc import Callable
from itertools import product
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmix.potts.lattice import Lattice

Array = NDArray[np.float64]
MASK = 0xFFFFFFFF
Site = tuple[int, ...]


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


def place_of(lattice: Lattice, site: Site) -> tuple[int, int, int]:
    """The plane of a pixel, the row there and the place in it, by which pixels are ordered."""
    halves, inner = [x // 2 for x in site], [n - 2 for n in lattice.padded]
    plane = lattice.parities.index(tuple(x % 2 for x in site))
    return plane, int(np.ravel_multi_index(halves[:-1], inner[:-1])), halves[-1]


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
    for parity in order:
        for site in sites(lattice):
            if tuple(x % 2 for x in site) != parity:
                continue
            plane, row, place = place_of(lattice, site)
            bits = random_bits(
                keys, row=row, number=number, plane=plane, place=place, width=lattice.width, table=table
            )
            p = conditional(lattice, labels, site, shares[codes[site]], beta)
            if table and number % 4:
                p = leaving(p, int(labels[site]))
            cuts = np.minimum(np.cumsum(p)[:-1] * 2.0**32, 2.0**32 - 1)
            labels[site] = sum(bits >= int(cut) for cut in cuts)


def clusters(
    lattice: Lattice,
    labels: Any,
    beta: float,
    keys: Any,
    number: int,
    alike: Callable[[Any, Any], bool] = eq,
) -> list[list[Site]]:
    """Pixels that bonds hold together; clusters, and pixels in each, in the order of ``place_of``.

    A neighbor pair of one class is bound with probability 1 - exp(-beta c), by the number of the pixel whose
    neighbor lies at the first of two opposite offsets.
    """
    bonds: dict[Site, list[Site]] = {site: [] for site in sites(lattice)}
    for site in bonds:
        plane, row, place = place_of(lattice, site)
        for other, coupling in neighbors(lattice, site):
            j = lattice.offsets.index(tuple(b - a for a, b in zip(site, other, strict=True)))
            if j % 2 == 0 and alike(labels[site], labels[other]):
                bits = random_bits(
                    keys, row=row, number=number, plane=512 + 32 * plane + j, place=place,
                    width=lattice.width, table=False,
                )  # fmt: skip
                if bits < int((1 - math.exp(-beta * coupling)) * 2.0**32):
                    bonds[site].append(other)
                    bonds[other].append(site)
    found, seen = [], set[Site]()
    for site in sorted(bonds, key=lambda site: place_of(lattice, site)):
        if site not in seen:
            seen |= (cluster := _reached(site, bonds))
            found.append(sorted(cluster, key=lambda site: place_of(lattice, site)))
    return found


def _reached(site: Site, bonds: dict[Site, list[Site]]) -> set[Site]:
    """All pixels on paths of bonds from a pixel."""
    reached, edge = {site}, [site]
    while edge:
        new = set(bonds[edge.pop()]) - reached
        reached |= new
        edge += new
    return reached


def relabel(
    lattice: Lattice, labels: Any, codes: Any, shares: Array, found: list[list[Site]], keys: Any, number: int
) -> None:
    """Draw one label for all pixels of a cluster, in place, by the number of its first pixel."""
    for cluster in found:
        logs = [
            math.fsum(math.log(shares[codes[site], k]) for site in cluster) for k in range(shares.shape[1])
        ]
        mass = [math.exp(log - max(logs)) for log in logs]
        plane, row, place = place_of(lattice, cluster[0])
        bits = random_bits(
            keys, row=row, number=number, plane=1024 + plane, place=place, width=lattice.width, table=False
        )
        ends = np.cumsum(mass)[:-1] / math.fsum(mass)
        for site in cluster:
            labels[site] = sum(bits / 2.0**32 >= end for end in ends)
