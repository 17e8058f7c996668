"""Sixty values of three classes that overlap: modes and heavy tails that no t distribution covers."""

import numpy as np
import pytest

from segmix import Posterior, fit, simulate_mixture

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
