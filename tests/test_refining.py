"""Proposals split and fitted to their own draws."""

import numpy as np
import pytest

from segmix import Priors, simulate_mixture
from segmix.loading import load
from segmix.mixture.density import Target, observe
from segmix.mixture.modes import find_modes
from segmix.mixture.proposals import adapt, around_modes, weigh, with_exchanges
from segmix.mixture.refining import ENOUGH, em_step, refine, split


def target_of(std: float) -> Target:
    data = simulate_mixture(500, (0.25, 0.75), (100, 200), (std, std), rng=5)
    observed = observe(load(data, n_classes=2).levels)
    return Target(observed, Priors.lecture().resolve(observed, 2))


@pytest.mark.parametrize("std", [50.0, 60.0])
def test_a_skewed_posterior_is_proposed_well(std: float) -> None:
    target, rng = target_of(std), np.random.default_rng(1)
    plain = adapt(target, with_exchanges(around_modes(find_modes(target, 2, rng=rng)), 2), rng=rng)[0]
    before = weigh(target, plain, plain.draw(20_000, rng=rng)).efficiency
    refined, _ = refine(target, plain, rng=rng)
    after = weigh(target, refined, refined.draw(20_000, rng=rng)).efficiency
    assert before < 0.8
    assert after > before + 0.05
    assert after < 1.001


def test_steps_of_em_on_many_draws_keep_mean_and_covariance() -> None:
    target, rng = target_of(50.0), np.random.default_rng(1)
    plain = around_modes(find_modes(target, 2, rng=rng))
    drawn = weigh(target, plain, plain.draw(20_000, rng=rng))
    weights = np.exp(drawn.log_weights - drawn.log_weights.max())
    known = weights @ drawn.points / weights.sum()
    found = split(plain)
    assert np.allclose(found.shares @ found.centers, plain.shares @ plain.centers)
    for _ in range(10):
        found = em_step(found, drawn)
    error = drawn.points.std(axis=0) / np.sqrt(drawn.efficiency * 20_000)
    assert np.abs((found.shares @ found.centers - known) / error).max() < 20  # t distributions, no normals
    assert 0.8 < ENOUGH < 1
