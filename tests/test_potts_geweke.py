"""Geweke's joint-distribution test of the joint sampler of labels, classes and beta, and planted faults.

Geweke (2004), JASA 99, 799: steps given the data, between redrawn data, must leave the prior.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from segmix import Dirichlet, InverseGamma, Normal, Priors
from segmix.diagnostics import effective_sample_size
from segmix.mixture.density import Observed, Parameters, Target
from segmix.mixture.gibbs import model_of
from segmix.mixture.priors import ResolvedPriors
from segmix.potts.chains import FieldChain, Problem
from segmix.potts.external import log_weights
from segmix.potts.lattice import Lattice
from segmix.potts.normalizer import Normalizer, highest_beta
from segmix.potts.philox import keys_of
from segmix.potts.sweeps import Sweeps

from . import exact_potts as exact
from .monte_carlo import MAX_Z, N_BATCHES
from .potts_faults import half, stale

Array = NDArray[np.float64]

PRIORS = Priors(Normal(0.0, 2.0), InverseGamma(4.0, 3.0), Dirichlet(1.0))
N_CHAINS = 4
Move = Callable[[FieldChain], Any]


class Tiny:
    """A lattice of 12 or 9 pixels, its fields, its normalizing constant, and prior draws of all unknowns.

    With ``weights`` the fields have weights of their own, an external field, which are unknown too.
    """

    def __init__(self, n_classes: int = 2, *, weights: bool = False) -> None:
        self.lattice, self.n_classes = Lattice((3, 4) if n_classes == 2 else (3, 3)), n_classes
        self.field = exact.enumerate_field(self.lattice, n_classes)
        values, times = np.unique(self.field.agreements, return_counts=True)
        betas = np.linspace(0, highest_beta(self.lattice, n_classes) if weights else 2.0, 201)
        energy = betas[:, None] * values + np.log(times)
        p = np.exp(energy - energy.max(axis=1, keepdims=True))
        means = (p / p.sum(axis=1, keepdims=True)) @ values
        start = self.lattice.n_pixels * float(np.log(n_classes))
        self.normalizer = Normalizer(betas, means, start, "enumeration", np.zeros(len(betas)))
        parts: Any = (PRIORS.means, PRIORS.stds, PRIORS.weights)
        self.priors = ResolvedPriors(*(part.expand(n_classes) for part in parts))
        self.external = exact.exact_constant(self.lattice, n_classes) if weights else None
        self.sizes = np.stack([(self.field.labels == k).sum(axis=1) for k in range(n_classes)])

    def draw(self, rng: np.random.Generator) -> tuple[Parameters, float, NDArray[np.int8]]:
        """Parameters, beta and labels (n_pixels,)."""
        parameters = Parameters(*(part[0] for part in self.priors.sample(1, rng=rng)))
        beta = float(rng.uniform(0, self.normalizer.betas[-1]))
        energy = beta * self.field.agreements
        if self.external is not None:
            energy = energy + np.einsum("k,kn->n", np.log(parameters.weights), self.sizes)
        total = np.cumsum(np.exp(energy - energy.max()))
        return parameters, beta, self.field.labels[int(np.searchsorted(total, rng.random() * total[-1]))]


def draw_values(parameters: Parameters, labels: Any, rng: np.random.Generator) -> Array:
    return rng.normal(parameters.means[labels], parameters.stds[labels])


def statistics(tiny: Tiny, parameters: Parameters, beta: float, labels: Any, values: Array) -> list[float]:
    means, stds = parameters.means, parameters.stds
    pixels = labels.reshape(tiny.lattice.shape)
    equal = (pixels[1:] == pixels[:-1]).sum() + (pixels[:, 1:] == pixels[:, :-1]).sum()
    share, first = float(equal) / tiny.lattice.n_pairs, float((labels == 0).mean())
    both, squares = [beta, share, first], [beta**2, share**2, first**2]
    if tiny.external is not None:
        weights = parameters.weights
        both += [*weights, weights[0] * beta, weights[0] * share, weights[0] * first]
        squares += [*(weights**2)]
    own = [*means, *(means**2), *np.log(stds), *(np.log(stds) ** 2), *(means * stds), *both, *squares]
    return [*own, beta * share, means[0] * share, first * stds[0], values.mean(), values.var()]


@cache
def draw_prior(n_classes: int, weights: bool) -> Array:
    """Statistics of draws of everything from the prior, (n, q)."""
    tiny, rng, rows = Tiny(n_classes, weights=weights), np.random.default_rng(9), []
    for _ in range(40_000):
        parameters, beta, labels = tiny.draw(rng)
        rows.append(statistics(tiny, parameters, beta, labels, draw_values(parameters, labels, rng)))
    return np.array(rows)


def walk(tiny: Tiny, n: int, move: Move, *, stream: int) -> list[list[float]]:
    """Statistics of n moves on redrawn data, all random numbers of one stream."""
    parameters, beta, labels = tiny.draw(np.random.default_rng([stream, 6]))
    rng, shape, n_pixels = np.random.default_rng([stream, 5]), tiny.lattice.shape, tiny.lattice.n_pixels
    sweeps = Sweeps(tiny.lattice, np.zeros(shape, np.uint8), n_pixels, tiny.n_classes)
    table, rows = sweeps.prepare(), []
    for step in range(n):
        values = draw_values(parameters, labels, rng)
        order = np.argsort(values)
        codes = np.empty(n_pixels, np.uint8)
        codes[order] = np.arange(n_pixels)
        target = Target(Observed(values[order], np.ones(n_pixels), np.arange(n_pixels)), tiny.priors)
        sweeps.codes = tiny.lattice.split(codes.reshape(shape), fill=0)
        problem = Problem(sweeps, target, model_of(target), tiny.normalizer, None, external=tiny.external)
        chain = at(problem, parameters, beta, labels, table, seed=stream, step=step, rng=rng)
        move(chain)
        weights = parameters.weights if tiny.external is None else np.exp(log_weights(chain.theta[None])[0])
        parameters, beta = Parameters(weights, chain.means, chain.stds), float(chain.beta)
        labels = tiny.lattice.join(chain.labels).ravel()
        rows.append(statistics(tiny, parameters, beta, labels, values))
    return rows


def at(
    problem: Problem, parameters: Parameters, beta: float, labels: Any, table: Any, *,
    seed: int, step: int, rng: Any,
) -> FieldChain:  # fmt: skip
    """A chain that stands here, its random numbers those of a step."""
    chain = FieldChain.__new__(FieldChain)
    chain.problem, chain.number, chain.keys, chain.rng = problem, step, keys_of(seed, 77), rng
    chain.means, chain.stds = parameters.means.copy(), parameters.stds.copy()
    chain.table, chain.beta = table, beta
    chain.logits = np.zeros(problem.n_classes) if problem.external is None else np.log(parameters.weights)
    shape = problem.sweeps.lattice.shape
    chain.labels = problem.sweeps.lay_out(np.asarray(labels, np.uint8).reshape(shape))
    chain.seen, chain.n_seen = np.zeros((0, 1, 1), np.uint32), 0
    return chain


def geweke(tiny: Tiny, n: int, *, move: Move | None = None, streams: Any = range(N_CHAINS)) -> Array:
    """Z-scores of moves on redrawn data against prior draws, and of the chains' correlations."""
    move = run if move is None else move
    ours = np.array([walk(tiny, n, move, stream=stream) for stream in streams])
    theirs = draw_prior(tiny.n_classes, tiny.external is not None)
    errors = [x.std() / np.sqrt(effective_sample_size(x)) for x in np.moveaxis(ours, 2, 0)]
    error = np.hypot(errors, theirs.std(axis=0) / np.sqrt(len(theirs)))
    return np.append((ours.mean(axis=(0, 1)) - theirs.mean(axis=0)) / error, dependence(ours))


def dependence(chains: Array) -> list[float]:
    """Z of the correlation of each pair of chains in each number, by means of batches (Fisher 1915)."""
    length = chains.shape[1] // N_BATCHES
    batches = chains[:, : N_BATCHES * length].reshape(len(chains), N_BATCHES, length, -1).mean(axis=2)
    found: list[float] = []
    for one, other in zip(*np.triu_indices(len(chains), 1), strict=True):
        for q in range(batches.shape[2]):
            r = np.corrcoef(batches[one, :, q], batches[other, :, q])[0, 1]
            found.append(float(np.arctanh(np.clip(r, -0.999, 0.999)) * np.sqrt(N_BATCHES - 3)))
    return found


def run(chain: FieldChain) -> None:
    chain.run(1)


def sweep_by(fault: Any) -> Move:
    """Labels drawn by a faulty sweep."""

    def move(chain: FieldChain) -> None:
        with patch.object(Sweeps, "sweep", fault):
            chain.run(1)

    return move


def scale_constant(factor: float) -> Move:
    """The constant of another lattice, whose number of pairs is ``factor`` times as large."""

    def move(chain: FieldChain) -> None:
        own = chain.problem.normalizer
        assert own is not None
        wrong = Normalizer(own.betas, factor * own.agreements, 0.0, "", own.errors)
        chain.problem = chain.problem._replace(normalizer=wrong)
        chain.run(1)

    return move


def square(chain: FieldChain) -> None:
    """A prior of variances taken for one of standard deviations."""
    model = chain.problem.model
    priors = model.priors.copy()
    priors[1, 0] = 1.0
    wrong = model._replace(families=np.array([model.families[0], 2]), priors=priors)
    chain.problem = chain.problem._replace(model=wrong)
    chain.run(1)


def lose_a_pixel(chain: FieldChain) -> None:
    """One pixel of the first class left out of the count."""
    counts = Sweeps.count

    def count(self: Sweeps, labels: Any) -> Any:
        found = counts(self, labels)
        found[found[:, 0].argmax(), 0] = 0
        return found

    with patch.object(Sweeps, "count", count):
        chain.run(1)


def scale_halfway(chain: FieldChain) -> None:
    """Standard deviations that go half the way."""
    before = chain.stds.copy()
    chain.run(1)
    chain.stds = (before + chain.stds) / 2


def move_gap(jacobian: float) -> Move:
    """Further moves of the second mean, a walk of the logarithm of its distance from the first."""

    def log_density(chain: FieldChain, mean: float) -> float:
        counts = chain.problem.sweeps.count(chain.labels)[:, 1]
        values = chain.problem.target.observed.nodes
        return float(norm.logpdf(mean, 0, 2) + counts @ norm.logpdf(values, mean, chain.stds[1]))

    def move(chain: FieldChain) -> None:
        chain.run(1)
        for _ in range(5):
            grown = float(np.exp(chain.rng.normal()))
            new = chain.means[0] + grown * (chain.means[1] - chain.means[0])
            ratio = log_density(chain, new) - log_density(chain, chain.means[1]) + jacobian * np.log(grown)
            if np.log(chain.rng.random()) < ratio:
                chain.means[1] = new

    return move


def jump_beta(sign: float) -> Move:
    """Beta by a Metropolis step in place of the grid, its ratio to the power of a sign."""

    def move(chain: FieldChain) -> None:
        own = chain.problem.normalizer
        assert own is not None
        chain.problem = chain.problem._replace(normalizer=None)
        chain.run(1)
        new = float(chain.rng.uniform(0, own.betas[-1]))
        gain = (new - chain.beta) * chain.problem.sweeps.agreements(chain.labels)
        ratio = gain - float(own.log_constant(new) - own.log_constant(chain.beta))
        if np.log(chain.rng.random()) < sign * ratio:
            chain.beta = new

    return move


def forget_prior(chain: FieldChain) -> None:
    """Weights as if all were as likely on the scale of log odds: their Jacobian forgotten."""
    priors = chain.problem.target.priors
    flat = replace(priors, weights=Dirichlet(1e-9).expand(chain.problem.n_classes))
    chain.problem = chain.problem._replace(target=chain.problem.target._replace(priors=flat))
    chain.run(1)


def forget_constant(chain: FieldChain) -> None:
    """The constant of weights without coupling, N log sum exp(alpha), at every beta."""
    lattice = chain.problem.sweeps.lattice
    n, d = lattice.n_pixels, chain.problem.n_classes
    with patch.object(
        exact.ExactConstant, "log_constant", lambda _, thetas: -n * log_weights(thetas)[:, d - 1]
    ):
        chain.run(1)


FAULTS: dict[str, Move] = {
    "sd for variance": square,
    "no Jacobian of the order": move_gap(0.0),
    "a count off by one": lose_a_pixel,
    "pairs counted twice": scale_constant(0.5),
    "stale colors": sweep_by(stale),
    "Ising's coupling": sweep_by(half),
    "a boundary that wraps": scale_constant(24 / 17),
    "an inverted ratio": jump_beta(-1.0),
    "a scale half updated": scale_halfway,
}


@pytest.mark.slow
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_steps_on_redrawn_data_leave_the_prior(n_classes: int, weights: bool) -> None:
    z = geweke(Tiny(n_classes, weights=weights), 12_000)
    assert np.abs(z).max() < MAX_Z, z
    assert 0.5 < np.square(z).mean() < 2, z


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_faulty_steps_do_not(name: str) -> None:
    z = geweke(Tiny(), 3000, move=FAULTS[name])
    assert np.abs(z).max() > 1.5 * MAX_Z, z


@pytest.mark.slow
@pytest.mark.parametrize("fault", [forget_prior, forget_constant])
def test_weights_drawn_otherwise_do_not(fault: Move) -> None:
    z = geweke(Tiny(weights=True), 3000, move=fault)
    assert np.abs(z).max() > 1.5 * MAX_Z, z


@pytest.mark.slow
def test_chains_of_one_stream_are_told() -> None:
    z = geweke(Tiny(), 3000, streams=(0, 1, 2, 2))
    assert np.abs(z).max() > 1.5 * MAX_Z, z


@pytest.mark.slow
@pytest.mark.parametrize("move", [move_gap(1.0), jump_beta(1.0)], ids=["gap", "beta"])
def test_moves_without_their_fault_leave_the_prior(move: Move) -> None:
    z = geweke(Tiny(), 3000, move=move)
    assert np.abs(z).max() < MAX_Z, z
