"""What a file must pass before a decoder sees it."""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segmix.errors import InputError, OptionError, check_whole, printable

MAX_PIXELS = 64_000_000
"""The largest picture that is read unless more are allowed."""

READS = "PNG, JPEG, BMP, GIF, WebP, PBM/PGM/PPM, TIFF or .npy"

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\x93NUMPY", "NPY"),
)
_STRANGERS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive (.npz, .docx, ...)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"SIMPLE  =", "a FITS file"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"\x80\x04", "a Python pickle"),
)
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def shown(path: str | os.PathLike[str]) -> str:
    """Return the path as a message may print it: control characters and bytes that are no text escaped."""
    return printable(os.fsdecode(os.fspath(path)))


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one printable line of at most 160 characters."""
    words = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter for letter in words if letter.isprintable())[:160]


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular, non-empty file for reading; look at it first and never wait on it.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder, a pipe, a socket, a device, empty or unreadable.
        The message does not name the path.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"path must be a string or a path, got {path!r}; give the name of a file")
    if not os.fspath(path):
        raise OptionError("path must name a file, got an empty name; give the name of a file")
    try:
        _check_regular(os.stat(path))
        # O_NONBLOCK: if the path became a pipe since the look above, opening it must not hang.
        flags = sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
        file = os.fdopen(os.open(path, os.O_RDONLY | flags), "rb")
    except (OSError, ValueError) as error:
        raise InputError(_why_not(path, error)) from None
    try:
        _check_regular(os.fstat(file.fileno()))
    except InputError:
        file.close()
        raise
    return file


def kind_of(file: BinaryIO) -> str:
    """Tell the type of a file by its first bytes: PNG, JPEG, GIF, BMP, WEBP, PNM, TIFF or NPY.

    Raises
    ------
    InputError
        If it is none of these, whatever its name.
    """
    file.seek(0)
    head = file.read(262)
    file.seek(0)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#":
        return "PNM"
    raise InputError(f"{_stranger(head)}; give {READS}, or convert the file to one of these")


@contextmanager
def silenced(*names: str) -> Iterator[None]:
    """Drop all warnings, and what the loggers of these names say; the settings are back afterwards."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.disabled = True
            yield
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled


@contextmanager
def overheard(complaint: re.Pattern[str]) -> Iterator[list[str]]:
    """Keep from the error stream, and list, the lines of C libraries that match `complaint`.

    What else the process prints there meanwhile appears when the context ends.
    """
    said: list[str] = []
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError, ValueError):  # there is no such stream
        yield said
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            sink.seek(0)
            for line in sink.read().decode(errors="replace").splitlines(keepends=True):
                if complaint.match(line):
                    said.append(line.strip())
                else:
                    sys.stderr.write(line)


def check_options(page: int | None, max_pixels: int) -> None:
    """Raise OptionError unless `page` is None or a count from 0 and `max_pixels` is at least 1."""
    check_whole("max_pixels", max_pixels, 1)
    if page is not None:
        check_whole("page", page, 0)


def check_size(rows: int, cols: int, max_pixels: int, *, planes: int = 1) -> None:
    """Raise InputError if a header claims no pixels or more than `max_pixels`."""
    pixels = rows * cols * planes
    size = f"{planes} x {rows} x {cols}" if planes != 1 else f"{rows} x {cols}"
    if rows < 1 or cols < 1 or planes < 1:
        raise InputError(f"the header claims {size} pixels, none at all; the file is damaged, save it again")
    if pixels > max_pixels:
        raise too_large(f"{size} = {pixels} pixels", pixels, max_pixels)


def too_large(size: str, pixels: int, max_pixels: int) -> InputError:
    """Make the error that refuses a picture above the limit."""
    return InputError(
        f"the header claims {size}, above the limit of {max_pixels}; "
        f"if you trust the file, allow it with --max-pixels {pixels} (read_image: max_pixels={pixels})"
    )


def choose_page(count: int, page: int | None, detail: str = "") -> int:
    """Return the page to read: `page`, or 0 if there is just one; InputError otherwise."""
    if page is None and count == 1:
        return 0
    if page is None:
        raise InputError(f"{count} pages{detail}; choose one with --page 0..{count - 1} (read_image: page=)")
    if page >= count:
        last = f"--page 0..{count - 1} (read_image: page=)" if count > 1 else "page 0 or leave it out"
        raise InputError(f"page {page} does not exist, {count} in the file{detail}; choose {last}")
    return page


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InputError("a folder, not a picture; name the file in it")
    for is_kind, name in _KINDS:
        if is_kind(status.st_mode):
            raise InputError(f"{name}, not a regular file; copy the picture to a file first")
    if status.st_size == 0:
        raise InputError("the file is empty; copy or save it again")


def _why_not(path: str | os.PathLike[str], error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):
            return "a link to a file that does not exist; mend the link or name the file itself"
        return "no such file; check the name and the folder"
    if isinstance(error, PermissionError):
        return "not readable for this user; change its permissions"
    if isinstance(error, NotADirectoryError):
        return "no such file, a part of the path is a file and not a folder; check the path"
    reason = getattr(error, "strerror", None) or one_line(error)
    return f"cannot be opened ({reason}); check the path"


def _stranger(head: bytes) -> str:
    for magic, name in _STRANGERS:
        if head.startswith(magic):
            return f"not a picture that can be read but {name}"
    if head[4:8] == b"ftyp":
        return "not a picture that can be read but a HEIF, AVIF or video file"
    if head[257:262] == b"ustar":
        return "not a picture that can be read but a tar archive"
    if len(head) > 1 and all(32 <= byte < 127 or byte in b"\t\n\r\f" for byte in head):
        return "not a picture but text"
    return "not a picture of a known type"


def check_indexes(array: NDArray[Any], palette: NDArray[np.uint8]) -> None:
    """Raise OptionError unless the array indexes the colors of the palette, (n_colors, 3)."""
    if palette.dtype != np.uint8 or palette.shape[1:] != (3,) or not 1 <= len(palette) <= 256:
        raise OptionError(f"palette must be uint8 (1 to 256, 3), got {palette.dtype} {palette.shape}")
    if array.dtype != np.uint8 or array.ndim != 2 or array.size == 0:
        raise OptionError(f"array must be uint8 (rows, cols) with a palette, got {array.dtype} {array.shape}")
    if int(array.max()) >= len(palette):
        raise OptionError(f"array must index the {len(palette)} colors of the palette, got {array.max()}")
