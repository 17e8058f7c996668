"""Named preprocessing steps, each recorded in the image it returns.

Steps work in two and three dimensions, lengths in pixels. Pixels that do not count (outside the domain,
or not finite) never touch the others: they take the value of the nearest pixel that counts, and `gaussian`
leaves them out of its average. Those that were not finite are NaN again in the result.

Filtered intensities are float32, which holds 8- and 16-bit intensities exactly; float64 and wider integers
become float64. `median` and `crop` keep the dtype. scikit-image is used here only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmix.errors import InputError, OptionError
from segmix.imaging.arrays import Pixels
from segmix.imaging.image import Domain, Image
from segmix.imaging.steps import as_steps, canonical, parse_step

Floats = NDArray[np.floating[Any]]


def preprocess(image: Image, steps: Sequence[str]) -> Image:
    """Apply steps in order.

    Parameters
    ----------
    image : Image
    steps : sequence of str
        Each "name" or "name:arguments": "gaussian:SIGMA" (pixels), "median:RADIUS" (pixels), "nlm:H"
        (non-local means, H times the noise's sd, 0.8 if left out), "tv:WEIGHT" (total variation, for
        intensities scaled to 0..1), "background:RADIUS" (minus a rolling ball's background), "tophat:RADIUS"
        (white top-hat), "equalize" (to 0..1), "rescale:LOW,HIGH" (percentiles to 0 and 1),
        "crop:TOP,LEFT,HEIGHT,WIDTH".

    Returns
    -------
    Image
        With the steps in one form appended to `steps`. `limits` stay after "crop", and after "median" of
        integers; the others move intensities, so that no limit is left.

    Raises
    ------
    OptionError, InputError
        If a step is unknown or an argument out of its range; if no pixel counts.

    Examples
    --------
    >>> preprocess(Image(np.eye(4)), ["median:1", "crop:0,0,2,3"])
    <Image 2 x 3 float64 YX from 'array'>
    """
    for step in as_steps(steps):
        name, arguments = parse_step(step)
        result = STEPS[name](image, *arguments)
        image = replace(result, steps=(*image.steps, canonical(name, arguments)))
    return image


@dataclass(frozen=True)
class _Field:
    """Intensities to filter, holes filled; `lowest` and `span` over the pixels that count."""

    values: Floats
    counts: Domain | None
    lowest: float
    span: float

    @property
    def unit(self) -> Floats:
        """Intensities scaled to 0..1 over the pixels that count; all 0 if they are equal."""
        return np.asarray((self.values - self.lowest) / (self.span or 1.0), dtype=self.values.dtype)

    def from_unit(self, unit: Floats) -> Floats:
        """Undo `unit`."""
        return np.asarray(unit * self.span + self.lowest)


def _field(image: Image) -> _Field:
    narrow = image.pixels.dtype.itemsize <= 2 or image.pixels.dtype == np.float32
    counts = _counting(image)
    values: Floats = _filled(image.pixels, counts).astype(np.float32 if narrow else np.float64)
    lowest, highest = float(values.min()), float(values.max())
    if not math.isfinite(highest - lowest):
        raise InputError(f"intensities {lowest:g} to {highest:g} are too far apart; scale the picture first")
    return _Field(values, counts, lowest, highest - lowest)


def _counting(image: Image) -> Domain | None:
    """Return the pixels that count, None if all do."""
    counts = np.ones(image.shape, np.bool_) if image.domain is None else image.domain
    if image.pixels.dtype.kind == "f":
        counts = counts & np.isfinite(image.pixels)
    if not counts.any():
        raise InputError("no finite pixel lies in the domain; check the domain or the data")
    return None if counts.all() else counts


def _filled(pixels: Pixels, counts: Domain | None) -> Pixels:
    """Give pixels that do not count the value of the nearest one that does."""
    if counts is None:
        return pixels
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~counts, return_distances=False, return_indices=True)
    return np.asarray(pixels[tuple(nearest)])


def _result(image: Image, values: Pixels, *, dtype: np.dtype[Any] | None = None) -> Image:
    """Wrap filtered values: pixels that were not finite are NaN again, and no limit is left."""
    pixels = np.ascontiguousarray(values, dtype=dtype)
    if image.pixels.dtype.kind == "f":
        pixels = np.where(np.isfinite(image.pixels), pixels, pixels.dtype.type(np.nan))
    return replace(image, pixels=pixels, limits=(None, None))


def gaussian(image: Image, sigma: float) -> Image:
    """Average with Gaussian weights over the pixels that count: G * (y m) / (G * m), m = 1 where they do."""
    longest = max(image.shape)
    if not 0 < sigma <= longest:
        raise OptionError(
            f"gaussian: sigma must be above 0, at most {longest} (longest side), got {sigma:g}; 1 is usual"
        )
    field = _field(image)
    smooth = _skimage("filters.gaussian")
    if field.counts is None:
        return _result(image, smooth(field.values, sigma, preserve_range=True))
    counted = np.where(field.counts, field.values.astype(np.float64), 0)
    total = smooth(counted, sigma, preserve_range=True)
    share = smooth(field.counts.astype(np.float64), sigma)
    mean = np.where(share > 1e-9, total / np.maximum(share, 1e-9), field.values)
    return _result(image, mean, dtype=field.values.dtype)


def median(image: Image, radius: int) -> Image:
    """Take the median of a disk or ball; the dtype stays, and the limits of integers."""
    _check_radius("median", radius, image, most=25)
    counts = _counting(image)
    values = _skimage("filters.median")(_filled(image.pixels, counts), _round(radius, image.pixels.ndim))
    result = _result(image, values)
    return replace(result, limits=image.limits) if image.pixels.dtype.kind in "iu" else result


def non_local_means(image: Image, strength: float) -> Image:
    """Average over patches that look alike, cut off at `strength` times the noise's sd.

    Patches of 5 pixels within 6, as in Buades 2005. Without noise the picture stays as it is.
    """
    if not 0 < strength <= 100:
        raise OptionError(f"nlm: strength must be above 0 and at most 100, got {strength:g}; 0.8 is usual")
    field = _field(image)
    unit = field.unit
    noise = noise_sd(unit, field.counts)
    if noise > 0:
        denoise = _skimage("restoration.denoise_nl_means")
        unit = denoise(unit, patch_size=5, patch_distance=6, h=strength * noise, sigma=noise)
    return _result(image, field.from_unit(unit), dtype=field.values.dtype)


def noise_sd(unit: Floats, counts: Domain | None = None) -> float:
    """Noise's standard deviation, median(abs(d)) / (0.6745 sqrt 2) of differences d between neighbors.

    Only pixels between the extremes take part, lest clipped areas hide it. 0 if most neighbors are equal.
    """
    inner = (unit > unit.min()) & (unit < unit.max())
    inner = inner if counts is None else inner & counts
    pairs = inner[..., 1:] & inner[..., :-1]
    if not pairs.any():
        return 0.0
    steps = np.abs(np.diff(unit, axis=-1)[pairs])
    return float(np.median(steps)) / (0.6745 * math.sqrt(2))


def total_variation(image: Image, weight: float) -> Image:
    """Denoise by total variation (Chambolle 2004); `weight` is for intensities scaled to 0..1."""
    if not 0 < weight <= 100:
        raise OptionError(f"tv: weight must be above 0 and at most 100, got {weight:g}; 0.1 is usual")
    field = _field(image)
    unit = _skimage("restoration.denoise_tv_chambolle")(field.unit, weight=weight)
    return _result(image, field.from_unit(unit), dtype=field.values.dtype)


def background(image: Image, radius: int) -> Image:
    """Subtract the background on which a ball rolls below the intensities (Sternberg 1983).

    The ball's radius is `radius` pixels, and as many levels where the picture's range is 255 levels.
    """
    _check_radius("background", radius, image, most=100)
    field = _field(image)
    levels = field.unit * 255
    above = (levels - _skimage("restoration.rolling_ball")(levels, radius=radius)) / 255 * field.span
    return replace(_result(image, above, dtype=field.values.dtype), offset=0.0)


def top_hat(image: Image, radius: int) -> Image:
    """Keep what is brighter than its surroundings and narrower than a disk or ball (white top-hat)."""
    _check_radius("tophat", radius, image, most=500)
    field = _field(image)
    element = _round(radius, image.pixels.ndim, decomposition="sequence")
    return replace(_result(image, _skimage("morphology.white_tophat")(field.values, element)), offset=0.0)


def equalize(image: Image) -> Image:
    """Spread intensities evenly over 0..1 by their distribution over the pixels that count."""
    field = _field(image)
    counts = None if field.counts is None else field.counts.ravel()
    # flat, because a last axis of 3 or 4 would be taken for color
    shares = _skimage("exposure.equalize_hist")(field.unit.ravel(), nbins=4096, mask=counts)
    return replace(_result(image, shares.reshape(image.shape), dtype=field.values.dtype), offset=0.0)


def rescale(image: Image, low: float, high: float) -> Image:
    """Map the percentiles `low` and `high` of the pixels that count to 0 and 1, and clip: new limits."""
    if not 0 <= low < high <= 100:
        raise OptionError(f"rescale: percentiles must satisfy 0 <= LOW < HIGH <= 100, got {low:g},{high:g}")
    field = _field(image)
    counted = field.values if field.counts is None else field.values[field.counts]
    start, end = (float(value) for value in np.percentile(counted, (low, high)))
    if start == end:
        raise OptionError(f"rescale: percentiles {low:g} and {high:g} are both {start:g}; widen them")
    scale = _skimage("exposure.rescale_intensity")
    result = _result(image, scale(field.values, in_range=(start, end), out_range=(0.0, 1.0)))
    return replace(result, limits=(0.0, 1.0), offset=0.0)


def crop(image: Image, top: int, left: int, height: int, width: int) -> Image:
    """Cut rows top..top+height and columns left..left+width out of every plane; dtype and limits stay."""
    rows, cols = image.shape[-2:]
    if min(top, left) < 0 or min(height, width) < 1 or top + height > rows or left + width > cols:
        raise OptionError(
            f"crop: rows {top} to {top + height} and columns {left} to {left + width} must lie in the "
            f"{rows} x {cols} pixels and not be empty; write crop:TOP,LEFT,HEIGHT,WIDTH"
        )
    window = (..., slice(top, top + height), slice(left, left + width))
    domain = None if image.domain is None else np.ascontiguousarray(image.domain[window])
    if domain is not None and not domain.any():
        raise OptionError("crop: the window must hold a pixel of the domain, got none; move or enlarge it")
    return replace(image, pixels=np.ascontiguousarray(image.pixels[window]), domain=domain)


def _check_radius(name: str, radius: int, image: Image, *, most: int) -> None:
    most = min(most, max(image.shape))
    if not 1 <= radius <= most:
        raise OptionError(f"{name}: radius must be 1 to {most} pixels for this picture, got {radius}")


def _round(radius: int, ndim: int, *, decomposition: str | None = None) -> Any:
    """Return a disk or ball; decomposed it is a sequence of small elements, many times faster."""
    return _skimage(f"morphology.{'disk' if ndim == 2 else 'ball'}")(radius, decomposition=decomposition)


def _skimage(name: str) -> Callable[..., Any]:
    """Return a function of scikit-image, which takes seconds to import and so is imported at first use."""
    module, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(import_module(f"skimage.{module}"), function)
    return found


STEPS: dict[str, Callable[..., Image]] = {
    "gaussian": gaussian,
    "median": median,
    "nlm": non_local_means,
    "tv": total_variation,
    "background": background,
    "tophat": top_hat,
    "equalize": equalize,
    "rescale": rescale,
    "crop": crop,
}
