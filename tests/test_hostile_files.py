"""Files that are broken, hostile or no pictures: one line, at once, in little memory."""

import io
import os
import pickle
import socket
import struct
from time import perf_counter

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segmix.errors import InputError, OptionError
from segmix.imaging.files import read_image


@pytest.fixture
def gray():
    return np.random.default_rng(23).integers(0, 256, (37, 45), dtype=np.uint8)


@pytest.fixture
def refusal(tmp_path):
    """Read bytes that must be refused; return the message after the path."""

    def read(data, name="bad.png", **options):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            read_image(path, **options)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        assert "; " in message  # what came; what to do
        return message.removeprefix(f"{path}: ")

    return read


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


def patched(data, start, layout, *values):
    data = bytearray(data)
    struct.pack_into(layout, data, start, *values)
    return bytes(data)


def tags_of(data):
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return {tag.code: tag for tag in file.pages[0].tags}


def test_what_is_not_there_or_not_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        expected = {
            "missing.png": "no such file; check the name",
            "folder": "a folder, not a picture; name the file in it",
            "dangling": "a link to a file that does not exist; mend the link",
            "loop": "cannot be opened (Too many levels of symbolic links); check the path",
            "pipe": "a named pipe, not a regular file; copy",
            "socket": "a socket, not a regular file; copy",
            "folder/../pipe/x.png": "a part of the path is a file and not a folder; check",
            "n" * 300: "cannot be opened (File name too long)",
            "a\0b.png": "embedded null",
        }
        start = perf_counter()
        for name, message in expected.items():
            with pytest.raises(InputError) as caught:
                read_image(f"{tmp_path}/{name}")
            assert message in str(caught.value)
        for name in ("/dev/zero", "/dev/null"):
            with pytest.raises(InputError, match=f"^{name}: a character device, not a regular file"):
                read_image(name)
        assert perf_counter() - start < 20


def test_an_unreadable_file_is_named(tmp_path, monkeypatch, gray):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(gray, "PNG"))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # the tests may run as root, whom no mode stops
    with pytest.raises(InputError, match="not readable for this user; change its permissions"):
        read_image(path)


def test_messages_are_one_printable_line_whatever_the_name():
    for name in (
        "a\nb.png",
        "a\x1b[31mred.png",
        "a\u202egnp.exe",
        os.fsdecode(b"a\xff\xfe.png"),
        "[/red]%s.png",
    ):
        with pytest.raises(InputError) as caught:
            read_image(name)
        message = str(caught.value)
        assert message.isprintable()
        assert message.encode().endswith(b"no such file; check the name and the folder")
    assert message.startswith("[/red]%s.png: ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty; copy or save it again"),
        (b"x", "not a picture of a known type; give PNG, JPEG, BMP, GIF, WebP, PBM/PGM/PPM, TIFF or .npy"),
        (b"hello, I am text\n", "not a picture but text; give PNG"),
        (b"%PDF-1.4 ...", "but a PDF document; give PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "but a PostScript file; give"),
        (pickle.dumps({"a": 1}), "but a Python pickle; give"),
        (b"\x89HDF\r\n\x1a\n", "but an HDF5 file; give"),
        (b"PK\x03\x04....", "but a zip archive"),
        (b"\x1f\x8b\x08", "but a gzip file"),
        (b"\0\0\0\x20ftypavif", "but a HEIF, AVIF or video file"),
        (b"\0" * 257 + b"ustar", "but a tar archive"),
        (b"P7\nWIDTH 3\n", "not a picture but text"),
    ],
)
def test_type_is_decided_by_content(refusal, data, message):
    assert message in refusal(data)


KINDS = {
    "PNG": lambda array: encoded(array, "PNG"),
    "JPEG": lambda array: encoded(array, "JPEG"),
    "GIF": lambda array: encoded(array, "GIF"),
    "BMP": lambda array: encoded(array, "BMP"),
    "WEBP": lambda array: encoded(array, "WEBP", lossless=True),
    "PPM": lambda array: encoded(array, "PPM"),
    "NPY": npy,
    "TIFF": tiff,
    "deflated TIFF": lambda array: tiff(array, compression="zlib", rowsperstrip=8),
    "LZW TIFF": lambda array: encoded(array, "TIFF", compression="tiff_lzw"),
    "tiled TIFF": lambda array: tiff(array, tile=(16, 16)),
    "TIFF stack": lambda array: tiff(np.stack([array, array]), photometric="minisblack", compression="zlib"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.98])
def test_a_cut_off_file_is_refused(refusal, gray, kind, share):
    data = KINDS[kind](gray)
    message = refusal(data[: int(share * len(data))], page=int(kind == "TIFF stack"))
    assert "again" in message


@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"IEND"])
def test_a_wrong_checksum_in_a_png_is_refused(refusal, gray, chunk):
    data = encoded(gray, "PNG")
    place = data.index(chunk) + (4 if chunk != b"IEND" else 5)
    assert f"wrong checksum in the PNG chunk {chunk!r}; the file is damaged" in refusal(
        patched(data, place, "B", data[place] ^ 1)
    )


def test_pixels_that_a_damaged_tiff_lacks_are_never_made_up(refusal, gray):
    """Control: tifffile fills them, or returns an array of size 0."""
    data = tiff(gray, compression="zlib", rowsperstrip=8)
    tag = tags_of(data)[279]
    hollow = patched(data, tag.valueoffset, "<H" if tag.dtype == 3 else "<I", 0)
    assert tifffile.imread(io.BytesIO(hollow)).shape == gray.shape
    assert refusal(hollow).startswith("a strip of the TIFF holds no data; fill the picture")
    data = tiff(gray, metadata=None)
    flat = patched(data, tags_of(data)[257].valueoffset, "<H", 0)
    assert tifffile.imread(io.BytesIO(flat)).size == 0
    assert "none at all; the file is damaged" in refusal(flat)


@pytest.mark.parametrize("length", [1, 2, 150])
def test_a_chain_of_pages_that_loops_ends_at_once(refusal, length):
    page = struct.pack("<HHHII", 1, 256, 3, 1, 1)
    step = len(page) + 4
    pages = b"".join(page + struct.pack("<I", 8 + (k + 1) % length * step) for k in range(length))
    start = perf_counter()
    assert f"page {length} of the TIFF leads back to an earlier one; save" in refusal(
        b"II*\0\x08\0\0\0" + pages
    )
    assert perf_counter() - start < 5


def test_big_tiffs_loop_too(refusal):
    page = struct.pack("<QHHQQQ", 1, 256, 3, 1, 1, 16)
    assert "leads back to an earlier one" in refusal(b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + page)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[{}]], object), "of type object, not real numbers; save it as integers or floats"),
        (np.array([["a"]]), "of type <U1"),
        (np.zeros((2, 2), complex), "of type complex128, not real numbers"),
        (np.zeros((2, 2), [("a", "f4")]), "not real numbers"),
        (np.zeros(7), r"has shape (7,), not 2-D or 3-D; save one picture"),
        (np.zeros((0, 7)), "none at all"),
        (np.full((2, 2), np.nan), "finite pixel, all 4 are NaN"),
        (np.zeros((9, 9, 3), np.uint8), "looks like color; convert to one channel"),
    ],
)
def test_npy_that_is_no_picture_is_refused(refusal, array, message):
    assert message in refusal(npy(array), name="a.npy")


def test_npy_is_never_unpickled(refusal, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    refusal(npy(np.array([[Trap()]], object)))
    refusal(pickle.dumps(Trap()))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "options", [{"page": -1}, {"page": True}, {"page": "0"}, {"max_pixels": 0}, {"max_pixels": 1.5}]
)
def test_options_out_of_range_are_option_errors(options):
    with pytest.raises(OptionError, match="must be a whole number from"):
        read_image("any.png", **options)


def mutated(rng, data):
    """Flip some bytes, cut the end, or double a stretch."""
    data = bytearray(data)
    choice = rng.integers(3)
    if choice == 0:
        for place in rng.integers(0, min(len(data), 400), rng.integers(1, 9)):
            data[place] = rng.integers(256)
    elif choice == 1:
        del data[rng.integers(1, len(data)) :]
    else:
        start, length = rng.integers(0, len(data)), rng.integers(1, 40)
        data[start:start] = data[start : start + length]
    return bytes(data)


def image_or_message(path, page):
    try:
        return read_image(path, page=page)
    except InputError as error:
        return str(error)


def test_mutated_files_give_an_image_or_an_input_error(tmp_path, gray):
    rng = np.random.default_rng(24)
    path, outcomes = tmp_path / "fuzz", []
    for kind, build in KINDS.items():
        data = build(gray[:16, :18])
        for _ in range(14):
            path.write_bytes(mutated(rng, data))
            start = perf_counter()
            outcome = image_or_message(path, page=int(rng.integers(2)) or None)
            if isinstance(outcome, str):
                assert outcome.startswith(f"{path}: ")
                assert outcome.isprintable()
                outcomes.append(kind)
            else:
                finite = np.isfinite(outcome.pixels).all()
                assert finite or any("not finite" in note for note in outcome.notes)
            assert perf_counter() - start < 20
    assert set(outcomes) == set(KINDS)


def test_an_empty_list_of_pages_complex_numbers_and_no_name_are_called_so(refusal):
    assert "the TIFF holds no picture" in refusal(struct.pack("<2sHIHI", b"II", 42, 0, 0, 0))
    assert "the header claims 0 x 0 pixels" in refusal(struct.pack("<2sHIHI", b"II", 42, 8, 0, 0))
    assert "holds complex numbers" in refusal(tiff(np.ones((9, 9), np.complex64)))
    with pytest.raises(OptionError, match="path must name a file, got an empty name"):
        read_image("")


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch, gray):
    def lack(*_, **__):
        raise MemoryError

    path = tmp_path / "a.png"
    path.write_bytes(encoded(gray, "PNG"))
    monkeypatch.setattr(np, "array", lack)
    with pytest.raises(InputError, match=r"a\.png: memory does not suffice .* crop it, or take a machine"):
        read_image(path)


@pytest.mark.parametrize("options", [{}, {"quality": 95}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_cut_jpeg_with_an_end_marker_is_refused(refusal, tmp_path, options, channels):
    pixels = np.random.default_rng(3).normal(120, 40, (128, 100, *channels)).clip(0, 255).astype(np.uint8)
    data = encoded(pixels, "JPEG", **options)
    assert "lacks pixels before its end marker" in refusal(data[: len(data) // 2] + b"\xff\xd9")
    pixels[64:] = 128  # the control: a gray lower half that is all there
    (tmp_path / "whole.jpg").write_bytes(encoded(pixels, "JPEG", **options))
    assert read_image(tmp_path / "whole.jpg").pixels[-1, -1] == 128


def _jpeg(mode, **options):
    channels = {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    pixels = np.random.default_rng(3).normal(120, 40, (128, 100, *channels)).clip(0, 255).astype(np.uint8)
    target = io.BytesIO()
    Pillow.fromarray(pixels, mode if mode == "CMYK" else None).save(target, "JPEG", **options)
    return target.getvalue()


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {"progressive": True}),
        ("RGB", {"progressive": True}),
        ("RGB", {"progressive": True, "restart_marker_rows": 1, "quality": 95}),
        ("CMYK", {}),
        ("CMYK", {"progressive": True}),
    ],
)
def test_a_cut_jpeg_in_passes_or_four_channels_is_refused(refusal, tmp_path, mode, options):
    """What decoders fill in is not gray there: earlier passes stand, and four channels become others."""
    data = _jpeg(mode, **options)
    for share in (0.2, 0.4, 0.6, 0.8, 0.95):
        cut = data[: round(share * len(data))].rstrip(b"\xff") + b"\xff\xd9"
        assert "cut off" in refusal(cut), share
    (tmp_path / "whole.jpg").write_bytes(data)
    assert read_image(tmp_path / "whole.jpg").shape == (128, 100)
