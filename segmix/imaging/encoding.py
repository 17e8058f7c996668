"""Codes for pixels: small whole numbers that stand for intensities."""

from functools import reduce
from math import ceil, gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OptionError
from .arrays import FEW, bulk, is_narrow
from .image import Image

Array = NDArray[np.float64]

MAX_CODES = (1 << 16) - 2
MAX_LEVELS = 4096
MIN_OTHERS, LONE_SHARE, LONE_GAP = 8, 0.001, 10.0
BULK_CELLS = 64  # the least intervals that the bulk of the intensities gets when all are put on one grid


class Encoded(NamedTuple):
    """The code of every pixel, and what codes stand for.

    ``values`` and ``counts`` (n_codes,) are the intensity of a code (NaN for pixels that do not count) and
    how often it occurs; ``base`` is the spacing of the grid that the values lie on (0 for none); ``beyond``
    tells whether the lowest and highest value stand for lower and higher intensities too. ``domain`` is None
    where the codes tell which pixels count. ``lone`` are values at an end, and their counts, that hold many
    pixels far from all others; None where values and counts themselves show it, as they do off a grid.
    """

    codes: NDArray[Any]
    counts: NDArray[np.int64]
    values: Array
    base: float
    beyond: tuple[bool, bool] = (False, False)
    domain: NDArray[np.bool_] | None = None
    lone: tuple[tuple[float, int], ...] | None = None


def encode(image: Image, width: float | None, *, exact: bool) -> Encoded:
    """Give every pixel a code.

    Integers over at most 65536 values are their own codes (less an offset). Others keep their distinct values
    where these are few and evenly spaced, or where ``exact``, else they go on a grid of ``width``.
    """
    pixels = image.pixels
    if pixels.dtype == bool:
        return _encode_integers(image, pixels.view(np.uint8), 0)
    if pixels.dtype in (np.uint8, np.uint16):
        return _encode_integers(image, pixels, 0)
    if np.issubdtype(pixels.dtype, np.integer):
        low, high = int(pixels.min()), int(pixels.max())
        if high - low < 1 << 16:
            wide = pixels.astype(np.int64) if low < 0 else pixels  # a narrow type would wrap
            return _encode_integers(image, (wide - wide.dtype.type(low)).astype(np.uint16), low)
    return _encode_floats(image, width, exact=exact)


def _encode_integers(image: Image, codes: NDArray[Any], offset: int) -> Encoded:
    n_codes = 1 << (8 * codes.dtype.itemsize)
    codes = np.ascontiguousarray(codes)
    counts = count(codes.reshape(-1) if image.domain is None else codes[image.domain], n_codes)
    base = float(reduce(gcd, np.unique(np.diff(np.flatnonzero(counts))).tolist(), 0) or 1)
    return Encoded(codes, counts, np.arange(n_codes, dtype=np.float64) + offset, base, domain=image.domain)


def count(codes: NDArray[Any], n_codes: int) -> NDArray[np.int64]:
    """Count each code of a flat array, (n_codes,); bytes in words of eight where they begin at one."""
    from .kernels import count_bytes, count_codes

    whole = codes.size // 8 * 8
    if codes.dtype == np.uint8 and whole and codes[:whole].view(np.uint64).flags.aligned:
        counts = count_bytes(codes[:whole].view(np.uint64)) + np.bincount(codes[whole:], minlength=256)
        return counts[:n_codes]
    return count_codes(codes, n_codes)


def _encode_floats(image: Image, width: float | None, *, exact: bool) -> Encoded:
    counted = np.isfinite(image.pixels)
    if image.domain is not None:
        counted &= image.domain
    sample = image.pixels[counted].astype(np.float64)
    if not len(sample):
        raise InputError(f"{image.source}: no finite pixel is in the domain; give a domain that covers some")
    _check_magnitude(image.source, sample)
    few = sample
    if len(sample) > FEW:  # at random, as even steps may fall on one column of the image only
        few = sample[np.random.default_rng(0).integers(0, len(sample), FEW)]
    most = MAX_CODES if exact else MAX_LEVELS
    if len(np.unique(few)) <= most and len(values := np.unique(sample)) <= most:
        base = _even_spacing(values, image.pixels.dtype)
        if base or exact:
            return _encode_values(image, counted, values, base)
    lone = _lone_of(sample, few)
    most_few = few[~np.isin(few, [value for value, _ in lone])]
    return _encode_grid(image, counted, sample, most_few, width, exact=exact)._replace(lone=lone)


def lone_ends(values: Array, counts: NDArray[np.int64]) -> tuple[tuple[float, int], ...]:
    """Return the lowest and highest of ascending values that hold many pixels, far from all others.

    As a number does that stands for missing data: at least 0.1 % of the pixels, and a gap to the next value
    of at least 10 standard deviations of the others, at least 8 values.
    """
    many = [end for end in (0, -1) if len(values) > MIN_OTHERS and counts[end] >= LONE_SHARE * counts.sum()]
    others = slice(int(0 in many), len(values) - (-1 in many))
    if not many or len(values[others]) < MIN_OTHERS:
        return ()
    with np.errstate(over="ignore", invalid="ignore"):
        center = np.average(values[others], weights=counts[others])
        sd = np.sqrt(np.average((values[others] - center) ** 2, weights=counts[others]))
        gaps = {0: values[1] - values[0], -1: values[-1] - values[-2]}
    return tuple((float(values[end]), int(counts[end])) for end in many if gaps[end] > LONE_GAP * sd)


def _lone_of(sample: Array, few: Array) -> tuple[tuple[float, int], ...]:
    """Lone ends of many values, told from a part of them and then counted in all."""
    found = []
    for value, _ in lone_ends(*np.unique(few, return_counts=True)):
        if value in (sample.min(), sample.max()):
            found.append((value, int(np.count_nonzero(sample == value))))
    return tuple(found)


def _check_magnitude(source: str, sample: Array) -> None:
    low, high = float(sample.min()), float(sample.max())
    if max(-low, high) > 1e100:
        worst = low if -low > high else high
        share = np.count_nonzero(sample == worst) / sample.size
        raise InputError(
            f"{source}: intensities must be below 1e100, {worst:.6g} holds {share:.2%} of the pixels; if it "
            "stands for missing data, leave it out by a domain (--domain), or make it NaN; else rescale them"
        )
    if 0 < high - low < 1e-100:
        raise InputError(
            f"{source}: intensities must differ by more than 1e-100, got {low:.3g} to {high:.3g}; "
            "rescale them"
        )
    middle, width = bulk(sample)
    if is_narrow(middle, width):
        raise InputError(
            f"{source}: intensities must not lie further from 0 than 2**34 times their width, as float64 "
            f"would lose how they differ, got a width of {width:.3g} around {middle:.6g}; subtract "
            f"{middle:.6g} first, or round them if they are meant to be equal"
        )


def _even_spacing(values: Array, dtype: np.dtype[Any]) -> float:
    """The common spacing of distinct values within the rounding of their type, 0 where there is none."""
    if len(values) < 2:
        return 1.0
    epsilon = np.finfo(dtype).eps if np.issubdtype(dtype, np.floating) else 0.0
    rounding = float(epsilon) / 2 * float(np.abs(values).max())
    gaps = np.diff(values)
    step = float(gaps.min())
    if step < 16 * rounding:
        return 0.0
    for _ in range(3):  # the mean of short gaps knows the step better than the shortest
        multiples = np.rint(gaps / step)
        short = multiples <= 8
        step = float(gaps[short].sum() / multiples[short].sum())
    place = np.concatenate([[0.0], np.cumsum(np.rint(gaps / step))])
    step = float((values[-1] - values[0]) / place[-1])
    off = np.abs(values - values[0] - place * step).max()
    return step if off < max(1e-3 * step, 2 * rounding) and place[-1] < 1 << 20 else 0.0


def _encode_values(image: Image, counted: NDArray[np.bool_], values: Array, base: float) -> Encoded:
    codes = np.full(image.pixels.shape, len(values), np.uint16)
    codes[counted] = np.searchsorted(values, image.pixels[counted]).astype(np.uint16)
    counts = np.bincount(codes[counted], minlength=len(values) + 1)
    return Encoded(codes, counts, np.append(values, np.nan), base)


def _encode_grid(
    image: Image,
    counted: NDArray[np.bool_],
    sample: Array,
    few: Array,
    width: float | None,
    *,
    exact: bool,
) -> Encoded:
    from .kernels import encode_grid

    low, high = float(sample.min()), float(sample.max())
    native = 1.0 if np.array_equal(few, np.rint(few)) and np.array_equal(sample, np.rint(sample)) else 0.0
    start, stop, step = _lay_grid(low, high, few, width, native, trim=not exact)
    bottom = start - (native or step) / 2
    n = int((stop - bottom) / step) + 1
    if n > MAX_CODES:
        raise OptionError(
            f"quantization {step:g} makes {n} levels of the intensities {start:g} to {stop:g}, "
            f"at most {MAX_CODES} are allowed; use at least {(stop - start) / (MAX_CODES - 2):.3g}"
        )
    codes = np.empty(image.pixels.shape, np.uint16)
    pixels = np.ascontiguousarray(image.pixels).reshape(-1)
    encode_grid(pixels, counted.reshape(-1), bottom, step, n, codes.reshape(-1))
    counts = count(codes.reshape(-1), n + 1)
    counts[n] = 0
    least, most = image.limits
    beyond = (
        low < bottom or (least is not None and low <= least),
        high > bottom + n * step or (most is not None and high >= most),
    )
    return Encoded(codes, counts, np.append(bottom + step * (np.arange(n) + 0.5), np.nan), step, beyond)


def _lay_grid(
    low: float, high: float, few: Array, width: float | None, native: float, *, trim: bool
) -> tuple[float, float, float]:
    """Start, stop and step of a grid: fine on the bulk, and on all where the bulk still gets 64 intervals.

    Otherwise (outliers a thousand times as far) what lies further from the bulk than its width is left to the
    end intervals. Whole numbers get whole steps.
    """
    bottom, top = (float(q) for q in np.quantile(few, (0.001, 0.999)))
    if bottom == top:
        bottom, top = low, high
    spread = top - bottom
    coarse = (high - low) / (MAX_CODES - 2)
    if trim and coarse > spread / BULK_CELLS:
        low, high = max(low, bottom - spread), min(high, top + spread)
        coarse = 0.0
    fine = (min(high, top + spread) - max(low, bottom - spread)) / (MAX_LEVELS - 1)
    step = width or max(fine, coarse)
    if native:
        return float(np.floor(low)), high, native * ceil(step / native)
    if width:  # an observed value is the center of its interval, and so are all on one lattice with it
        middle = float(np.partition(few, len(few) // 2)[len(few) // 2])
        low = middle - float(np.floor((middle - low) / step)) * step
    return low, high, step
