"""Reading a picture of any supported format; writing PNG.

Pillow is used here only, tifffile in `segmix.imaging.tiff`.
"""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from segmix.errors import InputError, OptionError, OutputError
from segmix.imaging.arrays import Pixels, true_bools
from segmix.imaging.guard import (
    MAX_PIXELS,
    check_indexes,
    check_options,
    check_size,
    choose_page,
    kind_of,
    one_line,
    open_regular,
    overheard,
    shown,
    silenced,
    too_large,
)
from segmix.imaging.headers import check_png, check_webp
from segmix.imaging.image import Image, image_from_array
from segmix.imaging.intensity import Samples, orientation_of, to_image
from segmix.imaging.jpeg import check_end
from segmix.imaging.plain import axes_note, read_npy, read_pnm
from segmix.imaging.tiff import read_tiff, write_tiff

__all__ = ["encode_png", "read_image", "write_png", "write_tiff"]

_LOCK = threading.RLock()
_LOGGERS = ("tifffile", "PIL.ImageFile", "PIL.PngImagePlugin", "PIL.TiffImagePlugin")
_LIBTIFF = re.compile(r"[\w.]+: [ -~]+\.\n")
_PLAIN_MODES = {"1", "L", "LA", "RGB", "RGBA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}


def read_image(
    path: str | os.PathLike[str],
    *,
    page: int | None = None,
    max_pixels: int = MAX_PIXELS,
    indexes: bool = False,
) -> Image:
    """Read one picture as one intensity a pixel, in the values that the file stores.

    Parameters
    ----------
    path : str or path-like
        A PNG, JPEG, BMP, GIF, WebP, PBM/PGM/PPM, TIFF or .npy file; its content decides, not its name.
    page : int, optional
        Which page, frame or plane, from 0. Needed when the file holds several.
    max_pixels : int
        Largest picture to read; the header is compared with it before memory is taken.
    indexes : bool
        Whether a PNG, GIF or BMP with a palette gives the numbers of its colors, as labels are stored.

    Returns
    -------
    Image
        2-D, or 3-D from a .npy volume. Integers and floats keep their values; color becomes
        0.2125 R + 0.7154 G + 0.0721 B; `notes` says what was done and `limits` gives the format's range.

    Raises
    ------
    InputError
        If the file cannot be used; the message starts with the path and ends with a remedy.
    OptionError
        If `page` or `max_pixels` is out of its range.
    """
    check_options(page, max_pixels)
    try:
        with open_regular(path) as file:
            kind = kind_of(file)
            decoded = _decode(file, kind, page, max_pixels, indexes)
        source = os.fsdecode(os.fspath(path))
        if isinstance(decoded, Samples):
            image = to_image(decoded, source)
        else:
            image = image_from_array(decoded, source=source, notes=axes_note(decoded.shape))
        return replace(image, page=None if page is None else int(page))
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from error.__cause__


def _decode(file: BinaryIO, kind: str, page: int | None, max_pixels: int, indexes: bool) -> Samples | Pixels:
    """Call the format's decoder; whatever it throws becomes one InputError."""
    try:
        with _quiet(max_pixels):
            if kind == "TIFF":
                return read_tiff(file, page=page, max_pixels=max_pixels, decode_otherwise=_tiff_by_pillow)
            if kind in ("NPY", "PNM"):
                choose_page(1, page)
                return (read_npy if kind == "NPY" else read_pnm)(file, max_pixels=max_pixels)
            return _read_pillow(file, kind, page, max_pixels, indexes)
    except InputError:
        raise
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        claimed = int(re.findall("[0-9]+", str(error))[0])
        raise too_large(f"{claimed} pixels", claimed, max_pixels) from None
    except MemoryError as error:
        reason = f"memory does not suffice for a picture of this size ({one_line(error)})"
        raise InputError(f"{reason}; crop it, or take a machine with more") from error
    except Exception as error:  # decoders throw thirty kinds on damaged files
        reason = "its header is broken" if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise InputError(
            f"the {kind} file cannot be decoded ({reason}); it is cut off, damaged or of a rare variant, "
            "save it again"
        ) from error


@contextmanager
def _quiet(max_pixels: int) -> Iterator[None]:
    """Silence decoders and give Pillow our limit, one file at a time: these settings are the process's."""
    with _LOCK, silenced(*_LOGGERS):
        warnings.simplefilter("error", Pillow.DecompressionBombWarning)
        limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Pillow.MAX_IMAGE_PIXELS = limit


def _read_pillow(file: BinaryIO, kind: str, page: int | None, max_pixels: int, indexes: bool) -> Samples:
    depth, color = check_png(file, max_pixels) if kind == "PNG" else (8, None)
    if kind == "WEBP":
        check_webp(file, max_pixels)
        from PIL import WebPImagePlugin  # noqa: F401  registers the format that Pillow leaves for later
    with Pillow.open(file, formats=(kind,)) as picture:
        check_size(picture.height, picture.width, max_pixels)
        count = getattr(picture, "n_frames", 1)
        chosen = choose_page(count, page)
        if depth == 16 and color:
            return _png_color_16(file, picture, color, count)
        if chosen:
            picture.seek(chosen)
        try:
            values, notes = _values(picture, indexes=indexes)
        except OSError:  # of some codecs the one word for all failures; memory that lacks says so here
            np.empty(8 * picture.height * picture.width, np.uint8)
            raise
        orientation = orientation_of(picture)
    if kind == "JPEG" and not chosen:
        check_end(file, values, lambda data: _values(Pillow.open(io.BytesIO(data), formats=("JPEG",)))[0])
    top = 2**depth - 1 if color == 0 and depth in (2, 4) else None
    values = values if top is None else values // (255 // top)
    return Samples(values, top=top, orientation=orientation, notes=notes)


def _values(picture: Pillow.Image, *, indexes: bool = False) -> tuple[Pixels, tuple[str, ...]]:
    """Gray, gray and alpha, RGB or RGBA values of a Pillow picture, and what was done to get them."""
    picture.load()
    notes: tuple[str, ...] = ()
    if indexes and picture.mode == "P":
        return np.array(picture), ("palette read as numbers",)
    if picture.mode in ("P", "PA"):
        notes = ("palette expanded to color",)
        is_opaque = picture.mode == "P" and "transparency" not in picture.info
        picture = picture.convert("RGB" if is_opaque else "RGBA")
    elif picture.mode in ("CMYK", "YCbCr", "RGBX"):
        notes = (f"{picture.mode} converted to RGB",)
        picture = picture.convert("RGB")
    elif picture.mode in ("1", "L", "RGB", "I;16") and "transparency" in picture.info:
        notes = ("alpha dropped (one color is transparent)",)
    if picture.mode not in _PLAIN_MODES:
        raise InputError(f"stored in the color mode {picture.mode}; save it as gray or RGB")
    return true_bools(np.array(picture)), notes  # Pillow writes 255 for True


def _png_color_16(file: BinaryIO, picture: Pillow.Image, color: int, count: int) -> Samples:
    """All 16 bits of a PNG in color or with alpha, of which Pillow keeps the upper 8.

    RGB and RGBA are decoded twice, for the upper and the lower bytes. Gray with alpha has the bytes
    of an 8-bit RGBA picture, and is read as one.
    """
    if count != 1:
        raise InputError("an animated PNG with 16-bit color; save the frame to segment as its own TIFF")
    if color == 4:
        file.seek(0)
        data = bytearray(file.read())
        data[24:26] = bytes((8, 6))
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        with Pillow.open(io.BytesIO(data), formats=("PNG",)) as disguised:
            values = np.array(disguised).view(">u2").astype(np.uint16)
    else:
        upper = np.array(picture).astype(np.uint16) << 8
        file.seek(0)
        with Pillow.open(file, formats=("PNG",)) as again:
            again.tile = [tile._replace(args=f"{picture.mode};16L") for tile in again.tile]
            values = upper | np.array(again)
    return Samples(values, orientation=orientation_of(picture))


def _tiff_by_pillow(file: BinaryIO, page: int) -> tuple[Pixels, tuple[str, ...]]:
    """Read values and notes of a TIFF page in a codec that tifffile lacks; Pillow turns it upright.

    libtiff prints what it stumbles on and may go on with made-up pixels, so its word counts as an error.
    """
    from PIL import TiffImagePlugin  # noqa: F401  registers the format that Pillow leaves for later

    file.seek(0)
    try:
        with overheard(_LIBTIFF) as said, Pillow.open(file, formats=("TIFF",)) as picture:
            picture.seek(page)
            decoded = _values(picture)
    except UnidentifiedImageError:
        raise OSError("Pillow has no decoder either") from None
    harm = [
        line for line in said if not line.startswith("TIFFFetchNormalTag")
    ]  # an unknown tag harms nothing
    if harm:
        raise OSError(harm[0])
    return decoded


def encode_png(array: NDArray[Any], *, palette: NDArray[np.uint8] | None = None) -> bytes:
    """PNG of an array, the same bytes for the same array on one version of Pillow.

    Parameters
    ----------
    array : ndarray of bool, uint8 or uint16 (rows, cols), or of uint8 (rows, cols, 3)
        Gray, True as 255, or RGB; with `palette`, uint8 indices into it.
    palette : ndarray of uint8, (n_colors, 3), optional
        Colors of the indices, at most 256.

    Raises
    ------
    OptionError
        If the array or the palette is of another shape or type, or an index lies beyond the palette.
    """
    picture = _picture(array) if palette is None else _indexed(array, palette)
    # Runs (Z_RLE) beat matches on gray in time and size; color repeats at a distance of 3, which runs miss.
    strategy = {"compress_type": zlib.Z_RLE} if picture.mode == "L" else {}
    target = io.BytesIO()
    picture.save(target, "PNG", compress_level=1, **strategy)
    return target.getvalue()


def write_png(
    path: str | os.PathLike[str],
    array: NDArray[Any],
    *,
    palette: NDArray[np.uint8] | None = None,
) -> None:
    """Write `encode_png` of an array to a file.

    Raises
    ------
    OptionError, OutputError
        As `encode_png`; if the file cannot be written.
    """
    data = encode_png(array, palette=palette)
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise OutputError(
            f"{shown(path)}: cannot be written ({error.strerror or one_line(error)}); choose another place"
        ) from error


def _picture(array: NDArray[Any]) -> Pillow.Image:
    if array.dtype == np.bool_:
        array = np.where(array, np.uint8(255), np.uint8(0))
    is_gray = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    is_color = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    if 0 in array.shape or not (is_gray or is_color):
        raise OptionError(
            "array must be uint8 or uint16 (rows, cols) or uint8 (rows, cols, 3), "
            f"got {array.dtype} {array.shape}; convert it first"
        )
    return Pillow.fromarray(np.ascontiguousarray(array))


def _indexed(array: NDArray[Any], palette: NDArray[np.uint8]) -> Pillow.Image:
    check_indexes(array, palette)
    picture = Pillow.frombuffer("P", array.shape[::-1], np.ascontiguousarray(array), "raw", "P", 0, 1)
    picture.putpalette(np.ascontiguousarray(palette).tobytes())
    return picture
