"""Simulation-based calibration of the samplers on rows of values, and Geweke's joint-distribution test.

Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788: where the truth comes from the prior,
its rank among the draws is uniform. Ranks are tested by their normal scores' mean and mean square and by
Anderson-Darling; chi-squared and Kolmogorov-Smirnov see too little. Geweke (2004), JASA 99, 799: redrawing
the data between sweeps must leave the prior.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import Dirichlet, InverseGamma, Normal, Priors, fit
from segmix.diagnostics import effective_sample_size
from segmix.imaging.image import Image
from segmix.imaging.levels import count_levels
from segmix.mixture.density import Observed, Parameters, Target, observe
from segmix.mixture.gibbs import model_of
from segmix.mixture.gibbs_kernels import sweep
from segmix.mixture.plan import Sampler
from segmix.mixture.priors import ResolvedPriors

from .monte_carlo import MIN_P, N_RANKS, check_calibration, rank, stack

Array = NDArray[np.float64]

N_VALUES = 60
ESS = 200  # at least, in a run that has converged: 100 a chain
PRIORS = Priors(Normal((0.0, 3.0), (1.0, 1.0)), InverseGamma(4.0, 3.0), Dirichlet(2.0))
APART = Priors(Normal((0.0, 6.0), (1.0, 1.0)), InverseGamma(6.0, 5.0), Dirichlet(4.0))  # and so quick
CONJUGATE = Priors.conjugate(0.0, 0.5, 4.0, 3.0)
SAME = Priors(Normal(0.0, 2.0), InverseGamma(4.0, 3.0), Dirichlet(2.0))
OWN_STDS = Priors(Normal(0.0, 2.0), InverseGamma(4.0, (1.0, 9.0)), Dirichlet(2.0))
NARROW = Priors(Normal((0.0, 3.0), (0.3, 0.3)), InverseGamma(4.0, 3.0), Dirichlet(2.0))


def resolved(priors: Priors, n_classes: int = 2) -> ResolvedPriors:
    parts: Any = (priors.means, priors.stds, priors.weights)
    return ResolvedPriors(*(part.expand(n_classes) for part in parts))


def draw_values(parameters: Parameters, n: int, rng: np.random.Generator) -> Array:
    labels = rng.choice(len(parameters.weights), n, p=parameters.weights / parameters.weights.sum())
    return rng.normal(parameters.means[labels], parameters.stds[labels])


@cache
def replicate(truth: Priors, believed: Priors, sampler: Sampler, n: int) -> list[tuple[Array, Array]]:
    """Of n data sets the true parameters and log posterior (q,), and draws of them (chain, draw, q)."""
    rows = []
    for number in range(n):
        rng = np.random.default_rng([number, 1])
        parameters = Parameters(*(part[0] for part in resolved(truth).sample(1, rng=rng)))
        values = draw_values(parameters, N_VALUES, rng)
        posterior = fit(
            values, priors=believed, sampler=sampler, draws=250, chains=2, quantization=None, rng=number
        )
        target = Target(observe(count_levels(Image(values[None]), quantization=None)), resolved(believed))
        own = target.log_posterior(Parameters(*(part[None] for part in parameters)))
        draws = np.concatenate([stack(posterior), posterior.log_posterior[:, :, None]], axis=2)
        rows.append((np.concatenate([*parameters, own]), draws))
    return rows


def calibrate(
    truth: Priors, believed: Priors, sampler: Sampler, n: int, *, width: float = 1.0
) -> dict[str, float]:
    """P-values of ranks of parameters and of the log posterior, draws ``width`` times as far apart."""
    hits, ranks = [], []
    for number, (known, exact) in enumerate(replicate(truth, believed, sampler, n)):
        rng = np.random.default_rng([number, 4])
        center = exact.mean(axis=(0, 1))
        draws = center + width * (exact - center) if width != 1 else exact
        low, high = np.quantile(draws, (0.03, 0.97), axis=(0, 1))
        hits.append((low <= known) & (known <= high))
        ranks.append([rank(draws[:, :, q], x, rng=rng) for q, x in enumerate(known)])
    found = np.array(ranks)
    return check_calibration(np.array(hits), found, ESS) | {"shape": anderson_darling(found)}


def anderson_darling(ranks: NDArray[np.int64]) -> float:
    """P-value of the least uniform column of ranks 0..99 (n, q), by simulation of uniform ones."""
    n, q = ranks.shape
    rng = np.random.default_rng(0)
    null = np.array([_distance(rng.integers(0, N_RANKS + 1, (n, 1)))[0] for _ in range(4000)])
    worst = _distance(ranks).max()
    return min(1.0, q * float((1 + (null >= worst).sum()) / (1 + len(null))))


def _distance(ranks: NDArray[np.int64]) -> Array:
    """Anderson-Darling's distance of each column from uniform."""
    n = len(ranks)
    u = np.sort((ranks + 0.5) / (N_RANKS + 1), axis=0)
    i = np.arange(1, n + 1)[:, None]
    distance: Array = -n - ((2 * i - 1) * (np.log(u) + np.log1p(-u[::-1]))).mean(axis=0)
    return distance


def is_calibrated(p_values: dict[str, float]) -> bool:
    return min(p_values.values()) > MIN_P / len(p_values)


@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
def test_ranks_are_uniform(sampler: Sampler) -> None:
    """The same draws must fail when intervals are 20 % too narrow, which 40 replications hardly see."""
    p_values = calibrate(APART, APART, sampler, 200)
    assert is_calibrated(p_values), p_values
    narrow = calibrate(APART, APART, sampler, 200, width=0.8)
    assert not is_calibrated(narrow), narrow


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
@pytest.mark.parametrize(("priors", "n"), [(PRIORS, 1000), (SAME, 300)], ids=["apart", "the same"])
def test_ranks_are_uniform_in_many_replications(sampler: Sampler, priors: Priors, n: int) -> None:
    p_values = calibrate(priors, priors, sampler, n)
    assert is_calibrated(p_values), p_values


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
def test_a_prior_that_is_too_narrow_fails(sampler: Sampler) -> None:
    p_values = calibrate(PRIORS, NARROW, sampler, 300)
    assert not is_calibrated(p_values), p_values


def geweke(truth: Priors, believed: Priors, n: int, *, n_chains: int = 8, **wrong: Any) -> Array:
    """Z-scores of means and squares of the parameters, prior draws against sweeps on redrawn data."""
    prior, assumed = resolved(truth), resolved(believed)
    chains = []
    for number in range(n_chains):
        rng = np.random.default_rng([number, 2])
        state = Parameters(*(part[0].copy() for part in prior.sample(1, rng=rng)))
        rows, split = [], np.empty((2, 10))
        for _ in range(n):
            values = np.sort(draw_values(state, 10, rng))
            target = Target(Observed(values, np.ones(10), np.arange(10)), assumed)
            sweep(model_of(target)._replace(**wrong), *state, rng, split)
            rows.append(np.concatenate(state))
        chains.append(rows)
    ours = np.array(chains)
    theirs = np.concatenate(prior.sample(200_000, rng=np.random.default_rng(3)), axis=1)
    z = []
    for power in (1, 2):
        for q in range(ours.shape[2]):
            one, other = ours[:, :, q] ** power, theirs[:, q] ** power
            error = np.hypot(
                one.std() / np.sqrt(effective_sample_size(one)), other.std() / np.sqrt(len(other))
            )
            z.append((one.mean() - other.mean()) / error)
    return np.array(z)


@pytest.mark.parametrize(
    "priors", [SAME, CONJUGATE, OWN_STDS, PRIORS], ids=["normal", "conjugate", "own stds", "own means"]
)
def test_sweeps_on_redrawn_data_leave_the_prior(priors: Priors) -> None:
    z = geweke(priors, priors, 5000)
    assert np.abs(z).max() < 4.5, z


def test_sweeps_of_another_prior_do_not() -> None:
    wrong = Priors(Normal(0.0, 1.7), InverseGamma(4.0, 3.0), Dirichlet(2.0))
    assert np.abs(geweke(SAME, wrong, 5000)).max() > 6


def test_classes_that_cross_under_priors_of_their_own_do_not() -> None:
    """The control: classes sorted after the sweep, each then under the other's prior of stds."""
    assert np.abs(geweke(OWN_STDS, OWN_STDS, 5000, exchangeable=True)).max() > 6
