"""PriorFields of labels drawn from the Potts prior alone."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import OptionError, as_float, check_whole, shown
from ..samples import MAX_CLASSES
from .lattice import OUTSIDE, Lattice
from .philox import keys_of
from .sweeps import Sweeps

MAX_PIXELS = 1 << 27


def simulate_potts(
    shape: Sequence[int],
    *,
    beta: float,
    n_classes: int = 2,
    connectivity: int = 1,
    spacing: Sequence[float] | None = None,
    domain: ArrayLike | None = None,
    n_sweeps: int = 200,
    rng: int | np.random.SeedSequence | np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Draw labels from p(z | beta) in proportion to exp(beta S(z)), S the number of equal neighbor pairs.

    Parameters
    ----------
    shape : (rows, cols) or (planes, rows, cols)
        At most 2**27 pixels in all.
    beta : float
        Inverse temperature, 0 or more. On the square lattice order sets in at log(1 + sqrt(n_classes)).
    n_classes : int
        K, from 1 to 16.
    connectivity : int
        Neighbors, in scikit-image's sense.
    spacing : sequence of float, optional
        Distance of neighbors along each axis, the largest at most 1000 times the least; a pair at distance d
        counts min(spacing) / d times.
    domain : bool array of this shape, optional
        The pixels that count.
    n_sweeps : int
        Of Swendsen-Wang, from random labels; 200 are plenty but for large lattices near the critical beta.
    rng : int, SeedSequence, Generator or None
        The same seed gives the same labels.

    Returns
    -------
    labels : (*shape) uint8
        0 to n_classes - 1, and 255 outside the domain.

    Raises
    ------
    OptionError
        If an option is out of its range.

    Examples
    --------
    >>> import segmix
    >>> labels = segmix.simulate_potts((64, 64), beta=1.0, n_classes=3, rng=1)
    >>> labels.shape, bool((labels[:, 1:] == labels[:, :-1]).mean() > 0.7)
    ((64, 64), True)
    """
    check_whole("n_classes", n_classes, 1, MAX_CLASSES)
    check_whole("n_sweeps", n_sweeps, 1)
    if not 0 <= as_float(beta) < np.inf:
        raise OptionError(f"beta must be a number of at least 0, got {shown(beta)}; give one")
    inside = None if domain is None else np.asarray(domain, bool)
    lattice = Lattice(_checked_shape(shape), connectivity, spacing, inside)
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, n_classes, by_table=False)
    generator = np.random.default_rng(rng)
    labels = sweeps.lay_out(generator.integers(0, n_classes, lattice.shape, dtype=np.uint8))
    keys, flat = keys_of(int(generator.integers(2**63))), np.zeros((1, n_classes))
    for number in range(n_sweeps):
        sweeps.sweep_clusters(labels, flat, float(beta), keys=keys, number=number)
    drawn: NDArray[np.uint8] = lattice.join(labels)
    return drawn if inside is None else np.where(inside, drawn, np.uint8(OUTSIDE))


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    sides = tuple(shape) if isinstance(shape, list | tuple | np.ndarray) else (shape,)
    if len(sides) not in (2, 3):
        raise OptionError(
            f"shape must be two or three whole numbers, got {shown(shape)}; give for example (512, 512)"
        )
    whole = tuple(check_whole("each side of shape", side, 1) for side in sides)
    if math.prod(whole) > MAX_PIXELS:
        raise OptionError(
            f"shape must have at most 2**27 ({MAX_PIXELS}) pixels in all, got {shown(whole)}; "
            "take shorter sides"
        )
    return whole
