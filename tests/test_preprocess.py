"""Preprocessing: what each step computes, what it refuses, and that pixels that don't count stay out."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage
from skimage import exposure, morphology, restoration

from segmix.imaging.image import Image, as_image
from segmix.imaging.preprocess import STEPS, noise_sd, preprocess
from segmix.imaging.steps import USAGE

ALL_STEPS = (
    "gaussian:1.5",
    "median:1",
    "nlm:0.8",
    "tv:0.1",
    "background:5",
    "tophat:4",
    "equalize",
    "rescale:1,99",
    "crop:0,0,20,16",
)


@pytest.fixture
def rng():
    return np.random.default_rng(25)


@pytest.fixture
def noisy(rng):
    """A step of 100 levels at column 16, with noise of sd 5, in 8 bits."""
    truth = np.where(np.arange(32) < 16, 60.0, 160.0)
    return np.rint(truth + rng.normal(0, 5, (24, 32))).astype(np.uint8)


def test_the_known_steps_are_the_documented_ones():
    assert list(STEPS) == list(USAGE)
    assert set(STEPS) == {step.partition(":")[0] for step in ALL_STEPS}
    assert all(name in preprocess.__doc__ for name in STEPS)


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("step", ALL_STEPS)
def test_every_step_takes_every_type_in_two_and_three_dimensions(rng, step, dtype):
    for shape in ((20, 16), (9, 20, 16)):
        pixels = rng.random(shape) > 0.5 if dtype == "?" else (rng.random(shape) * 200).astype(dtype)
        before = pixels.copy()
        image = preprocess(as_image(pixels), [step])
        assert image.shape == shape
        assert image.steps == (step,)
        assert np.isfinite(image.pixels).all()
        assert image.pixels.flags.c_contiguous
        np.testing.assert_array_equal(pixels, before)
        kept = step.startswith(("median", "crop"))
        assert image.pixels.dtype == np.dtype(dtype if kept else "f8" if dtype in ("i4", "f8") else "f4")
        integer_kept = kept and dtype not in ("?", "f4", "f8")
        changed = (0.0, 1.0) if step.startswith("rescale") else (None, None)
        assert image.limits == (as_image(pixels).limits if integer_kept else changed)


@pytest.mark.parametrize("step", ALL_STEPS)
def test_pixels_that_do_not_count_change_nothing(noisy, step):
    """The same result whatever stands in the holes; control: without a domain it differs."""
    domain = np.ones(noisy.shape, bool)
    domain[4:7, 5:9] = False
    domain[15, 15] = False
    results = []
    for intruder in (0, 255):
        pixels = np.where(domain, noisy, np.uint8(intruder))
        results.append(preprocess(as_image(pixels, domain=domain), [step]))
    first, second = results
    np.testing.assert_array_equal(first.domain, second.domain)
    np.testing.assert_array_equal(first.pixels[first.domain], second.pixels[second.domain])
    free = [preprocess(as_image(np.where(domain, noisy, np.uint8(v))), [step]).pixels for v in (0, 255)]
    assert not np.array_equal(free[0][first.domain], free[1][first.domain]) or step.startswith(
        ("crop", "median")
    )


@pytest.mark.parametrize("step", ALL_STEPS)
def test_not_finite_pixels_stay_alone(noisy, step):
    pixels = noisy.astype(np.float32)
    pixels[3, 3], pixels[9, 9], pixels[12, 13] = np.nan, np.inf, -np.inf
    image = preprocess(as_image(pixels), [step])
    finite = np.isfinite(pixels[tuple(slice(side) for side in image.shape)])
    np.testing.assert_array_equal(np.isfinite(image.pixels), finite)
    assert image.domain is None


def test_gaussian_is_a_normalized_convolution(noisy):
    domain = np.ones(noisy.shape, bool)
    domain[:, 10:13] = False
    image = preprocess(as_image(noisy, domain=domain), ["gaussian:2"])
    weights = ndimage.gaussian_filter(domain.astype(float), 2, mode="nearest")
    sums = ndimage.gaussian_filter(np.where(domain, noisy, 0).astype(float), 2, mode="nearest")
    np.testing.assert_allclose(image.pixels, sums / weights, rtol=1e-6)
    whole = preprocess(as_image(noisy), ["gaussian:2"]).pixels
    np.testing.assert_allclose(
        whole, ndimage.gaussian_filter(noisy.astype(float), 2, mode="nearest"), rtol=1e-6
    )
    flat = preprocess(as_image(np.full((9, 9), 77, np.uint8), domain=np.eye(9, dtype=bool)), ["gaussian:2"])
    np.testing.assert_allclose(flat.pixels, 77, rtol=1e-6)


def test_median_is_that_of_a_disk(noisy):
    image = preprocess(as_image(noisy), ["median:2"])
    expected = ndimage.median_filter(noisy, footprint=morphology.disk(2), mode="nearest")
    np.testing.assert_array_equal(image.pixels, expected)


def test_denoisers_reduce_noise_and_keep_the_edge_and_the_scale(noisy):
    for step in ("nlm", "tv:0.1"):
        pixels = preprocess(as_image(noisy), [step]).pixels
        for columns, truth in ((slice(2, 14), 60), (slice(18, 30), 160)):
            assert pixels[:, columns].std() < 0.6 * noisy[:, columns].std()
            assert abs(pixels[:, columns].mean() - truth) < 2
    scaled = preprocess(as_image(noisy * np.float32(1e-4) + 3), ["tv:0.1"]).pixels
    np.testing.assert_allclose((scaled - 3) * 1e4, preprocess(as_image(noisy), ["tv:0.1"]).pixels, atol=0.1)


def test_denoisers_are_those_of_scikit_image(noisy):
    unit = (noisy - np.float32(noisy.min())) / np.float32(np.ptp(noisy))
    back = float(np.ptp(noisy))
    sd = noise_sd(unit)
    expected = restoration.denoise_nl_means(unit, patch_size=5, patch_distance=6, h=0.5 * sd, sigma=sd)
    actual = preprocess(as_image(noisy), ["nlm:0.5"]).pixels
    np.testing.assert_allclose(actual, expected * back + noisy.min(), rtol=1e-5)
    expected = restoration.denoise_tv_chambolle(unit, weight=0.2)
    actual = preprocess(as_image(noisy), ["tv:0.2"]).pixels
    np.testing.assert_allclose(actual, expected * back + noisy.min(), rtol=1e-5)


def test_noise_is_estimated_and_clipped_areas_do_not_hide_it(rng):
    """sd of median(abs(d)) is 1.17 sigma / sqrt(n) for n pairs; 5 of them are allowed."""
    pixels = rng.normal(0, 3, (200, 200))
    assert abs(noise_sd(pixels) - 3) < 5 * 1.17 * 3 / math.sqrt(pixels.size / 2)
    clipped = np.where(np.arange(200) < 120, 0.0, np.clip(pixels + 50, 0, None))
    assert abs(noise_sd(clipped) - 3) < 0.15
    assert noise_sd(np.eye(5)) == 0
    assert noise_sd(np.ones((5, 1))) == 0


def test_a_picture_without_noise_stays_as_it_is():
    steps = np.repeat([0, 80, 200], 10).astype(np.uint8) * np.ones((9, 1), np.uint8)
    np.testing.assert_array_equal(preprocess(as_image(steps), ["nlm"]).pixels, steps)


def test_background_and_top_hat_keep_small_bright_things():
    rows, cols = np.mgrid[:64, :64]
    slope = 20 + 1.5 * cols
    spot = 40 * ((rows - 30) ** 2 + (cols - 30) ** 2 <= 9)
    for step in ("background:15", "tophat:8"):
        pixels = preprocess(as_image(slope + spot), [step]).pixels
        assert pixels[30, 30] > 35
        assert np.abs(pixels[spot == 0]).max() < 20
        assert pixels.min() >= 0
        for factor in (1e-3, 1e3):  # the answer scales with the intensities
            scaled = preprocess(as_image((slope + spot) * factor), [step]).pixels
            np.testing.assert_allclose(scaled, pixels * factor, atol=1e-4 * factor * 60)


def test_top_hat_is_that_of_scikit_image(noisy):
    expected = morphology.white_tophat(noisy.astype(np.float32), morphology.disk(4, decomposition="sequence"))
    np.testing.assert_array_equal(preprocess(as_image(noisy), ["tophat:4"]).pixels, expected)


def test_equalize_spreads_ranks_over_the_unit_interval(rng):
    pixels = rng.exponential(size=(60, 50))
    equal = preprocess(as_image(pixels), ["equalize"]).pixels
    np.testing.assert_allclose(np.sort(equal.ravel()), (np.arange(3000) + 1) / 3000, atol=0.005)
    assert (np.diff(equal.ravel()[np.argsort(pixels.ravel())]) >= 0).all()
    unit = (pixels - pixels.min()) / np.ptp(pixels)
    np.testing.assert_allclose(equal, exposure.equalize_hist(unit, nbins=4096), rtol=1e-6)


def test_rescale_maps_percentiles_of_the_domain_to_the_unit_interval():
    pixels = np.arange(101.0).reshape(1, 101)
    domain = pixels <= 50
    out = preprocess(as_image(pixels, domain=domain), ["rescale:10,90"]).pixels
    np.testing.assert_allclose(out[0, :51], np.clip((np.arange(51) - 5) / 40, 0, 1), atol=1e-12)


def test_crop_cuts_pixels_and_domain_of_every_plane(rng):
    pixels = rng.integers(0, 9, (3, 10, 12), dtype=np.uint16)
    domain = rng.random(pixels.shape) < 0.5
    image = preprocess(as_image(pixels, domain=domain), ["crop:2,3,4,5"])
    np.testing.assert_array_equal(image.pixels, pixels[:, 2:6, 3:8])
    np.testing.assert_array_equal(image.domain, domain[:, 2:6, 3:8])
    assert image.limits == (0, 65535)


def test_steps_run_in_order_and_are_recorded_in_one_form(noisy):
    given = [" median: 2 ", "gaussian:1.50", "nlm", "crop:0,0,8,9", "rescale:1e0, 99"]
    image = preprocess(as_image(noisy), given)
    assert image.steps == ("median:2", "gaussian:1.5", "nlm:0.8", "crop:0,0,8,9", "rescale:1,99")
    again = preprocess(as_image(noisy), image.steps)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert preprocess(image, "equalize").steps == (*image.steps, "equalize")
    assert preprocess(image, []) is image
    swapped = preprocess(as_image(noisy), ["gaussian:1.5", "median:2"])
    assert not np.array_equal(
        swapped.pixels, preprocess(as_image(noisy), ["median:2", "gaussian:1.5"]).pixels
    )


def test_source_spacing_and_notes_are_carried_along(noisy):
    image = Image(noisy, spacing=(0.5, 0.5), source="a.png", notes=("alpha dropped",))
    result = preprocess(image, ["gaussian:1"])
    assert (result.spacing, result.source, result.notes) == ((0.5, 0.5), "a.png", ("alpha dropped",))


@pytest.mark.parametrize("offset", [2.0**40, -1e12, 1e200, 1e-300])
def test_extreme_floats_stay_finite(rng, offset):
    pixels = offset * (1 + 1e-3 * rng.random((12, 13)))
    for step in ALL_STEPS[:-1]:
        assert np.isfinite(preprocess(as_image(pixels), [step]).pixels).all()


def test_scikit_image_is_loaded_by_the_first_filter_only():
    code = "import sys, numpy as np; from segmix.imaging.image import Image\n"
    code += (
        "from segmix.imaging.preprocess import preprocess; preprocess(Image(np.eye(4)), ['crop:0,0,2,2'])\n"
    )
    code += "assert not {'skimage', 'scipy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
