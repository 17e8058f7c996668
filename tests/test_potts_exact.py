"""Sweeps and clusters against exact hidden Potts fields of a few pixels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from segmix.diagnostics import effective_sample_size
from segmix.potts.lattice import Lattice
from segmix.potts.normalizer import Normalizer, simulated_normalizer
from segmix.potts.philox import keys_of
from segmix.potts.sweeps import Sweeps

from . import exact_potts as exact
from . import naive_potts as naive
from .monte_carlo import MAX_Z
from .potts_faults import biased, gibbs, half, pairs, shared, stale, two_colors

Array = NDArray[np.float64]

N_LEVELS, SWEEPS, CHAINS = 3, 6000, 4
CASES: dict[str, tuple[Lattice, int, float]] = {
    "4x4": (Lattice((4, 4)), 2, 0.7),
    "3x3, 3 classes": (Lattice((3, 3)), 3, 0.8),
    "4x4, 3 classes": (Lattice((4, 4)), 3, 0.8),
    "3x4, 8 neighbors": (Lattice((3, 4), connectivity=2), 2, 0.5),
    "3x3, 8 neighbors, 3 classes": (Lattice((3, 3), connectivity=2), 3, 0.4),
    "2x3x2": (Lattice((2, 3, 2)), 2, 0.5),
    "2x2x3, 26 neighbors": (Lattice((2, 2, 3), connectivity=3), 2, 0.25),
    "3x4, spacing": (Lattice((3, 4), spacing=(1.0, 2.5)), 2, 0.9),
    "4x4 with holes": (
        Lattice((4, 4), domain=np.array([[1, 1, 0, 1], [1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0]], bool)),
        2, 0.7,
    ),
}  # fmt: skip
BY_ROWS = "4x4, 3 classes"  # 43 million labelings, so by transfer matrix


def posed(name: str) -> tuple[Lattice, NDArray[np.uint8], Array, float]:
    """Lattice, codes, shares (n_levels, n_classes) and beta of a case."""
    lattice, n_classes, beta = CASES[name]
    rng = np.random.default_rng(len(name))
    codes = rng.integers(0, N_LEVELS, lattice.shape).astype(np.uint8)
    return lattice, codes, rng.dirichlet(np.full(n_classes, 2.0), N_LEVELS), beta


Step = Callable[..., None]


def clusters(sweeps: Sweeps, labels: Any, shares: Array, beta: float, **numbers: Any) -> None:
    del numbers["table"]
    sweeps.sweep_clusters(labels, np.log(shares), beta, **numbers)


def run(name: str, step: Step, *, by_table: bool = True) -> tuple[Array, Array]:
    """Indicators (chains, sweeps, n, n_classes) and agreements (chains, sweeps)."""
    lattice, codes, shares, beta = posed(name)
    sweeps = Sweeps(lattice, codes, N_LEVELS, shares.shape[1], by_table=by_table)
    domain = np.ones(lattice.shape, bool) if lattice.domain is None else lattice.domain
    found, agreements = [], []
    for chain in range(CHAINS):
        start = np.random.default_rng(chain).integers(0, shares.shape[1], lattice.shape).astype(np.uint8)
        labels, keys, table = sweeps.lay_out(start), keys_of(11, chain), sweeps.prepare()
        rows, sums = [], []
        for number in range(SWEEPS):
            step(sweeps, labels, shares, beta, keys=keys, number=number, table=table)
            rows.append(lattice.join(labels)[domain])
            sums.append(sweeps.agreements(labels))
        found.append(rows[100:])
        agreements.append(sums[100:])
    return np.array(found)[..., None] == np.arange(shares.shape[1]), np.array(agreements)


def z_scores(name: str, drawn: tuple[Array, Array]) -> Array:
    """Z of every marginal (all but the last class's) and of the mean agreements."""
    lattice, codes, shares, beta = posed(name)
    truth = exact.transfer(np.log(shares[codes]), beta) if name == BY_ROWS else None
    if truth is None:
        field = exact.enumerate_field(lattice, shares.shape[1])
        log_shares = np.log([shares[codes[site]] for site in naive.sites(lattice)])
        truth = exact.solve(field, log_shares, beta)
    known = np.append(truth.marginals[..., :-1].ravel(), truth.agreements)
    indicators = drawn[0][..., :-1].reshape(*drawn[0].shape[:2], -1).astype(float)
    series = np.concatenate([indicators, drawn[1][..., None]], axis=2)
    errors = [x.std() / np.sqrt(effective_sample_size(x)) for x in np.moveaxis(series, 2, 0)]
    return (series.mean(axis=(0, 1)) - known) / np.array(errors)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", ["table", "general", "clusters"])
def test_marginals_are_the_enumerated_ones(name: str, how: str) -> None:
    step = clusters if how == "clusters" else gibbs
    z = z_scores(name, run(name, step, by_table=how == "table"))
    assert np.abs(z).max() < MAX_Z, z
    assert (z**2).mean() < 3, "most of them lie too far"


@pytest.mark.parametrize(
    ("step", "name"),
    [(step, "4x4") for step in (stale, pairs, half, shared, biased)]
    + [(two_colors, "3x3, 8 neighbors, 3 classes")],
)
def test_faulty_sweeps_do_not_find_them(step: Step, name: str) -> None:
    z = z_scores(name, run(name, step))
    assert np.abs(z).max() > 1.5 * MAX_Z


def test_the_transfer_matrix_is_the_enumeration() -> None:
    rng = np.random.default_rng(1)
    for connectivity in (1, 2):
        log_shares = np.log(rng.dirichlet(np.ones(3), (3, 3)))
        ours = exact.transfer(log_shares, 0.6, connectivity)
        field = exact.enumerate_field(Lattice((3, 3), connectivity), 3)
        other = exact.solve(field, log_shares.reshape(-1, 3), 0.6)
        np.testing.assert_allclose(ours.marginals.reshape(-1, 3), other.marginals, atol=1e-12)
        assert ours.log_sum == pytest.approx(other.log_sum, abs=1e-10)
        assert ours.agreements == pytest.approx(other.agreements, abs=1e-10)


@pytest.fixture(scope="module")
def small() -> tuple[Normalizer, exact.Field]:
    lattice = Lattice((4, 4))
    return simulated_normalizer(lattice, 2, seed=2), exact.enumerate_field(lattice, 2)


def test_log_constant_is_the_enumerated_one(small: tuple[Normalizer, exact.Field]) -> None:
    normalizer, field = small
    none = np.zeros((16, 2))
    for node in range(0, len(normalizer.betas), 5):
        truth = exact.solve(field, none, normalizer.betas[node])
        error = max(normalizer.errors[node], 1e-9)
        assert abs(normalizer.agreements[node] - truth.agreements) < MAX_Z * error
    # the error of an integral of independent means
    widths, last = np.gradient(normalizer.betas), float(normalizer.betas[-1])
    error = float(np.sqrt(((widths * normalizer.errors) ** 2).sum()))
    assert (
        abs(float(normalizer.log_constant(last)) - exact.solve(field, none, last).log_sum) < 3 * error + 0.02
    )


def test_beta_is_drawn_from_its_posterior(small: tuple[Normalizer, exact.Field]) -> None:
    """Mean and sd of p(beta | S), exact by quadrature over the enumerated constant."""
    normalizer, field = small
    grid = np.linspace(0, normalizer.betas[-1], 601)
    values, times = np.unique(field.agreements, return_counts=True)
    log_constant = logsumexp(grid[:, None] * values + np.log(times), axis=1)
    rng = np.random.default_rng(1)
    for agreements in (9.0, 16.0, 24.0):
        density = np.exp(grid * agreements - log_constant - (grid * agreements - log_constant).max())
        density /= density.sum()
        mean = density @ grid
        sd = np.sqrt(density @ (grid - mean) ** 2)
        drawn = np.array([normalizer.draw_beta(agreements, np.nan, rng=rng) for _ in range(4000)])
        assert abs(drawn.mean() - mean) < MAX_Z * sd / np.sqrt(len(drawn)) + 0.01
        assert abs(drawn.std() / sd - 1) < MAX_Z / np.sqrt(2 * len(drawn)) + 0.01
