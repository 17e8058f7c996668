from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from segmix.errors import OptionError
from segmix.simulate import _DETECTORS, KINDS, simulate_phantom


def make(kind, seed=1, **options):
    return simulate_phantom(kind, rng=np.random.default_rng(seed), **options)


@pytest.fixture(scope="module")
def phantoms():
    return {kind: make(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_bytes_and_another_seed_does_not(kind, phantoms):
    again, other = make(kind), make(kind, seed=2)
    assert again.pixels.tobytes() == phantoms[kind].pixels.tobytes()
    assert again.truth.tobytes() == phantoms[kind].truth.tobytes()
    assert other.pixels.tobytes() != phantoms[kind].pixels.tobytes()


@pytest.mark.parametrize(("kind", "suffix"), [("cells", "png"), ("cells16", "tif"), ("tissue", "png")])
def test_the_pictures_in_images_are_those_of_seed_1(kind, suffix, phantoms):
    folder = Path(__file__).parent.parent / "images"
    for name, array in ((f"{kind}.{suffix}", "pixels"), (f"{kind}_truth.png", "truth")):
        with Image.open(folder / name) as picture:
            kept = np.asarray(picture)
        made = getattr(phantoms[kind], array)
        assert kept.dtype == made.dtype
        assert np.mean(kept != made) < 1e-3  # another machine may round a few pixels the other way


@pytest.mark.parametrize(("kind", "dtype"), [("cells", "uint8"), ("cells16", "uint16"), ("tissue", "uint8")])
def test_types_shapes_and_weights(kind, dtype, phantoms):
    phantom = phantoms[kind]
    assert phantom.pixels.dtype.name == dtype
    assert phantom.truth.dtype.name == "uint8"
    assert phantom.pixels.shape == phantom.truth.shape == (512, 512)
    assert np.unique(phantom.truth).tolist() == list(range(phantom.n_classes))
    assert len(phantom.means) == len(phantom.stds) == len(phantom.weights) == phantom.n_classes
    assert list(phantom.means) == sorted(phantom.means)
    for k, weight in enumerate(phantom.weights):
        assert weight == np.count_nonzero(phantom.truth == k) / 512**2
    assert phantom.description


def test_cells_are_clipped_at_both_ends(phantoms):
    pixels = phantoms["cells"].pixels
    assert 0.03 < np.mean(pixels == 0) < 0.09
    assert 0.002 < np.mean(pixels == 255) < 0.02
    assert np.mean(pixels[phantoms["cells"].truth == 0] == 255) < 0.001


def test_cells16_shows_the_same_scene_with_finer_levels_and_no_clipping(phantoms):
    fine = phantoms["cells16"].pixels
    assert np.array_equal(phantoms["cells16"].truth, phantoms["cells"].truth)
    assert fine.min() > 0
    assert fine.max() < 65535
    assert len(np.unique(fine)) > 4096


def test_cell_field_is_neither_empty_nor_crowded(phantoms):
    truth = phantoms["cells"].truth
    _, n_objects = ndimage.label(truth)
    assert 0.1 < truth.mean() < 0.3
    assert 40 <= n_objects <= 80


@pytest.mark.parametrize("kind", ["cells", "cells16"])
def test_background_noise_is_that_of_a_photon_detector(kind, phantoms):
    """Away from cells, x photons have mean g x + o and variance g^2 x + r^2 + 1/12 (rounding)."""
    camera = _DETECTORS[kind]
    far = ~ndimage.binary_dilation(phantoms[kind].truth, iterations=10)
    levels = np.sort(phantoms[kind].pixels[far].astype(float))
    variance = camera.gain**2 * camera.exposure + camera.read_noise**2 + 1 / 12
    n = levels.size
    assert n > 100_000
    if kind == "cells":  # clipped: the median and a quantile are what clipping leaves
        spread = np.sqrt(variance)
        assert abs(np.median(levels) - (camera.gain * camera.exposure + camera.offset)) < 1.5
        assert abs(levels[int(0.8413 * n)] - np.median(levels) - spread) < 1.5
        return
    assert abs(levels.mean() - (camera.gain * camera.exposure + camera.offset)) < 5 * np.sqrt(variance / n)
    error = variance * np.sqrt(2 / n)
    assert abs(levels.var() - variance) < 5 * error
    assert abs(levels.var() - camera.gain**2 * camera.exposure) > 5 * error  # control: no read noise


def test_tissue_classes_are_gaussian_with_the_stated_parameters(phantoms):
    phantom = phantoms["tissue"]
    for k, (mean, std) in enumerate(zip(phantom.means, phantom.stds, strict=True)):
        values = phantom.pixels[phantom.truth == k].astype(float)
        n, variance = values.size, std**2 + 1 / 12
        z = (values - mean) / np.sqrt(variance)
        assert abs(z.mean()) < 4.5 / np.sqrt(n)
        assert abs((z**2).mean() - 1) < 4.5 * np.sqrt(2 / n)
        assert abs((z**3).mean()) < 4.5 * np.sqrt(15 / n)
        assert abs((z**4).mean() - 3) < 4.5 * np.sqrt(96 / n)
        assert abs((z**2).mean() / 1.05 - 1) > 4.5 * np.sqrt(2 / n)  # control: a variance 5 % larger
    assert phantom.pixels.min() > 0
    assert phantom.pixels.max() < 255
    assert phantom.weights == pytest.approx((0.15, 0.58, 0.27), abs=1e-4)


def test_tissue_regions_are_smooth(phantoms):
    truth = phantoms["tissue"].truth
    equal_neighbors = np.mean(truth[1:] == truth[:-1])
    assert equal_neighbors > 0.9
    assert equal_neighbors > np.mean(phantoms["tissue"].pixels[1:] == phantoms["tissue"].pixels[:-1]) + 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 64), (64, 200), [100, np.int64(70)]])
def test_small_and_oblong_fields_hold_every_class(kind, shape):
    for seed in range(5):
        phantom = make(kind, seed, shape=shape)
        assert phantom.pixels.shape == phantom.truth.shape == tuple(shape)
        assert len(np.unique(phantom.truth)) == phantom.n_classes
        assert np.isfinite([*phantom.means, *phantom.stds]).all()


def test_larger_field_keeps_the_size_and_density_of_cells(phantoms):
    large = make("cells", shape=(768, 1024))
    _, n_small = ndimage.label(phantoms["cells"].truth)
    _, n_large = ndimage.label(large.truth)
    assert n_large / n_small == pytest.approx(3, rel=0.2)
    assert large.weights[1] == pytest.approx(phantoms["cells"].weights[1], abs=0.04)


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(OptionError, match=r"kind must be one of cells, cells16, tissue, got 'brain'"):
        make("brain")


@pytest.mark.parametrize(
    "shape", [(63, 64), (64, 8193), (64,), (64, 64, 64), (64.0, 64), (True, 64), 64, "64,64", None, (-64, 64)]
)
def test_a_wrong_shape_is_refused_with_its_value(shape):
    with pytest.raises(
        OptionError, match=r"shape must be two whole numbers \(rows, cols\) from 64 to 8192, got"
    ):
        make("tissue", shape=shape)
