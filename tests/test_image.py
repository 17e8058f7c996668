import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from segmix import Normal, Priors, Uniform, fit
from segmix.comparison import compare
from segmix.errors import InputError, OptionError
from segmix.imaging.files import write_png
from segmix.imaging.image import Image, as_image
from segmix.imaging.levels import count_levels
from segmix.imaging.preprocess import preprocess
from segmix.imaging.reading import Reading
from segmix.workflow import segment


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"])
def test_arrays_are_copied_in_their_own_type(dtype):
    pixels = np.arange(12).reshape(3, 4).astype(dtype)
    image = as_image(pixels)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.pixels.dtype == pixels.dtype
    assert not np.shares_memory(image.pixels, pixels)
    assert as_image(image) is image
    assert (image.axes, image.source, image.domain, image.notes) == ("YX", "array", None, ())
    assert (image.shape, image.n_pixels) == ((3, 4), 12)


@pytest.mark.parametrize(
    ("dtype", "limits"),
    [
        ("u1", (0, 255)),
        ("i2", (-32768, 32767)),
        ("u4", (0, 2**32 - 1)),
        ("?", (None, None)),
        ("f4", (None, None)),
    ],
)
def test_limits_are_the_ends_of_an_integer_type(dtype, limits):
    assert as_image(np.ones((2, 2), dtype)).limits == limits


@pytest.mark.parametrize(
    ("given", "kept"), [(">u2", "u2"), (">f4", "f4"), ("f2", "f4"), ("g", "f8"), (">i8", "i8")]
)
def test_types_are_made_native_without_change_of_value(given, kept):
    pixels = (np.arange(12).reshape(3, 4) * 21).astype(given)
    image = as_image(pixels)
    assert image.pixels.dtype == np.dtype(kept)
    assert image.pixels.dtype.isnative
    np.testing.assert_array_equal(image.pixels, pixels)


def test_any_memory_order_becomes_contiguous():
    pixels = np.asfortranarray(np.arange(12.0).reshape(3, 4))[:, ::-1]
    image = as_image(pixels)
    assert image.pixels.flags.c_contiguous
    np.testing.assert_array_equal(image.pixels, pixels)


def test_lists_volumes_and_images_are_taken():
    assert as_image([[1, 2], [3, 4]]).pixels.dtype == np.int64
    volume = as_image(np.zeros((5, 6, 7), np.uint8))
    assert (volume.axes, volume.shape) == ("ZYX", (5, 6, 7))
    assert as_image(volume) is volume


def test_a_path_is_read(tmp_path):
    write_png(tmp_path / "a.png", np.arange(6, dtype=np.uint8).reshape(2, 3))
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        image = as_image(path)
        assert image.source == str(path)
        assert image.pixels.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_input_is_not_changed():
    pixels = np.array([[1.0, np.nan], [3.0, 4.0]])
    before = pixels.copy()
    as_image(pixels, domain=[[True, True], [False, True]])
    np.testing.assert_array_equal(pixels, before)


def test_not_finite_pixels_are_counted_and_the_count_is_right():
    pixels = np.array([[1.0, np.nan, np.inf], [-np.inf, 2.0, 3.0]], np.float32)
    assert as_image(pixels).notes == ("3 pixels are not finite and do not count",)
    assert as_image(np.ones((2, 2))).notes == ()


def test_domains_narrow_and_masked_pixels_leave():
    pixels = np.ma.masked_equal(np.arange(6).reshape(2, 3), 4)
    image = as_image(pixels, domain=[[True, True, False], [True, True, True]])
    assert image.domain.tolist() == [[True, True, False], [True, False, True]]
    narrowed = as_image(image, domain=np.eye(2, 3, dtype=bool))
    assert narrowed.domain.tolist() == [[True, False, False], [False, False, False]]
    assert image.domain.sum() == 4


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.ones((3, 3), complex), "real numbers, got complex128; take np.abs"),
        (np.array([["a", "b"]]), "bool, integers or floats, got <U1; convert"),
        (np.array([[{}, None]]), "bool, integers or floats, got object; convert"),
        (np.zeros((2, 2), "datetime64[s]"), "got datetime64"),
        ([[1, 2], [3]], "rectangular array of numbers"),
        (3.0, r"2-D \(rows, cols\) or 3-D .* got shape \(\); pick"),
        (np.ones(5), r"got shape \(5,\); pick one plane"),
        (np.ones((2, 2, 2, 2)), r"got shape \(2, 2, 2, 2\)"),
        (np.ones((0, 4)), r"at least one pixel, got shape \(0, 4\)"),
        (
            np.ones((5, 6, 3), np.uint8),
            r"got shape \(5, 6, 3\), .*call as_image\(\.\.\., axes=\"ZYX\"\)",
        ),
        (np.ones((5, 6, 4), np.uint8), "looks like color"),
        (np.ones((5, 6, 3), np.float32), "looks like color"),
        (np.full((2, 2), np.nan), "finite pixel, all 4 are NaN or infinite"),
    ],
)
def test_what_is_not_a_picture_is_refused_with_a_remedy(pixels, message):
    with pytest.raises(InputError, match=message):
        as_image(pixels)


def test_color_like_volumes_pass_where_nothing_is_guessed():
    assert as_image(np.ones((5, 6, 3), np.uint8), axes="ZYX").shape == (5, 6, 3)
    assert as_image(np.ones((3, 5, 6), np.uint8)).axes == "ZYX"
    assert as_image(np.ones((5, 6, 5), np.uint16)).axes == "ZYX"
    with pytest.raises(InputError, match="axes must be"):
        as_image(np.ones((5, 6)), axes="XY")


def test_integers_at_the_exact_border_pass():
    pixels = np.array([[2**44, -(2**44)]])
    np.testing.assert_array_equal(as_image(pixels).pixels, pixels)
    assert not as_image(pixels).notes


@pytest.mark.parametrize(("dtype", "base"), [("i8", 2**60), ("i8", -(2**62)), ("u8", 2**64 - 10)])
def test_integers_beyond_are_counted_exactly_from_their_median(dtype, base):
    steps = np.array([[-9, -3, 0], [1, 4, 9]])
    pixels = (steps.astype(object) + base).astype(dtype)
    image = as_image(pixels)
    np.testing.assert_array_equal(image.pixels, steps - 1)
    assert image.notes == (f"intensities are counted from {base + 1}, as float64 would lose their units",)
    info = np.iinfo(dtype)
    assert image.limits == (info.min - base - 1, info.max - base - 1)


def test_integers_from_end_to_end_keep_their_order_and_the_units_of_most():
    info = np.iinfo(np.int64)
    image = as_image(np.array([[info.min, 2**61, 2**61 + 1, 2**61 + 2, info.max]]))
    np.testing.assert_array_equal(image.pixels[0, 1:4], [-1, 0, 1])
    np.testing.assert_array_equal(image.pixels[0, [0, 4]], [-(2.0**63 + 2**61), 2.0**63 - 2**61])


def test_masked_integers_do_not_set_what_is_counted_from():
    pixels = np.ma.masked_equal(np.array([[2**62, 2**62 + 1, 2**62 + 2, 7, 7, 7, 7]]), 7)
    np.testing.assert_array_equal(as_image(pixels).pixels[0, :3], [-1, 0, 1])


def test_an_image_of_such_integers_made_by_hand_is_refused():
    with pytest.raises(InputError, match=r"integers within \+-2\*\*44, got .*; use as_image"):
        Image(np.full((2, 2), 2**60))


def _two_classes():
    bright = np.arange(48 * 48).reshape(48, 48) % 48 > 20
    return np.random.default_rng(4).normal(60 + 100 * bright, 10)


@pytest.mark.parametrize("base", [1e13, 1e15, -1e16])
def test_floats_far_from_zero_are_counted_from_their_median(base):
    pixels = base + _two_classes()
    image = as_image(pixels)
    middle = np.sort(pixels, axis=None)[pixels.size // 2]
    np.testing.assert_array_equal(image.pixels, pixels - middle)  # exact, as pixels and median are so close
    assert image.notes == (f"intensities are counted from {middle}, as float64 would lose how they differ",)
    near, far = as_image(pixels - base), segment(image, rng=1, draws=200).posterior
    expected = segment(near, rng=1, draws=200).posterior
    error = 10 / np.sqrt(pixels.size / 2)
    np.testing.assert_allclose(
        far.means.mean((0, 1)) + (middle - base), expected.means.mean((0, 1)), atol=error
    )
    np.testing.assert_allclose(far.stds.mean((0, 1)), expected.stds.mean((0, 1)), atol=error)


def test_what_does_not_count_does_not_decide_whether_floats_are_far_from_zero():
    pixels = 1e15 + _two_classes()
    pixels[:9], pixels[9] = -9999, np.nan
    assert as_image(pixels).notes == ("48 pixels are not finite and do not count",)
    for image in (as_image(pixels), pixels):
        narrowed = as_image(image, domain=pixels > 0)
        assert np.abs(narrowed.pixels[10:]).max() < 200
        assert any(note.startswith("intensities are counted from 1000000000000") for note in narrowed.notes)
    assert not as_image(np.full((5, 5), 1e15)).notes
    assert not as_image(1e9 + _two_classes()).notes


def test_floats_far_from_zero_in_an_image_made_by_hand_are_refused_with_a_reason():
    for pixels in (1e15 + _two_classes(), np.array([[0.1, np.nextafter(0.1, 1)]])):
        with pytest.raises(InputError, match=r"no.* further from 0 than 2\*\*34 times their width.*subtract"):
            count_levels(Image(pixels))


@pytest.mark.parametrize("byte", [2, 255])
def test_booleans_of_other_bytes_become_zero_and_one(byte):
    bits = np.eye(6, dtype=bool)
    odd = (bits * np.uint8(byte)).view(bool)
    for image in (Image(odd), as_image(odd), as_image(np.eye(6), domain=odd), Image(np.eye(6), domain=odd)):
        array = image.pixels if image.domain is None else image.domain
        assert array.view(np.uint8).tolist() == bits.view(np.uint8).tolist()
    assert odd.view(np.uint8).max() == byte  # the caller's memory stays
    assert count_levels(odd).values.tolist() == [0, 1]


def test_the_type_of_the_numbers_as_they_came_is_kept():
    for given, stored in ((">i8", "int64"), ("f2", "float16"), ("u1", "uint8"), ("?", "bool")):
        values = np.eye(3).astype(given) << 60 if stored == "int64" else np.eye(3).astype(given)
        assert as_image(values).stored == stored
    assert Image(np.eye(3)).stored == "float64"


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (np.ones((3, 2), bool), r"picture's shape \(2, 3\), got \(3, 2\); crop"),
        (np.zeros((2, 3), bool), "at least one pixel, got none"),
        (np.ones((2, 3)), "boolean, got float64; compare"),
    ],
)
def test_domains_that_do_not_fit_are_refused(domain, message):
    with pytest.raises(InputError, match=message):
        as_image(np.ones((2, 3)), domain=domain)
    if domain.dtype == bool:
        with pytest.raises(InputError, match=message):
            Image(np.ones((2, 3)), domain=domain)


def test_an_image_is_frozen_compact_in_print_and_checked():
    image = as_image(np.ones((2, 3), np.uint8))
    with pytest.raises(dataclasses.FrozenInstanceError):
        image.source = "other"
    assert repr(image) == "<Image 2 x 3 uint8 YX from 'array'>"
    for pixels, found in (([[1, 2]], "list"), (np.ones((2, 2), complex), "complex128 values")):
        with pytest.raises(InputError, match=f"array of real numbers, got {found}; use as_image"):
            Image(pixels)
    with pytest.raises(InputError, match="must be float32 or float64, got float16"):
        Image(np.ones((2, 2), np.float16))
    for limits in (None, (0,), ("a", "b"), (np.nan, 1.0), (5, 5), (True, None)):
        with pytest.raises(OptionError, match="limits must be two ascending numbers"):
            Image(np.ones((2, 2)), limits=limits)
    with pytest.raises(InputError, match=r'must fill 2-D "YX" .* got shape'):
        Image(np.ones((2, 3)), axes="ZYX")


def test_arrays_need_no_reader():
    code = "import sys, numpy as np; from segmix.imaging.image import as_image; as_image(np.eye(3));"
    code += "assert not {'PIL', 'tifffile', 'skimage', 'scipy'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True)


def _clipped(base, dtype):
    pixels = (base + np.rint(_two_classes()).clip(40, 170).astype(np.int64)).astype(dtype)
    return pixels, (base + 40, base + 170)


@pytest.mark.parametrize(("base", "dtype"), [(10**15, np.float64), (2**62, np.int64), (-(2**62), np.int64)])
def test_limits_are_given_in_the_units_of_the_picture_wherever_it_is_counted_from(base, dtype):
    pixels, limits = _clipped(base, dtype)
    expected = Reading(limits=(40, 170)).open(_clipped(0, dtype)[0])
    image = Reading(limits=limits).open(pixels)
    assert [int(end) + int(image.offset) - base for end in image.limits] == [40, 170]
    np.testing.assert_array_equal(image.pixels + float(image.offset - base), expected.pixels)
    assert count_levels(image).open_ends == count_levels(expected).open_ends == (True, True)
    with pytest.raises(OptionError, match=f"limits must hold .*all counted from {image.offset}; give"):
        count_levels(Reading(limits=(0, 255)).open(pixels))


@pytest.mark.parametrize("limits", [(170, 40), ("a", 3), 7, (True, 3)])
def test_wrong_limits_of_a_picture_far_from_zero_are_refused(limits):
    with pytest.raises(OptionError, match="limits must be two ascending numbers"):
        Reading(limits=limits).open(_clipped(2**62, np.int64)[0])


def test_a_picture_centered_twice_keeps_the_sum_of_its_offsets():
    pixels = 1e15 + _two_classes()
    pixels[:24] = 3e9 + 1e4 * _two_classes()[:24]
    image = as_image(np.where(pixels < 1e12, pixels - 4e15, pixels))
    narrowed = as_image(image, domain=pixels > 1e12)
    np.testing.assert_array_equal(narrowed.pixels[24:] + narrowed.offset, pixels[24:])
    assert sum("counted from" in note for note in narrowed.notes) == 1


def test_a_prior_of_means_for_a_picture_counted_from_elsewhere_is_refused():
    pixels, _ = _clipped(10**15, np.float64)
    message = r"a prior of means must be in the units .* counted from 1000000000000\d+.*; subtract"
    given = Priors(means=Normal((1e15 + 60, 1e15 + 160), 10))
    for run in (segment, fit, compare):
        with pytest.raises(OptionError, match=message):
            run(as_image(pixels), priors=given)
    with pytest.raises(OptionError, match=message):
        segment(pixels, priors=given, spatial=True)
    other = segment(pixels, priors=Priors(stds=Uniform(1, 50)), rng=1, draws=200)  # widths have no offset
    assert other.options["offset"] == as_image(pixels).offset
    assert segment(pixels - 1e15, priors=Priors.lecture(), rng=1, draws=200).options.get("offset") is None


def test_steps_that_change_the_units_take_the_offset_away():
    image = as_image(10**15 + np.rint(_two_classes()))
    assert image.offset > 9e14
    for step in ("equalize", "rescale:1,99", "background:9", "tophat:9"):
        assert preprocess(image, [step]).offset == 0
    for step in ("gaussian:1", "median:1", "crop:0,0,9,9"):
        assert preprocess(image, [step]).offset == image.offset


def test_a_sparse_domain_decides_what_is_counted_from():
    pixels = np.zeros((600, 600))
    pixels[:4, :40] = 1e15 + _two_classes()[:4, :40]
    image = as_image(pixels, domain=pixels > 0)
    assert image.offset > 9e14
    assert count_levels(image).n_pixels == 160


def test_what_is_masked_in_a_domain_is_out():
    domain = np.ma.masked_array(np.ones((3, 4), bool), np.arange(12).reshape(3, 4) < 5)
    assert as_image(np.arange(12).reshape(3, 4), domain=domain).domain.sum() == 7


def test_one_method_may_be_named_by_itself():
    assert [row.method for row in compare(_two_classes(), methods="kmeans")] == ["kmeans"]
