"""Labels, probabilities and contours as RGB pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import OptionError
from ..samples import MAX_CLASSES

RGB = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Array = NDArray[Any]

OUTSIDE = 200  # gray level of pixels outside the domain, NaN and inf

_BLOCK = 1 << 17  # pixels worked on at a time, so that temporary arrays stay in the cache
_SAMPLE = 1 << 18  # pixels that the contrast is measured on
_CONTRAST = (0.5, 99.5)  # percentiles shown black and white
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601


def _colors(hexadecimal: str) -> RGB:
    return np.frombuffer(bytes.fromhex(hexadecimal), dtype=np.uint8).reshape(-1, 3)


# Okabe and Ito (2008) by lightness: indigo for black, blue, vermilion, green, pink, sky, orange, yellow.
_OKABE_ITO = _colors("332288 0072b2 d55e00 009e73 cc79a7 56b4e9 e69f00 f0e442")
# For each number of classes, those that stay apart for every kind of color vision and in gray.
_CHOICE = ["1", "16", "037", "0257", "01257", "012457", "0124567", "01234567"]
# Every 16th color of matplotlib's viridis and magma (van der Walt and Smith, CC0).
_VIRIDIS = _colors(
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26818e 21908c"
    "1f9f88 28ae80 3ebc74 5dc963 82d34c abdc32 d5e21a fde725"
)
_MAGMA = _colors(
    "000004 0a0822 1d1146 36106a 50127c 691c81 822681 9c2e7f b63779"
    "cf4170 e65163 f5695c fb8761 fea571 fec387 fde0a2 fcfdbf"
)


def palette(n_classes: int) -> RGB:
    """Return one color per class, safe for the color-blind, the darker class the darker color.

    Parameters
    ----------
    n_classes : int
        Number of classes, 1 to 16.

    Returns
    -------
    ndarray of uint8, (n_classes, 3)
        sRGB. Up to 8 classes from the set of Okabe and Ito (Color Universal Design, 2008), by ascending
        lightness; beyond, even steps through viridis.

    Raises
    ------
    OptionError
        If `n_classes` is out of range.
    """
    if not 1 <= n_classes <= MAX_CLASSES:
        raise OptionError(f"n_classes must be 1 to {MAX_CLASSES}, got {n_classes}; ask for fewer colors")
    if n_classes > len(_CHOICE):
        return _spread(_VIRIDIS, n_classes)
    return _OKABE_ITO[[int(place) for place in _CHOICE[n_classes - 1]]]


def label_map(labels: ArrayLike, n_classes: int, *, domain: ArrayLike | None = None) -> RGB:
    """Paint every pixel in the color of its class.

    Parameters
    ----------
    labels : array_like of int, (rows, cols)
        Class of each pixel, 0..n_classes-1; any other number is painted as outside the domain.
    n_classes : int
        Number of classes, 1 to 16.
    domain : array_like of bool, (rows, cols), optional
        Pixels that count; the others are painted gray (200).

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)

    Raises
    ------
    OptionError
        If an array has not 2 dimensions, the shapes differ, or `n_classes` is out of range.
    """
    plane, inside = _plane("labels", labels), _domain(domain, labels)
    table = np.vstack([palette(n_classes), np.full((1, 3), OUTSIDE, dtype=np.uint8)])
    out = np.empty((*plane.shape, 3), dtype=np.uint8)
    for rows in _row_blocks(plane.shape):
        known = (plane[rows] >= 0) & (plane[rows] < n_classes)
        if inside is not None:
            known &= inside[rows]
        np.take(table, np.where(known, plane[rows], n_classes), axis=0, out=out[rows], mode="clip")
    return out


def mask_map(mask: ArrayLike) -> NDArray[np.uint8]:
    """Return a mask as gray, 255 where it is true and 0 elsewhere: uint8, (rows, cols)."""
    inside: Mask = _plane("mask", mask).astype(bool, copy=False)
    gray: NDArray[np.uint8] = inside.view(np.uint8) * np.uint8(255)
    return gray


def probability_map(probability: ArrayLike) -> RGB:
    """Paint a probability, dark violet for 0 through green to yellow for 1 (viridis).

    Parameters
    ----------
    probability : array_like of float, (rows, cols)
        In [0, 1]; what lies outside is clipped, NaN becomes gray (200).

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)

    Raises
    ------
    OptionError
        If `probability` has not 2 dimensions.
    """
    return _paint("probability", probability, 1.0, _VIRIDIS)


def entropy_map(entropy: ArrayLike, n_classes: int) -> RGB:
    """Paint the uncertainty of the labels, from black for none to pale yellow for all (magma).

    Parameters
    ----------
    entropy : array_like of float, (rows, cols)
        Entropy of the class probabilities in bits; NaN becomes gray (200).
    n_classes : int
        Number of classes, 1 to 16; the scale ends at log2(n_classes) bits, which equal probabilities have.

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)

    Raises
    ------
    OptionError
        If `entropy` has not 2 dimensions or `n_classes` is out of range.
    """
    return _paint("entropy", entropy, float(np.log2(max(len(palette(n_classes)), 2))), _MAGMA)


def overlay(
    pixels: ArrayLike,
    labels: ArrayLike,
    n_classes: int,
    *,
    foreground: Sequence[int] = (1,),
    domain: ArrayLike | None = None,
) -> RGB:
    """Draw the contours of the foreground classes on the picture.

    Parameters
    ----------
    pixels : array_like of bool, int or float, (rows, cols)
        The picture; shown in gray from its 0.5 to its 99.5 percentile.
    labels : array_like of int, (rows, cols)
        Class of each pixel.
    n_classes : int
        Number of classes, 1 to 16.
    foreground : sequence of int
        Classes to outline, each in its palette color.
    domain : array_like of bool, (rows, cols), optional
        Pixels that count; the others are paler and have no contour.

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)
        A contour lies on the outermost pixels of its class, 1 pixel wide and 1 more for each 450 pixels of
        the picture's longer side; around it pixels are darkened (lightened, if its color is dark). Pixels
        that are not finite are gray (200).

    Raises
    ------
    OptionError
        If an array has not 2 dimensions, the shapes differ, or a class is out of range.
    """
    picture, classes, inside = _plane("pixels", pixels), _plane("labels", labels), _domain(domain, pixels)
    colors, thickness = palette(n_classes), 1 + max(picture.shape) // 450
    if picture.shape != classes.shape:
        raise OptionError(f"labels must have the shape of pixels, {picture.shape}, got {classes.shape}; crop")
    if not all(0 <= k < n_classes for k in foreground):
        raise OptionError(
            f"foreground must be classes 0..{n_classes - 1}, got {tuple(foreground)}; drop some"
        )
    black, white = _contrast(picture, inside)
    out = np.empty((*picture.shape, 3), dtype=np.uint8)
    for rows in _row_blocks(picture.shape):
        near = slice(max(rows.start - thickness, 0), rows.stop + thickness)
        here = slice(rows.start - near.start, rows.stop - near.start)
        gray = _gray(picture[rows], black, white)
        if inside is not None:
            gray[~inside[rows]] = gray[~inside[rows]] // 2 + OUTSIDE // 2
        for channel in range(3):
            out[rows, :, channel] = gray
        beyond = np.zeros((1, 1), dtype=bool) if inside is None else ~inside[near]
        regions = {k: (classes[near] == k) & ~beyond for k in foreground}
        _draw_contours(out[rows], here, regions, beyond, colors, thickness)
    return out


def _draw_contours(
    out: RGB, here: slice, regions: dict[int, Mask], beyond: Mask, colors: RGB, thickness: int
) -> None:
    """Outline regions in place; `here` are the rows of the regions that `out` shows."""
    free = ~reduce(np.logical_or, regions.values(), beyond)
    for k, region in regions.items():
        edge = (~_shrunk(~region, 1 + thickness // 4) & free)[here]
        out[edge] = out[edge] // 4 + (0 if colors[k] @ _LUMA > 102 else 191)
    for k, region in regions.items():
        out[(region & ~_shrunk(region | beyond, thickness))[here]] = colors[k]


def _shrunk(region: Mask, steps: int) -> Mask:
    """Erode by a cross and a square in turn, to an octagon; the rim of the picture does not erode."""
    for step in range(steps):
        eroded = region.copy()
        eroded[1:] &= region[:-1]
        eroded[:-1] &= region[1:]
        across = eroded.copy() if step % 2 else region
        eroded[:, 1:] &= across[:, :-1]
        eroded[:, :-1] &= across[:, 1:]
        region = eroded
    return region


def _contrast(picture: Array, inside: Mask | None) -> tuple[float, float]:
    """Return the intensities to show black and white, from a regular sample of the pixels that count."""
    stride = max(1, int(np.ceil(np.sqrt(picture.size / _SAMPLE))))
    for step in (stride, 1):
        sample = picture[::step, ::step]
        values = sample.ravel() if inside is None else sample[inside[::step, ::step]]
        values = values[np.isfinite(values)].astype(np.float64)
        if values.size:
            low, high = np.percentile(values, _CONTRAST, method="nearest")
            return (low, high) if low < high else (values.min(), values.max())
    return 0.0, 1.0


def _gray(block: Array, black: float, white: float) -> NDArray[np.uint8]:
    """Return intensities as gray levels, `black` as 0 and `white` as 255; OUTSIDE for what is not finite."""
    if block.dtype.itemsize == 1 and block.size > 256:
        every = np.arange(256, dtype=np.uint8).view(np.int8 if block.dtype == np.int8 else np.uint8)
        return np.take(_gray(every, black, white), block.view(np.uint8))
    finite, span = np.isfinite(block), white / 2 - black / 2  # halves: white - black may overflow
    if not span > 0:
        return np.where(finite, 128, OUTSIDE).astype(np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        gray = np.clip((block.astype(np.float64) / 2 - black / 2) / span * 255 + 0.5, 0, 255)
    return np.where(finite, gray, OUTSIDE).astype(np.uint8)


def _paint(name: str, values: ArrayLike, top: float, anchors: RGB) -> RGB:
    plane = _plane(name, values)
    # 255 colors and one for NaN, so that a palette holds them all
    table = np.vstack([_spread(anchors, 255), np.full((1, 3), OUTSIDE, dtype=np.uint8)])
    out = np.empty((*plane.shape, 3), dtype=np.uint8)
    for rows in _row_blocks(plane.shape):
        position = np.clip(plane[rows] * (254 / top) + 0.5, 0, 254)
        np.take(table, np.nan_to_num(position, nan=255).astype(np.intp), axis=0, out=out[rows], mode="clip")
    return out


def _spread(anchors: RGB, n_colors: int) -> RGB:
    """Return colors at even steps along the line through the anchors, (n_colors, 3)."""
    places = np.linspace(0, len(anchors) - 1, n_colors)
    channels = [np.rint(np.interp(places, np.arange(len(anchors)), channel)) for channel in anchors.T]
    return np.array(channels, dtype=np.uint8).T


def _row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    height = max(1, _BLOCK // max(shape[1], 1))
    for start in range(0, shape[0], height):
        yield slice(start, start + height)


def _plane(name: str, values: ArrayLike) -> Array:
    plane = np.asarray(values)
    if plane.ndim != 2:
        raise OptionError(f"{name} must have 2 dimensions (rows, cols), got {plane.ndim}; pass one plane")
    return plane


def _domain(domain: ArrayLike | None, like: ArrayLike) -> Mask | None:
    if domain is not None and np.shape(domain) != np.shape(like):
        raise OptionError(
            f"domain must have the picture's shape, {np.shape(like)}, got {np.shape(domain)}; crop"
        )
    return None if domain is None else np.asarray(domain, dtype=bool)
