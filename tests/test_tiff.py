"""TIFF: every layout comes back bit for bit, or is refused with a remedy."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segmix.errors import InputError
from segmix.imaging.files import read_image
from segmix.imaging.intensity import LUMINANCE, luminance, upright

WHITE = "min-is-white turned to intensity"


@pytest.fixture
def rng():
    return np.random.default_rng(21)


@pytest.fixture
def gray(rng):
    return rng.integers(0, 256, (37, 45), dtype=np.uint8)


@pytest.fixture
def color(rng):
    return rng.integers(0, 256, (37, 45, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    """Write an array by tifffile; return the path."""

    def write(array, **options):
        path = tmp_path / "picture.tif"
        tifffile.imwrite(path, array, **options)
        return path

    return write


@pytest.fixture
def by_hand(tmp_path):
    """Write a TIFF of one strip byte by byte; `tags` are (code, type, value), beside or for the usual."""

    def write(shape, data, *, bits=8, photometric=1, channels=1, order="<", tags=(), next_page=0, drop=()):
        usual = [(256, 4, shape[1]), (257, 4, shape[0]), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
        usual += [(273, 4, 8), (277, 3, channels), (278, 4, shape[0]), (279, 4, len(data))]
        fields = {code: (kind, value) for code, kind, value in [*usual, *tags] if code not in drop}
        data = data + b"\0" * (len(data) % 2)
        page = struct.pack(order + "H", len(fields))
        for code, (kind, value) in sorted(fields.items()):
            word = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
            page += struct.pack(order + "HHI", code, kind, 1) + word
        head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
        path = tmp_path / "hand.tif"
        path.write_bytes(head + data + page + struct.pack(order + "I", next_page))
        return path

    return write


def packed(values, bits):
    words = ["".join(format(int(value), f"0{bits}b") for value in row) for row in values]
    padded = [word + "0" * (-len(word) % 8) for word in words]
    return b"".join(int(word, 2).to_bytes(len(word) // 8, "big") for word in padded)


def set_tag(path, code, value):
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].tags[code].valueoffset
    data[start : start + len(value)] = value
    path.write_bytes(data)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_byte_orders_and_layouts_come_back(save, rng, dtype, options, order):
    stored = (rng.integers(0, 2**32, (37, 45)) % (2048 if dtype == "f2" else 2**32)).astype(dtype)
    image = read_image(save(stored, byteorder=order, **options))
    assert image.pixels.dtype == np.dtype("f4" if dtype == "f2" else dtype)
    assert image.pixels.dtype.isnative
    np.testing.assert_array_equal(image.pixels, stored)
    assert image.notes == ()


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("compression", ["zlib", "lzma", "packbits"])
def test_codecs_of_tifffile(save, gray, compression, predictor):
    if compression == "packbits":
        path = save(gray)
        Pillow.fromarray(gray).save(path, "TIFF", compression="packbits")
    else:
        path = save(gray, compression=compression, predictor=predictor)
    np.testing.assert_array_equal(read_image(path).pixels, gray)


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        (mode, compression)
        for mode in ("1", "L", "I;16", "F", "LA", "RGB", "CMYK", "P")
        for compression in ("tiff_lzw", "tiff_adobe_deflate", None)
    ]
    + [("YCbCr", "tiff_lzw")],  # Pillow 12 cannot read back YCbCr that it wrote without compression
)
def test_what_pillow_writes_reads_as_pillow_reads_it(tmp_path, color, mode, compression):
    gray = color[..., 0]
    sources = {"1": gray > 99, "I;16": gray.astype(np.uint16) * 257, "F": gray / np.float32(3), "L": gray}
    picture = Pillow.fromarray(sources.get(mode, np.dstack([gray, gray]) if mode == "LA" else color))
    picture = picture.convert(mode) if picture.mode != mode else picture
    picture.save(tmp_path / "a.tif", compression=compression)
    image = read_image(tmp_path / "a.tif")
    if mode in ("CMYK", "YCbCr", "P", "RGB"):
        expected = luminance(np.asarray(picture.convert("RGB")))
        assert image.notes[-1] == LUMINANCE
        assert len(image.notes) == (1 if mode == "RGB" else 2)
    else:
        expected = sources.get(mode, gray)
    # libtiff and Pillow round YCbCr differently
    np.testing.assert_allclose(image.pixels, expected, atol=1 if mode == "YCbCr" else 0)
    assert image.pixels.dtype == expected.dtype


def test_uint32_in_lzw_is_never_negative(tmp_path):
    """Pillow reads it as int32."""
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    path = tmp_path / "a.tif"
    Pillow.fromarray(values.view(np.int32)).save(path, compression="tiff_lzw")
    set_tag(path, 339, b"\1\0")
    image = read_image(path)
    assert image.pixels.dtype == np.uint32
    np.testing.assert_array_equal(image.pixels, values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_bits_white_and_orientation_in_every_combination(by_hand, rng, bits, turn, photometric, order):
    stored = rng.integers(0, 2**bits, (7, 11))
    data = packed(stored, bits) if bits < 16 else stored.astype(order + "u2").tobytes()
    path = by_hand((7, 11), data, bits=bits, photometric=photometric, order=order, tags=[(274, 3, turn)])
    image = read_image(path)
    expected = upright(stored if photometric else 2**bits - 1 - stored, turn)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.limits == ((0, 2**bits - 1) if bits > 1 else (None, None))
    assert (WHITE in image.notes) == (photometric == 0)
    assert (f"turned upright by orientation {turn}" in image.notes) == (turn > 1)


def test_twelve_bits_packed_or_in_sixteen(by_hand, save, rng):
    stored = rng.integers(0, 4096, (7, 11)).astype(np.uint16)
    image = read_image(by_hand((7, 11), packed(stored, 12), bits=12))
    np.testing.assert_array_equal(image.pixels, stored)
    assert image.limits == (0, 4095)
    np.testing.assert_array_equal(read_image(save(stored)).pixels, stored)
    path = by_hand((7, 11), packed(stored, 12), bits=12, order=">")
    with pytest.raises(
        InputError, match=r"NONE compression, 12 bits, 1 channels .* pip install imagecodecs, or save"
    ):
        read_image(path)


def test_white_signed_and_float_keep_the_order_reversed(save):
    signed = np.array([[-128, 0, 127]], np.int8)
    assert read_image(save(signed, photometric="miniswhite")).pixels.tolist() == [[127, -1, -128]]
    floats = np.array([[-1.5, 0.0, 2.0]], np.float32)
    assert read_image(save(floats, photometric="miniswhite")).pixels.tolist() == [[1.5, 0.0, -2.0]]


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_color_by_photometric_in_either_layout(save, color, dtype, planar, compression):
    stored = color.astype(dtype)
    given = stored if planar == "contig" else np.moveaxis(stored, -1, 0)
    image = read_image(save(given, photometric="rgb", planarconfig=planar, compression=compression))
    np.testing.assert_array_equal(image.pixels, luminance(stored))
    assert image.pixels.dtype == np.dtype(dtype)
    assert image.notes == (LUMINANCE,)


def test_a_missing_photometric_tag_is_said(by_hand, gray, color):
    image = read_image(by_hand(gray.shape, gray.tobytes(), drop=[262]))
    np.testing.assert_array_equal(image.pixels, gray)
    assert image.notes == ("photometric tag missing, taken as min-is-black",)


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [("i2", -9999, "-9999"), ("u1", 7, "7"), ("f4", np.finfo("f4").min, "-3.40282e+38"), ("f8", 0.5, "0,5")],
)
def test_no_data_leaves_the_domain(save, dtype, value, text):
    stored = np.arange(12).reshape(3, 4).astype(dtype)
    stored[1, 2] = value
    image = read_image(save(stored, extratags=[(42113, 2, 0, text, True)]))
    expected = stored != np.asarray(value, dtype)
    np.testing.assert_array_equal(image.domain, expected)
    assert image.notes[0].startswith(f"{(~expected).sum()} pixels hold the no-data value")


@pytest.mark.parametrize("text", ["-9999", "nan", "1e400", "none", ""])
def test_no_data_that_no_pixel_holds_changes_nothing(save, gray, text):
    image = read_image(save(gray, extratags=[(42113, 2, 0, text, True)]))
    assert image.domain is None
    np.testing.assert_array_equal(image.pixels, gray)


def test_alpha_is_dropped(save, gray, color):
    image = read_image(save(np.dstack([color, gray]), photometric="rgb", extrasamples=["unassalpha"]))
    np.testing.assert_array_equal(image.pixels, luminance(color))
    assert image.notes[0].startswith("alpha dropped (")


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (
            (9, 8, 5),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "5 channels stored as min-is-black; save",
        ),
        (
            (5, 9, 8),
            {"photometric": "minisblack", "planarconfig": "separate"},
            "5 channels stored as min-is-black",
        ),
        (
            (9, 8, 3),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "3 channels stored as min-is-black",
        ),
        ((9, 8, 6), {"photometric": "rgb"}, "6 channels stored as RGB; save the channel"),
        ((9, 8, 3), {"photometric": "cielab"}, "color space 8 of TIFF; save it as gray or RGB"),
        ((9, 8), {"photometric": "cfa"}, "color space 32803"),
    ],
)
def test_channels_without_one_intensity_are_refused(save, shape, options, message):
    path = save(np.zeros(shape, np.uint8), **options)
    with pytest.raises(InputError, match=f"picture.tif: .*{message}"):
        read_image(path)


def test_complex_and_codecs_that_nobody_has_are_refused(save, tmp_path, color):
    with pytest.raises(InputError, match="holds complex numbers, not real ones; save their magnitude"):
        read_image(save(np.zeros((4, 5), np.complex64)))
    path = tmp_path / "deep.tif"
    Pillow.fromarray(color).save(path, compression="tiff_lzw")
    set_tag(path, 258, struct.pack("<3H", 16, 16, 16))
    message = (
        r"LZW compression, 16 bits, 3 channels and cannot be decoded \(.*\); pip install imagecodecs, or save"
    )
    with pytest.raises(InputError, match=message):
        read_image(path)
