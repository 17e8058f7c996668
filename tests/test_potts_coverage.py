"""Simulated hidden Potts pictures: intervals at their nominal rate, and pixels as good as they can be.

Classes and beta come from the prior of the fit, the labels from Swendsen-Wang at that beta, so that the
nominal probability is exact; see ``monte_carlo.check_calibration`` for the p-values.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from segmix import Dirichlet, InverseGamma, Normal, PottsOptions, Priors, segment, simulate_potts
from segmix.mixture.density import Parameters
from segmix.mixture.priors import ResolvedPriors
from segmix.potts.lattice import Lattice
from segmix.potts.normalizer import Normalizer, normalizer_of, simulated_normalizer
from segmix.potts.philox import keys_of
from segmix.potts.sweeps import Sweeps

from .monte_carlo import check_calibration, is_calibrated, rank
from .potts_faults import half, stale

pytestmark = pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")  # a few in a hundred

Array = NDArray[np.float64]

SHAPES = {2: (40, 44), 3: (10, 12, 11)}
HIGHEST = {2: {2: 0.95, 3: 1.05, 4: 1.12}, 3: {2: 0.46, 3: 0.55, 4: 0.62}}  # about where order sets in
GAP, SPREAD = 12.0, 0.75  # of the means, in levels: few levels make quick steps
SEPARATIONS = (1.5, 2.0, 3.0)  # distance of neighboring means in sds
N = 102  # replications, a third at each separation
ESS = 200  # at least, in a run that has converged: 100 a chain
BAYES_TUNE, BAYES_SWEEPS = 200, 1500
TWO_ANSWERS = (2, 2, 27)  # dimensions, classes and number of a picture, see the test of this name


class Picture(NamedTuple):
    """Pixels, and all that they were made from."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    parameters: Parameters
    beta: float
    priors: Priors


class Outcome(NamedTuple):
    """Whether intervals held the truth and its ranks (n, q); wrong pixels, ours and Bayes', (n,) each."""

    hits: NDArray[np.bool_]
    ranks: NDArray[np.int64]
    wrong: NDArray[np.int64]
    least: NDArray[np.int64]


@cache
def normalizer(ndim: int, n_classes: int) -> Normalizer:
    """The sampler's own, of the table in 2D, cut where the prior of beta ends here."""
    lattice = Lattice(SHAPES[ndim])
    make: Any = normalizer_of if ndim == 2 else simulated_normalizer
    whole = make(lattice, n_classes, seed=1)
    n = int((whole.betas <= HIGHEST[ndim][n_classes]).sum())
    return Normalizer(
        whole.betas[:n], whole.agreements[:n], whole.log_constant_at_0, whole.source, whole.errors[:n]
    )


def priors_of(n_classes: int, separation: float) -> Priors:
    centers = tuple(128 + GAP * (k - (n_classes - 1) / 2) for k in range(n_classes))
    return Priors(Normal(centers, SPREAD), InverseGamma(50.0, 49 * (GAP / separation) ** 2), Dirichlet(1.0))


def simulate(ndim: int, n_classes: int, number: int) -> Picture:
    rng = np.random.default_rng([number, ndim, n_classes])
    priors = priors_of(n_classes, SEPARATIONS[number % len(SEPARATIONS)])
    parts: Any = (priors.means, priors.stds, priors.weights)
    resolved = ResolvedPriors(*(part.expand(n_classes) for part in parts))
    parameters = Parameters(*(part[0] for part in resolved.sample(1, rng=rng)))
    beta = float(rng.uniform(0, normalizer(ndim, n_classes).betas[-1]))
    labels = simulate_potts(SHAPES[ndim], beta=beta, n_classes=n_classes, n_sweeps=150, rng=rng)
    exact = rng.normal(parameters.means[labels], parameters.stds[labels])
    return Picture(np.clip(np.rint(exact), 0, 255).astype(np.uint8), labels, parameters, beta, priors)


def bayes_labels(picture: Picture, seed: int) -> NDArray[np.intp]:
    """The most probable class of every pixel, by a long run at the true parameters."""
    edges = np.append(-np.inf, np.append(np.arange(255) + 0.5, np.inf))
    shares = np.diff(norm.cdf(edges[:, None], picture.parameters.means, picture.parameters.stds), axis=0)
    shares, n_classes = np.maximum(shares, 1e-300), shares.shape[1]  # of levels that no pixel has
    sweeps = Sweeps(Lattice(picture.labels.shape), picture.pixels, 256, n_classes)
    labels, table = sweeps.lay_out(shares[picture.pixels].argmax(axis=-1).astype(np.uint8)), sweeps.prepare()
    seen = np.zeros((n_classes - 1, *labels.shape), np.uint32)
    for number in range(BAYES_TUNE + BAYES_SWEEPS):
        if number == BAYES_TUNE:
            seen[:] = 0
        sweeps.sweep(
            labels, shares, picture.beta, keys=keys_of(seed, 5), number=number, table=table, seen=seen
        )
    below = np.stack([sweeps.lattice.join(part) for part in seen]) / (65536.0 * BAYES_SWEEPS)
    return np.diff(below, axis=0, prepend=0, append=1).argmax(axis=0)


def fit(picture: Picture, seed: int, draws: int) -> Any:
    return segment(
        picture.pixels, n_classes=len(picture.parameters.means), spatial=PottsOptions(weights="equal"),
        priors=picture.priors, draws=draws, tune=200, chains=2, rng=seed,
    )  # fmt: skip


def replicate(
    patch: pytest.MonkeyPatch, ndim: int, n_classes: int, *, n: int = N, draws: int = 1000
) -> Outcome:
    known = normalizer(ndim, n_classes)
    patch.setattr("segmix.potts.chains.normalizer_of", lambda *_, **__: known)
    rows, rng = [], np.random.default_rng(0)
    for number in range(n):
        picture = simulate(ndim, n_classes, number)
        found = fit(picture, number, draws)
        steps, labels = found.posterior.steps, picture.labels
        assert steps.beta is not None
        sizes = np.rint(steps.weights * labels.size)
        drawn = np.concatenate([steps.means, steps.stds, steps.beta[..., None], sizes], axis=2)
        truth = np.concatenate(
            [*picture.parameters[1:], [picture.beta], np.bincount(labels.ravel(), minlength=n_classes)]
        )
        low, high = np.quantile(drawn, (0.03, 0.97), axis=(0, 1))
        ranks = [rank(drawn[..., q], x, rng=rng) for q, x in enumerate(truth)]
        wrong, least = (int((own != labels).sum()) for own in (found.labels, bayes_labels(picture, number)))
        rows.append(((low <= truth) & (truth <= high), ranks, wrong, least))
    return Outcome(*map(np.array, zip(*rows, strict=True)))


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("ndim", [2, 3])
def test_intervals_cover_and_pixels_are_as_good_as_can_be(
    ndim: int, n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = replicate(monkeypatch, ndim, n_classes)
    p_values = check_calibration(outcome.hits, outcome.ranks, ESS)
    assert is_calibrated(p_values), (p_values, outcome.hits.mean(axis=0))
    kept = [i for i in range(N) if (ndim, n_classes, i) != TWO_ANSWERS]
    ratio = outcome.wrong[kept].sum() / outcome.least[kept].sum()
    assert abs(ratio - 1) < 0.02, (outcome.wrong, outcome.least)


@pytest.mark.slow
def test_two_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers in equal shares, or few bright ones that hang together: the posterior has both, far apart.

    Chains of one run begin at the same classes and find the same answer or, by chance, each its own.
    """
    monkeypatch.setattr("segmix.potts.chains.normalizer_of", lambda *_, **__: normalizer(2, 2))
    picture = simulate(*TWO_ANSWERS)
    assert picture.beta < 0.1
    betas = [fit(picture, seed, 1000).posterior.summary()["beta"].mean for seed in range(1, 7)]
    assert max(betas) > 0.8
    assert min(betas) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("fault", [half, stale])
def test_faulty_sweeps_do_not_cover(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sweeps, "sweep", fault)
    outcome = replicate(monkeypatch, 2, 2, n=30, draws=200)
    p_values = check_calibration(outcome.hits, outcome.ranks, ESS)
    assert not is_calibrated(p_values), p_values
