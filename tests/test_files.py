"""Formats other than TIFF: what comes in is what was written, or the note says what changed."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage.color import rgb2gray

from segmix.errors import InputError
from segmix.imaging.files import read_image, write_png
from segmix.imaging.intensity import EQUAL, LUMINANCE, luminance
from segmix.imaging.levels import count_levels

LOSSLESS = {"PNG": {}, "BMP": {}, "WEBP": {"lossless": True, "exact": True}, "PPM": {}}


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def gray(rng):
    return rng.integers(0, 256, (37, 45), dtype=np.uint8)


@pytest.fixture
def color(rng):
    return rng.integers(0, 256, (37, 45, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    """Save an array by Pillow under a name without extension; return the path."""

    def write(array, kind, *, mode=None, **options):
        picture = Pillow.fromarray(array)
        path = tmp_path / "picture"
        (picture.convert(mode) if mode else picture).save(path, kind, **options)
        return path

    return write


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_bytes(shape, depth, kind, rows):
    """A PNG of the given bit depth and color type; rows are filtered by none, sub and up in turn."""
    step = max(1, {0: 1, 2: 3, 4: 2, 6: 4}[kind] * depth // 8)
    stream, above = b"", b""
    for number, row in enumerate(rows):
        left = bytes(step) + row
        reference = (bytes(len(row)), left, above)[number % 3]
        stream += bytes([number % 3]) + bytes((a - b) & 255 for a, b in zip(row, reference, strict=False))
        above = row
    head = struct.pack(">IIBBBBB", shape[1], shape[0], depth, kind, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(stream))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def packed_rows(values, bits):
    """Rows of integers packed to `bits` each, most significant first, every row on a byte boundary."""
    words = ["".join(format(int(value), f"0{bits}b") for value in row) for row in values]
    padded = [word + "0" * (-len(word) % 8) for word in words]
    return [int(word, 2).to_bytes(len(word) // 8, "big") for word in padded]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_gray_and_color_come_back_bit_for_bit(save, gray, color, kind):
    image = read_image(save(gray, kind, **LOSSLESS[kind]))
    np.testing.assert_array_equal(image.pixels, gray)
    assert image.pixels.dtype == np.uint8
    assert image.limits == (0, 255)
    assert image.notes == ((EQUAL,) if kind == "WEBP" else ())
    image = read_image(save(color, kind, **LOSSLESS[kind]))
    np.testing.assert_array_equal(image.pixels, luminance(color))
    assert image.notes == (LUMINANCE,)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM"])
def test_one_bit_pictures_come_back(save, gray, kind):
    image = read_image(save(gray > 99, kind))
    np.testing.assert_array_equal(image.pixels > 0, gray > 99)
    if kind != "GIF":
        assert image.pixels.dtype == np.bool_
        assert np.unique(image.pixels.view(np.uint8)).tolist() == [0, 1]
        assert count_levels(image).values.tolist() == [0, 1]


def test_pixels_are_native_contiguous_and_writable(save, gray):
    for kind in ("PNG", "GIF", "JPEG"):
        flags = read_image(save(gray, kind)).pixels.flags
        assert flags.c_contiguous
        assert flags.writeable


def test_jpeg_reads_as_pillow_decodes_it(save, gray, color):
    path = save(gray, "JPEG")
    np.testing.assert_array_equal(read_image(path).pixels, np.asarray(Pillow.open(path)))
    path = save(color, "JPEG")
    np.testing.assert_array_equal(read_image(path).pixels, luminance(np.asarray(Pillow.open(path))))


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_png_keeps_all_bits_in_every_color_type(tmp_path, rng, kind, channels):
    stored = rng.integers(0, 2**16, (9, 11, channels), dtype=np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(png_bytes((9, 11), 16, kind, [row.astype(">u2").tobytes() for row in stored]))
    image = read_image(path)
    assert image.pixels.dtype == np.uint16
    assert image.limits == (0, 65535)
    expected = stored[..., 0] if channels < 3 else luminance(stored[..., :3])
    np.testing.assert_array_equal(image.pixels, expected)
    assert any("alpha dropped (99 pixels not opaque)" in note for note in image.notes) == (channels in (2, 4))
    with Pillow.open(path) as picture:  # the control: Pillow alone cuts color to 8 bits
        assert channels == 1 or np.asarray(picture).dtype == np.uint8


@pytest.mark.parametrize(("bits", "limits"), [(1, (None, None)), (2, (0, 3)), (4, (0, 15))])
def test_few_bits_keep_their_values_and_their_range(tmp_path, rng, bits, limits):
    values = rng.integers(0, 2**bits, (9, 11))
    path = tmp_path / "shallow.png"
    path.write_bytes(png_bytes((9, 11), bits, 0, packed_rows(values, bits)))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, values)
    assert image.limits == limits


@pytest.mark.parametrize(("mode", "kind"), [("LA", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP"), ("PA", "PNG")])
def test_alpha_is_dropped_and_said(save, gray, mode, kind):
    layers = np.dstack(
        [gray] * (3 if mode == "RGBA" else 1) + [np.where(gray > 200, 9, 255).astype(np.uint8)]
    )
    if mode == "PA":
        path = save(gray, "PNG", mode="P", transparency=3)
        clear = int((gray == 3).sum())
    else:
        path = save(layers, kind, **LOSSLESS[kind])
        clear = int((gray > 200).sum())
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, gray)
    assert f"alpha dropped ({clear} pixels not opaque)" in image.notes


def test_a_transparent_gray_is_said(save, gray):
    image = read_image(save(gray, "PNG", transparency=7))
    np.testing.assert_array_equal(image.pixels, gray)
    assert image.notes == ("alpha dropped (one color is transparent)",)


def test_palette_indices_are_never_intensities(tmp_path):
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    palette = np.array([[200, 200, 200], [10, 10, 10], [90, 90, 90]], np.uint8)
    write_png(tmp_path / "a.png", indices, palette=palette)
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, palette[indices][..., 0])
    assert image.notes == ("palette expanded to color", EQUAL)
    palette[1] = [255, 0, 0]
    write_png(tmp_path / "a.png", indices, palette=palette)
    assert read_image(tmp_path / "a.png").pixels.tolist() == [[200, 54, 90], [90, 54, 200]]


def test_luminance_is_that_of_scikit_image_to_half_a_level(rng):
    for top, dtype in ((255, np.uint8), (65535, np.uint16), (2**32 - 1, np.uint32)):
        color = rng.integers(0, top, (300, 41, 3), dtype=dtype, endpoint=True)
        expected = rgb2gray(color.astype(np.float64))
        assert np.abs(luminance(color).astype(np.float64) - expected).max() <= 0.5 + 1e-6
        assert luminance(np.full((2, 2, 3), top, dtype)).tolist() == [[top, top], [top, top]]
    signed = np.full((1, 1, 3), -7, np.int16)
    assert luminance(signed).tolist() == [[-7]]
    floats = rng.normal(size=(5, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(luminance(floats), rgb2gray(floats), atol=1e-6)
    with pytest.raises(InputError, match="too wide"):
        luminance(np.zeros((2, 2, 3), np.int64))


def test_cmyk_is_converted_and_never_taken_as_rgba(save, color):
    path = save(color, "JPEG", mode="CMYK")
    image = read_image(path)
    with Pillow.open(path) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(image.pixels, luminance(expected))
    assert image.notes == ("CMYK converted to RGB", LUMINANCE)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_orientation_is_applied_as_pillow_does(save, gray, kind, turn):
    exif = Pillow.Exif()
    exif[0x0112] = turn
    path = save(gray, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    with Pillow.open(path) as picture:
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(picture).convert("L"))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, expected)
    assert (f"turned upright by orientation {turn}" in image.notes) == (turn > 1)


@pytest.mark.parametrize("garbage", [b"Exif\0\0not a tiff", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\0" * 40])
def test_garbage_exif_is_harmless(save, gray, garbage):
    for kind in ("JPEG", "PNG"):
        assert read_image(save(gray, kind, exif=garbage)).shape == gray.shape


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("MPO", {})]
)
def test_several_frames_need_a_page(save, gray, kind, options):
    others = [Pillow.fromarray(np.roll(gray, shift)) for shift in (1, 2)]
    path = save(gray, kind, save_all=True, append_images=others, **options)
    with pytest.raises(InputError, match=r"picture: 3 pages; choose one with --page 0\.\.2 \(read_image"):
        read_image(path)
    with pytest.raises(InputError, match=r"page 3 does not exist, 3 in the file; choose --page 0\.\.2"):
        read_image(path, page=3)
    for page in range(3):
        pixels = read_image(path, page=page).pixels
        close = 40 if kind == "MPO" else 0
        assert np.abs(pixels.astype(int) - np.roll(gray, page).astype(int)).max() <= close


def test_a_single_page_may_be_named(save, gray):
    assert read_image(save(gray, "PNG"), page=0).shape == gray.shape
    with pytest.raises(
        InputError, match="page 1 does not exist, 1 in the file; choose page 0 or leave it out"
    ):
        read_image(save(gray, "PNG"), page=1)


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", ">u2", "i4", "u8", "f2", ">f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_comes_back_bit_for_bit(tmp_path, rng, dtype, order):
    for shape in ((4, 5), (3, 4, 5)):
        stored = np.asarray(rng.integers(0, 2, shape).astype(dtype), order=order)
        np.save(tmp_path / "a.npy", stored)
        image = read_image(tmp_path / "a.npy")
        np.testing.assert_array_equal(image.pixels, stored)
        assert image.pixels.dtype.isnative
        assert image.axes == ("YX" if len(shape) == 2 else "ZYX")


@pytest.mark.parametrize(
    ("stored", "values", "top"),
    [
        (
            b"P5\n# by hand\n3 2 # wide\n4095\n" + struct.pack(">6H", 0, 1, 4095, 7, 8, 9),
            [[0, 1, 4095], [7, 8, 9]],
            4095,
        ),
        (b"P5 2 1 100 \x05\x64", [[5, 100]], 100),
        (b"P2\n3 2 100\n0 1 100 # half\n7 8 9\n", [[0, 1, 100], [7, 8, 9]], 100),
        (b"P6 1 1 65535 " + struct.pack(">3H", 60000, 60000, 60000), [[60000]], 65535),
        (b"P3 2 1 255 9 9 9 1 1 1", [[9, 1]], 255),
        (b"P4 3 2 \xa0\x40", [[0, 1, 0], [1, 0, 1]], None),
        (b"P1\n3 2\n101\n0 1 0", [[0, 1, 0], [1, 0, 1]], None),
    ],
)
def test_portable_maps_keep_their_values_and_range(tmp_path, stored, values, top):
    path = tmp_path / "a.pgm"
    path.write_bytes(stored)
    image = read_image(path)
    assert image.pixels.astype(int).tolist() == values
    assert image.limits == ((0, top) if top else (None, None))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"P5 2 1 255 ab" + b"P5 2 1 255 ab", "holds several pictures; split it"),
        (b"P1 3 1 1 2 0", "plain bitmap holds 0 and 1 only, got b'2'"),
    ],
)
def test_portable_maps_that_would_be_read_in_part(tmp_path, stored, message):
    path = tmp_path / "a.pgm"
    path.write_bytes(stored)
    with pytest.raises(InputError, match=message):
        read_image(path)


@pytest.mark.parametrize(
    "name", ["a.PNG", "a.jpg", "a.tif", "a", "a.png.bak", "-a.png", "ü e\u0301 $(x) [1]*%s~'\".png"]
)
def test_names_decide_nothing(tmp_path, monkeypatch, gray, name):
    monkeypatch.chdir(tmp_path)
    write_png(name, gray)
    image = read_image(name)
    np.testing.assert_array_equal(image.pixels, gray)
    assert image.source == name


@pytest.mark.parametrize(("shape", "hint"), [((64, 64, 5), True), ((5, 64, 64), False)])
def test_the_axes_of_a_volume_are_told(tmp_path, shape, hint):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    (note,) = read_image(tmp_path / "a.npy").notes
    assert note.startswith("taken as {} planes of {} x {}".format(*shape))
    assert ("channels" in note) == hint
