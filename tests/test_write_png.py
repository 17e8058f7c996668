"""PNG as segmix writes it."""

import io
from time import process_time

import numpy as np
import pytest
from PIL import Image as Pillow

from segmix.errors import OptionError, OutputError
from segmix.imaging.files import encode_png, read_image, write_png


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def gray(rng):
    return rng.integers(0, 256, (37, 45), dtype=np.uint8)


@pytest.fixture
def color(rng):
    return rng.integers(0, 256, (37, 45, 3), dtype=np.uint8)


def test_png_round_trips_of_every_writable_kind(tmp_path, gray, color):
    path = tmp_path / "a.png"
    for array in (gray, gray.astype(np.uint16) * 257, gray > 99):
        write_png(path, array)
        expected = array * np.uint8(255) if array.dtype == np.bool_ else array
        np.testing.assert_array_equal(read_image(path).pixels, expected)
    write_png(path, color)
    with Pillow.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), color)


@pytest.mark.parametrize("n_colors", [1, 2, 3, 16, 17, 256])
def test_palette_png_stores_the_index(rng, n_colors):
    labels = rng.integers(0, n_colors, (13, 9), dtype=np.uint8)
    palette = rng.integers(0, 256, (n_colors, 3), dtype=np.uint8)
    with Pillow.open(io.BytesIO(encode_png(labels, palette=palette))) as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), labels)
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), palette[labels])


def test_png_bytes_depend_on_the_array_only(gray, color):
    assert encode_png(gray) == encode_png(np.asfortranarray(gray))
    assert encode_png(color) == encode_png(np.asfortranarray(color))


@pytest.mark.parametrize(
    ("array", "palette", "message"),
    [
        (np.ones((2, 2)), None, r"uint8 or uint16 \(rows, cols\) .* got float64 \(2, 2\); convert"),
        (np.ones((2, 2, 4), np.uint8), None, "got uint8"),
        (np.ones((0, 2), np.uint8), None, "got uint8"),
        (
            np.full((2, 2), 3, np.uint8),
            np.zeros((3, 3), np.uint8),
            "must index the 3 colors of the palette, got 3",
        ),
        (np.ones((2, 2), np.uint16), np.zeros((3, 3), np.uint8), "uint8 .* with a palette, got uint16"),
        (np.ones((2, 2), np.uint8), np.zeros((3, 4), np.uint8), r"palette must be uint8 \(1 to 256, 3\)"),
    ],
)
def test_arrays_that_are_no_png_are_refused(array, palette, message):
    with pytest.raises(OptionError, match=message):
        encode_png(array, palette=palette)


def test_an_unwritable_target_is_an_output_error(tmp_path, gray):
    with pytest.raises(OutputError, match=r"a.png: cannot be written \(No such file or directory\); choose"):
        write_png(tmp_path / "missing" / "a.png", gray)


@pytest.mark.slow  # a limit on time, which a busy machine can break
def test_four_megapixels_are_written_fast(rng):
    rows, cols = np.mgrid[:2048, :2048]
    gray = (127 + 80 * np.sin(rows / 90) * np.cos(cols / 70) + rng.normal(0, 6, rows.shape)).astype(np.uint8)
    labels = (gray > 150).astype(np.uint8)
    color = np.stack([gray, 255 - gray, gray // 2], axis=-1)
    palette = np.array([[0, 0, 0], [255, 200, 0]], np.uint8)
    # CPU seconds; measured 0.11, 0.02 and 0.25 on two shared cores
    for array, options, limit in ((gray, {}, 0.4), (labels, {"palette": palette}, 0.15), (color, {}, 1.0)):
        seconds = []
        for _ in range(3):
            start = process_time()
            encode_png(array, **options)
            seconds.append(process_time() - start)
        assert min(seconds) < limit
