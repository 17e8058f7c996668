"""Whether a JPEG that ends properly holds all of its pixels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from segmix.errors import InputError
from segmix.imaging.arrays import Pixels

_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # in coded data: no stuffed byte, no restart
_BYTES = bytes((37 * k + 11) % 251 for k in range(64))
_FILLER = b"".join(_BYTES + bytes((0xFF, 0xD0 + k)) for k in range(8)) + b"\xff\xd9"


def check_end(file: BinaryIO, values: Pixels, decode: Callable[[bytes], Pixels]) -> None:
    """Refuse a JPEG whose coded data end before its pixels do, though an end marker follows.

    Decoders fill what is missing with gray 128 and say nothing. So where the last pixel is of this gray,
    the picture is decoded again with more coded data before its end, which change what was missing only.

    Raises
    ------
    InputError
        If they change a pixel.

    References
    ----------
    ITU-T T.81, annex B.
    """
    if not (np.abs(values[-1, -1].astype(int) - 128) <= 1).all():
        return
    file.seek(0)
    data = file.read()
    end = _end(data)
    if end and not np.array_equal(values, decode(data[:end] + _FILLER)):
        raise InputError("the JPEG file lacks pixels before its end marker; it was cut off, copy it again")


def _end(data: bytes) -> int:
    """Where the end marker of the first picture lies; 0 if there is none."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if kind == 0xDA:  # coded data follow
            found = _MARKER.search(data, place)
            place = found.end() - 2 if found else len(data)
        if data[place : place + 2] == b"\xff\xd9":
            return place
    return 0
