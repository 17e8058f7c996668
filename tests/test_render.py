import itertools
import time
import tracemalloc

import numpy as np
import pytest

from segmix.errors import OptionError
from segmix.views import render
from segmix.views.render import OUTSIDE, entropy_map, label_map, mask_map, overlay, palette, probability_map

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB, row by row.
VISION = {
    "trichromat": "1 0 0  0 1 0  0 0 1",
    "protanope": ".152286 1.052583 -.204868  .114503 .786281 .099216  -.003882 -.048116 1.051998",
    "deuteranope": ".367322 .860646 -.227968  .280085 .672501 .047413  -.011820 .042940 .968881",
    "tritanope": "1.255528 -.076749 -.178779  -.078411 .930809 .147602  .004733 .691367 .303900",
}
TO_XYZ = ".4124564 .3575761 .1804375  .2126729 .7151522 .0721750  .0193339 .1191920 .9503041"
GRAY = [OUTSIDE] * 3


def matrix(numbers):
    return np.array(numbers.split(), dtype=float).reshape(3, 3)


def lab(colors, vision="trichromat"):
    """CIE L*a*b* (D65) of sRGB colors as someone sees them."""
    share = np.asarray(colors) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ matrix(VISION[vision]).T, 0, 1)
    xyz = seen @ matrix(TO_XYZ).T / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def closest(colors, vision):
    points = lab(colors, vision)
    return min(np.linalg.norm(one - other) for one, other in itertools.combinations(points, 2))


def test_lab_of_known_colors():
    assert lab([[255, 255, 255], [0, 0, 0]]) == pytest.approx(np.array([[100, 0, 0], [0, 0, 0]]), abs=0.02)
    assert lab([255, 0, 0]) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # as tabulated by Lindbloom


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("n_classes", range(2, 9))
def test_palette_colors_are_told_apart_by_everyone(n_classes, vision):
    assert closest(palette(n_classes), vision) > 15
    assert closest(np.vstack([palette(n_classes), [GRAY]]), vision) > 15


def test_the_distance_finds_a_palette_that_is_not_safe():
    assert closest(np.array([[200, 80, 40], [110, 120, 40]]), "trichromat") > 50
    assert closest(np.array([[200, 80, 40], [110, 120, 40]]), "deuteranope") < 15


@pytest.mark.parametrize("n_classes", range(1, 17))
def test_palette_has_one_color_per_class_ever_lighter(n_classes):
    colors = palette(n_classes)
    assert colors.shape == (n_classes, 3)
    assert colors.dtype == np.uint8
    assert (np.diff(lab(colors)[:, 0]) > 0).all()


def test_label_map_paints_classes_and_leaves_the_rest_gray():
    labels = np.array([[0, 1, 2], [255, 1, 3]], dtype=np.uint8)
    domain = np.array([[True, True, True], [True, False, True]])
    assert label_map(labels, 3, domain=domain).tolist() == [palette(3).tolist(), [GRAY] * 3]
    blue, orange = palette(2).tolist()
    assert label_map(labels.astype(np.int64) - 1, 2).tolist() == [[GRAY, blue, orange], [GRAY, blue, GRAY]]


def test_mask_map_is_black_and_white():
    assert mask_map(np.array([[True, False], [False, True]])).tolist() == [[255, 0], [0, 255]]
    assert mask_map([[0, 2]]).tolist() == [[0, 255]]
    assert mask_map([[0, 2]]).dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probability_map_runs_through_viridis(dtype):
    drawn = probability_map(np.array([[0, 0.5, 1, np.nan, -0.5, 1.5, -np.inf, np.inf]], dtype=dtype))[0]
    low, high = [68, 1, 84], [253, 231, 37]  # the ends of viridis
    assert drawn[[0, 4, 6]].tolist() == [low] * 3
    assert drawn[[2, 5, 7]].tolist() == [high] * 3
    assert drawn[3].tolist() == GRAY
    assert np.abs(drawn[1].astype(int) - [33, 144, 140]).max() <= 3


def test_entropy_map_ends_at_log2_of_the_classes():
    black, pale = [0, 0, 4], [252, 253, 191]  # the ends of magma
    assert entropy_map([[0.0, 1.0, np.nan]], 2)[0].tolist() == [black, pale, GRAY]
    assert entropy_map([[0.0, 2.0]], 4)[0].tolist() == [black, pale]
    assert entropy_map([[1.0]], 4)[0, 0].tolist() not in (black, pale)
    assert entropy_map([[0.0]], 1)[0].tolist() == [black]


def test_color_maps_follow_the_published_ones_and_only_get_lighter():
    from matplotlib import colormaps

    ramp = np.linspace(0, 1, 256)[None]
    for name, drawn in (("viridis", probability_map(ramp)[0]), ("magma", entropy_map(ramp, 2)[0])):
        assert np.abs(drawn - np.array(colormaps[name].colors) * 255).max() < 7
        assert (np.diff(lab(drawn)[:, 0]) > -0.2).all()


SQUARE = np.zeros((5, 5), dtype=np.uint8)
SQUARE[1:4, 1:4] = 1
RAMP = np.linspace(0, 200, 25).reshape(5, 5).astype(np.uint8)


def test_overlay_draws_the_outermost_pixels_of_a_square():
    drawn = overlay(RAMP, SQUARE, 2)
    gray = np.rint(np.clip((RAMP - 0.0) / 200, 0, 1) * 255)
    ring = SQUARE.astype(bool)
    ring[2, 2] = False
    edge = np.zeros((5, 5), dtype=bool)
    edge[[0, 4], 1:4] = edge[1:4, [0, 4]] = True
    untouched = ~ring & ~edge
    assert (drawn[ring] == palette(2)[1]).all()
    assert untouched.sum() == 5  # four corners and the middle
    assert np.abs(drawn[untouched] - gray[untouched][:, None]).max() <= 1
    assert np.abs(drawn[edge] - gray[edge][:, None] // 4).max() <= 1


def test_overlay_sets_dark_colors_off_by_light_edges():
    drawn = overlay(np.zeros((5, 5), dtype=np.uint8) + RAMP % 2, 1 - SQUARE, 2, foreground=[0])
    assert (drawn[0, 2] >= 191).all()
    assert (drawn[1, 2] == palette(2)[0]).all()


def test_overlay_has_no_contour_along_the_rim_of_the_picture():
    labels = np.zeros((5, 6), dtype=np.uint8)
    labels[:, 3:] = 1
    drawn = overlay(np.arange(30).reshape(5, 6), labels, 2)
    colored = (drawn == palette(2)[1]).all(axis=-1)
    assert colored.sum() == 5
    assert colored[:, 3].all()
    assert (
        not (overlay(np.arange(30).reshape(5, 6), np.ones((5, 6), int), 2) == palette(2)[1])
        .all(axis=-1)
        .any()
    )


def naive_overlay(gray, labels, n_classes, foreground, domain):
    """The rule of `overlay` for a picture below 450 pixels, pixel by pixel, on the gray picture."""
    colors, out = palette(n_classes), np.repeat(gray[:, :, None], 3, axis=2)
    rows, cols = labels.shape
    light = {k: np.dot(colors[k], [0.299, 0.587, 0.114]) > 102 for k in foreground}
    for r, c in np.ndindex(rows, cols):
        around = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
        around = [p for p in around if 0 <= p[0] < rows and 0 <= p[1] < cols and domain[p]]
        if domain[r, c] and labels[r, c] in foreground:
            if any(labels[p] != labels[r, c] for p in around):
                out[r, c] = colors[labels[r, c]]
        elif domain[r, c]:
            for k in foreground:
                if any(labels[p] == k for p in around):
                    out[r, c] = out[r, c] // 4 + (0 if light[k] else 191)
    return out


@pytest.mark.parametrize("foreground", [(1,), (0, 2), (2, 1, 0), ()])
@pytest.mark.parametrize("block", [1, 40, 1 << 17])
def test_overlay_equals_its_naive_twin_for_any_block(foreground, block, monkeypatch):
    monkeypatch.setattr(render, "_BLOCK", block)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, (23, 17)).astype(np.uint8)
    labels[4:19, 3:15] = 2
    domain = rng.random((23, 17)) < 0.8
    pixels = rng.integers(0, 256, (23, 17)).astype(np.uint8)
    plain = overlay(pixels, np.zeros_like(labels), 3, foreground=(), domain=domain)[:, :, 0]
    expected = naive_overlay(plain, labels, 3, foreground, domain)
    assert np.array_equal(overlay(pixels, labels, 3, foreground=foreground, domain=domain), expected)


def test_contours_grow_with_the_picture_and_do_not_depend_on_blocks(monkeypatch):
    labels = np.zeros((60, 1400), dtype=np.uint8)
    labels[:, 700:] = 1
    drawn = overlay(np.tile(np.arange(1400) % 97, (60, 1)), labels, 2)
    assert (drawn[30] == palette(2)[1]).all(axis=-1).nonzero()[0].tolist() == [700, 701, 702, 703]
    noisy = np.random.default_rng(1).integers(0, 2, (60, 1400)).repeat(3, axis=0)
    whole = overlay(noisy, noisy, 2)
    monkeypatch.setattr(render, "_BLOCK", 1400)
    assert np.array_equal(overlay(noisy, noisy, 2), whole)


def test_overlay_pales_what_is_outside_the_domain_and_grays_what_is_not_finite():
    pixels = np.linspace(0, 1, 36).reshape(6, 6)
    pixels[0, 0], pixels[0, 1], pixels[5, 5] = np.nan, np.inf, -np.inf
    domain = np.ones((6, 6), dtype=bool)
    domain[:, 3:] = False
    labels = np.repeat([[0, 0, 0, 1, 1, 1]], 6, axis=0)
    drawn = overlay(pixels, labels, 2, domain=domain)
    assert drawn[0, 0].tolist() == drawn[0, 1].tolist() == GRAY
    assert (drawn[:, 3:] >= 100).all()
    assert (drawn == drawn[:, :, :1]).all()  # class 1 is outside, and there is no contour along the domain


@pytest.mark.parametrize("code", "?bBhHiIqQfd")
def test_overlay_stretches_every_type_from_black_to_white(code):
    pixels = np.zeros((4, 4), dtype=code)
    info = np.iinfo(code) if pixels.dtype.kind in "iu" else None
    pixels[2:] = info.max if info else 1
    pixels[:2] = info.min if info else 0
    drawn = overlay(pixels, np.zeros((4, 4), int), 2)
    assert (drawn[:2] == 0).all()
    assert (drawn[2:] == 255).all()


@pytest.mark.parametrize("ends", [(-1.7e308, 1.7e308), (0.0, 5e-324), (1e-310, 3e-310), (1e300, 1.1e300)])
def test_overlay_of_extreme_floats(ends):
    pixels = np.repeat([[ends[0]], [ends[1]]], 4, axis=1)
    drawn = overlay(pixels, np.zeros((2, 4), int), 2)
    assert (drawn[1] == 255).all() or ends[1] == 5e-324
    assert (drawn[0] <= drawn[1]).all()


def test_overlay_of_a_constant_or_empty_picture_is_gray():
    labels = np.zeros((3, 3), int)
    assert (overlay(np.full((3, 3), 7), labels, 2) == 128).all()
    assert (overlay(np.full((3, 3), np.nan), labels, 2) == OUTSIDE).all()
    assert (overlay(np.full((3, 3), 7), labels, 2, domain=labels > 0) >= 100).all()


def test_contrast_leaves_out_outliers_but_not_a_small_domain():
    pixels = np.random.default_rng(1).integers(100, 150, (100, 100)).astype(np.uint16)
    pixels[0, 0] = 65535
    drawn = overlay(pixels, np.zeros((100, 100), int), 2)
    assert drawn[pixels == 125].min() > 100
    sparse = np.zeros((1500, 1500), dtype=bool)
    sparse[1, 1:3] = True  # not met by the sample of the contrast
    large = np.zeros((1500, 1500), dtype=np.float32)
    large[1, 1:3] = (5, 6)
    assert overlay(large, sparse, 2, domain=sparse, foreground=())[1, 1:3, 0].tolist() == [0, 255]


def working_memory(draw, *arguments):
    """Bytes allocated at the peak beside what is returned."""
    tracemalloc.start()
    drawn = draw(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - drawn.nbytes


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_overlay_of_four_megapixels_is_thrifty_and_quick(dtype):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (2000, 2000), dtype=np.uint8)
    labels = (pixels > 200).astype(np.uint8)
    pixels = pixels.astype(dtype)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        overlay(pixels, labels, 2)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 3  # 0.1 s by itself; leaves room for a busy machine
    assert working_memory(overlay, pixels, labels, 2) < 4 * pixels.size


def test_maps_are_thrifty():
    share = np.random.default_rng(1).random((2000, 2000), dtype=np.float32)
    labels = (share > 0.5).astype(np.uint8)
    assert working_memory(probability_map, share) < 4 * share.size
    assert working_memory(entropy_map, share, 2) < 4 * share.size
    assert working_memory(label_map, labels, 2) < 4 * share.size


def test_inputs_stay_as_they_are_and_give_the_same_bytes():
    pixels, labels = RAMP.copy(), SQUARE.copy()
    pixels.flags.writeable = labels.flags.writeable = False
    assert overlay(pixels, labels, 2).tobytes() == overlay(RAMP, SQUARE, 2).tobytes()


def test_only_planes_are_drawn():
    plane, cube = np.zeros((2, 2), int), np.zeros((2, 2, 2), int)
    calls = [(label_map, cube, 2), (mask_map, cube), (probability_map, cube), (entropy_map, cube, 2)]
    for draw, *arguments in [*calls, (overlay, cube, plane, 2), (overlay, plane, cube, 2)]:
        with pytest.raises(
            OptionError, match=r"must have 2 dimensions \(rows, cols\), got 3; pass one plane"
        ):
            draw(*arguments)


def test_mismatches_name_both_shapes_and_classes():
    plane = np.zeros((2, 3), int)
    with pytest.raises(OptionError, match=r"labels must have the shape of pixels, \(2, 3\), got \(3, 2\)"):
        overlay(plane, plane.T, 2)
    with pytest.raises(OptionError, match=r"domain must have the picture's shape, \(2, 3\), got \(3, 2\)"):
        overlay(plane, plane, 2, domain=plane.T)
    with pytest.raises(OptionError, match=r"foreground must be classes 0..1, got \(2,\)"):
        overlay(plane, plane, 2, foreground=(2,))
    for draw in (palette, lambda n: overlay(plane, plane, n), lambda n: entropy_map(plane, n)):
        for n_classes in (0, -1, 17):
            with pytest.raises(OptionError, match=f"n_classes must be 1 to 16, got {n_classes}"):
                draw(n_classes)
