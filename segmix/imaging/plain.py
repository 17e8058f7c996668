"""Formats that NumPy reads by itself: .npy, and PBM, PGM and PPM."""

from __future__ import annotations

import math
import os
import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segmix.errors import InputError
from segmix.imaging.arrays import Pixels
from segmix.imaging.guard import check_size
from segmix.imaging.intensity import Samples

_TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([0-9]+)")


def read_npy(file: BinaryIO, *, max_pixels: int) -> Pixels:
    """Read the array of a .npy file, its header checked first; never unpickles.

    Raises
    ------
    InputError
        If the array is larger than `max_pixels`, not numeric, or the file shorter than it claims.
    """
    shape, fortran, dtype = _npy_header(file)
    if len(shape) not in (2, 3):
        raise InputError(f"the array has shape {shape}, not 2-D or 3-D; save one picture or volume")
    check_size(shape[-2], shape[-1], max_pixels, planes=shape[0] if len(shape) == 3 else 1)
    flat = _npy_values(file, shape, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def axes_note(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Say which axes a volume is taken to have, with a hint where the last one looks like channels."""
    if len(shape) != 3:
        return ()
    planes, rows, cols = shape
    hint = "; if the last axis holds channels, save one of them" if cols <= 16 and planes >= 4 * cols else ""
    return (f"taken as {planes} planes of {rows} x {cols}{hint}",)


def read_npy_row(file: BinaryIO) -> NDArray[Any] | None:
    """Read the array of a .npy file if it has one axis; None if it has more, or none.

    Raises
    ------
    InputError
        If the array is not numeric, or the file shorter than it claims.
    """
    shape, _, dtype = _npy_header(file)
    return _npy_values(file, shape, dtype) if len(shape) == 1 else None


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in headers:
        raise InputError(f".npy version {version} is not read; save the array again with numpy.save")
    shape, fortran, dtype = headers[version](file)
    if dtype.kind not in "biuf":
        raise InputError(f"the array is of type {dtype}, not real numbers; save it as integers or floats")
    return shape, fortran, dtype


def _npy_values(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    count = math.prod(shape)
    _check_left(file, count * dtype.itemsize)
    return np.fromfile(file, dtype=dtype, count=count)


def read_pnm(file: BinaryIO, *, max_pixels: int) -> Samples:
    """Read the samples of a PBM, PGM or PPM file, plain or binary, with the values as stored.

    Black, which a PBM file stores as 1, is False.

    Raises
    ------
    InputError
        If the header is broken or claims more than `max_pixels`, or pixels are missing or too large.

    References
    ----------
    The Netpbm manual pages pbm(5), pgm(5) and ppm(5).
    """
    form = int(file.read(2)[1:])
    is_bitmap, channels = form in (1, 4), 3 if form in (3, 6) else 1
    head = file.read(4096)
    numbers, used = _header(head, 2 if is_bitmap else 3)
    cols, rows, top = (*numbers, 1)[:3]
    check_size(rows, cols, max_pixels)
    if not 1 <= top <= 65535:
        raise InputError(f"the header's largest value must be 1 to 65535, got {top}; save the file again")
    file.seek(2 + used)
    dtype = np.dtype(">u2" if top > 255 else "u1")
    if form <= 3:
        values: Pixels = _plain_numbers(file, rows * cols * channels, is_bitmap)
    else:
        values = _binary_numbers(file, (rows, cols, channels), dtype, is_bitmap)
    values = values.reshape((rows, cols, 3) if channels == 3 else (rows, cols))
    if is_bitmap:
        return Samples(values == 0)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > top:
        raise InputError(f"values must be 0 to {top} as the header says, got {low} to {high}; save it again")
    return Samples(values.astype(dtype.newbyteorder("=")), top=None if top in (255, 65535) else top)


def _header(head: bytes, count: int) -> tuple[list[int], int]:
    numbers: list[int] = []
    used = 0
    for _ in range(count):
        match = _TOKEN.match(head, used)
        if match is None or len(match[1]) > 20:
            raise InputError("the header is not that of a PBM, PGM or PPM file; save the picture again")
        numbers.append(int(match[1]))
        used = match.end()
    return numbers, used + 1


def _binary_numbers(
    file: BinaryIO, shape: tuple[int, int, int], dtype: np.dtype[np.unsignedinteger], is_bitmap: bool
) -> Pixels:
    """Numbers written as bytes, a bitmap's as bits in rows of whole bytes; nothing may follow them."""
    rows, cols, channels = shape
    count = rows * ((cols + 7) // 8) if is_bitmap else rows * cols * channels
    _check_left(file, count * dtype.itemsize)
    values: Pixels = np.fromfile(file, dtype=dtype, count=count)
    if file.read(2)[:1] == b"P":
        raise InputError("the file holds several pictures; split it, as with pamsplit")
    return np.unpackbits(values.reshape(rows, -1), axis=1)[:, :cols] if is_bitmap else values


def _plain_numbers(file: BinaryIO, count: int, is_bitmap: bool) -> NDArray[np.int64]:
    """Numbers written as text; those of a bitmap may stand without a space between them."""
    text = re.sub(rb"#[^\r\n]*", b"", file.read())
    values: NDArray[np.int64]
    if is_bitmap:
        if stray := re.search(rb"[^01\s]", text):
            raise InputError(f"a plain bitmap holds 0 and 1 only, got {stray[0]!r}; save the picture again")
        letters = np.frombuffer(re.sub(rb"\s", b"", text), dtype=np.uint8)
        values = (letters == ord("1")).astype(np.int64)
    else:
        values = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(values) < count:
        raise InputError(f"the file ends early, {len(values)} of {count} values are there; copy it again")
    return np.asarray(values[:count])


def _check_left(file: BinaryIO, needed: int) -> None:
    left = os.fstat(file.fileno()).st_size - file.tell()
    if left < needed:
        raise InputError(
            f"the file is truncated, {left} of {needed} bytes of numbers are there; copy it again"
        )
