"""Reading and writing TIFF by tifffile."""

from __future__ import annotations

import lzma
import math
import os
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segmix.errors import InputError, OptionError, OutputError
from segmix.imaging.arrays import Pixels
from segmix.imaging.guard import check_size, choose_page, one_line, shown
from segmix.imaging.headers import tiff_subfiles
from segmix.imaging.intensity import Samples, expanded

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_REDUCED, _MASK = 1, 4
_NAMES = ("min-is-white", "min-is-black", "RGB", "palette", "mask", "CMYK", "YCbCr")
_INFLATORS: dict[int, Callable[[], Any]] = {
    8: zlib.decompressobj,
    32946: zlib.decompressobj,
    34925: lzma.LZMADecompressor,
}
_OWN_CODECS = {1, 32773, *_INFLATORS}

Decoder = Callable[[BinaryIO, int], tuple[Pixels, tuple[str, ...]]]


def read_tiff(file: BinaryIO, *, page: int | None, max_pixels: int, decode_otherwise: Decoder) -> Samples:
    """Read the samples of one page of a TIFF.

    Parameters
    ----------
    file : binary file
        A regular file open for reading.
    page : int, optional
        Which page, from 0; needed if there are several. Thumbnails, pyramid levels, masks and
        sub-pages do not count; planes that ImageJ keeps behind one page do.
    max_pixels : int
        Largest picture; compared with the header first.
    decode_otherwise : callable (file, page) -> (ndarray, notes)
        Takes over where tifffile lacks a codec or a color space. It must turn the picture upright,
        stretch 2 and 4 bits to 8, and undo min-is-white in 8 bits and less, as Pillow does, and
        raise OSError where it has no decoder either.

    Raises
    ------
    InputError
        If the page cannot be chosen, is too large, cut off, or stored in a way that is not read.
    """
    from tifffile import TiffFile

    mains = [k for k, kind in enumerate(tiff_subfiles(file)) if not kind & (_REDUCED | _MASK)] or [0]
    file.seek(0)
    # The file's name decides nothing, and other files that its metadata name are never opened.
    with TiffFile(file, name="picture.tif", _multifile=False, is_mmstack=False, is_ndtiff=False) as tiff:
        planes = _planes(tiff, len(mains))
        count = planes * len(mains)
        chosen = choose_page(count, page, _axes(tiff) if page is None and count > 1 else "")
        index = mains[chosen // planes]
        ifd = tiff.pages[index].aspage()
        check_size(ifd.imagelength, ifd.imagewidth, max_pixels, planes=ifd.imagedepth)
        _check_layout(ifd, max_pixels)
        reason = f"{_NAMES[_photometric(ifd)]} color"
        if _photometric(ifd) not in (5, 6):
            try:
                return _samples(ifd, _decoded(tiff, ifd, chosen % planes))
            except (ValueError, NotImplementedError) as error:  # the second: tifffile lacks the codec
                if ifd.compression in _OWN_CODECS and "imagecodecs" not in str(error):
                    raise
                reason = one_line(error)
        return _samples_otherwise(ifd, reason, lambda: decode_otherwise(file, index))


def _planes(tiff: TiffFile, n_pages: int) -> int:
    """Count the planes of a page: its depth, or those stored behind a single page."""
    first = tiff.pages[0].aspage()
    if n_pages == 1 and first.is_final and _has_axes(first):
        series = tiff.series[0]
        if series.dataoffset is not None:
            return max(1, math.prod(series.shape) // max(1, math.prod(first.shape)))
    return max(1, first.imagedepth)


def _axes(tiff: TiffFile) -> str:
    """Say what the metadata call the axes of the pages."""
    if not _has_axes(tiff.pages[0].aspage()):
        return ""
    return f" (axes {tiff.series[0].axes}, shape {tiff.series[0].shape})"


def _has_axes(first: TiffPage) -> bool:
    """Whether the first page is of a kind that names axes; only then are other pages looked into."""
    kinds = ("ome", "imagej", "shaped", "stk", "lsm", "fluoview")
    return first.subifds is None and any(getattr(first, f"is_{kind}") for kind in kinds)


def _check_layout(ifd: TiffPage, max_pixels: int) -> None:
    """Refuse what is not a gray or color picture, before memory is taken."""
    photometric, channels = _photometric(ifd), ifd.samplesperpixel
    if photometric not in range(len(_NAMES)):
        raise InputError(f"stored in the color space {photometric} of TIFF; save it as gray or RGB")
    has_alpha = ifd.extrasamples[:1] in ((1,), (2,)) and channels == 2 and photometric < 2
    fits = {2: channels in (3, 4), 5: channels == 4, 6: channels == 3}
    if not fits.get(photometric, channels == 1 or has_alpha):
        name = _NAMES[photometric]
        raise InputError(f"{channels} channels stored as {name}; save the channel to segment as its own file")
    if ifd.sampleformat in (5, 6):
        raise InputError("the TIFF holds complex numbers, not real ones; save their magnitude or real part")
    if ifd.dtype is None or ifd.dtype.kind not in "biuf":
        raise InputError(f"{_stored(ifd)} in a type not read; save it as integers or floats of 8 to 64 bits")
    if ifd.is_tiled:
        check_size(ifd.tilelength, ifd.tilewidth, max(max_pixels, 1 << 20), planes=ifd.tiledepth)
    _check_segments(ifd)


def _check_segments(ifd: TiffPage) -> None:
    """Every strip or tile must lie in the file: tifffile fills missing ones or returns no pixels at all."""
    size = ifd.parent.filehandle.size
    if ifd.is_contiguous:
        spans = [(ifd.dataoffsets[0], ifd.nbytes)]
    else:
        spans = list(zip(ifd.dataoffsets, ifd.databytecounts, strict=False))
        if len(spans) < math.prod(ifd.chunked):
            raise InputError(
                f"{len(spans)} of {math.prod(ifd.chunked)} strips are there; save the file again"
            )
    for start, length in spans:
        if start <= 0 or length <= 0:
            raise InputError("a strip of the TIFF holds no data; fill the picture and save it again")
        if start + length > size:
            raise InputError(
                f"the file ends early, at byte {size} of {start + length}; copy or save it again"
            )


def _decoded(tiff: TiffFile, ifd: TiffPage, plane: int) -> Pixels:
    """(rows, cols) or (rows, cols, channels) of one plane."""
    _check_expansion(tiff, ifd)
    if plane and ifd.imagedepth == 1:
        offset = ifd.dataoffsets[0] + plane * ifd.nbytes
        if offset + ifd.nbytes > tiff.filehandle.size:
            raise InputError(f"the file ends before page {plane}; it is cut off, copy it again")
        assert ifd.dtype is not None
        layout = tiff.byteorder + ifd.dtype.char
        values = tiff.filehandle.read_array(layout, math.prod(ifd.shape), offset).reshape(ifd.shape)
    else:
        values = ifd.asarray(maxworkers=1)
    if values.shape != ifd.shape:
        raise InputError(f"the file holds {values.size} of {math.prod(ifd.shape)} values; copy it again")
    if "Z" in ifd.axes:
        values = np.take(values, plane, axis=ifd.axes.index("Z"))
    if "S" in ifd.axes:
        values = np.moveaxis(values, ifd.axes.replace("Z", "").index("S"), -1)
        values = values[..., 0] if values.shape[-1] == 1 else values
    return values


def _check_expansion(tiff: TiffFile, ifd: TiffPage) -> None:
    """Refuse a strip that holds more than its pixels, before tifffile inflates it whole."""
    if ifd.compression not in _INFLATORS or ifd.dtype is None:
        return
    expected = math.prod(ifd.chunks) * ifd.dtype.itemsize
    for start, length in zip(ifd.dataoffsets, ifd.databytecounts, strict=False):
        tiff.filehandle.seek(start)
        inflator = _INFLATORS[ifd.compression]()
        if len(inflator.decompress(tiff.filehandle.read(length), expected + 1)) > expected:
            raise InputError(f"a strip holds more than its {expected} bytes of pixels; save the file again")


def _samples(ifd: TiffPage, values: Pixels) -> Samples:
    photometric = _photometric(ifd)
    notes: tuple[str, ...] = ()
    if 262 not in ifd.tags:
        notes = (f"photometric tag missing, taken as {_NAMES[photometric]}",)
    if photometric == 3:
        values, notes = expanded(values, ifd.colormap), (*notes, "palette expanded to color")
    return Samples(
        values,
        top=_top(ifd),
        min_is_white=photometric == 0,
        orientation=_orientation(ifd),
        nodata=_nodata(ifd),
        notes=notes,
    )


def _samples_otherwise(ifd: TiffPage, reason: str, decode: Callable[[], Any]) -> Samples:
    """Read by the other decoder where it keeps every bit; else say what is missing."""
    bits, photometric = _bits(ifd), _photometric(ifd)
    keeps_bits = bits <= 8 or (ifd.samplesperpixel == 1 and bits <= 32)
    try:
        if not keeps_bits or ifd.imagedepth > 1:
            raise OSError(reason)
        values, notes = decode()
    except OSError as error:
        raise InputError(
            f"the TIFF is stored with {_stored(ifd)} and cannot be decoded ({one_line(error)}); "
            "pip install imagecodecs, or save it as PNG or as TIFF of 8, 16 or 32 bits without compression"
        ) from error
    if photometric < 2 and bits in (2, 4):
        values = values // (255 // (2**bits - 1))
    if values.dtype == np.int32 and ifd.dtype is not None:
        values = values.view(np.uint32).astype(ifd.dtype)
    if photometric == 6 and not notes:
        notes = ("YCbCr converted to RGB",)
    if _orientation(ifd) != 1:
        notes = (*notes, f"turned upright by orientation {_orientation(ifd)}")
    is_undone = photometric == 0 and bits <= 8
    notes = (*notes, "min-is-white turned to intensity") if is_undone else notes
    is_white = photometric == 0 and not is_undone
    return Samples(values, top=_top(ifd), min_is_white=is_white, nodata=_nodata(ifd), notes=notes)


def _photometric(ifd: TiffPage) -> int:
    """Return the photometric interpretation; without the tag, RGB for 3 or 4 channels as libtiff has it."""
    if 262 in ifd.tags:
        return int(ifd.photometric)
    return 2 if ifd.samplesperpixel in (3, 4) else 1


def _orientation(ifd: TiffPage) -> int:
    value = ifd.tags.valueof(274, default=1)
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def _bits(ifd: TiffPage) -> int:
    bits = ifd.bitspersample
    return bits if isinstance(bits, int) else max(bits)


def _top(ifd: TiffPage) -> int | None:
    """Return the largest value of a gray page whose bits do not fill its dtype."""
    bits = _bits(ifd)
    is_partial = 1 < bits < 32 and bits not in (8, 16) and ifd.sampleformat == 1
    return 2**bits - 1 if is_partial and _photometric(ifd) < 2 else None


def _stored(ifd: TiffPage) -> str:
    codec = getattr(ifd.compression, "name", str(ifd.compression))
    return f"{codec} compression, {ifd.bitspersample} bits, {ifd.samplesperpixel} channels"


def _nodata(ifd: TiffPage) -> float | None:
    """Return the GDAL_NODATA tag as a number, if there is one."""
    text = ifd.tags.valueof(42113)
    try:
        return float(str(text).strip("\0 ").replace(",", "."))
    except ValueError:
        return None


def write_tiff(
    path: str | os.PathLike[str], array: NDArray[Any], *, axes: str, compress: bool = False
) -> None:
    """Write a TIFF of one page per plane, the same bytes for the same array.

    Parameters
    ----------
    path : str or path-like
    array : ndarray of float32, uint8 or uint16, at least 2-D
        Not treated as color, whatever its shape.
    axes : str
        One letter for each axis, ending in "YX", such as "CYX" for (classes, rows, cols).
    compress : bool
        By zlib, one strip per page.

    Raises
    ------
    OptionError
        If the type is another, or `axes` do not fit.
    OutputError
        If the file cannot be written.
    """
    from tifffile import imwrite

    if array.dtype not in (np.float32, np.uint8, np.uint16) or array.size == 0:
        raise OptionError(f"array must be float32, uint8 or uint16, got {array.dtype} {array.shape}")
    if len(axes) != array.ndim or not axes.endswith("YX"):
        raise OptionError(f'axes must name {array.ndim} axes and end in "YX", got {axes!r}')
    pages: Any = array
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": axes}, "byteorder": "<"}
    if compress:  # here and not by tifffile, so that an installed imagecodecs changes no byte
        pages = (zlib.compress(page) for page in np.ascontiguousarray(array).reshape(-1, *array.shape[-2:]))
        options |= {"shape": array.shape, "dtype": array.dtype, "rowsperstrip": array.shape[-2]}
        options["compression"] = "zlib"
    try:
        imwrite(path, pages, software="segmix", **options)
    except OSError as error:
        raise OutputError(
            f"{shown(path)}: cannot be written ({error.strerror or one_line(error)}); choose another place"
        ) from error
