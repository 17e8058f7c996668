"""Components and boundaries of given labels, against a flood fill, scikit-image's perimeters and geometry."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import perimeter_crofton

from segmix.errors import OptionError
from segmix.potts.lattice import Lattice
from segmix.shapes import count_components, count_differing, find_boundaries, find_components, weigh

from . import naive_potts as naive


def flood(lattice: Lattice, labels: NDArray[np.uint8], n_classes: int, min_pixels: int = 1) -> list[int]:
    """Pieces of each class, by walking from neighbor to neighbor."""
    counts, left = [0] * n_classes, set(naive.sites(lattice))
    while left:
        todo = [left.pop()]
        size = 0
        while todo:
            site = todo.pop()
            size += 1
            near = [o for o, _ in naive.neighbors(lattice, site) if o in left and labels[o] == labels[site]]
            left -= set(near)
            todo += near
        counts[labels[site]] += size >= min_pixels
    return counts


def pairs_between(lattice: Lattice, labels: NDArray[np.uint8], k: int, m: int) -> int:
    """Neighbor pairs of two classes, one by one."""
    found = (
        {labels[s], labels[o]} == {k, m} for s in naive.sites(lattice) for o, _ in naive.neighbors(lattice, s)
    )
    return sum(found) // 2


@pytest.mark.parametrize(
    ("shape", "connectivity", "n_classes"),
    [
        ((9, 11), 1, 2),
        ((9, 11), 2, 3),
        ((4, 5, 6), 1, 2),
        ((4, 5, 6), 2, 4),
        ((4, 5, 6), 3, 2),
        ((1, 7), 1, 2),
    ],
)
@pytest.mark.parametrize("holes", [False, True])
def test_counts_are_those_of_a_walk(
    shape: tuple[int, ...], connectivity: int, n_classes: int, holes: bool
) -> None:
    rng = np.random.default_rng(1)
    domain = rng.random(shape) < 0.8 if holes else np.ones(shape, bool)
    lattice = Lattice(shape, connectivity, domain=domain)
    labels = np.where(domain, rng.integers(0, n_classes, shape), 255).astype(np.uint8)
    for least in (1, 2, 4):
        ours = count_components(labels, n_classes, connectivity, least)
        assert ours.tolist() == flood(lattice, labels, n_classes, least)
    for row in find_boundaries([labels], n_classes, connectivity=connectivity, spacing=None):
        assert row.pairs.mean == pairs_between(lattice, labels, *row.labels)
    other = count_components(labels, n_classes, 2 if connectivity == 1 else 1, 1)
    if min(shape) > 1:
        assert other.tolist() != flood(lattice, labels, n_classes)


def disk(radius: float, *, n: int = 101, spacing: tuple[float, ...] = (1.0, 1.0)) -> NDArray[np.uint8]:
    """A disk or ball in the middle, its center off the grid."""
    axes = [(np.arange(int(n / d)) - int(n / d) / 2 + 0.3) * d for d in spacing]
    squares = np.stack([x**2 for x in np.meshgrid(*axes, indexing="ij")]).sum(axis=0)
    return (squares < radius**2).astype(np.uint8)


def test_lengths_are_those_of_scikit_image() -> None:
    rng = np.random.default_rng(2)
    blobs = np.zeros((40, 50), np.uint8)
    blobs[5:35, 5:45] = rng.random((30, 40)) < 0.5
    for labels in (disk(30), blobs):
        (row,) = find_boundaries([labels], 2, connectivity=1, spacing=None)
        assert row.length.mean == pytest.approx(perimeter_crofton(labels, directions=4))


@pytest.mark.parametrize(
    ("spacing", "accuracy"),
    [
        ((1.0, 1.0), 0.01),
        ((2.0, 1.0), 0.03),
        ((0.5, 0.5), 0.01),
        ((1.0, 1.0, 1.0), 0.02),
        ((2.0, 1.0, 1.0), 0.03),
    ],
)
def test_lengths_are_those_of_circles_and_spheres(spacing: tuple[float, ...], accuracy: float) -> None:
    """To the per cent or so by which 4 (13) directions differ from all."""
    radius = 30.0
    expected = 2 * np.pi * radius if len(spacing) == 2 else 4 * np.pi * radius**2
    labels = disk(radius, spacing=spacing)
    (row,) = find_boundaries([labels], 2, connectivity=1, spacing=spacing)
    assert row.length.mean == pytest.approx(expected, rel=accuracy)
    if len(set(spacing)) > 1:  # the control: pixels taken for squares
        (wrong,) = find_boundaries([labels], 2, connectivity=1, spacing=None)
        assert abs(wrong.length.mean - expected) > 3 * accuracy * expected


def test_weights_are_the_published_ones() -> None:
    """pi/8 and pi/(8 sqrt 2); Ohser and Muecklich's shares, twice 0.0457779 and so on."""
    plane = weigh([(0, 1), (1, -1), (1, 0), (1, 1)], (1.0, 1.0))
    np.testing.assert_allclose(plane, np.pi / 8 / np.sqrt([1, 2, 1, 2]))
    offsets = Lattice((3, 3, 3), 3).offsets[1::2]
    steps = np.abs(offsets).sum(axis=1)
    shares = np.array([0.04577789120476, 0.03698062787608, 0.03519563978232])
    expected = 2 * 2 * shares[steps - 1] / np.sqrt(steps)
    np.testing.assert_allclose(weigh(offsets, (1.0, 1.0, 1.0)), expected, rtol=1e-9)
    np.testing.assert_allclose(weigh(offsets, (0.1, 0.1, 0.1)), 0.01 * expected, rtol=1e-9)
    square = [(0, 1), (1, -1), (1, 0), (1, 1)]
    for unit in (1e-200, 1e200):  # whose squares no float holds
        np.testing.assert_allclose(weigh(square, (unit, unit)) / unit, plane, rtol=1e-9)


def test_three_classes_have_three_boundaries() -> None:
    """Bands of one class each: the boundary of the outer ones is empty, and a hole in the domain is none."""
    labels = np.repeat(np.array([0, 1, 2], np.uint8), 10)[:, None].repeat(40, axis=1)
    labels[15, 10:20] = 255
    rows = {row.labels: row for row in find_boundaries([labels], 3, connectivity=1, spacing=(2.0, 3.0))}
    assert set(rows) == {(0, 1), (0, 2), (1, 2)}
    assert rows[0, 2].pairs.mean == rows[0, 2].length.mean == 0
    assert rows[0, 1].pairs.mean == rows[1, 2].pairs.mean == 40
    assert rows[0, 1].length.mean == pytest.approx(40 * 3.0, rel=0.1)  # straight lines come out short
    assert count_differing(labels, 3, [(1, 0)]).sum() == 80


def test_summaries_of_few_draws() -> None:
    draws = np.array(list(product((0, 1), repeat=4)), np.uint8).reshape(16, 2, 2)
    numbers = [flood(Lattice((2, 2)), z, 2)[1] for z in draws]
    row = find_components(draws, 2, connectivity=1)[1]
    assert row.number.mean == np.mean(numbers)
    assert row.number.sd == pytest.approx(np.std(numbers, ddof=1))
    assert (row.number.low, row.number.high) == tuple(np.quantile(numbers, (0.03, 0.97)))
    (alone, _) = find_components(draws[:1], 2, connectivity=1)
    assert (alone.number.mean, alone.number.low, alone.number.high) == (1, 1, 1)
    assert np.isnan(alone.number.sd)
    with pytest.raises(OptionError, match="min_pixels must be a whole number from 1 upward, got 0"):
        find_components(draws, 2, connectivity=1, min_pixels=0)
