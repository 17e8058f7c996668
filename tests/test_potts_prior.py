"""Fields of the prior alone against exact answers: Onsager's, Kac and Ward's, transfer matrices."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, t

from segmix import simulate_potts
from segmix.diagnostics import effective_sample_size
from segmix.potts.lattice import Lattice
from segmix.potts.normalizer import critical_beta, ising_agreements, read_table
from segmix.potts.philox import keys_of
from segmix.potts.sweeps import Sweeps

from . import exact_potts as exact
from .monte_carlo import MAX_Z

Array = NDArray[np.float64]

COUPLINGS = (0.3, 0.4406868, 0.5)  # Ising's, the second critical
CRITICAL = COUPLINGS[1]
N_CHAINS = 4


def beta_of(coupling: float, n_classes: int) -> float:
    """As far from where order sets in as Ising's coupling is: twice that of two classes."""
    return coupling / CRITICAL * critical_beta(n_classes)


def draw_agreements(
    lattice: Lattice, n_classes: int, beta: float, n: int, *, gibbs: bool, seed: int = 1
) -> Array:
    """S of n sweeps of each chain, (chains, n), after a tenth more; half start from one class."""
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, n_classes, by_table=gibbs)
    flat, found = np.ones((1, n_classes)), []
    for chain in range(N_CHAINS):
        rng = np.random.default_rng([seed, chain])
        start = rng.integers(0, n_classes, lattice.shape) if chain % 2 else np.zeros(lattice.shape)
        labels, keys, table = sweeps.lay_out(start.astype(np.uint8)), keys_of(seed, chain), sweeps.prepare()
        rows = []
        for number in range(n + n // 10):
            if gibbs:
                sweeps.sweep(labels, flat, beta, keys=keys, number=number, table=table)
            else:
                sweeps.sweep_clusters(labels, 0 * flat, beta, keys=keys, number=number)
            rows.append(sweeps.agreements(labels))
        found.append(rows[n // 10 :])
    return np.array(found)


def mean_and_error(drawn: Array) -> tuple[float, float]:
    return float(drawn.mean()), float(drawn.std() / np.sqrt(effective_sample_size(drawn)))


def z_of(drawn: Array, known: float) -> float:
    mean, error = mean_and_error(drawn)
    return (mean - known) / error


def test_exact_answers_agree_with_each_other() -> None:
    for shape, beta in product([(3, 4), (4, 4), (60, 8)], (0.0, 0.6, 2 * CRITICAL)):
        passes = exact.transfer(np.zeros((*shape, 2)), beta)
        ours, other = (f(beta) for f in (partial(exact.ising_constant, shape), strip(shape, 2)))
        assert ours == pytest.approx(passes.log_sum, abs=1e-9)
        assert other == pytest.approx(passes.log_sum, abs=1e-9)
        assert exact.slope(strip(shape, 2), beta) == pytest.approx(passes.agreements, rel=1e-6)
    for n_classes in (3, 4):
        passes = exact.transfer(np.zeros((7, 3, n_classes)), 0.9)
        assert strip((7, 3), n_classes)(0.9) == pytest.approx(passes.log_sum, abs=1e-10)
        assert exact.slope(strip((7, 3), n_classes), 0.9) == pytest.approx(passes.agreements, rel=1e-6)


def strip(shape: tuple[int, int], n_classes: int) -> "partial[float]":
    return partial(exact.strip_constant, shape, n_classes)


@pytest.mark.parametrize("coupling", [0.3, 0.5])
def test_inner_pairs_agree_as_often_as_onsager_says(coupling: float) -> None:
    """Below and above the critical point, 30 pixels (13 correlation lengths) from the boundary."""
    n, means = 20, []
    for seed in range(n):
        inner = simulate_potts((160, 160), beta=2 * coupling, n_sweeps=60, rng=seed)[30:-30, 30:-30]
        means.append(((inner[1:] == inner[:-1]).mean() + (inner[:, 1:] == inner[:, :-1]).mean()) / 2)
    known = float(ising_agreements(np.array(2 * coupling)))
    limit = t.isf(norm.sf(MAX_Z), n - 1)
    error = np.std(means, ddof=1) / np.sqrt(n)
    assert error < 2e-3
    assert abs(np.mean(means) - known) < limit * error
    assert abs(np.mean(means) - float(ising_agreements(np.array(2.12 * coupling)))) > limit * error


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("gibbs", [True, False])
def test_mean_agreements_of_strips_are_exact(n_classes: int, gibbs: bool) -> None:
    shape, beta = (16, 12 // n_classes + 2), critical_beta(n_classes)
    drawn = draw_agreements(Lattice(shape), n_classes, beta, 3000, gibbs=gibbs)
    assert abs(z_of(drawn, exact.slope(strip(shape, n_classes), beta))) < MAX_Z
    assert abs(z_of(drawn, exact.slope(strip(shape, n_classes), 0.97 * beta))) > MAX_Z


@pytest.mark.parametrize("size", [16, 32])
def test_clusters_at_the_critical_point_are_exact(size: int) -> None:
    drawn = draw_agreements(Lattice((size, size)), 2, 2 * CRITICAL, 1500, gibbs=False)
    known = partial(exact.ising_constant, (size, size))
    assert abs(z_of(drawn, exact.slope(known, 2 * CRITICAL))) < MAX_Z
    assert abs(z_of(drawn, exact.slope(known, 1.97 * CRITICAL))) > MAX_Z


@pytest.mark.slow
@pytest.mark.parametrize(("size", "coupling"), list(product((16, 32), COUPLINGS)))
@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_pixels_and_clusters_agree(n_classes: int, size: int, coupling: float) -> None:
    """Single pixels need too long at the critical point of the larger lattice: clusters alone there."""
    lattice, beta = Lattice((size, size)), beta_of(coupling, n_classes)
    clusters = draw_agreements(lattice, n_classes, beta, 5000, gibbs=False)
    if n_classes == 2:
        known = exact.slope(partial(exact.ising_constant, (size, size)), beta)
        assert abs(z_of(clusters, known)) < MAX_Z
    if size == 32 and coupling == CRITICAL:
        return
    pixels = draw_agreements(lattice, n_classes, beta, 25_000, gibbs=True)
    (one, first), (other, second) = mean_and_error(pixels), mean_and_error(clusters)
    assert abs(one - other) < MAX_Z * np.hypot(first, second)
    assert np.hypot(first, second) < 2e-3 * lattice.n_pairs
    if n_classes == 2:
        assert abs(z_of(pixels, known)) < MAX_Z


def steepest(name: str) -> float:
    """Where the table's agreements rise most over a fiftieth of the critical beta, as a share of it."""
    rows, critical = read_table()[name], critical_beta(int(name.split()[0]))
    ends = np.linspace(0.3, 2.0, 1701)
    rise = np.interp((ends + 0.01) * critical, rows["betas"], rows["bulk"]) - np.interp(
        (ends - 0.01) * critical, rows["betas"], rows["bulk"]
    )
    return float(ends[rise.argmax()])


@pytest.mark.parametrize("name", [name for name in read_table() if name.endswith("2D, connectivity 1")])
def test_the_table_is_steepest_where_order_sets_in(name: str) -> None:
    """At log(1 + sqrt(K)), up to its lattices of 128 x 128; with eight neighbors at less than half of it."""
    assert steepest(name) == pytest.approx(1, abs=0.015)
    other = name.replace("connectivity 1", "connectivity 2")
    if other in read_table():
        assert steepest(other) < 0.6
