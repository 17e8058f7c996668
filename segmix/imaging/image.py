"""The picture as every part of segmix takes it: one intensity a pixel."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segmix.errors import InputError, OptionError
from segmix.imaging.arrays import (
    Pixels,
    as_numbers,
    check_shape,
    counted_from,
    is_exact,
    native,
    offset_of,
    true_bools,
)

Domain = NDArray[np.bool_]
Limits = tuple[float | None, float | None]

_COUNTED = "intensities are counted from"


@dataclass(frozen=True, eq=False)
class Image:
    """Intensities on a grid, and what is known of how they were recorded.

    Parameters
    ----------
    pixels : ndarray, (rows, cols) or (planes, rows, cols)
        Intensities: bool, any integer, float32 or float64, native byte order, C-contiguous.
    axes : str
        "YX" or "ZYX", the meaning of each axis.
    spacing : tuple of float, optional
        Distance between neighboring pixels along each axis.
    domain : ndarray of bool, same shape, optional
        Which pixels count; None stands for every finite pixel. A pixel that is not finite never counts.
    source : str
        The path as given, or "array".
    limits : tuple of (float or None, float or None)
        The recorded intensity at which the detector saturates at the low and the high end;
        None where there is no such end.
    notes : tuple of str
        What reading did to the stored values, such as "alpha dropped".
    steps : tuple of str
        The preprocessing applied, in order.
    page : int, optional
        The page that was asked for, of a file with several.
    stored : str, optional
        The type of the numbers as they came; by default that of `pixels`.
    offset : int or float
        What was taken off the intensities as they came; `pixels` and `limits` are counted from it.

    Raises
    ------
    InputError
        If `pixels` are not as above, or `axes` or `domain` do not fit them.
    OptionError
        If `limits` are not two ascending numbers or None.
    """

    pixels: Pixels
    axes: str = "YX"
    spacing: tuple[float, ...] | None = None
    domain: Domain | None = None
    source: str = "array"
    limits: Limits = (None, None)
    notes: tuple[str, ...] = field(default=())
    steps: tuple[str, ...] = field(default=())
    page: int | None = None
    stored: str = ""
    offset: int | float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, np.ndarray) or self.pixels.dtype.kind not in "biuf":
            raise InputError(
                f"pixels must be an array of real numbers, got {_kind(self.pixels)}; use as_image"
            )
        if self.pixels.dtype.kind == "f" and self.pixels.dtype.itemsize not in (4, 8):
            raise InputError(f"pixels must be float32 or float64, got {self.pixels.dtype}; use as_image")
        if self.pixels.size == 0 or self.axes != {2: "YX", 3: "ZYX"}.get(self.pixels.ndim):
            raise InputError(
                f'pixels must fill 2-D "YX" or 3-D "ZYX" axes, got shape {self.pixels.shape} and axes '
                f"{self.axes!r}; use as_image"
            )
        if not is_exact(self.pixels):
            raise InputError(
                f"pixels must be integers within +-2**44, got {self.pixels.min()} to {self.pixels.max()}; "
                "use as_image"
            )
        object.__setattr__(self, "pixels", true_bools(self.pixels))
        object.__setattr__(self, "stored", self.stored or str(self.pixels.dtype))
        _check_limits(self.limits)
        object.__setattr__(self, "limits", tuple(map(_plain, self.limits)))
        object.__setattr__(self, "source", os.fsdecode(self.source))
        if self.domain is not None:
            check_domain(self.domain, self.pixels.shape)
            object.__setattr__(self, "domain", true_bools(self.domain))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the grid: (rows, cols) or (planes, rows, cols)."""
        return self.pixels.shape

    @property
    def n_pixels(self) -> int:
        """Number of pixels of the grid, in the domain or not."""
        return self.pixels.size

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"<Image {size} {self.pixels.dtype} {self.axes} from {self.source!r}>"


def as_image(
    image: Image | ArrayLike | str | os.PathLike[str],
    *,
    domain: ArrayLike | None = None,
    axes: str | None = None,
) -> Image:
    """Turn a path, an array or an `Image` into an `Image`.

    An array is copied, so that using its memory again changes no result; an `Image` is taken as it is.

    Parameters
    ----------
    image : Image, array_like or path
        A 2-D picture or a 3-D volume of bool, integers or floats; a path is read by
        `segmix.imaging.files.read_image`. The mask of a masked array leaves the domain.
    domain : array_like of bool, optional
        Which pixels count, of the picture's shape. It narrows the domain that the picture has.
    axes : str, optional
        "YX" or "ZYX"; needed only for volumes with 3 or 4 columns, which look like color.

    Returns
    -------
    Image
        float16 becomes float32, any byte order becomes the machine's, integers stay as they are. Only
        64-bit integers beyond 2**44, and floats that lie further from 0 than 2**34 times their width, are
        counted from their median, as a note then says and the image's `offset` tells.

    Raises
    ------
    InputError
        If the values are not real numbers, the array is not 2-D or 3-D, has no pixels, looks like
        color, or has no finite pixel in its domain.
    """
    if isinstance(image, (str, os.PathLike)):
        from segmix.imaging.files import read_image

        image = read_image(image)
    if not isinstance(image, Image):
        image = _owned(image_from_array(image, axes=axes), image)
    if domain is None:
        return image
    narrowed = _narrowed(image, _as_domain(domain))
    pixels, limits, offset, said = _centered(image.pixels, image.limits, narrowed, image.offset)
    notes = tuple(note for note in image.notes if not (said and note.startswith(_COUNTED))) + said
    return replace(image, pixels=pixels, limits=limits, offset=offset, domain=narrowed, notes=notes)


def _owned(image: Image, values: ArrayLike) -> Image:
    """Copy pixels that are the caller's own memory."""
    shared = isinstance(values, np.ndarray) and np.may_share_memory(image.pixels, values)
    return replace(image, pixels=image.pixels.copy()) if shared else image


def image_from_array(
    values: ArrayLike,
    *,
    axes: str | None = None,
    source: str = "array",
    limits: Limits | None = None,
    notes: tuple[str, ...] = (),
    domain: Domain | None = None,
) -> Image:
    """Check an array and wrap it; see `as_image` for what is accepted and what comes back."""
    given = as_numbers(values)
    pixels = native(given)
    check_shape(pixels, axes)
    if np.ma.isMaskedArray(values):
        kept = ~np.ma.getmaskarray(values)
        domain = kept if domain is None else domain & kept
    limits = default_limits(pixels.dtype) if limits is None else limits
    pixels, limits, offset, said = _centered(pixels, limits, domain)
    return Image(
        pixels=pixels,
        axes=axes or ("YX" if pixels.ndim == 2 else "ZYX"),
        domain=domain,
        source=source,
        limits=limits,
        notes=notes + said + _finite_note(pixels),
        stored=str(given.dtype.newbyteorder("=")),
        offset=offset,
    )


def default_limits(dtype: np.dtype[Any]) -> Limits:
    """Return the ends of the range of an integer dtype; (None, None) for bool and floats."""
    if dtype.kind not in "iu":
        return (None, None)
    info = np.iinfo(dtype)
    if info.bits == 64:  # float64 would round its ends
        return (info.min, info.max)
    return (float(info.min), float(info.max))


def _check_limits(limits: object) -> None:
    ends = limits if isinstance(limits, tuple) and len(limits) == 2 else (np.nan,)
    known = [end for end in ends if end is not None]
    real = all(isinstance(end, Real) and not isinstance(end, bool) and end == end for end in known)
    if not real or (len(known) == 2 and not known[0] < known[1]):
        raise OptionError(
            f"limits must be two ascending numbers, None for an end that is open, got {limits!r}; "
            "give for example (0, 4095)"
        )


def counted_limits(limits: Limits, offset: int | float) -> Limits:
    """Limits in the units of the pixels, from those of the intensities as they came.

    Raises
    ------
    OptionError
        If they are not two ascending numbers or None.
    """
    _check_limits(limits)
    if not offset:
        return limits
    low, high = (None if end is None else summed(_plain(end), -offset) for end in limits)
    return low, high


def summed(a: Any, b: Any) -> int | float:
    """The sum; of whole numbers, which may be beyond float64, exact."""
    return sum(int(part) if float(part).is_integer() else float(part) for part in (a, b))


def _plain(end: Any) -> int | float | None:
    """An end as Python's own number, which JSON takes and 64-bit integers need."""
    return None if end is None else int(end) if isinstance(end, Integral) else float(end)


def _kind(value: object) -> str:
    return f"{value.dtype} values" if isinstance(value, np.ndarray) else type(value).__name__


def check_domain(domain: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise InputError unless `domain` is boolean, of `shape`, and holds a pixel."""
    if domain.dtype != np.bool_:
        raise InputError(f"domain must be boolean, got {domain.dtype}; compare it, as in domain > 0")
    if domain.shape != shape:
        raise InputError(
            f"domain must have the picture's shape {shape}, got {domain.shape}; "
            "crop or resize the domain to the picture"
        )
    if not domain.any():
        raise InputError("domain must hold at least one pixel, got none; check it or the no-data value")


def _as_domain(domain: ArrayLike) -> NDArray[Any]:
    try:
        return np.ma.filled(domain, False) if np.ma.isMaskedArray(domain) else np.asarray(domain)
    except ValueError as error:
        raise InputError(f"domain must be an array ({error}); make all rows of one length") from None


def _narrowed(image: Image, domain: NDArray[Any]) -> Domain:
    check_domain(domain, image.shape)
    return domain.copy() if image.domain is None else image.domain & domain


def _centered(
    pixels: Pixels, limits: Limits, domain: Domain | None, offset: int | float = 0.0
) -> tuple[Pixels, Limits, int | float, tuple[str, ...]]:
    """Pixels and limits, counted from the median where float64 is too coarse for them, and a note then."""
    middle = offset_of(pixels, domain)
    if middle is None:
        return pixels, limits, offset, ()
    zero: int | float = middle.item()
    total = summed(offset, zero) if offset else zero
    lost = "their units" if isinstance(total, int) else "how they differ"
    note = f"{_COUNTED} {total}, as float64 would lose {lost}"
    return counted_from(middle, pixels), counted_limits(limits, zero), total, (note,)


def _finite_note(pixels: Pixels) -> tuple[str, ...]:
    if pixels.dtype.kind != "f":
        return ()
    lost = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
    if lost == pixels.size:
        raise InputError(f"image must have a finite pixel, all {lost} are NaN or infinite; check the data")
    return (f"{lost} pixels are not finite and do not count",) if lost else ()
