"""The distinct intensities of an image, with how often each occurs.

The posterior of an intensity mixture depends on the pixels only through levels and counts, and every
result for a pixel is a look-up of its level, so that all costs but two passes are free of the image's size.
"""

from dataclasses import dataclass
from functools import reduce
from math import gcd
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OptionError
from .image import Image

MAX_LEVELS = 4096
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
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    step: float
    open_ends: tuple[bool, bool]
    codes: NDArray[Any]
    level_of_code: NDArray[np.intp]
    domain: NDArray[np.bool_] | None

    @property
    def n_levels(self) -> int:
        """The number of distinct intensities."""
        return len(self.values)

    @property
    def n_pixels(self) -> int:
        """The number of pixels that count."""
        return int(self.counts.sum())

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
        by_code = np.where(known, table[..., self.level_of_code], np.asarray(fill, table.dtype))
        out = np.empty((*table.shape[:-1], *self.codes.shape), table.dtype)
        for row, target in zip(
            by_code.reshape(-1, len(known)), out.reshape(-1, self.codes.size), strict=True
        ):
            look_up(self.codes.reshape(-1), row, target)
        if self.domain is not None:
            out[..., ~self.domain] = fill
        return out


def count_levels(image: Image, *, quantization: Quantization = "auto") -> Levels:
    """Count the distinct intensities of an image.

    Integers keep their levels, up to 4096 of them; more are merged into equal intervals. Floats keep their
    distinct values where these are few and evenly spaced (or ``quantization`` is None), else they are put on
    a grid of 4096 intervals.

    Parameters
    ----------
    image : Image
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
    _check_quantization(quantization)
    if image.pixels.dtype == bool:
        return _count_integers(image, image.pixels.view(np.uint8), 0, quantization)
    if image.pixels.dtype in (np.uint8, np.uint16):
        return _count_integers(image, image.pixels, 0, quantization)
    if np.issubdtype(image.pixels.dtype, np.integer):
        low, high = int(image.pixels.min()), int(image.pixels.max())
        if high - low < 1 << 16:
            wide = image.pixels.astype(np.int64) if low < 0 else image.pixels  # a narrow type would wrap
            codes = (wide - wide.dtype.type(low)).astype(np.uint16)
            return _count_integers(image, codes, low, quantization)
    return _count_floats(image, quantization)


def _check_quantization(quantization: Quantization) -> None:
    if quantization is None or quantization == "auto":
        return
    if isinstance(quantization, str) or not (np.isfinite(quantization) and quantization > 0):
        raise OptionError(
            f"quantization must be 'auto', None or a positive width of a level, got {quantization!r}"
        )


def _count_integers(image: Image, codes: NDArray[Any], offset: int, quantization: Quantization) -> Levels:
    from .kernels import count_codes

    n_codes = 1 << (8 * codes.dtype.itemsize)
    codes = np.ascontiguousarray(codes)
    counts = count_codes(codes.reshape(-1) if image.domain is None else codes[image.domain], n_codes)
    present = np.flatnonzero(counts)
    step = _spacing(present) if quantization == "auto" else quantization
    values = np.arange(n_codes, dtype=np.float64) + offset
    return _group(image, codes, image.domain, counts, values, step, taken=quantization == "auto")


def _spacing(present: NDArray[np.intp]) -> float:
    """Greatest common divisor of the gaps between levels, 1 for a single level."""
    return float(reduce(gcd, np.unique(np.diff(present)).tolist(), 0) or 1)


def _count_floats(image: Image, quantization: Quantization) -> Levels:
    counted = np.isfinite(image.pixels)
    if image.domain is not None:
        counted &= image.domain
    sample = image.pixels[counted].astype(np.float64)
    if not len(sample):
        raise InputError(f"{image.source}: no finite pixel is in the domain; give a domain that covers some")
    _check_magnitude(image.source, sample)
    few = sample[:: max(1, len(sample) >> 16)]
    most = MAX_LEVELS if quantization is not None else (1 << 16) - 1
    if len(np.unique(few)) <= most:
        values = np.unique(sample)
        step = _float_spacing(values) if quantization == "auto" else quantization
        if len(values) <= most and step != 0.0:
            return _encode_values(image, counted, values, step, taken=quantization == "auto")
    return _encode_grid(image, counted, few, float(sample.min()), float(sample.max()), quantization)


def _check_magnitude(source: str, sample: NDArray[np.float64]) -> None:
    low, high = float(sample.min()), float(sample.max())
    if max(-low, high) > 1e100 or 0 < high - low < 1e-100:
        raise InputError(
            f"{source}: intensities must be below 1e100 and differ by more than 1e-100, "
            f"got {low:.3g} to {high:.3g}; rescale them"
        )


def _float_spacing(values: NDArray[np.float64]) -> float:
    """The common spacing of a few distinct values, 0 where they lie on no even grid."""
    if len(values) < 2:
        return 1.0
    gap = float(np.diff(values).min())
    n = np.rint((values - values[0]) / gap)
    even = np.abs(values - values[0] - n * (values[-1] - values[0]) / n[-1]).max() < 1e-3 * gap
    return float((values[-1] - values[0]) / n[-1]) if even and n[-1] < 1 << 20 else 0.0


def _encode_values(
    image: Image, counted: NDArray[np.bool_], values: NDArray[np.float64], step: float | None, *, taken: bool
) -> Levels:
    """Codes of the few distinct values; the code after the last says that a pixel does not count."""
    codes = np.full(image.pixels.shape, len(values), np.uint16)
    codes[counted] = np.searchsorted(values, image.pixels[counted]).astype(np.uint16)
    counts = np.bincount(codes[counted], minlength=len(values) + 1)
    return _group(image, codes, None, counts, np.append(values, np.nan), step, taken=taken)


def _encode_grid(
    image: Image,
    counted: NDArray[np.bool_],
    few: NDArray[np.float64],
    low: float,
    high: float,
    quantization: Quantization,
) -> Levels:
    """Codes of equal intervals over the bulk of the intensities; what lies beyond joins the end ones."""
    from .kernels import count_codes, encode_grid

    bottom, top = np.quantile(few, (0.001, 0.999))
    bottom, top = (low, high) if bottom == top else (bottom - (top - bottom), top + (top - bottom))
    start, stop = max(low, float(bottom)), min(high, float(top))
    given = None if quantization in ("auto", None) else float(quantization or 0)
    step = given or (stop - start) / (MAX_LEVELS - 1)
    n = round((stop - start) / step) + 1
    if n >= 1 << 16:
        raise OptionError(
            f"quantization {step:g} makes {n} levels of the intensities {start:g} to {stop:g}, "
            f"at most 65535 are allowed; use at least {(stop - start) / 65534:.3g}"
        )
    codes = np.empty(image.pixels.shape, np.uint16)
    pixels = np.ascontiguousarray(image.pixels).reshape(-1)
    encode_grid(pixels, counted.reshape(-1), start - step / 2, step, n, codes.reshape(-1))
    counts = count_codes(codes.reshape(-1), n + 1)
    counts[n] = 0
    centers = np.append(start + step * np.arange(n), np.nan)
    beyond = (low < start - step / 2, high > stop + step / 2)
    return _group(image, codes, None, counts, centers, step if quantization is not None else None, beyond)


def _group(
    image: Image,
    codes: NDArray[Any],
    domain: NDArray[np.bool_] | None,
    counts: NDArray[np.int64],
    code_values: NDArray[np.float64],
    step: float | None,
    beyond: tuple[bool, bool] = (False, False),
    *,
    taken: bool = False,
) -> Levels:
    """Gather occupied codes into levels: saturated codes together, and at most 4096 intervals.

    ``taken`` says that the step was found from the values. Two or three of them are no measure of a grid but
    codes, such as those of a drawing: each then stands for an eighth of their smallest gap, and none is
    saturated.
    """
    present = np.flatnonzero(counts)
    if not len(present):
        raise InputError(f"{image.source}: the domain holds no pixel; give a domain that covers some")
    values = code_values[present]
    low, high = (-np.inf if image.limits[0] is None else image.limits[0]), image.limits[1]
    clipped = np.clip(values, low, np.inf if high is None else high)
    saturated = (
        bool(values[0] <= low) or beyond[0],
        (high is not None and bool(values[-1] >= high)) or beyond[1],
    )
    if taken and 2 <= len(values) <= 3:
        step, clipped, saturated = float(np.diff(values).min()) / 8, values, (False, False)
    position = np.rint((clipped - clipped[0]) / (step or 1)).astype(np.int64)
    if step is None or (len(values) <= MAX_LEVELS and len(np.unique(position)) == len(np.unique(clipped))):
        centers, level = np.unique(clipped, return_inverse=True)
    else:
        merge = 1 if len(values) <= MAX_LEVELS else int(position[-1]) // MAX_LEVELS + 1
        cell, level = np.unique(position // merge, return_inverse=True)
        centers, step = clipped[0] + step * (cell * merge + (merge - 1) / 2), step * merge
    level_of_code = np.full(len(counts), -1, np.intp)
    level_of_code[present] = level
    merged = np.bincount(level, counts[present]).astype(np.int64)
    return Levels(centers, merged, step or 0.0, saturated, codes, level_of_code, domain)
