"""Whether a JPEG that ends properly holds all of its pixels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from segmix.errors import InputError
from segmix.imaging.arrays import Pixels

_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # in coded data: no stuffed byte, no restart
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # tables T.81-B.1: frame headers, SOF0 to SOF15
_BYTES = bytes((37 * k + 11) % 251 for k in range(64))
_FILLER = b"".join(_BYTES + bytes((0xFF, 0xD0 + k)) for k in range(8)) + b"\xff\xd9"


def check_end(file: BinaryIO, values: Pixels, decode: Callable[[bytes], Pixels]) -> None:
    """Refuse a JPEG whose coded data end before its pixels do, though an end marker follows.

    Decoders fill what is missing and say nothing: with gray 128 where the picture is coded from top to
    bottom, and of gray or color. So where the last pixel is of this gray, or the picture is coded in several
    passes (progressive) or in four channels, it is decoded again with more coded data before its end, which
    change what was missing only. A cut just between two passes leaves a whole, coarser picture, and passes.

    Raises
    ------
    InputError
        If they change a pixel.

    References
    ----------
    ITU-T T.81, annex B.
    """
    file.seek(0)
    data = file.read()
    in_passes, channels, end = _layout(data)
    filled = (np.abs(values[-1, -1].astype(int) - 128) <= 1).all()
    if not (filled or in_passes or channels == 4):
        return
    if end and not np.array_equal(values, decode(data[:end] + _FILLER)):
        raise InputError("the JPEG file lacks pixels before its end marker; it was cut off, copy it again")


def _layout(data: bytes) -> tuple[bool, int, int]:
    """Whether the first picture is coded in passes, in how many channels, and where its end marker lies.

    The last is 0 if there is none.
    """
    place, in_passes, channels = 2, False, 0
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind in _FRAMES:
            in_passes, channels = kind & 3 == 2, data[place + 9] if place + 9 < len(data) else 0
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if kind == 0xDA:  # coded data follow
            found = _MARKER.search(data, place)
            place = found.end() - 2 if found else len(data)
        if data[place : place + 2] == b"\xff\xd9":
            return in_passes, channels, place
    return in_passes, channels, 0
