"""The joint sampler of labels, classes and beta: Geweke's test, simulated fields, and its promises."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import Dirichlet, InverseGamma, Normal, Priors
from segmix.diagnostics import ParameterSummary, effective_sample_size
from segmix.errors import OptionError
from segmix.imaging.image import as_image
from segmix.imaging.levels import count_levels
from segmix.mixture.density import Observed, Parameters, Target
from segmix.mixture.gibbs import model_of
from segmix.mixture.plan import Plan
from segmix.mixture.priors import ResolvedPriors
from segmix.potts.chains import FieldChain, Problem
from segmix.potts.lattice import Lattice
from segmix.potts.normalizer import Normalizer, highest_beta, simulated_normalizer
from segmix.potts.options import PottsOptions
from segmix.potts.philox import keys_of
from segmix.potts.sampling import FieldRun, sample_field
from segmix.potts.sweeps import Sweeps

from . import exact_potts as exact
from .exact_potts import exact_constant

Array = NDArray[np.float64]

PRIORS = Priors(Normal(0.0, 2.0), InverseGamma(4.0, 3.0), Dirichlet(1.0))


def field_of(shape: tuple[int, ...], beta: float, n_classes: int, *, seed: int, n: int = 400) -> Any:
    """Labels from the prior by Swendsen-Wang, from a random start."""
    lattice = Lattice(shape)
    sweeps = Sweeps(lattice, np.zeros(shape, np.uint8), 1, n_classes)
    rng = np.random.default_rng(seed)
    labels = sweeps.lay_out(rng.integers(0, n_classes, shape, dtype=np.uint8))
    for number in range(n):
        sweeps.sweep_clusters(labels, np.zeros((1, n_classes)), beta, keys=keys_of(seed), number=number)
    return lattice.join(labels)


def picture(
    labels: Any, means: tuple[float, ...], std: float, rng: np.random.Generator, dtype: Any = np.uint8
) -> NDArray[Any]:
    top = np.iinfo(dtype).max
    exact = rng.normal(np.take(means, labels), std)
    return np.clip(np.rint(exact), 0, top).astype(dtype)


class Tiny:
    """A lattice of 12 or 9 pixels, its fields, its normalizing constant, and prior draws of all unknowns."""

    def __init__(self, n_classes: int = 2, *, weights: bool = False) -> None:
        self.lattice, self.n_classes = Lattice((3, 4) if n_classes == 2 else (3, 3)), n_classes
        self.field = exact.enumerate_field(self.lattice, n_classes)
        values, times = np.unique(self.field.agreements, return_counts=True)
        betas = np.linspace(0, highest_beta(self.lattice, n_classes), 201)
        energy = betas[:, None] * values + np.log(times)
        p = np.exp(energy - energy.max(axis=1, keepdims=True))
        means = (p / p.sum(axis=1, keepdims=True)) @ values
        start = self.lattice.n_pixels * float(np.log(n_classes))
        self.normalizer = Normalizer(betas, means, start, "enumeration", np.zeros(len(betas)))
        parts: Any = (PRIORS.means, PRIORS.stds, PRIORS.weights)
        self.priors = ResolvedPriors(*(part.expand(n_classes) for part in parts))
        self.constant = exact_constant(self.lattice, n_classes) if weights else None

    def draw(self, rng: np.random.Generator) -> tuple[Parameters, float, int]:
        """Parameters, beta, and the number of a labeling."""
        parameters = Parameters(*(part[0] for part in self.priors.sample(1, rng=rng)))
        beta = float(rng.uniform(0, self.normalizer.betas[-1]))
        energy = beta * self.field.agreements
        if self.constant is not None:
            sizes = [(self.field.labels == k).sum(axis=1) for k in range(self.n_classes)]
            energy = energy + np.log(parameters.weights) @ np.array(sizes)
        p = np.exp(energy - energy.max())
        total = np.cumsum(p)
        return parameters, beta, int(np.searchsorted(total, rng.random() * total[-1]))


def statistics(parameters: Parameters, beta: float, share: float, values: Array) -> list[float]:
    weights, means, stds = parameters
    first = [*means, *(means**2), *np.log(stds), *weights, *(weights**2), beta, beta**2, share, share**2]
    return [*first, weights[0] * beta, beta * share, means[0] * share, values.mean(), values.var()]


def geweke(tiny: Tiny, n: int, *, fault: Any = None, n_chains: int = 4) -> Array:
    """Z-scores of prior draws against steps on redrawn data; ``fault`` changes the problem of each step."""
    chains = []
    for number in range(n_chains):
        rng = np.random.default_rng([number, 5])
        parameters, beta, z = tiny.draw(rng)
        rows, labels = [], tiny.field.labels[z].astype(np.uint8)
        shape, n_pixels = tiny.lattice.shape, tiny.lattice.n_pixels
        sweeps = Sweeps(tiny.lattice, np.zeros(shape, np.uint8), n_pixels, tiny.n_classes)
        table = sweeps.prepare()
        for step in range(n):
            values = rng.normal(parameters.means[labels], parameters.stds[labels])
            order = np.argsort(values)
            codes = np.empty(n_pixels, np.uint8)
            codes[order] = np.arange(n_pixels)
            observed = Observed(values[order], np.ones(n_pixels), np.arange(n_pixels))
            target = Target(observed, tiny.priors)
            sweeps.codes = tiny.lattice.split(codes.reshape(shape), fill=0)
            problem = Problem(sweeps, target, model_of(target), tiny.normalizer, None, field=tiny.constant)
            if fault is not None:
                problem = fault(problem)
            chain = at(problem, parameters, beta, labels, table, seed=number, step=step, rng=rng)
            done = chain.run(1)
            assert done.field is not None
            weights = parameters.weights if tiny.constant is None else done.field[0]
            parameters = Parameters(weights, done.means[0], done.stds[0])
            beta, labels = float(done.beta[0]), tiny.lattice.join(chain.labels).ravel()
            rows.append(statistics(parameters, beta, done.agreements[0], values))
        chains.append(rows)
    ours, rng, theirs = np.array(chains), np.random.default_rng(9), []
    most = tiny.lattice.n_pairs
    for _ in range(20_000):
        parameters, beta, z = tiny.draw(rng)
        drawn = tiny.field.labels[z]
        values = rng.normal(parameters.means[drawn], parameters.stds[drawn])
        share = tiny.field.agreements[z] / most
        theirs.append(statistics(parameters, beta, share, values))
    other = np.array(theirs)
    errors = [x.std() / np.sqrt(effective_sample_size(x)) for x in np.moveaxis(ours, 2, 0)]
    error = np.hypot(errors, other.std(axis=0) / np.sqrt(len(other)))
    return (ours.mean(axis=(0, 1)) - other.mean(axis=0)) / error


def at(
    problem: Problem,
    parameters: Parameters,
    beta: float,
    labels: Any,
    table: Any,
    *,
    seed: int,
    step: int,
    rng: Any,
) -> FieldChain:
    """A chain that stands here, its random numbers those of a step."""
    chain = FieldChain.__new__(FieldChain)
    chain.problem, chain.number, chain.keys, chain.rng = problem, step, keys_of(seed, 77), rng
    chain.means, chain.stds = parameters.means.copy(), parameters.stds.copy()
    chain.table, chain.beta, chain.free = table, beta, True
    chain.logits = np.log(parameters.weights) if problem.field is not None else np.zeros(problem.n_classes)
    chain.labels = problem.sweeps.lay_out(labels.reshape(problem.sweeps.lattice.shape))
    chain.seen, chain.n_seen = np.zeros((0, 1, 1), np.uint32), 0
    return chain


def twice(problem: Problem) -> Problem:
    """Neighbor pairs counted twice in beta's conditional."""
    assert problem.normalizer is not None
    other = problem.normalizer
    wrong = Normalizer(other.betas, other.agreements / 2, 0.0, "", other.errors)
    return problem._replace(normalizer=wrong)


def wrapped(problem: Problem) -> Problem:
    """The constant of another lattice, with more pairs, as at a boundary that wraps."""
    other = problem.normalizer
    assert other is not None
    wrong = Normalizer(other.betas, other.agreements * 24 / 17, 0.0, "", other.errors)
    return problem._replace(normalizer=wrong)


def squared(problem: Problem) -> Problem:
    """A prior of variances taken for one of standard deviations."""
    families = np.array([problem.model.families[0], 2])
    priors = problem.model.priors.copy()
    priors[1, 0] = 1.0
    return problem._replace(model=problem.model._replace(families=families, priors=priors))


def counted_twice(problem: Problem) -> Problem:
    """Weights drawn with their Jacobian counted twice."""
    priors = problem.target.priors
    wrong = replace(priors, weights=Dirichlet(2.0).expand(problem.n_classes))
    return problem._replace(target=problem.target._replace(priors=wrong))


@pytest.mark.slow
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_steps_on_redrawn_data_leave_the_prior(n_classes: int, weights: bool) -> None:
    z = geweke(Tiny(n_classes, weights=weights), 8000)
    assert np.abs(z[np.isfinite(z)]).max() < 4.5, z


@pytest.mark.slow
def test_weights_drawn_with_another_density_do_not() -> None:
    z = geweke(Tiny(weights=True), 4000, fault=counted_twice)
    assert np.abs(z[np.isfinite(z)]).max() > 6


@pytest.mark.slow
@pytest.mark.parametrize("fault", [twice, wrapped, squared])
def test_faulty_steps_do_not(fault: Any) -> None:
    z = geweke(Tiny(), 4000, fault=fault)
    assert np.abs(z[np.isfinite(z)]).max() > 6


PLAN = Plan("potts", 400, 200, 3, 1, until_converged=False)


def summary_of(found: FieldRun) -> dict[str, ParameterSummary]:
    assert found.run.summary is not None
    return found.run.summary


def run(pixels: Any, *, options: PottsOptions | None = None, **plan: Any) -> FieldRun:
    levels = count_levels(as_image(pixels))
    return sample_field(
        levels, n_classes=2, priors=Priors(), options=options or PottsOptions(), plan=replace(PLAN, **plan)
    )


@pytest.fixture(scope="module")
def noisy() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A field at beta 1 whose classes lie two sds apart."""
    labels = field_of((128, 128), 1.0, 2, seed=3)
    return labels, picture(labels, (100.0, 140.0), 20.0, np.random.default_rng(4))


def test_a_simulated_field_is_found(noisy: Any) -> None:
    labels, pixels = noisy
    found = run(pixels, draws=1000)
    for name, truth in (("means[0]", 100.0), ("means[1]", 140.0), ("stds[0]", 20.0), ("beta", 1.0)):
        row = summary_of(found)[name]
        assert abs(row.mean - truth) < 4.5 * row.sd, (name, row)
    known = run(pixels, draws=1000, options=PottsOptions(beta=1.0))
    assert "beta" not in summary_of(known)
    errors = [(x.probabilities.argmax(axis=0) != labels).mean() for x in (found, known)]
    threshold = (labels != (pixels > 120)).mean()
    assert errors[0] < 0.4 * threshold
    assert abs(errors[0] - errors[1]) < 0.02 * errors[1] + 0.001


@pytest.mark.parametrize(("weights", "prior"), [("equal", Dirichlet(1e6)), ("infer", Dirichlet(1.0))])
def test_without_coupling_it_is_a_mixture(weights: Any, prior: Dirichlet) -> None:
    """At beta 0 pixels are strangers: the mixture with the same prior of weights is the reference."""
    rng = np.random.default_rng(4)
    pixels = picture((rng.random((96, 96)) < 0.3).astype(np.uint8), (90.0, 150.0), 20.0, rng)
    ours = run(pixels, draws=2000, options=PottsOptions(beta=0.0, weights=weights))
    from segmix import fit

    theirs = fit(pixels, priors=Priors(weights=prior), draws=2000, rng=1)
    rows = {
        name: (summary_of(ours)[name], theirs.summary()[name]) for name in ("means[0]", "means[1]", "stds[0]")
    }
    if weights == "infer":
        rows["weights[0]"] = summary_of(ours)["field[0]"], theirs.summary()["weights[0]"]
    for name, (one, other) in rows.items():
        error = np.hypot(one.mcse_mean, other.mcse_mean)
        assert abs(one.mean - other.mean) < 4.5 * error + 0.1 * other.sd, name  # of the constant's fields
        assert abs(np.log(one.sd / other.sd)) < 0.35, name


def test_the_same_seed_gives_the_same_bytes(noisy: Any) -> None:
    first, again = (run(noisy[1], draws=50, tune=20) for _ in range(2))
    for one, other in zip(first.run.steps, again.run.steps, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    other = run(noisy[1], draws=50, tune=20, seed=2)
    assert (other.run.steps.means != first.run.steps.means).any()


def test_pixels_outside_the_domain_have_no_say(noisy: Any) -> None:
    _, pixels = noisy
    domain = np.zeros(pixels.shape, bool)
    domain[10:100, 5:90] = True
    inside = count_levels(as_image(pixels, domain=domain))
    cut = count_levels(as_image(np.ascontiguousarray(pixels[10:100, 5:90])))
    part, alone = (
        sample_field(
            levels, n_classes=2, priors=Priors(), options=PottsOptions(1.0, weights="equal"), plan=PLAN
        )
        for levels in (inside, cut)
    )
    assert np.isnan(part.probabilities[:, ~domain]).all()
    for name, row in summary_of(part).items():
        other = summary_of(alone)[name]
        assert abs(row.mean - other.mean) < 4.5 * np.hypot(row.mcse_mean, other.mcse_mean), name
    apart = np.abs(part.probabilities[1][domain] - alone.probabilities[1].ravel())
    assert apart.mean() < 0.02


def test_volumes_and_wide_types(noisy: Any) -> None:
    labels = field_of((24, 30, 20), 0.6, 2, seed=5)
    pixels = picture(labels, (9000.0, 21000.0), 5000.0, np.random.default_rng(1), np.uint16)
    found = run(pixels, options=PottsOptions(beta=0.6), draws=200)
    assert found.probabilities.shape == (2, 24, 30, 20)
    assert (found.probabilities.argmax(axis=0) != labels).mean() < 0.08


@pytest.mark.parametrize("beta", [-0.1, float("nan"), float("inf"), "pseudos", True])
def test_wrong_betas(beta: Any) -> None:
    with pytest.raises(OptionError, match="beta must be 'infer', 'pseudo' or a number of at least 0, got"):
        PottsOptions(beta=beta)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """100 fields of 48 x 48 at betas from 0.3 to 1.1: means, sds and beta in their 94 % intervals."""
    hits, rng = [], np.random.default_rng(8)
    normalizer = simulated_normalizer(Lattice((48, 48)), 2, seed=1)
    for number in range(100):
        beta = float(rng.uniform(0.3, 1.1))
        labels = field_of((48, 48), beta, 2, seed=1000 + number, n=200)
        pixels = picture(labels, (100.0, 160.0), 20.0, rng)
        found = run_with(pixels, normalizer, seed=number)
        truth = {"means[0]": 100.0, "means[1]": 160.0, "stds[0]": 20.0, "stds[1]": 20.0, "beta": beta}
        hits.append([found[name].low <= value <= found[name].high for name, value in truth.items()])
    covered = np.mean(hits, axis=0)
    assert (covered > 0.94 - 4 * np.sqrt(0.94 * 0.06 / 100)).all(), covered


def run_with(pixels: Any, normalizer: Normalizer, *, seed: int) -> Any:
    """Summary of two chains, with a normalizer that was simulated before."""
    from unittest.mock import patch

    with patch("segmix.potts.chains.normalizer_of", lambda *_, **__: normalizer):
        return summary_of(run(pixels, seed=seed))
