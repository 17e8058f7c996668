"""Gibbs and independence sampling against all K^n assignments of a few values, under a conjugate prior.

With mu_k, sigma_k^2 normal-inverse-gamma and Dirichlet weights, p(y, z) has a closed form for every
assignment z (Gelman et al. 2013, Bayesian Data Analysis, section 3.3), so that the evidence and all that is
said of the labels are exact sums. What is compared has no label: pairs that are of one class, and the size
of the class that a value is of.
"""

from functools import cache
from itertools import permutations, product
from math import factorial
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp
from scipy.stats import invgamma, norm

from segmix import Dirichlet, Priors, fit
from segmix.diagnostics import effective_sample_size
from segmix.mixture.density import Observed, Parameters, Target
from segmix.mixture.distributions import InverseGamma, ScaledNormal
from segmix.mixture.gibbs import model_of
from segmix.mixture.gibbs_kernels import sweep
from segmix.mixture.plan import Sampler

from .monte_carlo import MAX_Z

Array = NDArray[np.float64]

MEAN, SIZE, SHAPE, SCALE, ALPHA = 3.0, 0.2, 3.0, 4.0, 1.5
PRIORS = Priors(ScaledNormal(MEAN, SIZE), InverseGamma(SHAPE, SCALE), Dirichlet(ALPHA))
VALUES = {
    2: np.array([-1.3, -0.4, 0.2, 0.9, 1.7, 2.6, 3.8, 4.1, 5.2, 6.0, 6.3, 8.1]),
    3: np.array([-2.2, -0.9, 0.3, 1.4, 2.9, 3.3, 4.6, 6.5, 7.4, 9.0]),
}
SWEEPS, CHAINS = 12_000, 4


class Exact(NamedTuple):
    """p(z_i = z_j | y) (n, n), the expected size of the class of each value (n,), and log p(y)."""

    together: Array
    sizes: Array
    log_evidence: float


@cache
def enumerate_assignments(n_classes: int) -> Exact:
    """Sum over all K^n assignments."""
    y = VALUES[n_classes]
    z = np.array(list(product(range(n_classes), repeat=len(y))))
    of = z[:, :, None] == np.arange(n_classes)
    n = of.sum(axis=1)
    center = np.einsum("znk,n->zk", of, y) / np.maximum(n, 1)
    scatter = np.einsum("znk,n->zk", of, y**2) - n * center**2
    scale = SCALE + scatter / 2 + SIZE * n / (2 * (SIZE + n)) * (center - MEAN) ** 2
    shape = SHAPE + n / 2
    of_class = gammaln(shape) - gammaln(SHAPE) + SHAPE * np.log(SCALE) - shape * np.log(scale)
    of_class += 0.5 * np.log(SIZE / (SIZE + n)) - n / 2 * np.log(2 * np.pi)
    prior = gammaln(n_classes * ALPHA) - gammaln(n_classes * ALPHA + len(y))
    log_joint = prior + (gammaln(ALPHA + n) - gammaln(ALPHA) + of_class).sum(axis=1)
    evidence = float(logsumexp(log_joint))
    p = np.exp(log_joint - evidence)
    together = np.einsum("z,zik,zjk->ij", p, of, of, optimize=True)
    return Exact(together, together.sum(axis=0), evidence)


def target_of(n_classes: int, priors: Priors = PRIORS) -> Target:
    y = VALUES[n_classes]
    observed = Observed(y, np.ones(len(y)), np.arange(len(y)))
    return Target(observed, priors.resolve(observed, n_classes))


def run_sweeps(n_classes: int, **wrong: Any) -> Array:
    """Assignments (chains, sweeps, n, K) in {0, 1} of plain sweeps, with parts of the model replaced."""
    target = target_of(n_classes)
    model = model_of(target)._replace(**wrong)
    chains = []
    for number in range(CHAINS):
        rng = np.random.default_rng([number, 3])
        state = Parameters(*(part[0].copy() for part in target.priors.sample(1, rng=rng)))
        split, rows = np.empty((n_classes, len(VALUES[n_classes]))), []
        for _ in range(SWEEPS):
            sweep(model, *state, rng, split)
            rows.append(split.T.copy())
        chains.append(rows[SWEEPS // 20 :])
    return np.array(chains)


def z_scores(shares: Array, exact: Exact) -> Array:
    """Z of every pair and every size, from p(z_i = k | draw) or assignments (chains, draws, n, K)."""
    together = np.einsum("cdik,cdjk->cdij", shares, shares)
    i, j = np.triu_indices(shares.shape[2], 1)
    sizes = 1 + together.sum(axis=3) - np.einsum("cdii->cdi", together)
    drawn = np.concatenate([together[:, :, i, j], sizes], axis=2)
    truth = np.concatenate([exact.together[i, j], exact.sizes])
    errors = [x.std() / np.sqrt(effective_sample_size(x)) for x in np.moveaxis(drawn, 2, 0)]
    return (drawn.mean(axis=(0, 1)) - truth) / np.array(errors)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_enumeration_is_the_integral_of_our_density(n_classes: int) -> None:
    """The evidence by importance sampling from the prior: exact sums and our likelihood are one model."""
    target, rng = target_of(n_classes), np.random.default_rng(1)
    draws = Parameters(*target.priors.sample(200_000, rng=rng))
    with np.errstate(under="ignore"):
        likelihood = np.exp(target.log_posterior(draws) - target.priors.log_density(*draws))
    truth = np.exp(enumerate_assignments(n_classes).log_evidence)
    assert abs(likelihood.mean() - truth) < MAX_Z * likelihood.std() / np.sqrt(len(likelihood))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_sweeps_draw_the_exact_assignments(n_classes: int) -> None:
    z = z_scores(run_sweeps(n_classes), enumerate_assignments(n_classes))
    assert np.abs(z).max() < MAX_Z, z


def numbers(shape: float, scale: float) -> Array:
    """Parameters of the priors of means and stds, (2, 2, 2)."""
    return np.repeat([[[MEAN], [SIZE]], [[shape], [scale]]], 2, axis=2)


WRONG = {
    "Dirichlet counts off by one": {"concentration": np.full(2, ALPHA + 1)},
    "half a pixel more in the shape": {"priors": numbers(SHAPE + 0.5, SCALE)},
    "the sd where the variance belongs": {"priors": numbers(SHAPE, SCALE**0.5)},
    "means of a fixed spread": {"families": np.array([0, 3])},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_sweeps_with_a_wrong_conditional_do_not(wrong: dict[str, Any]) -> None:
    z = z_scores(run_sweeps(2, **wrong), enumerate_assignments(2))
    assert np.abs(z).max() > 2 * MAX_Z


def responsibilities(posterior: Any, y: Array) -> Array:
    """p(z_i = k | y_i, draw), (chains, draws, n, K)."""
    rows = [getattr(posterior, name)[:, :, None] for name in ("weights", "means", "stds")]
    log_joint = np.log(rows[0]) + norm.logpdf(y[:, None], rows[1], rows[2])
    shares: Array = np.exp(log_joint - logsumexp(log_joint, axis=3, keepdims=True))
    return shares


@cache
def fitted(n_classes: int, sampler: Sampler) -> Any:
    return fit(
        VALUES[n_classes], n_classes=n_classes, priors=PRIORS, sampler=sampler, draws=10_000,
        quantization=None, until_converged=False, rng=1,
    )  # fmt: skip


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("sampler", ["gibbs", "independence"])
def test_samplers_find_the_exact_pairs(n_classes: int, sampler: Sampler) -> None:
    """By p(z | draw): pairs of values are independent given the parameters."""
    shares = responsibilities(fitted(n_classes, sampler), VALUES[n_classes])
    z = z_scores(shares, enumerate_assignments(n_classes))
    assert np.abs(z).max() < MAX_Z, z


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyMC's and ArviZ's own
def test_pymcs_explicit_assignments_are_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the assignments, by the parameters, value by value; the exact ones of another prior must differ."""
    posterior = fit(VALUES[2], priors=PRIORS, sampler="pymc-lecture", draws=6000, quantization=None, rng=1)
    assert posterior.assignments is not None
    shares = (posterior.assignments[..., None] == np.arange(2)).astype(float)
    assert min(effective_sample_size(x) for x in np.moveaxis(shares[..., 0], 2, 0)) > 1000
    z = z_scores(shares, enumerate_assignments(2))
    assert np.abs(z).max() < MAX_Z, z
    by_parameters = z_scores(responsibilities(posterior, VALUES[2]), enumerate_assignments(2))
    assert np.abs(by_parameters).max() < MAX_Z, by_parameters
    ours = responsibilities(fitted(2, "gibbs"), VALUES[2])[..., 0]
    for theirs, probability in zip(*(np.moveaxis(x, 2, 0) for x in (shares[..., 0], ours)), strict=True):
        errors = [x.std() / np.sqrt(effective_sample_size(x)) for x in (theirs, probability)]
        assert abs(theirs.mean() - probability.mean()) < MAX_Z * np.hypot(*errors)
    monkeypatch.setitem(globals(), "ALPHA", 3.0)
    assert np.abs(z_scores(shares, enumerate_assignments.__wrapped__(2))).max() > 2 * MAX_Z


@pytest.mark.parametrize("n_classes", [2, 3])
def test_proposals_weigh_the_exact_evidence(n_classes: int) -> None:
    """The mean importance weight is p(y) / K!, as our density is that of ordered classes."""
    posterior = fitted(n_classes, "independence")
    weights = np.exp(posterior.steps.log_weights.ravel()) * factorial(n_classes)
    error = weights.std() / np.sqrt(len(weights))
    truth = np.exp(enumerate_assignments(n_classes).log_evidence)
    assert abs(weights.mean() - truth) < MAX_Z * error
    assert error < 0.05 * truth


def log_conditional(at: Parameters, assignments: Array, y: Array) -> Array:
    """log p(w, mu, sigma | y, z), unordered, for assignments (..., n, K)."""
    n = assignments.sum(axis=-2)
    center = np.einsum("...nk,n->...k", assignments, y) / np.maximum(n, 1)
    scatter = np.einsum("...nk,n->...k", assignments, y**2) - n * center**2
    scale = SCALE + scatter / 2 + SIZE * n / (2 * (SIZE + n)) * (center - MEAN) ** 2
    mean = (SIZE * MEAN + n * center) / (SIZE + n)
    variances = invgamma.logpdf(at.stds**2, SHAPE + n / 2, scale=scale) + np.log(2 * at.stds)
    means = norm.logpdf(at.means, mean, at.stds / np.sqrt(SIZE + n))
    alpha = ALPHA + n
    weights = ((alpha - 1) * np.log(at.weights) - gammaln(alpha)).sum(axis=-1) + gammaln(alpha.sum(axis=-1))
    density: Array = weights + (means + variances).sum(axis=-1)
    return density


@pytest.mark.parametrize("n_classes", [2, 3])
def test_sweeps_give_the_exact_evidence(n_classes: int) -> None:
    """p(y) = p(y | t) p(t) / p(t | y) at any t, the last a mean over sweeps and orders (Chib 1995)."""
    y, target = VALUES[n_classes], target_of(n_classes)
    posterior = fitted(n_classes, "independence")
    at = Parameters(
        *(part.mean(axis=(0, 1)) for part in (posterior.weights, posterior.means, posterior.stds))
    )
    prior_and_likelihood = target.log_posterior(Parameters(*(part[None] for part in at)))[0]
    drawn = run_sweeps(n_classes)
    orders = [
        np.exp(log_conditional(Parameters(*(part[list(order)] for part in at)), drawn, y))
        for order in permutations(range(n_classes))
    ]
    density = np.mean(orders, axis=0)
    error = density.std() / np.sqrt(effective_sample_size(density)) / density.mean()
    found = prior_and_likelihood - np.log(density.mean())
    assert abs(found - enumerate_assignments(n_classes).log_evidence) < MAX_Z * error
    assert error < 0.1
