"""Metrics beside scikit-learn's and scikit-image's, naive twins, and cases worked out by hand."""

from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import variation_of_information
from sklearn.metrics import accuracy_score, adjusted_rand_score, f1_score, jaccard_score
from sklearn.metrics import log_loss as sklearn_log_loss

from segmix import InputError, OptionError, metrics


def noisy(seed: int, n_classes: int, n: int = 400) -> tuple[Any, Any, Any]:
    """True classes, labels of which a third are wrong, and probabilities (n_classes, n)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    labels = np.where(rng.random(n) < 2 / 3, truth, rng.integers(0, n_classes, n))
    return truth, labels, rng.dirichlet(np.ones(n_classes), n).T


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_as_other_libraries_have_them(n_classes: int) -> None:
    truth, labels, p = noisy(n_classes, n_classes)
    table = metrics.contingency(truth, labels, n_classes)
    assert metrics.accuracy(table) == accuracy_score(truth, labels)
    np.testing.assert_allclose(metrics.iou(table), jaccard_score(truth, labels, average=None))
    np.testing.assert_allclose(metrics.dice(table), f1_score(truth, labels, average=None))
    assert np.isclose(metrics.adjusted_rand(table), adjusted_rand_score(truth, labels))
    split, merged = metrics.variation_of_information(table)
    np.testing.assert_allclose([split, merged], variation_of_information(truth, labels))
    assert np.isclose(metrics.log_loss(truth, p), sklearn_log_loss(truth, p.T))


def naive_adjusted_rand(truth: Any, labels: Any) -> float:
    """By pairs of pixels, one by one."""
    same = [(a == b, c == d) for (a, c), (b, d) in combinations(zip(truth, labels, strict=True), 2)]
    both, first, second = (sum(map(f, same)) for f in (all, lambda s: s[0], lambda s: s[1]))
    expected, most = first * second / len(same), (first + second) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=12))
def test_adjusted_rand_by_pairs(pixels: list[tuple[int, int]]) -> None:
    truth, labels = (np.array(part) for part in zip(*pixels, strict=True))
    table = metrics.contingency(truth, labels, 3)
    assert np.isclose(metrics.adjusted_rand(table), naive_adjusted_rand(truth, labels))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_labels_of_any_whole_type(dtype: Any) -> None:
    truth, labels, _ = noisy(1, 2)
    table = metrics.contingency(truth.astype(dtype), labels.astype(dtype), 2)
    assert (table == metrics.contingency(truth, labels, 2)).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_the_matching_is_the_best_permutation(seed: int, n_classes: int) -> None:
    table = np.random.default_rng(seed).integers(0, 50, (n_classes, n_classes))
    right = {order: sum(table[t, z] for z, t in enumerate(order)) for order in permutations(range(n_classes))}
    found = metrics.match_labels(table)
    assert right[tuple(found.tolist())] == max(right.values())


def test_a_foreground_is_matched_first() -> None:
    """Label 1 has the larger IoU with class 1, 57 / 157 over 13 / 108; most pixels are right otherwise."""
    table = np.array([[38, 87], [13, 57]])
    assert metrics.match_labels(table).tolist() == [1, 0]
    assert metrics.match_labels(table, foreground=1).tolist() == [0, 1]
    with pytest.raises(OptionError, match="foreground"):
        metrics.match_labels(table, foreground=2)


def test_absent_classes_and_one_class() -> None:
    table = metrics.contingency(np.zeros(5, int), np.zeros(5, int), 2)
    assert metrics.iou(table).tolist() == [1, 1]
    assert metrics.dice(table).tolist() == [1, 1]
    assert metrics.adjusted_rand(table) == 1
    assert metrics.variation_of_information(table) == (0, 0)


def naive_boundary_f(truth: Any, labels: Any, k: int, tolerance: float) -> float:
    """Distances between all boundary pixels."""
    places = []
    for z in (truth, labels):
        padded = np.pad(z, 1, mode="edge")
        near = [padded[1 + i : 1 + i + z.shape[0], 1 + j : 1 + j + z.shape[1]] for i, j in STEPS]
        places.append(np.argwhere((z == k) & np.any([n != k for n in near], axis=0)))
    true, found = places
    if not len(true) and not len(found):
        return np.nan
    if not len(true) or not len(found):
        return 0.0
    far = np.sqrt(((true[:, None] - found) ** 2).sum(axis=2))
    recall, precision = (far.min(axis=1) <= tolerance).mean(), (far.min(axis=0) <= tolerance).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-300))


STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 1.5, 3.0])
def test_boundary_f_by_all_distances(tolerance: float) -> None:
    rng = np.random.default_rng(4)
    truth = np.kron(rng.integers(0, 3, (4, 5)), np.ones((5, 4), int))
    labels = np.roll(truth, (1, 1), axis=(0, 1))
    labels[rng.random(labels.shape) < 0.05] = 0
    found = metrics.boundary_f(truth, labels, 4, tolerance=tolerance)
    naive = [naive_boundary_f(truth, labels, k, tolerance) for k in range(4)]
    np.testing.assert_allclose(found, naive)


def test_boundaries_end_where_the_domain_does() -> None:
    truth = np.zeros((8, 8), int)
    truth[:, 4:] = 1
    domain = np.ones((8, 8), bool)
    domain[:, 3:5] = False  # both sides of the only boundary
    assert np.isnan(metrics.boundary_f(truth, truth, 2, domain=domain)).all()
    assert metrics.boundary_f(truth, truth, 2).tolist() == [1, 1]
    with pytest.raises(OptionError, match="tolerance"):
        metrics.boundary_f(truth, truth, 2, tolerance=-1)


def test_brier_and_calibration_by_hand() -> None:
    truth = np.array([1, 0, 1, 1])
    p = np.array([0.9, 0.2, 0.4, 1.0])
    both = np.stack([1 - p, p])
    assert np.isclose(metrics.brier(truth, both), np.mean([0.01, 0.04, 0.36, 0.0]))
    curve = metrics.calibration(truth, both, n_bins=2)
    np.testing.assert_allclose(curve.stated, [0.3, 0.95])
    np.testing.assert_allclose(curve.observed, [0.5, 1.0])
    assert curve.counts.tolist() == [2, 2]
    assert np.isclose(curve.error, (0.2 + 0.05) / 2)
    assert np.isclose(metrics.log_loss(np.array([0]), np.array([[0.0], [1.0]])), -np.log(metrics.LEAST))


def test_calibration_of_true_and_of_bold_probabilities() -> None:
    """Drawn from the probabilities themselves the error is chance; sharpened ones are found out."""
    rng = np.random.default_rng(1)
    p = rng.beta(1, 1, 40_000)
    truth = (rng.random(p.size) < p).astype(int)
    chance = sum(
        np.sqrt(part.size * part.mean() * (1 - part.mean()) * 2 / np.pi)
        for part in np.split(np.sort(p), np.searchsorted(np.sort(p), np.arange(1, 15) / 15))
    )
    fair = metrics.calibration(truth, np.stack([1 - p, p])).error
    assert fair < 2 * chance / p.size
    bold = p**3 / (p**3 + (1 - p) ** 3)
    assert metrics.calibration(truth, np.stack([1 - bold, bold])).error > 20 * fair


@pytest.mark.parametrize(
    ("truth", "labels", "what"),
    [
        ([0, 1], [0, 1, 1], "shape"),
        ([0, 2], [0, 1], "truth must be 0 to 1"),
        ([0, 1], [0, -1], "labels must be 0 to 1"),
        ([0.0, 1.0], [0, 1], "whole numbers"),
        ([-1, 1], [0, 1], "name the number that is none"),
        ([], [], "at least one"),
    ],
)
def test_what_is_no_labels(truth: Any, labels: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        metrics.contingency(np.array(truth), np.array(labels), 2)
