"""TIFF of several pages, and as segmix writes it."""

import numpy as np
import pytest
import tifffile

from segmix.errors import InputError, OptionError, OutputError
from segmix.imaging.files import read_image, write_tiff


@pytest.fixture
def rng():
    return np.random.default_rng(22)


@pytest.fixture
def gray(rng):
    return rng.integers(0, 256, (37, 45), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    """Write an array by tifffile; return the path."""

    def write(array, **options):
        path = tmp_path / "picture.tif"
        tifffile.imwrite(path, array, **options)
        return path

    return write


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_stacks_need_a_page_and_are_not_color(save, gray, compression):
    stack = np.stack([np.roll(gray, shift) for shift in range(3)])
    path = save(stack, photometric="minisblack", compression=compression)
    with pytest.raises(InputError, match=r"3 pages .*choose one with --page 0\.\.2 \(read_image: page=\)$"):
        read_image(path)
    for page in range(3):
        np.testing.assert_array_equal(read_image(path, page=page).pixels, stack[page])
    with pytest.raises(InputError, match="page 3 does not exist, 3 in the file"):
        read_image(path, page=3)


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "TZCYX"}},
        {"ome": True, "metadata": {"axes": "TZCYX"}},
        {"metadata": {"axes": "TZCYX"}},
        {"metadata": {"axes": "TZCYX"}, "compression": "zlib"},
    ],
)
def test_five_axes_are_listed_and_pages_counted_through(save, rng, options):
    stack = rng.integers(0, 2**16, (2, 3, 2, 9, 11), dtype=np.uint16)
    path = save(stack, photometric="minisblack", **options)
    with pytest.raises(
        InputError, match=r"12 pages \(axes TZCYX, shape \(2, 3, 2, 9, 11\)\); choose one with"
    ):
        read_image(path)
    for page in (0, 7, 11):
        np.testing.assert_array_equal(read_image(path, page=page).pixels, stack.reshape(12, 9, 11)[page])


def test_the_depth_of_a_page_counts_as_pages(save, rng):
    volume = rng.integers(0, 256, (16, 20, 24), dtype=np.uint8)
    path = save(volume, volumetric=True, tile=(16, 16, 16))
    with pytest.raises(InputError, match="16 pages"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, page=5).pixels, volume[5])


def test_thumbnails_pyramids_and_masks_are_no_pages(tmp_path, gray):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(gray[::2, ::2], subfiletype=1)
        writer.write(gray, subifds=1)
        writer.write(gray[::2, ::2], subfiletype=1)
        writer.write(gray > 99, subfiletype=4)
    np.testing.assert_array_equal(read_image(path).pixels, gray)
    np.testing.assert_array_equal(read_image(path, page=0).pixels, gray)


def test_series_of_different_shape_are_pages(tmp_path, gray):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(gray)
        writer.write(gray[:9, :8].astype(np.float32))
    with pytest.raises(InputError, match="2 pages"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, page=1).pixels, gray[:9, :8])


def test_write_tiff_round_trips_and_is_deterministic(tmp_path, rng):
    path, again = tmp_path / "a.tif", tmp_path / "b.tif"
    for dtype in (np.float32, np.uint8, np.uint16):
        stack = (rng.random((3, 9, 4)) * 99).astype(dtype)
        write_tiff(path, stack, axes="CYX")
        write_tiff(again, np.asfortranarray(stack), axes="CYX")
        assert path.read_bytes() == again.read_bytes()
        with tifffile.TiffFile(path) as file:
            assert file.series[0].axes == "CYX"
            assert file.pages[0].compression == 1
            assert 306 not in file.pages[0].tags  # no date
            np.testing.assert_array_equal(file.asarray(), stack)
        np.testing.assert_array_equal(read_image(path, page=2).pixels, stack[2])


def test_write_tiff_refuses_what_it_cannot_write(tmp_path):
    with pytest.raises(OptionError, match="float32, uint8 or uint16, got float64"):
        write_tiff(tmp_path / "a.tif", np.zeros((2, 2)), axes="YX")
    with pytest.raises(OptionError, match="name 3 axes and end in \"YX\", got 'YXC'"):
        write_tiff(tmp_path / "a.tif", np.zeros((2, 2, 2), np.float32), axes="YXC")
    with pytest.raises(OutputError, match=r"cannot be written .*; choose another place"):
        write_tiff(tmp_path / "no" / "a.tif", np.zeros((2, 2), np.float32), axes="YX")
