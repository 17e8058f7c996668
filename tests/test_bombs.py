"""Files that claim or hold far more than their size: refused by the header, in little memory and time."""

import io
import json
import lzma
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segmix.errors import InputError
from segmix.imaging.files import read_image


@pytest.fixture
def gray():
    return np.random.default_rng(23).integers(0, 256, (37, 45), dtype=np.uint8)


def encoded(array, kind, **options):
    target = io.BytesIO()
    Pillow.fromarray(array).save(target, kind, **options)
    return target.getvalue()


def tiff(array, **options):
    target = io.BytesIO()
    tifffile.imwrite(target, array, **options)
    return target.getvalue()


def npy(array):
    target = io.BytesIO()
    np.save(target, array, allow_pickle=True)
    return target.getvalue()


def npy_claiming(shape, descr="<f8"):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + b"0" * 64


def png_claiming(rows, cols):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"0" * 99)) + chunk(b"IEND", b"")


def patched(data, start, layout, *values):
    data = bytearray(data)
    struct.pack_into(layout, data, start, *values)
    return bytes(data)


def tags_of(data):
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return {tag.code: tag for tag in file.pages[0].tags}


BOMBS = {
    "png": lambda array: png_claiming(60_000, 60_000),
    "gif": lambda array: patched(encoded(array, "GIF"), 6, "<HH", 60_000, 60_000),
    "jpeg": lambda array: patched(
        encoded(array, "JPEG"), encoded(array, "JPEG").index(b"\xff\xc0") + 5, ">HH", 60_000, 60_000
    ),
    "bmp": lambda array: patched(encoded(array, "BMP"), 18, "<ii", 60_000, 60_000),
    "webp": lambda array: patched(encoded(array, "WEBP", lossless=True), 21, "<I", 16382 | 16382 << 14),
    "ppm": lambda array: b"P5 60000 60000 255 ",
    "npy": lambda array: npy_claiming((60_000, 60_000)),
    "volume": lambda array: npy_claiming((600, 60_000, 600), "|u1"),
    "tiff": lambda array: claiming_tiff(tiff(array)),
    "deflated tiff": lambda array: claiming_tiff(tiff(array, compression="zlib")),
    "lzw tiff": lambda array: claiming_tiff(encoded(array, "TIFF", compression="tiff_lzw")),
}


def claiming_tiff(data):
    for code in (256, 257):
        tag = tags_of(data)[code]
        data = patched(data, tag.valueoffset, "<H" if tag.dtype == 3 else "<I", 60_000)
    return data


def swelling_tiff(compressor, code):
    """A picture of 10 x 10 pixels whose one strip holds 200 MB of zeros."""
    swollen = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(200)) + compressor.flush()
    data = bytearray(tiff(np.zeros((10, 10), np.uint8), compression=code))
    tags = tags_of(bytes(data))
    for code, value in ((273, len(data)), (279, len(swollen))):
        struct.pack_into("<H" if tags[code].dtype == 3 else "<I", data, tags[code].valueoffset, value)
    return bytes(data) + swollen


def worded_tiff(array, kind, count):
    """A picture of 2**31 - 1 rows whose width is not one integer: Python would repeat it, not multiply."""
    data = tiff(array, metadata=None)
    tags = tags_of(data)
    data = patched(data, tags[257].offset + 2, "<HII", 4, 1, 2**31 - 1)
    return patched(data, tags[256].offset + 2, "<HI", kind, count)


MEASURE = r"""
import json, re, sys, time
import tifffile
from pathlib import Path
from segmix.errors import InputError
from segmix.imaging.files import read_image
status = Path("/proc/self/status")  # ru_maxrss would start at the parent's peak
peak = lambda: int(re.search(r"VmHWM:\s*([0-9]+)", status.read_text())[1]) if status.exists() else 0
for path in sys.argv[1:]:
    before, start = peak(), time.perf_counter()
    try: message = repr(read_image(path))
    except InputError as error: message = str(error)
    print(json.dumps([message, time.perf_counter() - start, peak() - before]))
"""


def test_bombs_are_refused_within_memory_and_time(tmp_path, gray):
    """In a process of its own, whose peak of memory nothing else has raised."""
    bombs = {name: build(gray) for name, build in BOMBS.items()}
    assert all(len(data) < 10_000 for data in bombs.values())
    bombs["width as text"] = worded_tiff(gray, kind=2, count=1)
    bombs["width as list"] = worded_tiff(gray, kind=3, count=2)
    bombs["swollen zlib"] = swelling_tiff(zlib.compressobj(1), "zlib")
    bombs["swollen lzma"] = swelling_tiff(lzma.LZMACompressor(preset=0), "lzma")
    paths = [tmp_path / name for name in bombs]
    for path, data in zip(paths, bombs.values(), strict=True):
        path.write_bytes(data)
    done = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    for path, (message, seconds, kilobytes) in zip(paths, outcomes, strict=True):
        assert message.startswith(f"{path}: ")
        assert seconds < 20
        assert kilobytes < 60_000
        if "swollen" in path.name:
            assert "a strip holds more than its 100 bytes of pixels; save the file again" in message
        elif "width" in path.name:
            assert "the TIFF's tag 256 must be one integer; the file is damaged, save it again" in message
        else:
            assert "above the limit of 64000000; if you trust the file, allow it with --max-pixels" in message
            assert int(message.rpartition("max_pixels=")[2].rstrip(")")) >= 16383**2


def test_the_limit_can_be_raised_and_lowered(tmp_path, gray):
    path = tmp_path / "a"
    for data in (encoded(gray, "PNG"), encoded(gray, "JPEG"), encoded(gray, "GIF"), tiff(gray), npy(gray)):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"above the limit of 1664; .* \(read_image: max_pixels=1665\)$"):
            read_image(path, max_pixels=1664)
        assert read_image(path, max_pixels=1665).n_pixels == 1665
    assert Pillow.MAX_IMAGE_PIXELS > 10**7  # Pillow's own setting is back


def test_a_header_within_a_raised_limit_does_not_take_memory_either(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(npy_claiming((10**6, 10**6)))
    with pytest.raises(
        InputError, match="the file is truncated, 64 of 8000000000000 bytes of numbers are there; copy"
    ):
        read_image(path, max_pixels=10**13)
