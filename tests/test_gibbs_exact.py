"""Gibbs and independence sampling against exact posteriors of a handful of pixels.

The exact numbers are themselves checked against importance sampling from the prior.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import chisquare

from segmix import Priors
from segmix.areas import draw_areas
from segmix.diagnostics import effective_sample_size
from segmix.fitting import Data, sample
from segmix.imaging.image import Image
from segmix.imaging.levels import Levels, count_levels
from segmix.mixture.density import Parameters, Target, class_probabilities, observe, unpack
from segmix.mixture.distributions import Dirichlet, Normal, Uniform
from segmix.mixture.plan import Plan, Sampler
from segmix.mixture.priors import ResolvedPriors
from segmix.posterior import Posterior

from .exact_posterior import CASES, Case, log_densities, solve
from .monte_carlo import MAX_Z, compare, estimate, exactly, stack

Array = NDArray[np.float64]

DRAWS = 6_000
OVERLAPPING = [
    "k2-binned",
    "k2-clipped",
    "k2-overlapping-priors",
    "k3-binned",
]  # labels are uncertain
SMOOTH = ["k1-binned", "k1-plain", "k2-apart", "k2-plain", "k2-overlapping-priors"]


def levels_of(case: Case) -> Levels:
    """The case as segmix takes it."""
    pixels = np.repeat(case.values, case.counts)[None]
    levels = count_levels(Image(pixels, limits=case.limits), quantization=case.step)
    assert levels.counts.tolist() == list(case.counts)
    assert (levels.step, levels.open_ends) == (case.step or 0, (case.limits[0] is not None, False))
    return levels


def draw(name: str, sampler: Sampler, levels: Levels, priors: Priors) -> Posterior:
    """Four chains of six thousand draws."""
    plan = Plan(sampler, DRAWS, None, 4, seed=8, until_converged=False)
    return sample(Data(levels), n_classes=len(CASES[name].means), priors=priors, plan=plan)


@cache
def ours(name: str, sampler: Sampler) -> Posterior:
    """Our draws for a case."""
    return draw(name, sampler, levels_of(CASES[name]), CASES[name].priors)


def agrees(posterior: Posterior, name: str) -> bool:
    """Whether draws have the exact means and sds of a case."""
    exact = solve(name)
    return compare(estimate(stack(posterior)), exactly(exact.means, exact.stds)).agrees


@pytest.mark.parametrize("name", CASES)
def test_importance_sampling_from_the_prior_finds_the_exact_numbers(name: str) -> None:
    case, exact, rng = CASES[name], solve(name), np.random.default_rng(3)
    n, n_classes = 150_000, len(case.means)
    means = np.stack([family.rvs(n, random_state=rng) for family in case.means], axis=1)
    kept = (np.diff(means, axis=1) > 0).all(axis=1)
    stds = np.stack([family.rvs(n, random_state=rng) for family in case.stds], axis=1)[kept]
    weights, means = rng.dirichlet(case.concentration, n)[kept], means[kept]
    mixture = logsumexp(np.log(weights) + log_densities(case, means, stds), axis=2)
    importance = np.exp(case.counts @ mixture)
    importance /= importance.sum()
    x = np.concatenate([weights, means, stds] if n_classes > 1 else [means, stds], axis=1)
    for power, truth in ((1, exact.means), (2, exact.means**2 + exact.stds**2)):
        mean = importance @ x**power
        error = np.sqrt(importance**2 @ (x**power - mean) ** 2)
        assert (np.abs(mean - truth) < MAX_Z * error).all()


@pytest.mark.parametrize("name", CASES)
def test_gibbs_finds_the_exact_means_and_sds(name: str) -> None:
    assert agrees(ours(name, "gibbs"), name)


@pytest.mark.parametrize("name", SMOOTH)
def test_independence_finds_the_exact_means_and_sds(name: str) -> None:
    posterior = ours(name, "independence")
    assert posterior.sampler == "independence"
    assert posterior.pareto_k is not None
    assert posterior.pareto_k < 0.5, "the weights have no variance, and the chain no Monte Carlo error"
    assert agrees(posterior, name)


@pytest.mark.parametrize("tune", [None, 0])
@pytest.mark.parametrize(("sampler", "draws", "seeds"), [("independence", 1500, 20), ("gibbs", 200, 4)])
def test_every_draw_has_ascending_means_and_is_in_the_support(
    sampler: Sampler, draws: int, seeds: int, tune: int | None
) -> None:
    case = CASES["k2-overlapping-priors"]
    for seed in range(seeds):
        plan = Plan(sampler, draws, tune, 4, seed)
        posterior = sample(Data(levels_of(case)), n_classes=2, priors=case.priors, plan=plan)
        assert (np.diff(posterior.means, axis=2) > 0).all()
        assert np.isfinite(posterior.log_posterior).all()


def test_classes_that_cross_under_their_own_stds_are_not_found_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where only the priors of means and weights decide whether classes may be exchanged."""
    monkeypatch.setattr(ResolvedPriors, "exchangeable", property(lambda self: self.means.exchangeable))
    case = CASES["k2-own-stds"]
    assert not agrees(draw("k2-own-stds", "gibbs", levels_of(case), case.priors), "k2-own-stds")


FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Dirichlet counts off by one": ("k2-apart", {"weights": Dirichlet(4.0)}),
    "a bound of the stds": ("k2-binned", {"stds": Uniform(0.3, 2.2)}),
    "a tenth wider prior of the means": ("k2-plain", {"means": Normal((110.0, 210.0), 11.0)}),
    "classes exchanged": ("k2-overlapping-priors", {"means": Normal((1.0, 1.5), (0.8, 1.0))}),
    "plain density of intervals": ("k2-overlapping-priors", {"step": 0.0}),
    "closed end of a clipped level": ("k2-clipped", {"open_ends": (False, False)}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_model_is_not_found_exact(fault: str) -> None:
    name, parts = FAULTS[fault]
    levels, priors = levels_of(CASES[name]), CASES[name].priors
    if {"step", "open_ends"} & set(parts):
        levels = replace(levels, **parts)
    else:
        priors = replace(priors, **parts)
    assert not agrees(draw(name, "gibbs", levels, priors), name)


def test_a_missing_jacobian_is_not_found_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    right, case = Target.log_density, CASES["k2-plain"]

    def without_stds(self: Target, points: Array) -> Array:
        return right(self, points) - np.log(unpack(points).stds).sum(axis=1)

    monkeypatch.setattr(Target, "log_density", without_stds)
    posterior = draw("k2-plain", "independence", levels_of(case), case.priors)
    assert posterior.sampler == "independence"
    assert not agrees(posterior, "k2-plain")


@pytest.mark.parametrize("name", OVERLAPPING)
def test_class_probabilities_of_the_levels_are_exact(name: str) -> None:
    posterior, observed, exact = ours(name, "gibbs"), observe(levels_of(CASES[name])), solve(name)
    every = posterior.n_draws // 500
    parts = [
        part[:, ::every].reshape(-1, posterior.n_classes)
        for part in (posterior.weights, posterior.means, posterior.stds)
    ]
    rows = (Parameters(*(x[None] for x in row)) for row in zip(*parts, strict=True))
    tables = np.array([class_probabilities(observed, row) for row in rows])
    average = class_probabilities(observed, Parameters(*parts))
    np.testing.assert_allclose(tables.mean(axis=0), average, rtol=1e-9)
    for index in np.ndindex(average.shape):
        draws = tables[:, *index].reshape(4, -1)
        error = draws.std() / np.sqrt(effective_sample_size(draws))
        assert abs(draws.mean() - exact.table[index]) < MAX_Z * error


@pytest.mark.parametrize("name", OVERLAPPING)
def test_areas_are_drawn_from_their_exact_distribution(name: str) -> None:
    levels, exact, rng = levels_of(CASES[name]), solve(name), np.random.default_rng(4)
    areas = draw_areas(ours(name, "gibbs"), levels, rng=rng)
    assert areas.sum(axis=1).tolist() == [levels.n_pixels] * len(areas)
    for k, probabilities in enumerate(exact.areas):
        assert fit(areas[:, k], probabilities) > 1e-4
        mean = probabilities @ np.arange(levels.n_pixels + 1)
        simple = rng.binomial(levels.n_pixels, mean / levels.n_pixels, len(areas))
        assert fit(simple, probabilities) < 1e-4, "a binomial with the right mean must not fit"


def fit(areas: NDArray[np.int64], probabilities: Array) -> float:
    """p-value of the chi-square test, areas expected less than five times joined."""
    rare = len(areas) * probabilities < 5
    cell = np.where(rare, 0, np.cumsum(~rare))
    expected = np.bincount(cell, len(areas) * probabilities)
    seen = np.bincount(cell[areas], minlength=len(expected))
    first = int(not rare.any())
    return float(chisquare(seen[first:], expected[first:]).pvalue)
