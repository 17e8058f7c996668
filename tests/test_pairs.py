"""Classes from the levels of neighbor pairs."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import PottsOptions, Priors
from segmix.imaging.image import as_image
from segmix.imaging.levels import count_levels
from segmix.mixture.density import Parameters
from segmix.potts import pairs as module
from segmix.potts.beginning import find_beginning
from segmix.potts.chains import Problem, pose
from segmix.potts.lattice import Lattice
from segmix.potts.pairs import Fit, Pairs, bin_levels, count_pairs, fit_pairs

from . import naive_potts as naive

Array = NDArray[np.float64]


def problem_of(pixels: NDArray[Any], n_classes: int = 2, domain: Any = None) -> Problem:
    levels = count_levels(as_image(pixels, domain=domain))
    options = PottsOptions(beta=0.5, weights="equal", connectivity=pixels.ndim)
    return pose(levels, n_classes=n_classes, priors=Priors(), options=options, seed=1)


@pytest.mark.parametrize("shape", [(7, 9), (3, 4, 5), (1, 8)])
@pytest.mark.parametrize("holes", [False, True])
def test_pairs_are_those_of_the_naive_loop(shape: tuple[int, ...], holes: bool) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 12, shape).astype(np.uint8)
    domain = rng.random(shape) < 0.7 if holes else None
    problem = problem_of(pixels, domain=domain)
    lattice = problem.sweeps.lattice
    pairs = count_pairs(lattice, lattice.join(problem.sweeps.codes), problem.target.observed)
    inside = pixels if domain is None else pixels[domain]
    np.testing.assert_allclose(pairs.values, np.unique(inside), atol=0.5)  # a bin for each of so few levels
    place = {value: i for i, value in enumerate(np.unique(inside))}
    counts = np.zeros_like(pairs.counts)
    for site in naive.sites(lattice):
        for other, _ in naive.neighbors(lattice, site):
            counts[place[pixels[site]], place[pixels[other]]] += 0.5
    np.testing.assert_allclose(pairs.counts, counts)
    assert (pairs.within == 0).all()
    assert len(inside) < 20 or (pairs.widths == 1).all()


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_far_values_do_not_join_the_classes(unit: float) -> None:
    centers = np.concatenate([np.arange(1000.0), [1e5, 1e6]]) * unit
    bins = bin_levels(centers, np.append(np.ones(1000), [3.0, 3.0]))
    assert (np.diff(bins) >= 0).all()
    assert np.bincount(bins[:1000]).max() <= 27  # a fortieth
    assert bins[-1] > bins[-2] > bins[-3]
    shuffled = np.random.default_rng(1).permutation(1002)
    np.testing.assert_array_equal(
        bin_levels(centers[shuffled], np.append(np.ones(1000), [3.0, 3.0])[shuffled]), bins[shuffled]
    )


def exact_pairs(shares: Array, means: Array, std: float, n: float) -> Pairs:
    """Expected counts of pairs of two classes, in bins of one unit."""
    values = np.arange(0.0, 101.0)
    density = np.exp(-0.5 * ((values[:, None] - means) / std) ** 2)
    density /= density.sum(axis=0)
    flat = np.zeros(len(values))
    return Pairs(values, flat, flat + 1, n * density @ shares @ density.T)


@pytest.mark.parametrize("agreeing", [0.0, 0.5, 0.9])
def test_expected_counts_give_the_classes_back(agreeing: float) -> None:
    weights, means = np.array([0.3, 0.7]), np.array([42.0, 56.0])
    shares = agreeing * np.diag(weights) + (1 - agreeing) * np.outer(weights, weights)
    start = Parameters(np.array([0.5, 0.5]), np.array([35.0, 60.0]), np.array([15.0, 15.0]))
    fit = fit_pairs(exact_pairs(shares, means, 7.0, 1e6), start)
    np.testing.assert_allclose(fit.classes.means, means, atol=0.3)  # what the last gain of EM leaves
    np.testing.assert_allclose(fit.classes.stds, 7.0, atol=0.2)
    np.testing.assert_allclose(fit.shares, shares, atol=0.01)


def test_every_step_of_em_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(5.0, (30, 30)).astype(float)
    pairs = Pairs(np.arange(30.0), np.zeros(30), np.ones(30), counts + counts.T)
    start = Parameters(np.array([0.2, 0.3, 0.5]), np.array([3.0, 10.0, 28.0]), np.array([2.0, 3.0, 2.0]))
    heights = []
    for n in range(1, 40):
        monkeypatch.setattr(module, "N_STEPS", n)
        heights.append(fit_pairs(pairs, start).log_likelihood)
    assert (np.diff(heights) > -1e-6).all()
    assert heights[-1] > heights[0] + 10
    shares = (np.outer(start.weights, start.weights) + np.diag(start.weights)) / 2
    density = np.exp(-0.5 * ((pairs.values[:, None] - start.means) / start.stds) ** 2) / start.stds
    naive_height = sum(
        pairs.counts[a, b] * np.log(np.maximum(density[a] @ shares @ density[b], 1e-300))
        for a in range(30)
        for b in range(30)
    )
    assert heights[0] == pytest.approx(naive_height)


def test_pixels_far_from_every_class_are_no_nan() -> None:
    counts = np.array([[50.0, 1.0, 0.0], [1.0, 50.0, 2.0], [0.0, 2.0, 1.0]])
    pairs = Pairs(np.array([0.0, 10.0, 1e6]), np.zeros(3), np.ones(3), counts)
    start = Parameters(np.array([0.5, 0.5]), np.array([0.0, 10.0]), np.array([1.0, 1.0]))
    assert np.isfinite(fit_pairs(pairs, start).log_likelihood)


@pytest.mark.parametrize("beta", [0.0, 0.7, 1.5])
@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.2, 0.8), (0.2, 0.3, 0.5)])
def test_pairs_of_a_markov_chain_give_its_field_back(beta: float, weights: tuple[float, ...]) -> None:
    """A row of pixels is a lattice without loops, each of two neighbors: transfer matrices are exact."""
    w, k = np.array(weights), len(weights)
    transfer = np.exp(beta * np.eye(k)) * np.sqrt(np.outer(w, w))
    values, vectors = np.linalg.eigh(transfer)
    first = vectors[:, -1]
    shares = transfer * np.outer(first, first) / values[-1]
    fit = Fit(Parameters(shares.sum(axis=1), np.arange(k) * 1.0, np.ones(k)), shares, 0.0)
    assert fit.beta() == pytest.approx(beta, abs=1e-9)
    np.testing.assert_allclose(fit.logits(2, fit.beta()), np.log(w / w.max()), atol=1e-9)
    if beta and len(set(weights)) > 1:
        assert np.abs(fit.logits(4, fit.beta()) - np.log(w / w.max())).max() > 0.05


def test_a_rare_far_class_leaves_the_others_apart() -> None:
    rng = np.random.default_rng(2)
    blocks = np.kron(rng.integers(0, 2, (16, 16)), np.ones((8, 8)))
    exact = rng.normal(1000 + 200 * blocks, 120)
    exact = np.where(rng.random(exact.shape) < 0.003, rng.normal(20_000, 3000, exact.shape), exact)
    problem = problem_of(np.clip(np.rint(exact), 0, 65_535).astype(np.uint16), 3)
    means = find_beginning(problem._replace(beta=None), seed=1).parameters.means
    assert np.abs(means[:2] - [1000, 1200]).max() < 20
    assert means[2] > 15_000


def test_a_domain_of_one_pair_begins_somewhere() -> None:
    pixels = np.full((20, 20), np.nan)
    pixels[::2, ::2] = np.random.default_rng(1).normal(0, 1, (10, 10))
    pixels[0, 1] = 0.5
    begun = find_beginning(problem_of(pixels), seed=1)
    assert np.isfinite(begun.parameters.means).all()


def test_large_pictures_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    lattice, codes = Lattice((60, 60)), rng.integers(0, 4, (60, 60)).astype(np.uint8)
    problem = problem_of(codes)
    whole = count_pairs(lattice, codes, problem.target.observed)
    monkeypatch.setattr(module, "MAX_PAIRS", 1000)
    part = count_pairs(lattice, codes, problem.target.observed)
    assert 0.2 < part.counts.sum() / whole.counts.sum() < 0.3  # every second along both axes
    share = part.counts / part.counts.sum()
    expected = whole.counts / whole.counts.sum()
    assert np.abs(share - expected).max() < 4.5 * np.sqrt(expected.max() / part.counts.sum())
