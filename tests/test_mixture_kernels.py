"""The compiled likelihood against its slow twin, near and far."""

import math

import naive
import numpy as np
import pytest
from scipy.special import erfcx, log_ndtr

from segmix.kernels import fast_exp, fast_log, kernel, mills_ratio
from segmix.mixture import class_kernels, gibbs_kernels, kernels
from segmix.mixture.density import Observed

EPS = np.finfo(float).eps
NEAR = ([0.3, 0.7], [20.0, 160.0], [10.0, 45.0])
CASES = [
    NEAR,
    ([0.4, 0.6], [10.0, 50.0], [0.5, 1.0]),  # most levels are hundreds of stds away
    ([0.4, 0.6], [-300.0, 100.0], [1.0, 0.01]),
    ([0.5, 0.5], [10.0, 10.0], [1000.0, 0.1]),
    ([0.2, 0.3, 0.5], [0.0, 100.0, 255.0], [30.0, 30.0, 30.0]),
    ([1.0], [128.0], [3.0]),
]


def _observed(kind: str) -> Observed:
    counts = np.random.default_rng(3).integers(0, 500, 256).astype(float)
    nodes = np.arange(256.0) if kind == "points" else np.arange(257) - 0.5
    if kind == "open":
        nodes[0], nodes[-1] = -np.inf, np.inf
    return Observed(nodes, counts, np.arange(256))


@pytest.mark.parametrize("kind", ["open", "closed", "points"])
@pytest.mark.parametrize("case", CASES)
def test_log_likelihood_equals_its_twin(kind: str, case: tuple[list[float], ...]) -> None:
    observed = _observed(kind)
    weights, means, stds = map(np.array, case)
    fast = kernels.log_likelihood(observed.nodes, observed.counts, weights[None], means[None], stds[None])[0]
    slow = naive.log_likelihood(observed, weights, means, stds)
    assert fast == pytest.approx(slow, rel=1e-11)


@pytest.mark.parametrize("kind", ["open", "closed", "points"])
@pytest.mark.parametrize("case", CASES)
def test_sum_of_probabilities_equals_its_twin(kind: str, case: tuple[list[float], ...]) -> None:
    observed = _observed(kind)
    parameters = [np.stack([np.array(part), np.array(part)]) for part in case]
    parameters[1][1] += 0.25
    fast = kernels.sum_probabilities(observed.nodes, 256, *parameters, np.array([3.0, 1.0]))
    slow = [naive.probabilities(observed, *(part[d] for part in parameters)) for d in range(2)]
    np.testing.assert_allclose(fast, 3 * slow[0] + slow[1], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("kind", ["open", "closed", "points"])
@pytest.mark.parametrize("case", CASES)
def test_scores_are_the_gradient(kind: str, case: tuple[list[float], ...]) -> None:
    observed = _observed(kind)
    weights, means, stds = (np.array(part)[None] for part in case)
    total, sizes, by_mean, by_log_std = kernels.scores(observed.nodes, observed.counts, weights, means, stds)

    def likelihood(shift: np.ndarray, stretch: np.ndarray) -> float:
        return naive.log_likelihood(observed, weights[0], means[0] + shift, stds[0] * np.exp(stretch))

    assert total[0] == pytest.approx(likelihood(0 * means[0], 0 * means[0]), rel=1e-11)
    expected = naive.probabilities(observed, weights[0], means[0], stds[0]) @ observed.counts
    np.testing.assert_allclose(sizes[0], expected, rtol=1e-9)
    step = 1e-5
    for k in range(len(means[0])):
        unit = np.eye(len(means[0]))[k]
        # the difference loses |total| * EPS / step to rounding and has terms of order step^2 besides
        noise = 20 * abs(total[0]) * EPS / step
        slope = (likelihood(unit * step, 0 * unit) - likelihood(-unit * step, 0 * unit)) / (2 * step)
        assert by_mean[0, k] == pytest.approx(slope, rel=1e-4, abs=noise + 1e-6)
        slope = (likelihood(0 * unit, unit * step) - likelihood(0 * unit, -unit * step)) / (2 * step)
        assert by_log_std[0, k] == pytest.approx(slope, rel=1e-4, abs=noise + 1e-6)


def test_mills_ratio_exp_and_log_to_the_last_digits() -> None:
    @kernel
    def evaluate(x, mills, exp, log):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            mills[i] = mills_ratio(x[i])
            exp[i] = fast_exp(-x[i])
            log[i] = fast_log(x[i])

    x = np.concatenate([np.linspace(1e-8, 40, 20001), np.geomspace(1e-12, 700, 20001)])
    mills, exp, log = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    evaluate(x, mills, exp, log)
    np.testing.assert_allclose(mills, math.sqrt(math.pi / 2) * erfcx(x / math.sqrt(2)), rtol=12 * EPS)
    np.testing.assert_allclose(exp, np.exp(-x), rtol=4 * EPS)
    np.testing.assert_allclose(log, np.log(x), rtol=4 * EPS, atol=EPS / 4)


@pytest.mark.parametrize("std", [1e-3, 0.3, 5.0, 1e4])
def test_log_mass_far_from_the_mean(std: float) -> None:
    nodes = np.array([-np.inf, -1000.0, -3.0, 2.0, 4.0, 900.0, np.inf])
    for v in range(6):
        low, high = (nodes[v] - 0.1) / std, (nodes[v + 1] - 0.1) / std
        if low > 0:
            low, high = -high, -low
        expected = log_ndtr(high) + np.log1p(-np.exp(log_ndtr(low) - log_ndtr(high)))
        assert kernels.log_mass(nodes, v, True, 0.1, std) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_split_counts_is_multinomial() -> None:
    """Sums within 4.5 standard errors of the multinomial's, and columns that sum to the counts."""
    observed = _observed("open")
    weights, means, stds = map(np.array, CASES[4])
    probability = naive.probabilities(observed, weights, means, stds)
    rng, n = np.random.default_rng(5), 400
    split, total = np.empty((3, 256)), np.zeros((3, 256))
    for _ in range(n):
        gibbs_kernels.split_counts(observed.nodes, observed.counts, weights, means, stds, rng, split)
        np.testing.assert_array_equal(split.sum(axis=0), observed.counts)
        total += split
    variance = n * observed.counts * probability * (1 - probability)
    z = (total - n * observed.counts * probability)[variance > 10] / np.sqrt(variance[variance > 10])
    assert np.abs(z).max() < 4.5
    # of len(z) squares, at most three independent a level: 4.5 standard errors of their mean
    assert abs((z**2).mean() - 1) < 4.5 * np.sqrt(2 * 3 / len(z))


@pytest.mark.parametrize("std", [1e-100, 1e-20, 1e20])
def test_a_chain_leaves_a_hopeless_start(std: float) -> None:
    """The slice is found in few doublings even where its first width is below the rounding of the mean."""
    rng = np.random.default_rng(5)
    nodes, counts = np.array([-1 / 16, 1 / 16, 15 / 16, 17 / 16]), np.array([218134.0, 0.0, 44010.0])
    weights, means, stds = np.array([0.5, 0.5]), np.array([-5e-5, 1.0]), np.array([std, 0.01])
    priors = np.array([[[0.5, 0.5], [1.0, 1.0]], [[0.0, 0.0], [1e30, 1e30]]])
    model = class_kernels.Model(nodes, counts, np.array([0, 1]), priors, np.ones(2), True, 1e-9)
    split = np.empty((2, 3))
    for _ in range(300):
        gibbs_kernels.sweep(model, weights, means, stds, rng, split)
    assert (np.abs(means - [0, 1]) < 0.1).all()
    assert stds.max() < 0.1
