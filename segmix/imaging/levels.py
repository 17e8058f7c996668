"""The distinct intensities of an image, with how often each occurs.

The posterior of an intensity mixture depends on the pixels only through levels and counts, and every
result for a pixel is a look-up of its level, so that all costs but two passes are free of the image's size.
"""

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, OptionError
from .encoding import MAX_LEVELS, Encoded, encode, lone_ends
from .image import Image, as_image, summed

Quantization = Literal["auto"] | float | None


@dataclass(frozen=True, eq=False)
class Levels:
    """Distinct intensities in ascending order, their counts, and the code of every pixel.

    Attributes
    ----------
    values : (n_levels,) float64
        The intensity of each level; the center of its interval where it stands for one.
    counts : (n_levels,) int64
        Pixels of the domain at each level, all positive.
    step : float
        Width h of the interval [v - h/2, v + h/2] that a recorded level v stands for; 0 for exact values.
    open_ends : (bool, bool)
        Whether the interval of the lowest (highest) level reaches to minus (plus) infinity.
    codes : unsigned integers, the image's shape
        The picture itself where it is 8- or 16-bit.
    level_of_code : (n_codes,) intp
        The level of each code, -1 for none.
    domain : bool, the image's shape, or None
        Pixels that count; None where the codes tell.
    are_codes : bool
        Whether the values are two or three codes, such as those of a drawing, and not rounded intensities.
    lone : tuple of (float, int)
        The lowest or highest intensity and its count, where it holds many pixels far from all others.
    cautions : tuple of str
        What may be no intensity at all: such a value.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    step: float
    open_ends: tuple[bool, bool]
    codes: NDArray[Any]
    level_of_code: NDArray[np.intp]
    domain: NDArray[np.bool_] | None
    are_codes: bool = False
    lone: tuple[tuple[float, int], ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def n_levels(self) -> int:
        """The number of distinct intensities."""
        return len(self.values)

    @property
    def n_pixels(self) -> int:
        """The number of pixels that count."""
        return int(self.counts.sum())

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of these levels: how much is clipped, and whether values are taken for codes."""
        ends = zip(self.open_ends, ("low", "high"), self.values[[0, -1]], self.counts[[0, -1]], strict=True)
        notes = [
            f"{_share(int(count), self.n_pixels)} at the {end} end ({value:g}) or beyond"
            for open_end, end, value, count in ends
            if open_end
        ]
        if self.are_codes:
            notes.append(f"{self.n_levels} values are taken as codes, not as rounded intensities")
        return tuple(notes)

    @property
    def index(self) -> NDArray[np.int32]:
        """The level of every pixel, -1 outside the domain; int32, the image's shape."""
        return self.paint(np.arange(self.n_levels, dtype=np.int32), fill=-1)

    def paint(self, table: NDArray[Any], *, fill: Any) -> NDArray[Any]:
        """Give every pixel the entry of its level, and ``fill`` outside the domain.

        Parameters
        ----------
        table : (n_levels,) or (n, n_levels)
            One entry, or n of them, a level.
        fill
            The value of pixels that do not count.

        Returns
        -------
        (*shape) or (n, *shape) array of the table's type
        """
        from .kernels import look_up

        known = self.level_of_code >= 0
        by_code = np.ascontiguousarray(
            np.where(known, table[..., self.level_of_code], np.asarray(fill, table.dtype))
        )
        out = np.empty((*table.shape[:-1], *self.codes.shape), table.dtype)
        for row, target in zip(
            by_code.reshape(-1, len(known)), out.reshape(-1, self.codes.size), strict=True
        ):
            look_up(self.codes.reshape(-1), row, target)
        if self.domain is not None:
            out[..., ~self.domain] = fill
        return out


def count_levels(image: Image | ArrayLike, *, quantization: Quantization = "auto") -> Levels:
    """Count the distinct intensities of an image.

    Integers keep their levels, up to 4096 of them; more are merged into equal intervals. Floats keep their
    distinct values where these are few and evenly spaced (or ``quantization`` is None), else they are put on
    a grid of 4096 intervals.

    Parameters
    ----------
    image : Image or array
        NaN and infinite pixels leave the domain.
    quantization : "auto", float or None
        The width of the interval that a recorded level stands for: found from the data, given, or none (each
        value stands for itself).

    Returns
    -------
    Levels

    Raises
    ------
    InputError
        If no finite pixel is in the domain, or intensities are too large or too close to compute with.
    OptionError
        If ``quantization`` is not positive or asks for more than 65536 levels.

    Examples
    --------
    >>> import numpy as np, segmix
    >>> levels = segmix.count_levels(segmix.as_image(np.array([[1, 1, 2], [4, 4, 4]], np.uint8)))
    >>> levels.values, levels.counts
    (array([1., 2., 4.]), array([2, 1, 3]))
    """
    quantization = _checked(quantization)
    image = as_image(image)
    width = quantization if isinstance(quantization, float) else None
    return _group(image, encode(image, width, exact=quantization is None), quantization)


def _share(count: int, total: int) -> str:
    """So many of the pixels, as a percentage where it is not next to nothing."""
    if count / total < 1e-4:
        return "1 pixel lies" if count == 1 else f"{count} pixels lie"
    return f"{count / total:.2%} of the pixels lie"


def _as_float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf


def _checked(quantization: object) -> Quantization:
    if quantization is None or (isinstance(quantization, str) and quantization == "auto"):
        return quantization  # type: ignore[return-value]
    number = isinstance(quantization, Real) and not isinstance(quantization, bool)
    width = _as_float(quantization) if number else np.nan
    if not 0 < width < np.inf:
        raise OptionError(
            f"quantization must be 'auto', None or a positive width of a level, got {quantization!r}; "
            "leave it out if unsure"
        )
    return width


def _group(image: Image, encoded: Encoded, quantization: Quantization) -> Levels:
    """Gather occupied codes into levels: saturated codes together, and at most 4096 intervals.

    Two or three values are no measure of a grid but codes, such as those of a drawing: where the step is to
    be found from them, each stands for an eighth of their smallest gap, and none is saturated.
    """
    present = np.flatnonzero(encoded.counts)
    if not len(present):
        raise InputError(f"{image.source}: the domain holds no pixel; give a domain that covers some")
    values = encoded.values[present]
    low, high = (-np.inf if image.limits[0] is None else image.limits[0]), image.limits[1]
    high = np.inf if high is None else high
    if values[0] > high or values[-1] < low:
        of = f", all counted from {image.offset}" if image.offset else ""
        raise OptionError(
            f"limits must hold some of the intensities ({values[0]:g} to {values[-1]:g}), got {image.limits}"
            f"{of}; give the ends at which the detector saturates, or none"
        )
    open_ends = (
        bool(values[0] <= low) or encoded.beyond[0],
        bool(values[-1] >= high) or encoded.beyond[1],
    )
    are_codes = quantization == "auto" and 2 <= len(values) <= 3 and encoded.lone is None
    if are_codes:
        centers, level, open_ends = values, np.arange(len(values)), (False, False)
        step = float(np.diff(values).min()) / 8
    else:
        centers, level, step = _merge(np.clip(values, low, high), encoded.base, quantization)
    level_of_code = np.full(len(encoded.counts), -1, np.intp)
    level_of_code[present] = level
    counts = np.bincount(level, encoded.counts[present]).astype(np.int64)
    lone = lone_ends(values, encoded.counts[present]) if encoded.lone is None else encoded.lone
    cautions = tuple(_caution(image, value, n / int(counts.sum())) for value, n in lone)
    whole = (encoded.codes, level_of_code, encoded.domain, are_codes, lone, cautions)
    return Levels(centers, counts, step, open_ends, *whole)


def _caution(image: Image, value: float, share: float) -> str:
    """Say what a value may stand for that holds a share of the pixels, far from all others."""
    low, high = image.limits
    shown = summed(value, image.offset) if image.offset else value
    form = ".10g" if shown == round(shown) and abs(shown) < 1e10 else "g"
    told = f"{shown:{form}} holds {share:.1%} of the pixels, far from all others"
    if (low is not None and value <= low) or (high is not None and value >= high):
        told += ", at the end of what can be recorded: they are saturated, or missing data"
        return f"{told}; if missing, leave them out by a domain (--domain)"
    return f"{told}; if it stands for missing data, leave it out by a domain (--domain), or make it NaN"


def _merge(
    values: NDArray[np.float64], base: float, quantization: Quantization
) -> tuple[NDArray[np.float64], NDArray[np.intp], float]:
    """Centers, the level of each value, and the width of a level: whole multiples of the values' own spacing.

    A width below the spacing stands as it is. Where more than 4096 levels are occupied the width is doubled.
    """
    if quantization is None:
        centers, level = np.unique(values, return_inverse=True)
        return centers, level, 0.0
    width = base if quantization == "auto" else float(quantization)
    if len(values) > 1 and width > 2 * (values[-1] - values[0]):
        raise OptionError(
            f"quantization must be at most twice the range of the intensities "
            f"({values[0]:g} to {values[-1]:g}), got {width:g}; give the unit in which they were recorded"
        )
    if width < 1e-9 * (values[-1] - values[0]):
        raise OptionError(
            f"quantization must be at least 1e-9 of the range of the intensities "
            f"({values[0]:g} to {values[-1]:g}), got {width:g}; give the unit in which they were recorded, "
            "or None (--quantization none)"
        )
    position = np.rint((values - values[0]) / base).astype(np.int64)
    merge = max(1, round(width / base))
    while len(np.unique(position // merge)) > MAX_LEVELS:
        merge *= 2
    cell, level = np.unique(position // merge, return_inverse=True)
    if merge == 1:
        return values[0] + cell * base, level, min(width, base)
    return values[0] - base / 2 + (cell + 0.5) * merge * base, level, merge * base
