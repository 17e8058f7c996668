"""Proposals split and fitted to draws of the posterior."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import Priors, simulate_mixture
from segmix.loading import load
from segmix.mixture import refining
from segmix.mixture.density import Target, observe
from segmix.mixture.modes import find_modes
from segmix.mixture.proposals import DEGREES, Proposal, adapt, around_modes, weigh, with_exchanges
from segmix.mixture.refining import draw_by_gibbs, em_step, refine, split

Array = NDArray[np.float64]


def target_of(std: float) -> Target:
    data = simulate_mixture(500, (0.25, 0.75), (100, 200), (std, std), rng=5)
    observed = observe(load(data, n_classes=2).levels)
    return Target(observed, Priors.lecture().resolve(observed, 2))


@pytest.mark.parametrize("std", [50.0, 60.0])
def test_a_skewed_posterior_is_proposed_well(std: float) -> None:
    target, rng = target_of(std), np.random.default_rng(1)
    plain = adapt(target, with_exchanges(around_modes(find_modes(target, 2, rng=rng)), 2), rng=rng)[0]
    before = weigh(target, plain, plain.draw(20_000, rng=rng)).efficiency
    refined = refine(target, plain, rng=rng)
    after = weigh(target, refined, refined.draw(20_000, rng=rng)).efficiency
    assert before < 0.8
    assert after > before + 0.05
    assert after < 1.001


def test_a_candidate_that_proposes_worse_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    target, rng = target_of(50.0), np.random.default_rng(1)
    plain = around_modes(find_modes(target, 2, rng=rng))
    wide = Proposal(plain.shares, plain.centers, 4 * plain.factors)
    monkeypatch.setattr(refining, "fitted", lambda proposal, points: wide)
    assert refine(target, plain, rng=rng) is plain


def test_parts_that_its_own_draws_hardly_reach_are_fitted_too() -> None:
    """A proposal around one end of the posterior; draws of gibbs tell of the other."""
    target, rng = target_of(50.0), np.random.default_rng(1)
    plain = adapt(target, around_modes(find_modes(target, 2, rng=rng)), rng=rng)[0]
    points = draw_by_gibbs(target, plain, seed=3)
    means = slice(1, 3)
    narrow = Proposal(plain.shares, plain.centers, 0.5 * plain.factors)
    found = split(narrow)
    for _ in range(20):
        found = em_step(found, points)
    covariance = covariance_of(found)
    assert np.sqrt(np.diag(covariance)[means]) == pytest.approx(points.std(axis=0)[means], rel=0.2)


def covariance_of(proposal: Proposal) -> Array:
    center = proposal.shares @ proposal.centers
    inner = np.einsum("m,mij,mkj->ik", proposal.shares, proposal.factors, proposal.factors)
    outer = np.einsum("m,mi,mj->ij", proposal.shares, proposal.centers - center, proposal.centers - center)
    return np.asarray(inner * DEGREES / (DEGREES - 2) + outer)


def test_steps_of_em_find_the_mixture_that_made_the_points() -> None:
    """Two t distributions in two dimensions: shares, centers and scales within Monte Carlo error."""
    rng = np.random.default_rng(2)
    factors = np.array([[[1.0, 0.0], [0.6, 0.8]], [[2.0, 0.0], [0.0, 0.5]]])
    truth = Proposal(np.array([0.3, 0.7]), np.array([[0.0, 0.0], [7.0, 3.0]]), factors)
    points = truth.draw(40_000, rng=rng)
    found = Proposal(np.array([0.5, 0.5]), truth.centers + 0.7, np.stack([np.eye(2), np.eye(2)]))
    for _ in range(60):
        found = em_step(found, points)
    n = 40_000 * truth.shares
    assert np.abs(found.shares - truth.shares).max() < 4.5 * np.sqrt(0.21 / 40_000)
    for m in range(2):
        sds = np.sqrt((factors[m] ** 2).sum(axis=1))
        assert (np.abs(found.centers[m] - truth.centers[m]) < 6 * sds / np.sqrt(n[m])).all()
        scale, known = (np.einsum("ij,kj->ik", f, f) for f in (found.factors[m], factors[m]))
        assert scale == pytest.approx(known * refining.WIDER, abs=0.12 * np.outer(sds, sds).max())


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_splits_do_not_depend_on_units(unit: float) -> None:
    factor = np.linalg.cholesky(np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 0.3]]))
    one = Proposal(np.ones(1), np.zeros((1, 3)), factor[None])
    units = np.array([1.0, unit, 1.0])
    other = split(Proposal(np.ones(1), np.zeros((1, 3)), (units[:, None] * factor)[None]))
    np.testing.assert_allclose(np.abs(other.centers / units), np.abs(split(one).centers), atol=1e-9)
    np.testing.assert_allclose(split(one).shares @ split(one).centers, 0, atol=1e-12)
