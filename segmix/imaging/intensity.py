"""From the samples a file stores to one intensity a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmix.errors import InputError
from segmix.imaging.image import Domain, Image, default_limits, image_from_array

WEIGHTS = (2125, 7154, 721)
"""Luminance of red, green and blue in 1/10000: Rec. 709, as scikit-image's rgb2gray has it."""

LUMINANCE = "color turned to luminance, 0.2125 R + 0.7154 G + 0.0721 B"
EQUAL = "color with three equal channels taken as gray"

_TURNS = {2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}
_BLOCK = 1 << 20
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Samples:
    """What a file stores, decoded but not yet interpreted.

    Parameters
    ----------
    values : ndarray, (rows, cols) or (rows, cols, channels)
        Channels are gray and alpha (2), RGB (3) or RGB and alpha (4).
    top : int, optional
        The largest value the format can record where it is below the dtype's, such as 15 for 4 bits.
    min_is_white : bool
        Whether small stored values stand for bright pixels.
    orientation : int
        The EXIF or TIFF orientation, 1 to 8.
    nodata : float, optional
        The stored value that stands for no data.
    notes : tuple of str
        What decoding did.
    """

    values: NDArray[Any]
    top: int | None = None
    min_is_white: bool = False
    orientation: int = 1
    nodata: float | None = None
    notes: tuple[str, ...] = ()


def to_image(samples: Samples, source: str) -> Image:
    """Interpret samples: orientation, alpha, no-data, min-is-white, color, in this order."""
    notes = list(samples.notes)
    values = upright(samples.values, samples.orientation)
    if values is not samples.values:
        notes.append(f"turned upright by orientation {samples.orientation}")
    if values.ndim == 3:
        values = _opaque(values, notes)
    domain = None
    if samples.nodata is not None and values.ndim == 2:
        domain = _with_data(values, samples.nodata, notes)
    if samples.min_is_white:
        values = inverted(values, samples.top)
        notes.append("min-is-white turned to intensity")
    if values.ndim == 3:
        values = _one_channel(values, notes)
    limits = default_limits(values.dtype)
    if samples.top is not None and values.dtype.kind in "iu":
        limits = (0.0, float(samples.top))
    return image_from_array(
        values, axes="YX", source=source, limits=limits, notes=tuple(notes), domain=domain
    )


def orientation_of(picture: Any) -> int:
    """EXIF orientation 1 to 8 of a Pillow picture; 1 if the tag is missing or the metadata are garbage."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # garbage metadata throw anything; the pixels are good
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored rows and columns the way a viewer shows them (EXIF 2.32, tag 0x0112).

    Returns
    -------
    ndarray
        `values` itself for orientation 1 or an unknown one; else a view of axes swapped or reversed.
    """
    turn = _TURNS.get(orientation, "")
    if "t" in turn:
        values = values.swapaxes(0, 1)
    if "h" in turn:
        values = values[:, ::-1]
    if "v" in turn:
        values = values[::-1]
    return values


def inverted(values: NDArray[Any], top: int | None) -> NDArray[Any]:
    """Reverse the order of intensities: top - v, and -v for floats; the range stays the same."""
    if top is not None:
        return np.asarray(top - np.minimum(values, top), dtype=values.dtype)
    return np.asarray(-values if values.dtype.kind == "f" else ~values)


def expanded(indices: NDArray[Any], colormap: NDArray[Any] | None) -> NDArray[np.uint8]:
    """Look up 8-bit RGB in a TIFF's colormap, (3, n_colors) of 16 bits, of which some writers use only 8.

    Raises
    ------
    InputError
        If there is no colormap or an index lies beyond it.
    """
    if colormap is None or int(indices.max()) >= colormap.shape[1]:
        raise InputError("the palette is missing or too short; save the picture as gray or RGB")
    table = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8)
    return np.asarray(table.T[indices.astype(np.intp)])


def luminance(color: NDArray[Any]) -> NDArray[Any]:
    """Return the luminance 0.2125 R + 0.7154 G + 0.0721 B of each pixel.

    Parameters
    ----------
    color : ndarray, (rows, cols, 3)

    Returns
    -------
    ndarray, (rows, cols)
        In the dtype of `color`; integers are computed exactly and rounded half up.

    Raises
    ------
    InputError
        If the channels are 64-bit integers, whose weighted sum does not fit in 64 bits.
    """
    if color.dtype.kind in "iu" and color.dtype.itemsize > 4:
        raise InputError(f"color of type {color.dtype} is too wide; save one channel, or as 32 bits or float")
    gray = np.empty(color.shape[:2], color.dtype)
    rows = max(1, _BLOCK // max(1, color.shape[1]))
    for start in range(0, len(gray), rows):
        gray[start : start + rows] = _weighted(color[start : start + rows])
    return gray


def _weighted(block: NDArray[Any]) -> NDArray[Any]:
    if block.dtype.kind == "f":
        weights = np.array(WEIGHTS) / 10_000
        with np.errstate(invalid="ignore", over="ignore"):
            gray: NDArray[Any] = np.tensordot(block.astype(np.float64), weights, axes=1).astype(block.dtype)
        return gray
    wide = np.dtype(np.uint32 if block.dtype in (np.uint8, np.uint16) else np.int64)
    total: NDArray[Any] = np.full(block.shape[:2], 5_000, wide)
    for channel, weight in enumerate(WEIGHTS):
        total += block[..., channel].astype(wide) * wide.type(weight)
    return (total // wide.type(10_000)).astype(block.dtype)


def _opaque(values: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    channels = values.shape[2]
    if channels in (2, 4):
        alpha = values[..., -1]
        full = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
        clear = int(np.count_nonzero(alpha < full))
        notes.append(f"alpha dropped ({clear} pixels not opaque)" if clear else "alpha dropped")
        values = values[..., :-1]
    return values[..., 0] if channels < 3 else values


def _one_channel(color: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    red = color[..., 0]
    equal = all(np.array_equal(red, color[..., k], equal_nan=color.dtype.kind == "f") for k in (1, 2))
    notes.append(EQUAL if equal else LUMINANCE)
    return red if equal else luminance(color)


def _with_data(values: NDArray[Any], nodata: float, notes: list[str]) -> Domain | None:
    """Pixels that are not `nodata`; huge sentinels, often written with few digits, match to 1e-5."""
    with np.errstate(over="ignore"):
        if values.dtype.kind == "f" and abs(nodata) > 1e30:
            missing = np.isclose(values, nodata, rtol=1e-5, atol=0.0)
        else:
            missing = values == nodata
    count = int(np.count_nonzero(missing))
    if count == 0:
        return None
    notes.append(f"{count} pixels hold the no-data value {nodata:g} and do not count")
    return np.asarray(~missing)
