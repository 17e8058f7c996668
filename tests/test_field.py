"""Weights as an external field: their constant, draws of weights and beta, and where they are left equal."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from segmix import Dirichlet, InverseGamma, Normal, PottsOptions, Priors, segment, simulate_potts
from segmix.errors import OptionError
from segmix.mixture.judgment import judge_steps
from segmix.potts.anchors import Asked, around, search
from segmix.potts.external import ExternalField, PriorFields, fit_constant, log_weights
from segmix.potts.lattice import Lattice
from segmix.potts.pilot import Pilot
from segmix.potts.sweeps import Sweeps

from .exact_potts import all_statistics, exact_constant, transfer

Array = NDArray[np.float64]


CRITICAL = 0.88


def fields_of(lattice: Lattice, n_classes: int, *, seed: int = 1) -> PriorFields:
    flat = np.zeros(lattice.shape, np.uint8)
    labels = Sweeps(lattice, flat, 1, n_classes, by_table=False).lay_out(flat)
    return PriorFields(lattice, n_classes, labels, seed=[seed])


def constant_of(lattice: Lattice, n_classes: int, anchors: Array, *, n: int, first: int = 0) -> ExternalField:
    fields = fields_of(lattice, n_classes)
    drawn = [fields.draw(anchor, n, tune=50)[first:] for anchor in anchors]
    width = 0.5 * np.eye(n_classes)
    return fit_constant(anchors, drawn, width, n_pixels=float(lattice.n_pixels), n_pairs=lattice.n_pairs)


def scattered(n_classes: int, n: int, *, seed: int, sd: float) -> Array:
    center = np.array([0.8, *[0.3] * (n_classes - 2), 0.4])
    thetas = center + np.random.default_rng(seed).normal(0, sd, (n, n_classes))
    thetas[:, -1] = np.abs(thetas[:, -1])
    return thetas


@pytest.mark.parametrize(("n_classes", "shape"), [(2, (3, 4)), (3, (3, 3))])
def test_fields_of_the_prior_have_the_exact_means(n_classes: int, shape: tuple[int, int]) -> None:
    lattice = Lattice(shape)
    _, statistics = all_statistics(lattice, n_classes)
    theta = scattered(n_classes, 1, seed=0, sd=0.0)[0]
    p = np.exp(statistics @ theta)
    p /= p.sum()
    drawn = fields_of(lattice, n_classes).draw(theta, 8000, tune=20)
    # neighboring sweeps are alike; on so small a lattice no more than over ten sweeps
    error = drawn.std(axis=0) / np.sqrt(len(drawn) / 10)
    assert np.abs((drawn.mean(axis=0) - p @ statistics) / error).max() < 4.5


@pytest.mark.parametrize(("n_classes", "shape"), [(2, (3, 4)), (3, (3, 3))])
def test_the_constant_is_the_exact_one(n_classes: int, shape: tuple[int, int]) -> None:
    lattice = Lattice(shape)
    _, statistics = all_statistics(lattice, n_classes)
    found = constant_of(lattice, n_classes, scattered(n_classes, 24, seed=1, sd=0.25), n=2000)
    thetas = scattered(n_classes, 20, seed=2, sd=0.2)
    truth = np.log(np.exp(statistics @ thetas.T).sum(axis=0))
    apart = found.log_constant(thetas) - truth
    assert np.ptp(apart) < 0.15
    first_order = ExternalField(
        lattice.n_pixels, lattice.n_pairs, found.center, found.whiten, found.powers,
        np.zeros_like(found.coefficients), found.reach, found.factor,
    )  # fmt: skip
    assert np.ptp(first_order.log_constant(thetas) - truth) > 0.3  # the control: nothing fitted


def test_without_coupling_the_constant_is_that_of_strangers() -> None:
    lattice = Lattice((20, 20))
    anchors = scattered(3, 12, seed=1, sd=0.2)
    anchors[:, -1] = 0.0
    found = constant_of(lattice, 3, anchors, n=40)
    thetas = scattered(3, 40, seed=2, sd=0.2)
    thetas[:, -1] = 0.0
    inside = thetas[found.distance(thetas) < 0.7]
    apart = found.log_constant(inside) + 400 * log_weights(inside)[:, -1]
    # twelve anchors of 40 fields tell a mean to 0.05 sds, and inside are some 8 sds' ways
    assert np.ptp(apart) < 4.5 * 0.05 * 8


def test_draws_of_theta_are_of_its_conditional() -> None:
    """Against a grid over log odds and beta; with a Dirichlet prior of its own, and beta below 2."""
    constant, statistics, concentration = (
        exact_constant(Lattice((3, 4)), 2),
        np.array([8.0, 11.0]),
        np.array([2.0, 3.0]),
    )
    odds, betas = np.meshgrid(np.linspace(-6, 6, 241), np.linspace(0, 2, 161), indexing="ij")
    grid = np.stack([odds.ravel(), betas.ravel()], axis=1)
    density = grid @ statistics - constant.log_constant(grid) + log_weights(grid) @ concentration
    p = np.exp(density - density.max())
    p /= p.sum()
    rng, theta, drawn = np.random.default_rng(1), np.array([0.0, 0.5]), []
    for _ in range(12_000):
        theta = constant.draw(theta, statistics, concentration, fixed_beta=False, highest=2.0, rng=rng)
        drawn.append(theta)
    found = np.array(drawn)
    error = found.std(axis=0) / np.sqrt(len(found) / 15)
    assert np.abs((found.mean(axis=0) - p @ grid) / error).max() < 4.5
    sds = np.sqrt(p @ grid**2 - (p @ grid) ** 2)
    np.testing.assert_allclose(found.std(axis=0), sds, rtol=0.08)
    flat = grid @ statistics - constant.log_constant(grid)  # the control: no prior
    q = np.exp(flat - flat.max())
    q /= q.sum()
    assert np.abs((found.mean(axis=0) - q @ grid) / error).max() > 6


def test_a_fixed_beta_stays() -> None:
    constant, rng, theta = exact_constant(Lattice((3, 4)), 2), np.random.default_rng(1), np.array([0.0, 0.5])
    for _ in range(20):
        theta = constant.draw(theta, np.array([8.0, 11.0]), np.ones(2), fixed_beta=True, highest=2.0, rng=rng)
    assert theta[-1] == 0.5
    assert theta[0] != 0


@pytest.mark.parametrize(
    ("shape", "connectivity", "n_classes"), [((30, 40), 1, 2), ((24, 20), 2, 3), ((8, 9, 10), 1, 3)]
)
def test_the_pilot_is_at_the_highest_pseudo_likelihood(
    shape: tuple[int, ...], connectivity: int, n_classes: int
) -> None:
    lattice = Lattice(shape, connectivity)
    labels = simulate_potts(shape, beta=0.3, n_classes=n_classes, connectivity=connectivity, rng=1)
    pilot = Pilot(lattice, n_classes, rng=np.random.default_rng(1))
    mode = pilot.mode(labels, np.zeros(n_classes), fixed_beta=False)
    padded = np.pad(labels, 1, constant_values=255)

    def loss(theta: Array) -> float:
        total = 0.0
        for site in np.ndindex(*shape):
            energy = np.append(theta[:-1], 0.0)
            for offset in lattice.offsets:
                near = padded[tuple(np.add(site, offset) + 1)]
                if near < n_classes:
                    energy[near] += theta[-1]
            total -= energy[labels[site]] - np.log(np.exp(energy).sum())
        return total

    best = minimize(loss, np.zeros(n_classes), method="BFGS", options={"gtol": 1e-2}).x
    np.testing.assert_allclose(mode, best, atol=0.02)  # the added pixels and the small ridge


def test_theta_is_found_where_labels_have_no_order_and_only_there() -> None:
    lattice, truth = Lattice((64, 64)), np.array([1.0, 0.4])
    fields = fields_of(lattice, 2)
    labels = fields.draw(truth, 1, tune=200)
    found = search(fields, np.array([0.3, 0.0]), Asked(labels[0], np.ones(2), None, CRITICAL))
    assert found is not None
    theta, factor = found
    away = np.linalg.solve(factor, theta - truth)
    assert np.abs(away).max() < 5  # the labels' own spread, the search's, and that it ends within a width
    assert around(theta, factor).shape == (5, 2)
    stripes = np.array([64 * 32, lattice.n_pairs - 64.0])
    assert search(fields, np.array([0.0, 0.0]), Asked(stripes, np.ones(2), None, CRITICAL)) is None


def noisy_picture(truth: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.clip(np.rint(rng.normal(90.0 + 60.0 * truth, 20.0)), 0, 255).astype(np.uint8)


def test_strangers_of_unequal_shares_are_found() -> None:
    """What equal weights get wrong by 15 sds: three pixels of ten bright, no neighbor like the other."""
    rng = np.random.default_rng(1)
    truth = rng.random((96, 96)) < 0.3
    pixels = noisy_picture(truth, rng)
    found = segment(pixels, spatial=PottsOptions(weights="infer"), draws=1000, chains=2, rng=1)
    rows = found.posterior.summary()
    for name, value in (
        ("means[0]", 90.0),
        ("means[1]", 150.0),
        ("stds[1]", 20.0),
        ("weights[1]", truth.mean()),
    ):
        assert abs(rows[name].mean - value) < 4 * rows[name].sd, (name, rows[name])
    assert rows["field[1]"].low < 0.3 < rows["field[1]"].high
    weights = re.search(r"\nthe prior's weights of the classes: (\S+) \[.*\], (\S+) \[", found.table_text())
    assert weights is not None
    for k, weight in enumerate(weights.groups()):
        assert float(weight) == pytest.approx(rows[f"field[{k}]"].mean, abs=1e-3)
    apart = judge_steps(found.posterior.steps, {"field[0]": rows["field[0]"]._replace(r_hat=2.0)})
    assert apart.reasons == ("R-hat of the prior's weight of class 0 is 2.000, not below 1.01",)
    assert "beta and weights by their normalizing constant" in found.posterior.notes[0]
    assert not any("hang together" in caution for caution in found.cautions)
    equal = segment(pixels, spatial=PottsOptions(weights="equal"), draws=400, chains=2, rng=1)
    row = equal.posterior.summary()["means[1]"]
    assert abs(row.mean - 150) > 15 * row.sd
    assert "field[0]" not in equal.posterior.summary()


def test_ordered_labels_have_equal_weights_and_say_so() -> None:
    truth = np.zeros((80, 80), bool)
    truth[20:60, 10:50] = True
    found = segment(
        noisy_picture(truth, np.random.default_rng(2)),
        spatial=PottsOptions(weights="infer"),
        draws=100,
        chains=2,
        rng=1,
    )
    assert any("weights of the prior are equal: labels are ordered" in note for note in found.posterior.notes)
    assert found.posterior.steps.field is None
    assert (found.labels.astype(bool) == truth).mean() > 0.995


def test_wrong_weights() -> None:
    with pytest.raises(OptionError, match="weights must be 'infer' or 'equal', got 'even'; give one"):
        PottsOptions(weights="even")  # type: ignore[arg-type]


def strip_posterior(log_shares: Array, beta: float) -> tuple[Array, Array, Array]:
    """Of the weight of class 0 at points of a grid, uniform in advance: their probabilities, p(z = 0)."""
    grid, logs, marginals = np.linspace(0.01, 0.99, 99), [], []
    for w in grid:
        prior = np.log([w, 1 - w])
        posterior = transfer(log_shares + prior, beta)
        logs.append(posterior[-1] - transfer(np.broadcast_to(prior, log_shares.shape), beta)[-1])
        marginals.append(posterior[0][..., 0])
    p = np.exp(np.array(logs) - np.max(logs))
    return grid, p / p.sum(), np.array(marginals)


@pytest.mark.parametrize("beta", [0.2, 0.5])
def test_a_strip_has_the_exact_weights_and_labels(beta: float) -> None:
    """By transfer matrices, the classes and beta being known: weights, their sd, and every pixel's label."""
    shape, means, std = (60, 8), np.array([100.0, 150.0]), 25.0
    theta, rng = np.array([1.0, beta]), np.random.default_rng(3)
    fields = fields_of(Lattice(shape), 2)
    fields.draw(theta, 1, tune=200)
    truth = fields.sweeps.lattice.join(fields.labels)
    pixels = np.clip(np.rint(rng.normal(means[truth], std)), 0, 255).astype(np.uint8)
    grid, p, marginals = strip_posterior(-0.5 * ((pixels[..., None] - means) / std) ** 2, beta)
    known = Priors(Normal(tuple(means), 1e-3), InverseGamma(1e8, 1e8 * std**2), Dirichlet(1.0))
    found = segment(
        pixels, priors=known, spatial=PottsOptions(beta, weights="infer"), draws=6000, chains=2, rng=1
    )  # fmt: skip
    row, mean = found.posterior.summary()["field[0]"], float(p @ grid)
    sd = float(np.sqrt(p @ grid**2 - mean**2))
    assert abs(row.mean - mean) < 4.5 * row.mcse_mean + 0.1 * sd, (row, mean, sd)  # the fields' own error
    assert abs(np.log(row.sd / sd)) < 0.15
    exact = p @ marginals.reshape(len(grid), -1)
    assert np.abs(found.probabilities[0].ravel() - exact).max() < 0.04
    even = transfer(-0.5 * ((pixels[..., None] - means) / std) ** 2, beta)[0][..., 0].ravel()
    assert np.abs(even - exact).max() > 0.1  # the control: equal weights
