"""Single steps of Gibbs' kernels from exact draws, which must stay draws of the same distribution.

Jumps take the joint distribution of Geweke (2004), JASA 99, 799: parameters from the prior, data given them,
then jumps of the parameters with the data held. All starts are independent, and so are the changes: the
z-scores of their means need no effective sample size.
"""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_ndtr

from segmix import Dirichlet, InverseGamma, Normal, Priors
from segmix.mixture import class_kernels, gibbs_kernels
from segmix.mixture.density import Observed, Parameters, Target, pack
from segmix.mixture.gibbs import JUMPS, GibbsChains, model_of, start
from segmix.mixture.proposals import Proposal

from .monte_carlo import MAX_Z
from .test_calibration import draw_values, resolved

Array = NDArray[np.float64]

FAILS = 6.0  # what controls must reach
PRIOR = resolved(Priors(Normal((0.0, 3.0), (1.0, 1.0)), InverseGamma(4.0, 3.0), Dirichlet(2.0)))
N_VALUES = 3
# Two humps as probable, of sds NARROW and 1, and the slices' first width. A slice of the wide hump doubles to
# the narrow one, and one of the narrow hump ends there: only Neal's acceptance test keeps the balance.
NARROW, APART, WIDTH = 0.1, 4.0, 0.5
IMPORTANCE = gibbs_kernels.log_importance  # the right one, whatever a test puts in its place


def plain(kernel: Any) -> Any:
    """The kernel as Python, which calls what a test puts in place of other kernels."""
    return kernel.py_func


def changes(before: Array, after: Array) -> Array:
    """Z-scores of the mean changes of q numbers and of their squares, from rows (n, q); (2 q,)."""
    by = np.concatenate([after - before, after**2 - before**2], axis=1)
    z: Array = by.mean(axis=0) / (by.std(axis=0) / np.sqrt(len(by)))
    return z


@cache
def poor_proposal() -> Proposal:
    """Two t distributions a prior sd above and below the prior, half as wide and 0.7 times."""
    points = pack(Parameters(*PRIOR.sample(20_000, rng=np.random.default_rng(0))))
    center, sd, factor = points.mean(axis=0), points.std(axis=0), np.linalg.cholesky(np.cov(points.T))
    return Proposal(
        np.array([0.3, 0.7]), np.stack([center + sd, center - sd]), np.stack([0.5 * factor, 0.7 * factor])
    )


def jumped(jump: Any, n: int) -> tuple[Array, Array]:
    """Coordinates and log of posterior over proposal, before and after twenty jumps; (n, 6) each."""
    proposal, rng, rows = poor_proposal(), np.random.default_rng(5), []
    truth = PRIOR.sample(n, rng=rng)
    chains = GibbsChains(_target(np.arange(3.0)), 7, start(_target(np.arange(3.0)), proposal, 7, 1))
    for i in range(n):
        state = Parameters(*(part[i] for part in truth))
        target = _target(np.sort(draw_values(state, N_VALUES, rng)))
        points, model, jumps = [pack(state)], model_of(target), chains.jumps(0, i)
        for number in range(JUMPS):
            jump(model, jumps, number, *state)
        points.append(pack(state))
        rows.append(np.column_stack([points, target.log_density(np.array(points))]))
    before, after = np.stack(rows, axis=1)
    for part in (before, after):
        part[:, -1] -= proposal.log_density(part[:, :-1])
    return before, after


def _target(values: Array) -> Target:
    return Target(Observed(values, np.ones(len(values)), np.arange(len(values))), PRIOR)


def test_jumps_of_a_poor_proposal_leave_the_posterior() -> None:
    before, after = jumped(gibbs_kernels.jump, 5000)
    assert (before != after).all(axis=1).mean() > 0.2, "few jumps test nothing"
    z = changes(before, after)
    assert np.abs(z).max() < MAX_Z, z


def four_fifths(model: Any, jumps: Any, point: Array) -> float:
    """A gain of 0.8 times the right one."""
    return 0.8 * float(IMPORTANCE(model, jumps, point))


def of_the_posterior(model: Any, jumps: Any, point: Array) -> float:
    """As if all points were proposed alike."""
    return float(IMPORTANCE(model, jumps, point) + gibbs_kernels.log_t(jumps, point))


def without_logits(model: Any, jumps: Any, point: Array) -> float:
    """The weights' density for that of their logits."""
    odds = np.exp([point[0], 0.0])
    return float(IMPORTANCE(model, jumps, point) - np.log(odds / odds.sum()).sum())


def without_log_stds(model: Any, jumps: Any, point: Array) -> float:
    """The stds' density for that of their logs."""
    return float(IMPORTANCE(model, jumps, point) - point[3:].sum())


@pytest.mark.parametrize("fault", [four_fifths, of_the_posterior, without_logits, without_log_stds])
def test_jumps_by_a_wrong_ratio_do_not(monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    monkeypatch.setattr(gibbs_kernels, "log_importance", fault)
    z = changes(*jumped(plain(gibbs_kernels.jump), 4000))
    assert np.abs(z).max() > FAILS, z


def two_humps(*arguments: Any) -> float:
    """Log density of either coordinate, in place of ``class_log_posterior``; up to a constant."""
    x = arguments[-1]
    narrow, wide = -0.5 * (x / NARROW) ** 2 - math.log(NARROW), -0.5 * (x - APART) ** 2
    return max(narrow, wide) + math.log1p(math.exp(-abs(narrow - wide)))


def sliced(monkeypatch: pytest.MonkeyPatch, reachable: Any) -> tuple[Array, Array]:
    """Draws of two humps before and after a step, with whether they are on the narrow one; (n, 4) each."""
    rng, n = np.random.default_rng(6), 20_000
    monkeypatch.setattr(class_kernels, "class_log_posterior", two_humps)
    monkeypatch.setattr(class_kernels, "reachable", reachable)
    wide = rng.random((n, 2)) < 0.5
    before = np.where(wide, rng.normal(APART, 1.0, (n, 2)), rng.normal(0.0, NARROW, (n, 2)))
    after = before.copy()
    step = plain(class_kernels.slice_class)
    for point in after:
        step(None, None, None, None, 0, point, np.full(2, WIDTH), rng)
    first, last = (np.concatenate([rows, np.abs(rows) < 5 * NARROW], axis=1) for rows in (before, after))
    return first, last


def test_slices_of_two_humps_leave_them(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = sliced(monkeypatch, plain(class_kernels.reachable))
    assert (before[:, 2:] != after[:, 2:]).any(axis=1).sum() > 400, "few changes of hump test nothing"
    z = changes(before, after)
    assert np.abs(z).max() < MAX_Z, z


def test_slices_without_the_acceptance_test_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    z = changes(*sliced(monkeypatch, lambda *_: True))
    assert np.abs(z).max() > FAILS, z


def clipped_class() -> tuple[Array, Any]:
    """Exact draws of mean and log std of ten pixels clipped at 0, by rejection from the prior, and a step.

    The log std has two humps: all pixels are above 0 for sure where it is far below the mean, and by chance
    where it is far above, which is as probable by the larger stds there.
    """
    rng, tries, highest = np.random.default_rng(7), 2_000_000, (0.2, 50.0)
    mean, std = rng.uniform(0.0, highest[0], tries), rng.uniform(0.0, highest[1], tries)
    kept = np.log(rng.random(tries)) < 10 * log_ndtr(mean / std)
    priors = np.array([[[0.0], [highest[0]]], [[0.0], [highest[1]]]])
    families, counts = np.array([1, 1]), np.array([10.0])
    model = class_kernels.Model(np.array([0.0, np.inf]), counts, families, priors, np.ones(1), True, 1e-9)
    moments = class_kernels.moments_of(model.nodes, counts, 0.0)
    bounds, widths = np.array([-np.inf, np.inf]), np.array([0.1, 0.7])

    def step(kernel: Any, point: Array, rng: np.random.Generator) -> None:
        kernel(model, counts, moments, bounds, 0, point, widths, rng)

    return np.column_stack([mean, np.log(std)])[kept], step


def stepped(kernel: Any, n: int | None = None) -> tuple[Array, Array]:
    """The draws of a clipped class before and after a step."""
    before, step = clipped_class()
    after, rng = before[:n].copy(), np.random.default_rng(8)
    for point in after:
        step(kernel, point, rng)
    return before[:n], after


def test_compiled_slices_of_a_clipped_class_leave_its_two_humps() -> None:
    before, after = stepped(class_kernels.slice_class)
    assert len(before) > 4000
    assert ((before[:, 1] < 0) != (after[:, 1] < 0)).sum() > 400
    z = changes(before, after)
    assert np.abs(z).max() < MAX_Z, z


def test_compiled_slices_take_the_steps_of_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not those without the acceptance test: it is the same for both."""
    _, compiled = stepped(class_kernels.slice_class, 1000)
    monkeypatch.setattr(class_kernels, "reachable", plain(class_kernels.reachable))
    _, slow = stepped(plain(class_kernels.slice_class), 1000)
    np.testing.assert_allclose(compiled, slow, rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(class_kernels, "reachable", lambda *_: True)
    _, wrong = stepped(plain(class_kernels.slice_class), 1000)
    assert not np.allclose(compiled, wrong, rtol=1e-3)
