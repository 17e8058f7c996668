"""How many pieces the classes fall into and how long their boundaries are, from draws of the labels."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .areas import Estimate, summarize_draws
from .errors import check_whole
from .potts.lattice import OUTSIDE, Lattice, Offset, facing

Array = NDArray[np.float64]
Labels = NDArray[np.uint8]


class Components(NamedTuple):
    """The number of connected components of one class."""

    label: int
    number: Estimate


class Boundary(NamedTuple):
    """The boundary between two classes.

    ``pairs`` are neighbors of which one is of each class, by the connectivity of the fit, each pair once.
    ``length`` is in units of the picture's spacing, in pixels where there is none; of a volume it is the area
    of the surface, in their square.
    """

    labels: tuple[int, int]
    pairs: Estimate
    length: Estimate


class Shapes(NamedTuple):
    """What label draws say of all classes.

    There are ``n_draws`` of them, in ``ndim`` dimensions; without ``spacing`` lengths are in pixels.
    """

    n_draws: int
    ndim: int
    spacing: tuple[float, ...] | None
    components: list[Components]
    boundaries: list[Boundary]

    def to_dict(self) -> dict[str, Any]:
        """The numbers ready for JSON."""
        return {
            "label_draws": self.n_draws,
            "spacing": self.spacing and list(self.spacing),
            "components": [{"label": row.label, "number": row.number._asdict()} for row in self.components],
            "boundaries": [
                {"labels": list(row.labels), "pairs": row.pairs._asdict(), "length": row.length._asdict()}
                for row in self.boundaries
            ],
        }


def find_components(
    draws: Iterable[Labels], n_classes: int, *, connectivity: int, min_pixels: int = 1
) -> list[Components]:
    """Count the connected components of every class, those of fewer pixels than ``min_pixels`` left out.

    ``draws`` are labels (*shape) uint8, 255 outside the domain.
    """
    check_whole("min_pixels", min_pixels, 1)
    counts = np.array([count_components(z, n_classes, connectivity, min_pixels) for z in draws])
    return [Components(k, summarize_draws(counts[:, k])) for k in range(n_classes)]


def count_components(labels: Labels, n_classes: int, connectivity: int, min_pixels: int) -> NDArray[np.int64]:
    """Components of each class of one draw, (n_classes,)."""
    from skimage.measure import label

    numbers, n = label(  # type: ignore[no-untyped-call]
        labels, background=OUTSIDE, return_num=True, connectivity=connectivity
    )
    owner = np.full(n + 1, OUTSIDE, np.uint8)
    owner[numbers] = labels
    if min_pixels > 1:
        owner[np.bincount(numbers.ravel(), minlength=n + 1) < min_pixels] = OUTSIDE
    counts: NDArray[np.int64] = np.bincount(owner, minlength=n_classes)[:n_classes]
    return counts


def find_boundaries(
    draws: Sequence[Labels] | Labels, n_classes: int, *, connectivity: int, spacing: Sequence[float] | None
) -> list[Boundary]:
    """Measure the boundary of every two classes: pairs of differing neighbors, and length (area).

    The length is the Cauchy-Crofton integral over the lattice's 4 directions (13 of a volume), see ``weigh``.
    Pairs with a pixel outside the domain count nowhere: neither its edge nor the picture's is a boundary.
    """
    ndim = draws[0].ndim
    offsets = Lattice(draws[0].shape, ndim).offsets[1::2]
    weights = weigh(offsets, [1.0] * ndim if spacing is None else spacing)
    near = np.abs(offsets).sum(axis=1) <= connectivity
    counts = np.array([count_differing(z, n_classes, offsets) for z in draws])
    pairs, lengths = counts[:, near].sum(axis=1), np.einsum("ijkm,j->ikm", counts, weights)
    return [
        Boundary((k, m), summarize_draws(pairs[:, k, m]), summarize_draws(lengths[:, k, m]))
        for k, m in combinations(range(n_classes), 2)
    ]


def count_differing(labels: Labels, n_classes: int, offsets: Sequence[Offset]) -> NDArray[np.int64]:
    """Pairs at each offset, one of class k and one of m > k: (n_offsets, n_classes, n_classes)."""
    counts = np.zeros((len(offsets), n_classes, n_classes), np.int64)
    for j, offset in enumerate(offsets):
        one, other = labels[facing(offset)], labels[facing(offset, -1)]
        differ = (one != other) & (one != OUTSIDE) & (other != OUTSIDE)
        a, b = one[differ].astype(np.intp), other[differ]
        code = np.minimum(a, b) * n_classes + np.maximum(a, b)
        counts[j] = np.bincount(code, minlength=n_classes**2).reshape(n_classes, n_classes)
    return counts


def weigh(offsets: Sequence[Offset], spacing: Sequence[float]) -> Array:
    """How much boundary a pair of differing neighbors at each offset stands for, (n_offsets,).

    L = pi/2 times the mean over directions of the crossings per line times the lines' distance; in three
    dimensions the area is 2 times that mean, over lines per area. Lines along an offset e lie v / |e| apart,
    v the size of a pixel, and stand for the directions nearest to e:

        w(e) = (pi/2 or 2) c(e) v / |e|,   c(e) the share of directions that e is nearest to.

    On the mean over orientations that is right; with square pixels a straight line comes out 5 % short (along
    an axis or a diagonal) to 3 % long (between them).

    Boykov and Kolmogorov (2003), Proc. ICCV, 26; Ohser and Muecklich (2000), Statistical Analysis of
    Microstructures in Materials Science, chapter 4.
    """
    least = min(spacing)  # distances are counted by it, so that no square overflows
    relative = np.asarray(spacing, np.float64) / least
    steps = np.array(offsets) * relative
    lengths = np.sqrt((steps**2).sum(axis=1))
    share = _arcs(steps) if steps.shape[1] == 2 else _spherical_cells(steps / lengths[:, None])
    factor = np.pi / 2 if steps.shape[1] == 2 else 2.0
    with np.errstate(over="ignore"):  # areas in tiny units of a huge spacing
        unit = np.float64(least) ** (len(relative) - 1)
    weights: Array = factor * share * np.prod(relative) / lengths * unit
    return weights


def _arcs(steps: Array) -> Array:
    """Share of the half circle nearest to each direction."""
    angles = np.arctan2(steps[:, 0], steps[:, 1]) % np.pi
    order = np.argsort(angles)
    gaps = np.diff(angles[order], append=angles[order[0]] + np.pi)
    share = np.empty(len(angles))
    share[order] = (gaps + np.roll(gaps, 1)) / 2 / np.pi
    return share


def _spherical_cells(directions: Array) -> Array:
    """Share of the sphere nearest to each direction or its opposite."""
    from scipy.spatial import SphericalVoronoi

    areas = SphericalVoronoi(np.concatenate([directions, -directions])).calculate_areas() / (4 * np.pi)
    share: Array = areas.reshape(2, -1).sum(axis=0)
    return share
