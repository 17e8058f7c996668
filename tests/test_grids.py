"""Moves of one number on a grid."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix.potts import grids
from segmix.potts.grids import N_GRID, OVER, draw_on_grid

from .monte_carlo import MAX_Z

Array = NDArray[np.float64]

N = 20_000
GRIDS = {
    "a bell": (np.linspace(-8, 8, N_GRID), lambda x: -0.5 * x**2),
    "cut at 0": (np.linspace(0, 9, N_GRID), lambda x: -0.5 * (x - 0.5) ** 2),
    "a ramp": (np.linspace(0, 1, N_GRID), lambda x: 3 * x),
}


@cache
def pairs(name: str) -> tuple[Array, Array]:
    """Draws that forget where they were, and where each moves to from there."""
    grid, log_density = GRIDS[name]
    rng, density = np.random.default_rng(4), log_density(grid)
    first = np.array([draw_on_grid(grid, density, np.nan, rng=rng) for _ in range(N)])
    return first, np.array([draw_on_grid(grid, density, x, rng=rng) for x in first])


def exact_moments(name: str) -> tuple[float, float]:
    grid, log_density = GRIDS[name]
    fine = np.linspace(grid[0], grid[-1], 200_001)
    p = np.exp(log_density(fine))
    p /= p.sum()
    mean = float(p @ fine)
    return mean, float(np.sqrt(p @ (fine - mean) ** 2))


def z_of_moments(x: Array, name: str) -> Array:
    mean, sd = exact_moments(name)
    squares = (x - mean) ** 2
    errors = np.array([x.std(), squares.std()]) / np.sqrt(len(x))
    return np.array([x.mean() - mean, squares.mean() - sd**2]) / errors


@pytest.mark.parametrize("name", GRIDS)
def test_moves_leave_the_density_and_go_to_the_other_side(name: str) -> None:
    first, then = pairs(name)
    assert np.abs(z_of_moments(first, name)).max() < MAX_Z
    assert np.abs(z_of_moments(then, name)).max() < MAX_Z
    assert np.corrcoef(first, then)[0, 1] < -0.9 * OVER + 0.1


@pytest.mark.parametrize("name", GRIDS)
def test_moves_are_as_likely_back(name: str) -> None:
    first, then = pairs(name)
    skew = first**2 * then - first * then**2
    assert abs(skew.mean() / (skew.std() / np.sqrt(N))) < MAX_Z


@pytest.mark.parametrize("name", GRIDS)
def test_the_distribution_function_and_its_inverse_undo_each_other(name: str) -> None:
    grid, log_density = GRIDS[name]
    density = np.exp(log_density(grid) - log_density(grid).max())
    total = np.append(0.0, np.cumsum((density[1:] + density[:-1]) / 2))
    fine = np.linspace(grid[0], grid[-1], 100_001)
    mass = np.exp(log_density(fine))
    exact = np.cumsum((mass[1:] + mass[:-1]) / 2)
    for place in (0.1, 0.3, 0.5, 0.7321, 0.9):
        x = grid[0] + place * (grid[-1] - grid[0])
        u = grids._reached(grid, density, total, x)
        assert u == pytest.approx(np.interp(x, fine[1:], exact / exact[-1]), abs=1e-3)
        if grids.FAR < u < 1 - grids.FAR:
            assert grids._quantile(grid, density, total, u) == pytest.approx(x, abs=1e-6)


@pytest.mark.parametrize("reach", [8.0, 9.0, 12.0, 20.0])
def test_moves_from_far_out_come_back(reach: float) -> None:
    grid, rng = np.linspace(-reach, reach, N_GRID), np.random.default_rng(1)
    for start in (-reach, -0.95 * reach, 0.95 * reach, reach, 3 * reach):
        drawn = np.array([draw_on_grid(grid, -0.5 * grid**2, start, rng=rng) for _ in range(500)])
        assert np.isfinite(drawn).all()
        assert np.abs(drawn).max() < 6.5


def test_a_move_without_all_of_its_noise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.special import ndtr, ndtri

    monkeypatch.setattr(
        grids, "_overrelaxed", lambda u, rng: float(ndtr(-OVER * ndtri(u) + 0.5 * rng.normal()))
    )
    grid, log_density = GRIDS["a bell"]
    rng, x, density = np.random.default_rng(4), 0.0, log_density(grid)
    drawn = []
    for _ in range(4000):
        x = draw_on_grid(grid, density, x, rng=rng)
        drawn.append(x)
    assert np.abs(z_of_moments(np.array(drawn), "a bell")).max() > 1.5 * MAX_Z
