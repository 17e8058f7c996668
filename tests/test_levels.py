"""Counting levels and looking them up, against numpy.unique."""

from collections.abc import Callable

import numpy as np
import pytest

from segmix.errors import InputError, OptionError
from segmix.imaging.encoding import count
from segmix.imaging.image import Image, as_image
from segmix.imaging.kernels import count_codes, look_up
from segmix.imaging.levels import MAX_LEVELS, count_levels


def _rng() -> np.random.Generator:
    return np.random.default_rng(20261)


@pytest.mark.parametrize("counted", [count_codes, count])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8, 1003, 20_011])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_counting_equals_bincount(counted: Callable[..., np.ndarray], size: int, dtype: type) -> None:
    n = 1 << (8 * np.dtype(dtype).itemsize)
    codes = _rng().integers(0, n, size + 1).astype(dtype)
    for part in (codes, codes[1:]):  # the second begins at an odd address
        np.testing.assert_array_equal(counted(part, n), np.bincount(part, minlength=n))


def test_look_up_equals_indexing() -> None:
    codes = _rng().integers(0, 256, 1003).astype(np.uint8)
    table = _rng().normal(size=256).astype(np.float32)
    out = np.empty(codes.shape, np.float32)
    look_up(codes, table, out)
    np.testing.assert_array_equal(out, table[codes])


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int8, np.int16, np.int32, np.int64, np.uint32, np.uint64]
)
def test_integers_keep_their_values(dtype: type) -> None:
    info = np.iinfo(dtype)
    pixels = _rng().integers(max(info.min, -100), 120, (31, 17)).astype(dtype)
    levels = count_levels(as_image(pixels))
    values, counts = np.unique(pixels, return_counts=True)
    np.testing.assert_array_equal(levels.values, values)
    np.testing.assert_array_equal(levels.counts, counts)
    np.testing.assert_array_equal(levels.values[levels.index], pixels)
    assert levels.step == 1


def test_ends_of_the_type_are_open() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert count_levels(as_image(pixels)).open_ends == (True, True)
    assert count_levels(as_image(pixels.clip(1, 254))).open_ends == (False, False)
    assert count_levels(as_image(pixels.astype(np.float32))).open_ends == (False, False)


def test_stated_limits_gather_what_lies_beyond() -> None:
    pixels = np.array([[0, 10, 20, 30, 40, 50, 60, 70]], np.uint16)
    levels = count_levels(Image(pixels, limits=(10, 60)))
    np.testing.assert_array_equal(levels.values, [10, 20, 30, 40, 50, 60])
    np.testing.assert_array_equal(levels.counts, [2, 1, 1, 1, 1, 2])
    assert levels.open_ends == (True, True)
    assert levels.step == 10


def test_spacing_of_a_posterized_image_is_its_step() -> None:
    pixels = np.array([[0, 85, 170, 255, 170, 85]], np.uint8)
    assert count_levels(as_image(pixels)).step == 85


@pytest.mark.parametrize("pair", [(0, 255), (3, 4), (False, True)])
def test_two_values_are_codes(pair: tuple[int, int]) -> None:
    levels = count_levels(as_image(np.array([[pair[0], pair[1], pair[1]]])))
    assert levels.step == (int(pair[1]) - int(pair[0])) / 8
    assert levels.open_ends == (False, False)
    np.testing.assert_array_equal(levels.counts, [1, 2])


@pytest.mark.parametrize(("quantization", "step"), [(None, 0.0), (1.0, 1.0), (0.5, 0.5)])
@pytest.mark.parametrize("dtype", [np.uint8, float])
def test_a_stated_quantization_of_two_values_stands(
    quantization: float | None, step: float, dtype: type
) -> None:
    pixels = np.array([[3, 4, 4]], dtype)
    levels = count_levels(as_image(pixels), quantization=quantization)
    assert levels.step == step
    np.testing.assert_array_equal(levels.values, [3, 4])


def test_domain_and_what_is_not_finite_do_not_count() -> None:
    pixels = np.array([[1.0, np.nan, 2.0], [np.inf, 1.0, 3.0]])
    domain = np.array([[True, True, True], [True, True, False]])
    levels = count_levels(as_image(pixels, domain=domain))
    np.testing.assert_array_equal(levels.values, [1, 2])
    np.testing.assert_array_equal(levels.index, [[0, -1, 1], [-1, 0, -1]])


def test_domain_of_an_integer_image() -> None:
    pixels = np.array([[5, 6], [7, 5]], np.uint8)
    domain = np.array([[True, True], [False, True]])
    levels = count_levels(as_image(pixels, domain=domain))
    np.testing.assert_array_equal(levels.index, [[0, 1], [-1, 0]])
    painted = levels.paint(np.array([[0.5, 0.25], [0.5, 0.75]]), fill=np.nan)
    np.testing.assert_array_equal(painted[1], [[0.5, 0.75], [np.nan, 0.5]])


def test_many_integers_are_merged_into_equal_intervals() -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    levels = count_levels(as_image(pixels))
    assert levels.n_levels <= MAX_LEVELS
    assert levels.step == 16
    assert set(levels.counts) == {16}
    assert np.abs(levels.values[levels.index] - pixels).max() <= levels.step / 2


def test_many_floats_are_put_on_a_grid() -> None:
    pixels = _rng().normal(50, 10, (200, 200))
    levels = count_levels(as_image(pixels))
    assert levels.n_levels <= MAX_LEVELS
    assert np.abs(levels.values[levels.index] - pixels).max() <= levels.step * 0.5000001
    assert levels.n_pixels == pixels.size


def test_far_outliers_do_not_spoil_the_grid() -> None:
    pixels = _rng().normal(50, 10, (200, 200))
    pixels[3, 4], pixels[5, 6] = 1e30, -1e30
    levels = count_levels(as_image(pixels))
    assert levels.n_levels > 1000
    assert levels.open_ends == (True, True)
    assert levels.index[3, 4] == levels.n_levels - 1


def test_even_floats_keep_their_values() -> None:
    pixels = (np.arange(256) / 255).reshape(16, 16)
    levels = count_levels(as_image(pixels))
    np.testing.assert_allclose(levels.values, np.arange(256) / 255, rtol=1e-12)
    assert levels.step == pytest.approx(1 / 255)


def test_no_quantization_keeps_points() -> None:
    pixels = _rng().normal(50, 10, (60, 60))
    levels = count_levels(as_image(pixels), quantization=None)
    np.testing.assert_array_equal(levels.values, np.unique(pixels))
    assert levels.step == 0


def test_given_quantization() -> None:
    pixels = _rng().normal(50, 10, (60, 60))
    levels = count_levels(as_image(pixels), quantization=2.0)
    steps = np.diff(levels.values) / 2
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert levels.step == 2


@pytest.mark.parametrize("quantization", [0, -1, float("nan"), float("inf"), "fine"])
def test_wrong_quantization(quantization: object) -> None:
    with pytest.raises(OptionError, match="quantization must be 'auto', None or a positive width"):
        count_levels(as_image(np.eye(5)), quantization=quantization)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_magnitudes_that_cannot_be_computed_with(scale: float) -> None:
    with pytest.raises(InputError, match=r"(below 1e100|differ by more than 1e-100).*rescale"):
        count_levels(as_image(_rng().normal(50, 10, (9, 9)) * scale))


def test_a_clipped_float_image_is_saturated_at_its_stated_limits() -> None:
    pixels = np.clip(_rng().normal(0.6, 0.3, (300, 300)), -0.3, 0.9)
    assert count_levels(Image(pixels, limits=(-0.3, 0.9))).open_ends == (True, True)


@pytest.mark.parametrize(
    ("slope", "offset"), [(0.0754, 3100.8), (0.01, 270), (0.1, 1000), (1 / 255, 0), (1, 1e5)]
)
def test_the_spacing_of_scaled_single_precision(slope: float, offset: float) -> None:
    counts = np.rint(_rng().normal(100, 4, (200, 200)))
    levels = count_levels(as_image((counts * slope + offset).astype(np.float32)))
    assert levels.step == pytest.approx(slope, rel=1e-3)


def test_continuous_single_precision_is_not_taken_for_even() -> None:
    levels = count_levels(as_image(_rng().normal(1e5, 3, (200, 200)).astype(np.float32)))
    assert levels.step != pytest.approx(2**-7, rel=1e-6)  # the spacing of float32 near 1e5


@pytest.mark.parametrize("width", [2, 3, 8])
def test_merged_levels_hold_equally_many_native_ones(width: int) -> None:
    pixels = np.arange(240, dtype=np.uint8).reshape(16, 15)
    levels = count_levels(as_image(pixels), quantization=width)
    assert levels.step == width
    assert set(levels.counts) == {width}
    np.testing.assert_allclose(levels.values[0], (width - 1) / 2)


def test_whole_numbers_get_whole_intervals() -> None:
    pixels = np.rint(_rng().normal(0, 40_000, (300, 300))).astype(np.int32)
    levels = count_levels(as_image(pixels))
    assert levels.step == round(levels.step)
    assert np.allclose(levels.values * 2, np.rint(levels.values * 2))


def test_a_rare_bright_class_keeps_its_levels() -> None:
    pixels = _rng().normal(100, 1, (300, 300))
    pixels[:8, :8] = _rng().normal(5000, 300, (8, 8))
    levels = count_levels(as_image(pixels))
    assert levels.open_ends == (False, False)
    assert np.abs(levels.values[levels.index] - pixels).max() <= levels.step * 0.5000001
    assert levels.step < 0.2


def test_a_width_far_below_the_range_is_refused() -> None:
    with pytest.raises(OptionError, match=r"quantization must be at least 1e-9 of the range"):
        count_levels(as_image(np.arange(12, dtype=np.uint8).reshape(3, 4)), quantization=1e-14)


def test_the_bulk_is_seen_whatever_the_rhythm_of_the_columns() -> None:
    """Every 64th pixel of a row of 2048 lies in the background; objects must not be taken for outliers."""
    rng = _rng()
    pixels = rng.normal(0, 1e-3, (256, 2048)).astype(np.float32)
    column = np.arange(2048) % 64
    bright = (column > 8) & (column < 56)
    pixels[:, bright] = rng.normal(10, 2, (256, bright.sum()))
    levels = count_levels(as_image(pixels))
    assert levels.open_ends == (False, False)
    assert levels.values[-1] > 15


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2])
def test_recorded_values_are_the_centers_of_the_intervals_asked_for(shift: float) -> None:
    """Outliers far away, which the grid leaves out, must not decide where the intervals lie."""
    rng = _rng()
    pixels = np.round(rng.normal(4.6, 0.8, (200, 200)) * 2) / 2
    pixels[0, :50] = rng.uniform(-3e5, 3e5, 50) + shift
    levels = count_levels(as_image(pixels), quantization=0.5)
    inner = levels.values[1:-1]
    np.testing.assert_allclose(inner, np.round(inner * 2) / 2, atol=1e-9)


def _two_classes() -> np.ndarray:
    return _rng().normal(np.where(np.arange(96 * 96).reshape(96, 96) % 96 > 40, 160, 60), 10)


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        (np.float64, -9999, "-9999"),
        (np.float32, -3.4028235e38, "-3.40282e+38"),
        (np.float32, 1e20, "1e+20"),
        (np.int16, -9999, "-9999"),
        (np.int32, -(2**31), "-2147483648"),
        (np.uint16, 65535, "65535"),
    ],
)
def test_one_value_far_from_all_others_is_told(dtype: type, value: float, said: str) -> None:
    """A value that may stand for no data; the others keep levels as fine as without it."""
    pixels = _two_classes().clip(0).astype(dtype)
    pixels[:9] = value
    levels = count_levels(as_image(pixels))
    rest = "; if it stands for missing data, leave it out by a domain (--domain), or make it NaN"
    if abs(value) in (65535, 2**31):  # the type's own end
        rest = (
            ", at the end of what can be recorded: they are saturated, or missing data; if missing, leave "
            "them out by a domain (--domain)"
        )
    assert levels.cautions == (f"{said} holds 9.4% of the pixels, far from all others{rest}",)
    assert not any("codes" in note for note in levels.notes)
    assert levels.step <= 1
    assert levels.counts[0 if value < 0 else -1] == 9 * 96
    assert levels.n_levels > 100
    assert count_levels(as_image(pixels, domain=pixels != dtype(value))).cautions == ()


def test_both_ends_are_told() -> None:
    pixels = _two_classes()
    pixels[:2], pixels[-1] = -1e6, 1e6
    assert [value for value, _ in count_levels(pixels).lone] == [-1e6, 1e6]


def test_ordinary_pictures_hold_no_lone_value() -> None:
    normal = _rng().normal
    shape = (128, 128)
    pictures = {
        "clipped at both ends": normal(128, 120, shape).clip(0, 255).astype(np.uint8),
        "mostly black": normal(-3, 4, shape).clip(0, 255).astype(np.uint8),
        "one hot pixel": np.where(np.arange(128 * 128).reshape(shape) == 77, 60000, normal(900, 20, shape)),
        "background of zeros": np.where(normal(0, 1, shape) > 0, normal(100, 20, shape).clip(20), 0),
        "drawing": (20 * (np.arange(128 * 128).reshape(shape) % 12)).astype(np.uint8),
        "posterized": (normal(128, 60, shape).clip(0, 255) // 16 * 16).astype(np.uint8),
        "two classes": normal(0, 1, shape) + 1000 * (normal(0, 1, shape) > 0),
        "nearly constant": np.round(normal(7, 1e-3, shape), 4),
    }
    assert {name: count_levels(pixels).lone for name, pixels in pictures.items()} == dict.fromkeys(
        pictures, ()
    )


def test_intervals_of_many_values_are_no_codes() -> None:
    pixels = _rng().normal(0, 1e-3, (64, 64))
    pixels[32:] += 1e9
    levels = count_levels(as_image(pixels))
    assert levels.n_levels == 2
    assert levels.notes == ()
    assert levels.step < 1e9 / 1000
    assert count_levels(np.rint(pixels)).are_codes  # the control


def test_a_few_clipped_pixels_are_told_by_their_number() -> None:
    pixels = np.full((300, 300), 9, np.uint8)
    pixels[0, :40] = np.arange(40) + 9
    pixels[1, :3], pixels[2, 0] = 0, 255
    assert count_levels(pixels).notes == (
        "3 pixels lie at the low end (0) or beyond",
        "1 pixel lies at the high end (255) or beyond",
    )
    pixels[3, :9] = 0
    assert count_levels(pixels).notes[0] == "0.01% of the pixels lie at the low end (0) or beyond"


def test_no_data_beyond_what_can_be_computed_with_is_named() -> None:
    pixels = _two_classes()
    pixels[:9] = -1.797e308
    with pytest.raises(InputError, match=r"-1\.797e\+308 holds 9\.38% .* by a domain .* or make it NaN"):
        count_levels(as_image(pixels))
