"""Sixty values of three classes that overlap: modes and heavy tails that no t distribution covers."""

import numpy as np
import pytest

from segmix import Dirichlet, InverseGamma, Normal, Posterior, Priors, fit, simulate_mixture
from segmix.mixture.judgment import GOOD_ACCEPTANCE

from .monte_carlo import compare, estimate, stack


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return simulate_mixture(60, (0.3, 0.3, 0.4), (0.0, 1.5, 3.0), (1.0, 1.0, 1.0), rng=1).values


@pytest.fixture(scope="module")
def posterior(values: np.ndarray) -> Posterior:
    return fit(values, n_classes=3, rng=1)


def test_independence_says_why_and_hands_over(values: np.ndarray, posterior: Posterior) -> None:
    assert posterior.sampler == "gibbs"
    assert posterior.notes[0].startswith("gibbs took over from independence: ")
    assert posterior.converged
    alone = fit(values, n_classes=3, until_converged=False, rng=1)
    assert alone.sampler == "independence"
    assert not alone.converged
    assert alone.pareto_k is not None
    assert alone.pareto_k > 0.7
    assert any("Pareto k" in reason for reason in alone.verdict.reasons)


@pytest.mark.slow
def test_the_result_is_that_of_many_long_chains(values: np.ndarray, posterior: Posterior) -> None:
    long = fit(values, n_classes=3, sampler="gibbs", chains=16, draws=10_000, tune=2000, rng=99)
    assert long.converged
    comparison = compare(estimate(stack(posterior)), estimate(stack(long)))
    assert comparison.agrees, comparison


# Posteriors with a small part that the proposal hardly reaches: chains of independence agree with each other
# there, with a small Pareto k, and are wrong.
SKEWED = np.repeat(
    [0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16], [1, 4, 3, 1, 3, 1, 1, 1, 4, 1, 2, 1, 1, 1]
)
SKEWED_PRIORS = Priors(
    Normal((6.0, 10.0, 14.0), 4.0), InverseGamma((4.75, 7.63, 3.45), (3.72, 5.41, 5.79)), Dirichlet(0.3)
)
RARE = simulate_mixture(100, (0.03, 0.97), (0.0, 6.0), (1.0, 1.0), rng=4).values
MISSED = {
    "skewed": (SKEWED, {"n_classes": 3, "priors": SKEWED_PRIORS, "quantization": 1.0}),
    "a rare class": (RARE, {}),
}


@pytest.mark.parametrize("name", MISSED)
def test_what_a_proposal_hardly_reaches_is_not_missed(name: str) -> None:
    values, options = MISSED[name]
    long = fit(values, sampler="gibbs", draws=40_000, until_converged=False, rng=99, **options)
    reference = estimate(stack(long))
    for seed in range(6):
        posterior = fit(values, rng=seed, **options)
        z = compare(estimate(stack(posterior)), reference).z
        assert np.abs(z).max() < 5, (seed, posterior.sampler, z)


@pytest.mark.parametrize("name", MISSED)
def test_independence_alone_misses_it_and_its_own_figures_leave_a_doubt(name: str) -> None:
    values, options = MISSED[name]
    long = fit(values, sampler="gibbs", draws=40_000, until_converged=False, rng=99, **options)
    reference, worst = estimate(stack(long)), 0.0
    for seed in range(6):
        alone = fit(values, draws=4000, until_converged=False, rng=seed, **options)
        worst = max(worst, np.abs(compare(estimate(stack(alone)), reference).z).max())
        assert alone.acceptance is not None
        assert alone.acceptance < GOOD_ACCEPTANCE or not alone.converged
    assert worst > 5
