"""Which pixels are neighbors, laid out so that one sweep reads and writes memory in order.

A lattice is split into planes by the parity of each coordinate: pixel (r, c) is at (r // 2, c // 2) of plane
(r % 2, c % 2), and so in three dimensions. All neighbors of the pixels of one plane then lie in other planes
at fixed distances, and whatever a plane holds can be drawn at once. Planes have a margin of one pixel, which
counts as outside the domain; so do pixels that don't count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, as_float, check_whole, shown

OUTSIDE = 255  # the label of a pixel that doesn't count
MAX_RATIO = 1000.0  # of distances; pairs further apart than that hardly couple
Offset = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Pixels, and which are neighbors of which; the boundary is free.

    Parameters
    ----------
    shape : (rows, cols) or (planes, rows, cols)
    connectivity : int
        From 1 (neighbors differ in one coordinate: 4 or 6) to the number of dimensions (8 or 26), as in
        scikit-image.
    spacing : sequence of float, optional
        Distance of neighbors along each axis, the largest at most 1000 times the least. A pair at distance d
        counts min(spacing) / d times, so that beta is the coupling of the nearest pairs; None counts every
        pair once.
    domain : bool array of this shape, optional
        The pixels that count.

    Raises
    ------
    OptionError
        If an option is out of its range.
    """

    shape: tuple[int, ...]
    connectivity: int = 1
    spacing: Sequence[float] | None = None
    domain: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if len(self.shape) not in (2, 3) or min(self.shape) < 1:
            raise OptionError(f"shape must be two or three sizes of at least 1, got {self.shape}")
        check_whole("connectivity", self.connectivity, 1, self.ndim)
        if self.spacing is not None:
            object.__setattr__(self, "spacing", distances_of(self.spacing, self.ndim))
        if self.domain is not None and self.domain.shape != self.shape:
            raise OptionError(f"domain must have the shape {self.shape}, got {self.domain.shape}")

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @cached_property
    def offsets(self) -> list[Offset]:
        """Steps to all neighbors, each beside its opposite."""
        steps = product((-1, 0, 1), repeat=self.ndim)
        forward = [s for s in steps if s > (0,) * self.ndim and np.abs(s).sum() <= self.connectivity]
        return [tuple(sign * x for x in step) for step in forward for sign in (-1, 1)]

    @cached_property
    def couplings(self) -> NDArray[np.float64]:
        """How often a pair with each of the ``offsets`` counts: (n_offsets,), at most 1."""
        if self.spacing is None:
            return np.ones(len(self.offsets))
        spacing = np.asarray(self.spacing, np.float64)
        steps = np.array(self.offsets) * (spacing / spacing.min())  # at most MAX_RATIO, squared without harm
        couplings: NDArray[np.float64] = 1 / np.sqrt((steps**2).sum(axis=1))
        return couplings

    @property
    def n_planes(self) -> int:
        """4 or 8."""
        return int(2**self.ndim)

    @cached_property
    def padded(self) -> tuple[int, ...]:
        """The shape of a plane with its margin."""
        return tuple(-(-n // 2) + 2 for n in self.shape)

    @property
    def width(self) -> int:
        """Pixels in a row of a plane."""
        return self.padded[-1] - 2

    @cached_property
    def parities(self) -> list[Offset]:
        """The parity of each coordinate in each plane, in the order in which planes are stored."""
        return list(product((0, 1), repeat=self.ndim))

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The planes in the order in which a sweep draws them: with connectivity 1 even ones, then odd."""
        even = [sum(parity) % 2 if self.connectivity == 1 else 0 for parity in self.parities]
        return np.argsort(even, kind="stable")

    @cached_property
    def neighbors(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The plane of each neighbor of a plane's pixels, and its distance in memory, (n_planes, n_offsets).

        A pixel at flat position t of plane p has its j-th neighbor at t + shift[p, j] of plane[p, j].
        """
        strides = np.array([int(np.prod(self.padded[axis + 1 :])) for axis in range(self.ndim)])
        moved = np.array(self.parities)[:, None] + np.array(self.offsets)[None]
        plane = (moved % 2) @ (2 ** np.arange(self.ndim)[::-1])
        return plane.astype(np.int64), ((moved // 2) @ strides).astype(np.int64)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Where in a flat plane each row begins, (n_rows,)."""
        positions = np.arange(int(np.prod(self.padded))).reshape(self.padded)
        return positions[(slice(1, -1),) * self.ndim][..., 0].ravel().astype(np.int64)

    def split(self, array: NDArray[Any], *, fill: int) -> NDArray[Any]:
        """Lay an array of this shape out in planes with margins of ``fill``: (n_planes, plane size)."""
        planes = np.full((self.n_planes, *self.padded), fill, array.dtype)
        for plane, parity in zip(planes, self.parities, strict=True):
            part = array[tuple(slice(p, None, 2) for p in parity)]
            plane[tuple(slice(1, 1 + n) for n in part.shape)] = part
        return planes.reshape(self.n_planes, -1)

    def join(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Invert ``split``."""
        array = np.empty(self.shape, planes.dtype)
        for p, plane in enumerate(planes):
            self.put(plane, p, array)
        return array

    def put(self, plane: NDArray[Any], p: int, array: NDArray[Any]) -> None:
        """Put plane p, (plane size,), where it belongs in an array of this shape."""
        part = array[tuple(slice(parity, None, 2) for parity in self.parities[p])]
        part[...] = plane.reshape(self.padded)[tuple(slice(1, 1 + n) for n in part.shape)]

    @cached_property
    def n_pixels(self) -> int:
        """How many pixels count."""
        return int(np.prod(self.shape)) if self.domain is None else int(self.domain.sum())

    @cached_property
    def n_pairs(self) -> float:
        """The sum of all couplings: the number of neighbor pairs where all are 1."""
        domain = np.ones(self.shape, bool) if self.domain is None else self.domain
        total = 0.0
        for offset, coupling in zip(self.offsets[1::2], self.couplings[1::2], strict=True):
            total += coupling * int((domain[facing(offset)] & domain[facing(offset, -1)]).sum())
        return float(total)


def distances_of(spacing: Any, ndim: int | None = None) -> tuple[float, ...]:
    """Return the distances of neighbors along each axis as floats.

    Parameters
    ----------
    spacing : sequence or array of float, (ndim,)
        Positive and finite, the largest at most 1000 times the least.
    ndim : int, optional
        How many there must be; None for any number.

    Raises
    ------
    OptionError
        If it is anything else.
    """
    is_row = isinstance(spacing, list | tuple) or (isinstance(spacing, np.ndarray) and spacing.ndim == 1)
    distances = tuple(as_float(part) for part in spacing) if is_row else ()
    known = all(0 < distance < np.inf for distance in distances) and len(distances) > 0
    if not known or ndim not in (None, len(distances)):
        number = "" if ndim is None else f"{ndim} "
        raise OptionError(
            f"spacing must be {number}positive distances, one an axis, got {shown(spacing)}; "
            "give for example (3, 1, 1), or None to count all neighbors alike"
        )
    if max(distances) / min(distances) > MAX_RATIO:
        raise OptionError(
            f"spacing must have a largest distance of at most {MAX_RATIO:g} times the least, got "
            f"{shown(distances)}; neighbors further apart hardly couple: segment slice by slice, or give "
            "None to count all neighbors alike"
        )
    return distances


def facing(offset: Offset, sign: int = 1) -> tuple[slice, ...]:
    """Index the pixels that have a neighbor at an offset; with sign -1 those neighbors, in the same order."""
    steps = [sign * step for step in offset]
    return tuple(slice(max(0, -step), -step if step > 0 else None) for step in steps)


def some_of(shape: tuple[int, ...], most: int) -> tuple[slice, ...]:
    """Index every second or third pixel along all axes, and so on, of about ``most`` in all."""
    step = int(np.ceil((np.prod(shape) / most) ** (1 / len(shape))))
    return (slice(None, None, step),) * len(shape)
