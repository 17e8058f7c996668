"""Preprocessing: what it refuses, and in which words."""

import numpy as np
import pytest

from segmix.errors import InputError, OptionError
from segmix.imaging.image import as_image
from segmix.imaging.preprocess import preprocess
from segmix.imaging.steps import parse_step

FILTERS = (
    "gaussian:1.5",
    "median:1",
    "nlm:0.8",
    "tv:0.1",
    "background:5",
    "tophat:4",
    "equalize",
    "rescale:1,99",
)


@pytest.fixture
def rng():
    return np.random.default_rng(26)


@pytest.fixture
def noisy(rng):
    return rng.integers(0, 256, (24, 32), dtype=np.uint8)


@pytest.mark.parametrize("step", ["blur:2", "", ":3", "Gaussian:1", "crop2:1"])
def test_unknown_steps_name_the_known_ones(noisy, step):
    with pytest.raises(
        OptionError, match=r"step must be one of gaussian:SIGMA, median:RADIUS, .*CROP|.*, got"
    ):
        preprocess(as_image(noisy), [step])


@pytest.mark.parametrize(
    ("step", "usage"),
    [
        ("gaussian", "gaussian:SIGMA"),
        ("gaussian:a", "gaussian:SIGMA"),
        ("gaussian:1,2", "gaussian:SIGMA"),
        ("gaussian:nan", "gaussian:SIGMA"),
        ("gaussian:inf", "gaussian:SIGMA"),
        ("median:1.5", "median:RADIUS"),
        ("median:" + "9" * 400, "median:RADIUS"),
        ("nlm:x", "nlm or nlm:H"),
        ("equalize:3", "equalize"),
        ("rescale:1", "rescale:LOW,HIGH"),
        ("crop:1,2,3", "crop:TOP,LEFT,HEIGHT,WIDTH"),
        ("crop:1,2,3,", "crop:TOP,LEFT,HEIGHT,WIDTH"),
    ],
)
def test_badly_written_steps_show_how_to_write_them(step, usage):
    with pytest.raises(OptionError, match=f"must be written {usage}, got '{step}'$"):
        parse_step(step)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("gaussian:0", r"sigma must be above 0, at most 32 \(longest side\), got 0"),
        ("gaussian:-1", "got -1"),
        ("gaussian:33", "at most 32 .* got 33"),
        ("median:0", "median: radius must be 1 to 25 pixels for this picture, got 0"),
        ("median:26", "1 to 25 pixels for this picture, got 26"),
        ("background:33", "background: radius must be 1 to 32 pixels for this picture, got 33"),
        ("tophat:-5", "tophat: radius must be 1 to 32"),
        ("nlm:0", "strength must be above 0 and at most 100, got 0; 0.8 is usual"),
        ("tv:-1", "weight must be above 0 and at most 100, got -1; 0.1 is usual"),
        ("rescale:99,1", "0 <= LOW < HIGH <= 100, got 99,1"),
        ("rescale:-1,50", "got -1,50"),
        ("rescale:1,101", "got 1,101"),
        ("crop:20,0,5,5", "rows 20 to 25 and columns 0 to 5 must lie in the 24 x 32 pixels"),
        ("crop:0,30,5,5", "columns 30 to 35 must lie in the 24 x 32 pixels"),
        ("crop:-1,0,5,5", "rows -1 to 4"),
        ("crop:0,0,0,5", "and not be empty; write crop:TOP,LEFT,HEIGHT,WIDTH"),
    ],
)
def test_arguments_out_of_range_say_the_range(noisy, step, message):
    with pytest.raises(OptionError, match=message):
        preprocess(as_image(noisy), [step])


def test_pictures_that_a_step_cannot_take_are_refused(noisy):
    with pytest.raises(OptionError, match="percentiles 1 and 99 are both 7; widen them"):
        preprocess(as_image(np.full((5, 5), 7)), ["rescale:1,99"])
    domain = np.zeros(noisy.shape, bool)
    domain[20, 20] = True
    with pytest.raises(OptionError, match="hold a pixel of the domain, got none; move or enlarge it"):
        preprocess(as_image(noisy, domain=domain), ["crop:0,0,5,5"])
    holes = np.where(domain, np.nan, noisy)
    with pytest.raises(InputError, match="no finite pixel lies in the domain; check"):
        preprocess(as_image(holes, domain=domain), ["gaussian:1"])
    with pytest.raises(InputError, match="are too far apart; scale the picture first"):
        preprocess(as_image(np.array([[-1.7e308, 1.7e308]])), ["tv:0.1"])


@pytest.mark.parametrize("step", FILTERS)
def test_tiny_and_constant_pictures_work_or_explain_themselves(step):
    for shape in ((1, 1), (1, 7), (7, 1), (1, 1, 1)):
        image = as_image(np.full(shape, 9, np.uint8))
        longest = max(shape)
        if step.startswith("rescale") or float(step.partition(":")[2] or 0) > longest:
            with pytest.raises(OptionError, match=r"; widen them|to \d pixels for this picture|at most \d"):
                preprocess(image, [step])
        else:
            assert np.isfinite(preprocess(image, [step]).pixels).all()


@pytest.mark.parametrize(
    "step", ["gaussian:1", "median:2", "background:3", "tophat:2", "equalize", "rescale:5,95"]
)
def test_three_columns_are_not_taken_for_color(rng, step):
    volume = rng.random((3, 20, 16))
    turned = preprocess(as_image(volume.T, axes="ZYX"), [step]).pixels.T
    np.testing.assert_allclose(turned, preprocess(as_image(volume), [step]).pixels, rtol=1e-9)
