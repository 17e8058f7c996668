"""Arrays as pixels: real numbers of a native type, on two or three axes, within what float64 resolves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segmix.errors import InputError

Pixels = NDArray[Any]

EXACT = 2**44
"""The largest magnitude at which float64 still resolves 1/256 of a unit, which a fit needs.

Integers beyond are counted from their median, which is taken off exactly."""

NARROW = 2.0**34
"""How many times their width floats may lie from 0: beyond, a fit feels the rounding of float64."""

FEW = 1 << 16  # pixels that the bulk is told from


def as_numbers(values: ArrayLike, name: str = "image") -> Pixels:
    """Return an array of bool, integers or floats; raise InputError, which calls it ``name``, otherwise."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(
            f"{name} must be a rectangular array of numbers ({error}); make all rows of one length"
        ) from None
    if array.dtype.kind == "c":
        raise InputError(f"{name} must hold real numbers, got {array.dtype}; take np.abs or the real part")
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{name} must hold bool, integers or floats, got {array.dtype}; convert it with astype first"
        )
    return array


def native(array: Pixels) -> Pixels:
    """C-contiguous pixels in native byte order; float16 widened, long doubles rounded to float64."""
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind == "f":
        dtype = np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=dtype) if array.ndim else array


def check_shape(pixels: Pixels, axes: str | None) -> None:
    """Raise InputError unless the pixels fill two or three axes, those named, and do not look like color."""
    shape = pixels.shape
    if pixels.ndim not in (2, 3):
        raise InputError(
            f"image must be 2-D (rows, cols) or 3-D (planes, rows, cols), got shape {shape}; "
            "pick one plane or channel"
        )
    if pixels.size == 0:
        raise InputError(f"image must have at least one pixel, got shape {shape}; check how it was cut out")
    if axes is not None and axes != ("YX" if pixels.ndim == 2 else "ZYX"):
        raise InputError(f'axes must be "YX" for a 2-D and "ZYX" for a 3-D image, got {axes!r} for {shape}')
    if axes is None and pixels.ndim == 3 and shape[-1] in (3, 4):
        raise InputError(
            f"image must have one channel, got shape {shape}, which looks like color; "
            'convert to one channel, such as image[..., 0], or for a volume call as_image(..., axes="ZYX")'
        )


def true_bools(values: Pixels) -> Pixels:
    """Return booleans whose bytes are 0 and 1, as counting needs: views may hold others, such as 255."""
    if values.dtype != np.bool_ or not values.size or values.view(np.uint8).max() <= 1:
        return values
    return np.asarray(values.view(np.uint8) != 0)


def is_exact(pixels: Pixels) -> bool:
    """Whether float64 resolves 1/256 of a unit everywhere, if these are integers."""
    wide = pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 8 and pixels.size
    return not wide or max(-int(pixels.min()), int(pixels.max())) <= EXACT


def offset_of(pixels: Pixels, domain: NDArray[np.bool_] | None = None) -> Any:
    """Return the median to count from where float64 is too coarse to compute with the pixels as they are."""
    if pixels.dtype == np.float64:
        middle, width = bulk(pixels, domain)
        differ = width >= 4 * np.spacing(abs(middle))  # by more than rounding
        return middle if differ and is_narrow(middle, width) else None
    if is_exact(pixels):
        return None
    return _median(pixels if domain is None or not domain.any() else pixels[domain])


def bulk(pixels: Pixels, domain: NDArray[np.bool_] | None = None) -> tuple[np.float64, float]:
    """Return the median and the width of most finite pixels: all but 0.1 % at each end, of a sample."""
    few = _few(pixels.reshape(-1), None if domain is None else domain.reshape(-1))
    if not few.size:
        return np.float64(0), 0.0
    low, high = np.quantile(few, (0.001, 0.999), method="nearest")
    low, high = (low, high) if low < high else (few.min(), few.max())
    with np.errstate(over="ignore"):
        return _median(few), float(high - low)


def _few(pixels: Pixels, domain: NDArray[np.bool_] | None) -> Pixels:
    """Pixels that count, of a flat array: all, or a sample; where few of the grid do, drawn from these."""
    places: Any = slice(None)
    if pixels.size > FEW:
        random = np.random.default_rng(0)
        places = random.integers(0, pixels.size, FEW)
    few, counts = pixels[places], _counts(pixels, domain, places)
    if pixels.size > FEW and np.count_nonzero(counts) < FEW // 2:
        places = np.flatnonzero(_counts(pixels, domain, slice(None)))
        few = pixels[places if places.size <= FEW else random.choice(places, FEW)]
        return few
    return np.asarray(few[counts])


def _counts(pixels: Pixels, domain: NDArray[np.bool_] | None, places: Any) -> NDArray[np.bool_]:
    finite: NDArray[np.bool_] = np.isfinite(pixels[places])
    return finite if domain is None else finite & domain[places]


def is_narrow(middle: float, width: float) -> bool:
    """Whether intensities that differ by ``width`` lie too far from 0 for float64 to fit them there."""
    return abs(middle) > NARROW * width > 0


def _median(pixels: Pixels) -> Any:
    """The upper median, one of the pixels."""
    return np.partition(pixels, pixels.size // 2, axis=None)[pixels.size // 2]


def counted_from(middle: np.number[Any], pixels: Pixels) -> Pixels:
    """Differences from one of the pixels, as float64: those of 64-bit integers exact to 2**53 either side."""
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(pixels - middle)
    above = pixels.astype(np.uint64) - middle.astype(np.uint64)  # modulo 2**64, as is its negative
    difference: Pixels = np.where(
        pixels >= middle, above.astype(np.float64), -(np.negative(above).astype(np.float64))
    )
    return difference
