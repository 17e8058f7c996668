"""Where the chains of a hidden Potts field stand, which is all that they need to go on."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..imaging.levels import Levels
from .lattice import OUTSIDE, Lattice
from .options import PottsOptions

if TYPE_CHECKING:
    from .external import ExternalField
    from .normalizer import Normalizer

Array = NDArray[np.float64]
Planes = NDArray[Any]


class FieldState(NamedTuple):
    """Where one chain stands: all that later draws depend on, beside the problem, the seed and its number.

    ``number`` counts sweeps, which tells the random numbers of the next one; ``generator`` is the state of
    the generator of classes, weights and beta as JSON. means, stds, logits (n_classes,), the last the logs of
    the prior's weights up to a constant; labels (n_planes, plane size) uint8,
    255 outside the domain. ``n_seen`` counts the sweeps that were added to the pixels' probabilities.
    """

    number: int
    n_seen: int
    beta: float
    generator: str
    means: Array
    stds: Array
    logits: Array
    labels: Planes


class Fields(NamedTuple):
    """Where all chains of a field stand, with the picture that they need to go on.

    Attributes
    ----------
    shape : (rows, cols) or (planes, rows, cols)
    options : PottsOptions
        The spacing in numbers, or None.
    domain : bool array of this shape or None
        The pixels that count.
    normalizer : Normalizer or None
        The normalizing constant where beta is inferred by it.
    external : ExternalField or None
        The normalizing constant where weights are inferred; where they are equal though they were to be
        inferred, ``equal`` says why.
    codes : (n_planes, plane size) uint8 or uint16
        The level of every pixel, 0 outside the domain.
    seen : tuple of (n_classes - 1, n_planes, plane size) unsigned integers
        Their sum is the sum over chains and sweeps of P(z <= k | rest), in units of 2^-16.
    chains : tuple of FieldState

    While chains run the arrays are theirs, and change with them.
    """

    shape: tuple[int, ...]
    options: PottsOptions
    domain: NDArray[np.bool_] | None
    normalizer: "Normalizer | None"
    external: "ExternalField | None"
    equal: str
    codes: Planes
    seen: tuple[Planes, ...]
    chains: tuple[FieldState, ...]

    @property
    def n_classes(self) -> int:
        """The number of classes K."""
        return len(self.chains[0].means)

    @property
    def n_seen(self) -> int:
        """Sweeps of all chains that were added to the pixels' probabilities."""
        return sum(chain.n_seen for chain in self.chains)

    @property
    def total_seen(self) -> Planes:
        """The sum of ``seen``, in the smallest type that holds it, 0 outside the domain."""
        kind = np.uint32 if self.n_seen < 1 << 16 else np.uint64
        total = np.zeros((self.n_classes - 1, *self.codes.shape), kind)
        for part in self.seen:
            total += part.astype(kind, copy=False)
        total[:, self.chains[0].labels == OUTSIDE] = 0
        return total

    def levels(
        self, values: Array, counts: NDArray[np.int64], step: float, open_ends: tuple[bool, bool]
    ) -> Levels:
        """The levels of the picture, with its pixels."""
        every = np.arange(len(values))
        codes = Lattice(self.shape).join(self.codes)
        return Levels(values, counts, step, open_ends, codes, every, self.domain)

    def probabilities(self) -> NDArray[np.float32]:
        """p(z_i = k | y) of every class and pixel, (n_classes, *shape), NaN outside the domain.

        Means over chains and sweeps of the conditional probabilities, not of drawn labels (Rao-Blackwell).

        Raises
        ------
        InputError
            If there were too few sweeps to add one up.
        """
        if self.n_classes > 1 and not self.n_seen:
            raise InputError(
                "a field of fewer than 4 draws has no probabilities of its pixels; go on with it"
            )
        lattice = Lattice(self.shape)
        probabilities = np.ones((self.n_classes, *self.shape), np.float32)
        for k, p in np.ndindex(self.n_classes - 1, lattice.n_planes):  # one plane at a time, for the memory
            total: Any = sum(part[k, p].astype(np.float64) for part in self.seen)
            lattice.put((total / self.n_seen + 0.5) / 65536, p, probabilities[k])
        for k in range(self.n_classes - 1, 0, -1):
            probabilities[k] -= probabilities[k - 1]
        if self.domain is not None:
            probabilities[:, ~self.domain] = np.nan
        return probabilities
