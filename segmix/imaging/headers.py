"""What a file's header claims, read without a decoder."""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO

from segmix.errors import InputError
from segmix.imaging.guard import check_size

# width, length, channels, and those of tiles and depth: as text or lists, Python would repeat, not multiply
_SIZES = {256, 257, 277, 322, 323, 32997, 32998}
_INTEGERS = {3, 4, 16}
_CUT_OFF = "it is cut off, copy or save it again"


def check_png(file: BinaryIO, max_pixels: int) -> tuple[int, int]:
    """Return bit depth and color type of a PNG whose checksums are right and whose size is allowed.

    Pillow does not compare the checksums of pixel data, so that a flipped bit would go unseen.

    Raises
    ------
    InputError
        If the file is cut off, a checksum is wrong or the size is above `max_pixels`.
    """
    file.seek(8)
    depth = color = 0
    name = b""
    while name != b"IEND":
        head = file.read(8)
        length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        body, check = file.read(length), file.read(4)
        if len(body) < length or len(check) < 4:
            raise InputError(f"the PNG file ends early; {_CUT_OFF}")
        is_needed = not name[0] & 0x20 or name in (b"fcTL", b"fdAT")
        if is_needed and zlib.crc32(body, zlib.crc32(name)) != int.from_bytes(check, "big"):
            raise InputError(f"wrong checksum in the PNG chunk {name!r}; the file is damaged, copy it again")
        if name == b"IHDR":
            cols, rows, depth, color = struct.unpack_from(">IIBB", body)
            check_size(rows, cols, max_pixels)
    file.seek(0)
    return depth, color


def check_webp(file: BinaryIO, max_pixels: int) -> None:
    """Compare the canvas of a WebP with the limit: its decoder takes the memory on opening.

    References
    ----------
    RFC 9649, sections 2.5 to 2.7.
    """
    file.seek(0)
    head = file.read(30)
    file.seek(0)
    if head[12:16] == b"VP8X":
        cols, rows = (1 + int.from_bytes(head[k : k + 3], "little") for k in (24, 27))
    elif head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        cols, rows = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        cols, rows = (int.from_bytes(head[k : k + 2], "little") & 0x3FFF for k in (26, 28))
    check_size(rows, cols, max_pixels)


def tiff_subfiles(file: BinaryIO) -> list[int]:
    """List the kind of each page in a TIFF's chain: NewSubfileType, bit 0 a reduced image, bit 2 a mask.

    Raises
    ------
    InputError
        If the chain is empty, returns to an earlier page or leads out of the file, or a size is no integer.
    """
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = head[2:4] in (b"+\0", b"\0+")
    number, step, pointer = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    (offset,) = struct.unpack_from(order + pointer, head, 8 if is_big else 4)
    size = os.fstat(file.fileno()).st_size
    seen: set[int] = set()
    kinds: list[int] = []
    while offset:
        if offset in seen:
            raise InputError(f"page {len(kinds)} of the TIFF leads back to an earlier one; save it again")
        seen.add(offset)
        room = struct.calcsize(order + number)
        count = _integer(file, order + number, offset, size)
        kinds.append(_subfile_type(file, order, offset + room, step, min(count, 4096)))
        offset = _integer(file, order + pointer, offset + room + count * step, size)
    if not kinds:
        raise InputError("the TIFF holds no picture, its list of pages is empty; save it again")
    return kinds


def _integer(file: BinaryIO, layout: str, offset: int, size: int) -> int:
    room = struct.calcsize(layout)
    if offset + room > size:
        raise InputError(f"the TIFF's page list leads out of the file; {_CUT_OFF}")
    file.seek(offset)
    value: int = struct.unpack(layout, file.read(room))[0]
    return value


def _subfile_type(file: BinaryIO, order: str, offset: int, step: int, count: int) -> int:
    """Return NewSubfileType, or the older SubfileType (2: reduced) in its terms; check the size's tags."""
    file.seek(offset)
    entries = file.read(step * count)
    subfile_type = 0
    for start in range(0, len(entries) - step + 1, step):
        tag, kind, items = struct.unpack_from(order + ("HHQ" if step == 20 else "HHI"), entries, start)
        if tag in _SIZES and (kind not in _INTEGERS or items != 1):
            raise InputError(f"the TIFF's tag {tag} must be one integer; the file is damaged, save it again")
        if tag in (254, 255):
            layout = order + ("H" if kind == 3 else "I")
            value: int = struct.unpack_from(layout, entries, start + step - (8 if step == 20 else 4))[0]
            subfile_type |= value if tag == 254 else int(value == 2)
    return subfile_type
