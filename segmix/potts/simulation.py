"""PriorFields of labels drawn from the Potts prior alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import OptionError, as_float, check_whole, shown
from ..samples import MAX_CLASSES
from .lattice import OUTSIDE, Lattice
from .philox import keys_of
from .sweeps import Sweeps


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
    beta : float
        Inverse temperature, 0 or more. On the square lattice order sets in at log(1 + sqrt(n_classes)).
    n_classes : int
        K, from 1 to 16.
    connectivity : int
        Neighbors, in scikit-image's sense.
    spacing : sequence of float, optional
        Distance of neighbors along each axis; a pair at distance d counts min(spacing) / d times.
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
    lattice = Lattice(tuple(int(n) for n in shape), connectivity, spacing, inside)
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, n_classes, by_table=False)
    generator = np.random.default_rng(rng)
    labels = sweeps.lay_out(generator.integers(0, n_classes, lattice.shape, dtype=np.uint8))
    keys, flat = keys_of(int(generator.integers(2**63))), np.zeros((1, n_classes))
    for number in range(n_sweeps):
        sweeps.sweep_clusters(labels, flat, float(beta), keys=keys, number=number)
    drawn: NDArray[np.uint8] = lattice.join(labels)
    return drawn if inside is None else np.where(inside, drawn, np.uint8(OUTSIDE))
