"""Intervals hold the truth as often as they say, however coarsely the detector rounds, and where it clips.

The truth is drawn from the prior of the fit, so that the nominal probability is exact; see
``monte_carlo.check_calibration`` for the p-values.
"""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import Priors
from segmix.fitting import Data, sample
from segmix.imaging.image import Image
from segmix.imaging.levels import Quantization, count_levels
from segmix.mixture.distributions import Dirichlet, InverseGamma, Normal
from segmix.mixture.plan import Plan, Sampler
from segmix.mixture.priors import ResolvedPriors

from .monte_carlo import MIN_P, check_calibration, is_calibrated, names, rank, stack

Array = NDArray[np.float64]

N = 200
N_WRONG = 10  # replications of controls, which are far off
SHAPE = (40, 50)
ESS = 200  # at least, in a run that has converged: 100 a chain
APART = Priors(Normal((60.0, 190.0), 6.0), InverseGamma(50.0, 49 * 40.0**2), Dirichlet(4.0))
CLIPPED = Priors(
    Normal((5.0, 120.0), (3.0, 8.0)),
    InverseGamma(30.0, (29 * 15.0**2, 29 * 20.0**2)),
    Dirichlet((30.0, 7.5)),
)


class Outcome(NamedTuple):
    """Of replications: whether intervals held the truth, ranks of the truth, and what was recorded."""

    hits: NDArray[np.bool_]
    ranks: NDArray[np.int64]
    n_levels: NDArray[np.int64]
    share_of_lowest: Array

    @property
    def p_values(self) -> dict[str, float]:
        """Of coverage, bias and width."""
        return check_calibration(self.hits, self.ranks, ESS)


def simulate(
    priors: Priors, step: float, quantization: Quantization, n: int, sampler: Sampler = "independence"
) -> Outcome:
    """Fit n pictures of two classes, recorded in steps from 0 and clipped to 256 / step levels."""
    resolved = ResolvedPriors(*(part.expand(2) for part in (priors.means, priors.stds, priors.weights)))
    limits, rows = (0.0, 256.0 - step), []
    for number in range(n):
        rng = np.random.default_rng([number, int(step)])
        weights, means, stds = (part[0] for part in resolved.sample(1, rng=rng))
        labels = (rng.random(SHAPE) < weights[1]).astype(int)
        exact = rng.normal(means[labels], stds[labels])
        picture = Image(np.clip(np.rint(exact / step) * step, *limits), limits=limits)
        levels = count_levels(picture, quantization=quantization)
        posterior = sample(
            Data(levels), n_classes=2, priors=priors, plan=Plan(sampler, 500, None, 2, seed=number)
        )
        truth = np.concatenate([weights, means, stds])
        draws = np.moveaxis(stack(posterior), 2, 0)
        summary = [posterior.summary()[name] for name in names(2)]
        hits = [row.low <= x <= row.high for row, x in zip(summary, truth, strict=True)]
        ranks = [rank(values, x, rng=rng) for values, x in zip(draws, truth, strict=True)]
        rows.append((hits, ranks, levels.n_levels, levels.counts[0] / labels.size))
    return Outcome(*map(np.array, zip(*rows, strict=True)))


@pytest.mark.parametrize("n_levels", [pytest.param(4, marks=pytest.mark.slow), 16, 256])
def test_intervals_hold_the_truth_at_the_nominal_rate(n_levels: int) -> None:
    step = 256.0 / n_levels
    outcome = simulate(APART, step, step, N)
    assert 0.9 * n_levels < outcome.n_levels.mean() <= n_levels
    assert is_calibrated(outcome.p_values), outcome.p_values


def test_plain_density_of_four_levels_fails_the_same_test() -> None:
    outcome = simulate(APART, 64.0, None, N_WRONG)
    assert not is_calibrated(outcome.p_values)
    assert outcome.p_values["coverage"] < MIN_P


def test_clipped_background_is_recovered() -> None:
    outcome = simulate(CLIPPED, 1.0, 1.0, N // 2)
    assert 0.25 < outcome.share_of_lowest.mean() < 0.35
    assert is_calibrated(outcome.p_values), outcome.p_values


def test_plain_density_does_not_recover_a_clipped_background() -> None:
    outcome = simulate(CLIPPED, 1.0, None, N_WRONG)
    background = [names(2).index("means[0]"), names(2).index("stds[0]")]
    outcome = outcome._replace(hits=outcome.hits[:, background], ranks=outcome.ranks[:, background])
    assert outcome.p_values["coverage"] < MIN_P
    assert (outcome.hits.mean(axis=0) < 0.5).all()


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
@pytest.mark.parametrize(
    ("priors", "step"),
    [(APART, 64.0), (APART, 16.0), (APART, 1.0), (CLIPPED, 1.0)],
    ids=["4", "16", "256", "clipped"],
)
def test_intervals_hold_the_truth_in_more_replications(priors: Priors, step: float, sampler: Sampler) -> None:
    outcome = simulate(priors, step, step, 1000 if sampler == "independence" else 100, sampler)
    assert is_calibrated(outcome.p_values), outcome.p_values


@pytest.mark.parametrize(
    ("shift", "scale", "calibrated"),
    [(0.0, 1.0, True), (0.0, 0.7, False), (0.0, 1.5, False), (0.4, 1.0, False)],
    ids=["right", "too narrow", "too wide", "off"],
)
def test_the_check_itself_tells_right_from_wrong(shift: float, scale: float, calibrated: bool) -> None:
    rng = np.random.default_rng(6)
    draws = rng.normal(shift, scale, (N, 6, 600))
    truth = rng.standard_normal((N, 6))
    low, high = np.quantile(draws, (0.03, 0.97), axis=2)
    ranks = np.array([rank(draws[index], truth[index], rng=rng) for index in np.ndindex(truth.shape)])
    p_values = check_calibration((low <= truth) & (truth <= high), ranks.reshape(truth.shape), 600)
    assert is_calibrated(p_values) == calibrated, p_values
