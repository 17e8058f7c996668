"""E[S] simulated on the very lattice: exact answers on rows and rods, beta where the table is wrong."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import PottsOptions, segment, simulate_potts
from segmix.mixture.chains import Steps
from segmix.potts.lattice import Lattice
from segmix.potts.local import LocalSearch, Simulation, is_rough, joined
from segmix.potts.normalizer import Normalizer, is_compact, ordering_beta, tabulated_normalizer
from segmix.potts.sweeps import Sweeps

from .monte_carlo import MAX_Z

Array = NDArray[np.float64]


def rows(side: int) -> NDArray[np.bool_]:
    """Every second row, so that pixels hang together along rows alone."""
    domain = np.zeros((side, side), bool)
    domain[::2] = True
    return domain


def agreements_of_rods(lattice: Lattice, n_classes: int, betas: Array) -> Array:
    """Exact E[S] where no loops are: each pair agrees with e^beta / (e^beta + K - 1)."""
    return lattice.n_pairs * np.exp(betas) / (np.exp(betas) + n_classes - 1)


def simulation(lattice: Lattice, n_classes: int) -> Simulation:
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, n_classes)
    return Simulation(sweeps, seed=1)


@pytest.mark.parametrize(
    ("lattice", "n_classes"),
    [(Lattice((60, 60), domain=rows(60)), 2), (Lattice((1, 2000)), 3), (Lattice((1, 1, 2000)), 2)],
)
def test_fields_of_rods_agree_as_they_must(lattice: Lattice, n_classes: int) -> None:
    betas = np.linspace(0.3, 2.5, 9)
    means, errors = simulation(lattice, n_classes)(betas)
    z = (means - agreements_of_rods(lattice, n_classes, betas)) / errors
    assert np.abs(z).max() < MAX_Z
    table = tabulated_normalizer(lattice, n_classes)
    assert table is not None  # the control: bulk and surface of large lattices are far off
    off = (table.mean_agreements(betas) - agreements_of_rods(lattice, n_classes, betas)) / errors
    assert np.abs(off).max() > 10 * MAX_Z


def test_what_is_compact() -> None:
    ones, few = np.ones((220, 220), bool), np.random.default_rng(1).random((220, 220)) > 0.05
    disk = np.hypot(*np.indices((220, 220)) - 110) < 100
    for domain, compact in ((None, True), (ones, True), (disk, True), (few, False), (rows(220), False)):
        lattice = Lattice((220, 220), domain=domain)
        assert is_compact(lattice) == compact
        assert is_rough(lattice) != compact
    for connectivity in (1, 2, 3):
        assert is_compact(Lattice((30, 30, 30), connectivity))
    assert not is_compact(Lattice((1, 2000)))
    assert not is_compact(Lattice((20, 2000)))
    assert is_rough(Lattice((32, 32)))  # so small that corners show
    assert is_rough(Lattice((12, 30, 30)))
    assert is_rough(Lattice((60, 60), spacing=(1.0, 2.0)))
    assert not is_rough(Lattice((20, 20), domain=rows(20)))  # simulated whole anyway


def test_order_sets_in_later_where_neighbors_are_missing() -> None:
    whole, holes = Lattice((120, 120)), Lattice((120, 120), domain=rows(120))
    assert ordering_beta(holes, 2) > 2 * ordering_beta(whole, 2)
    for n_classes, known in ((2, 0.4433), (3, 0.5506), (4, 0.6286)):
        assert ordering_beta(Lattice((20, 20, 20)), n_classes) == pytest.approx(known, rel=0.01)


def test_beyond_what_was_simulated_it_rises_on() -> None:
    rough = Normalizer(np.linspace(0, 2, 21), np.linspace(50, 100, 21), 0.0, "rough", np.zeros(21))
    betas, means = np.array([0.55, 0.65, 0.75]), np.array([80.0, 82.0, 84.0])
    made = joined(rough, betas, means, np.ones(3))
    np.testing.assert_allclose(made.mean_agreements(betas), means)
    assert (np.diff(made.mean_agreements(np.linspace(0, 2, 201))) >= 0).all()
    assert made.agreements[-1] == 100
    assert made.source == "fields simulated on this lattice"


class Chain:
    """As much of a chain as the search looks at."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem


def test_chains_that_leave_are_followed() -> None:
    lattice = Lattice((60, 60), domain=rows(60))
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, 2)
    table = tabulated_normalizer(lattice, 2)

    class Problem:
        normalizer = table
        n_classes = 2

        def __init__(self) -> None:
            self.sweeps = sweeps

        def _replace(self, normalizer: Any) -> "Problem":
            new = Problem()
            new.normalizer = normalizer
            return new

    chains: Any = [Chain(Problem())]
    search = LocalSearch(chains, seed=1)

    def steps(center: float) -> Steps:
        betas = np.random.default_rng(1).normal(center, 0.02, (2, 100))
        ones = np.ones((2, 100, 2))
        return Steps(ones, ones, ones, ones[..., 0], beta=betas)

    assert not search.follow(steps(1.0))
    assert search.follow(steps(1.0))
    assert not search.follow(steps(2.0))
    assert search.follow(steps(2.0))
    known = chains[0].problem.normalizer
    for beta in (1.0, 2.0):  # what was simulated before is kept
        exact = float(agreements_of_rods(lattice, 2, np.array([beta]))[0])
        assert float(known.mean_agreements(beta)) == pytest.approx(exact, rel=0.02)
    assert np.isfinite(search.known).all()


CASES: dict[str, tuple[tuple[int, ...], float, dict[str, Any]]] = {
    "holes": ((90, 90), 0.9, {"domain": np.arange(8100).reshape(90, 90) % 270 % 3 != 0}),
    "rows": ((80, 80), 2.0, {"domain": rows(80)}),
    "a thin volume": ((1, 40, 40), 0.8, {}),
    "a thin volume, 26 neighbors": ((1, 40, 40), 0.25, {"connectivity": 3}),
    "a volume near order": ((14, 14, 14), 0.46, {}),
    "a strip where order sets in": ((7, 147), 0.88, {}),
    "a volume of no coupling": ((14, 14, 14), 0.0, {}),
}


def z_of_beta(name: str, seed: int) -> float:
    shape, beta, known = CASES[name]
    labels = simulate_potts(shape, beta=beta, rng=seed, **known)
    noise = np.random.default_rng(seed).normal(0, 12, shape)
    pixels = np.clip(np.rint(80 + 40 * (labels % 200) + noise), 0, 255).astype(np.uint8)
    options = PottsOptions(weights="equal", connectivity=known.get("connectivity", 1))
    result = segment(
        pixels, spatial=options, domain=known.get("domain"), draws=500, chains=2, doublings=0, rng=seed
    )
    assert "fields simulated on this lattice" in result.posterior.notes[0]
    found = result.posterior.summary()["beta"]
    return (found.mean - beta) / found.sd


@pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_beta_is_found(name: str) -> None:
    assert abs(z_of_beta(name, 1)) < MAX_Z


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_beta_is_found_as_often_as_it_must(name: str) -> None:
    """Sum of squares of z over pictures; 1 each on average."""
    z = np.array([z_of_beta(name, seed) for seed in range(1, 21)])
    assert abs(z.mean()) * np.sqrt(len(z)) < MAX_Z
    assert abs((z**2).sum() - len(z)) < MAX_Z * np.sqrt(2 * len(z))
