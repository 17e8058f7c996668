"""Some of the labelings that chains pass through, kept whole."""

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, check_whole
from .lattice import Lattice
from .sweeps import Planes

MAX_BYTES = 1 << 31  # of all kept labels, one byte a pixel


def check_keeping(n: int, *, n_pixels: int, n_draws: int) -> None:
    """Refuse more label draws than memory should hold, or than there are draws.

    Parameters
    ----------
    n : int
        Label draws to keep.
    n_pixels : int
        Of the picture, in the domain or not.
    n_draws : int
        Draws of all chains.
    """
    check_whole("keep_labels", n, 1)
    if n > n_draws:
        raise OptionError(f"keep_labels must be at most chains times draws ({n_draws}), got {n}; keep fewer")
    if n * n_pixels > MAX_BYTES:
        raise OptionError(
            f"keep_labels times pixels must be at most {MAX_BYTES} (2 GiB, a byte each), got "
            f"{n} times {n_pixels}; keep at most {MAX_BYTES // n_pixels}, or crop the picture"
        )


def places(n: int, *, n_chains: int, n_draws: int) -> NDArray[np.int64]:
    """Chain and draw of each of n label draws, evenly spaced over all chains one after the other: (n, 2)."""
    middles = (2 * np.arange(n, dtype=np.int64) + 1) * (n_chains * n_draws) // (2 * n)
    return np.stack(np.divmod(middles, n_draws), axis=1)


class Keeper:
    """Keeps labels of one chain.

    Parameters
    ----------
    lattice : Lattice
    chosen : (n,) int64
        The steps to keep, from 0, ascending.
    labels : (n, *shape) uint8
        Is filled with them, 255 outside the domain.
    """

    def __init__(self, lattice: Lattice, chosen: NDArray[np.int64], labels: NDArray[np.uint8]) -> None:
        self.lattice, self.chosen, self.labels = lattice, chosen, labels
        self.n_steps = 0

    def see(self, planes: Planes) -> None:
        """Look at the labels that a step has drawn, and keep them if it is a chosen one."""
        place = int(np.searchsorted(self.chosen, self.n_steps))
        if place < len(self.chosen) and self.chosen[place] == self.n_steps:
            self.labels[place] = self.lattice.join(planes)
        self.n_steps += 1


def keepers(
    lattice: Lattice, labels: NDArray[np.uint8], *, n_chains: int, n_draws: int, thin: int
) -> list[Keeper]:
    """One for each chain, which together fill ``labels`` (n, *shape) with those of kept draws."""
    chain, draw = places(len(labels), n_chains=n_chains, n_draws=n_draws).T
    step = (draw + 1) * thin - 1  # a kept draw is the last of its steps
    parts = [slice(*np.searchsorted(chain, [c, c + 1])) for c in range(n_chains)]
    return [Keeper(lattice, step[part], labels[part]) for part in parts]
