"""R-hat, effective sample sizes and Pareto k against ArviZ, and the verdict."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix.diagnostics import (
    effective_sample_size,
    ess_bulk,
    ess_tail,
    format_worst,
    judge,
    pareto_k,
    r_hat,
    summarize,
)
from segmix.errors import OptionError


def _chains(rho: float, n: int, *, digits: int = 2) -> NDArray[np.float64]:
    """Four autoregressive chains, rounded so that draws tie."""
    rng = np.random.default_rng(7)
    draws = rng.normal(size=(4, n))
    for i in range(1, n):
        draws[:, i] = rho * draws[:, i - 1] + np.sqrt(1 - rho**2) * draws[:, i]
    return np.round(draws, digits)


@pytest.mark.filterwarnings("ignore")  # ArviZ's own, on import
@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.95])
@pytest.mark.parametrize("n", [37, 501, 1000])
def test_equal_to_arviz(rho: float, n: int) -> None:
    arviz = pytest.importorskip("arviz")
    draws = _chains(rho, n)
    row = summarize(draws)
    assert row.r_hat == pytest.approx(float(arviz.rhat(draws)), rel=1e-10)
    assert row.ess_bulk == pytest.approx(float(arviz.ess(draws, method="bulk")), rel=1e-10)
    assert row.ess_tail == pytest.approx(float(arviz.ess(draws, method="tail", prob=(0.05, 0.95))), rel=1e-10)
    assert row.mcse_mean == pytest.approx(float(np.squeeze(arviz.mcse(draws, method="mean"))), rel=1e-10)
    assert (row.r_hat, row.ess_bulk, row.ess_tail) == (r_hat(draws), ess_bulk(draws), ess_tail(draws))


def test_ess_of_an_autoregression() -> None:
    """ESS of the mean is n (1 - rho) / (1 + rho) in the limit (Vehtari et al. 2021, section 3.2)."""
    n, rho = 20_000, 0.9
    expected = 4 * n * (1 - rho) / (1 + rho)
    assert effective_sample_size(_chains(rho, n, digits=12)) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("shape", [0.3, 0.6, 1.2])
def test_pareto_k_of_a_pareto_tail(shape: float) -> None:
    """Weights u^-k have tail shape k; 4,000 leave 190 in the tail, and an error near (1 + k) / sqrt(190)."""
    uniform = np.random.default_rng(11).random(4000)
    assert pareto_k(-shape * np.log(uniform)) == pytest.approx(shape, abs=4 * (1 + shape) / np.sqrt(190))


def test_pareto_k_with_points_outside_the_support() -> None:
    log_weights = np.random.default_rng(11).normal(0, 0.1, 4000)
    log_weights[:100] = -np.inf
    assert pareto_k(log_weights) < 0.5


def test_the_verdict_gives_its_reasons() -> None:
    good = {"means[0]": summarize(_chains(0.0, 1000))}
    assert judge(good, 4) == (True, ())
    apart = _chains(0.0, 1000) + np.array([[0.0], [0.0], [0.0], [1.0]])
    verdict = judge(good | {"means[1]": summarize(apart)}, 4, pareto_k=0.9)
    assert not verdict.converged
    assert [reason.split(" is ")[0] for reason in verdict.reasons] == [
        "R-hat of means[1]",
        "bulk ESS of means[1]",
        "tail ESS of means[1]",
        "Pareto k of the proposal's weights",
    ]


def test_chains_that_do_not_move_are_not_converged() -> None:
    stuck = np.repeat([[1.0], [2.0], [1.0], [2.0]], 1000, axis=1)
    assert not judge({"means[0]": summarize(stuck)}, 4).converged
    nowhere = {"means[0]": summarize(np.full((4, 1000), np.nan))}
    assert not judge(nowhere, 4).converged


def test_reasons_print_no_meaningless_digits() -> None:
    good = summarize(_chains(0.0, 1000))
    for value, said in ((6943451276122510.0, "above 100"), (np.inf, "above 100"), (np.nan, "unknown")):
        (reason,) = judge({"agreements": good._replace(r_hat=value)}, 4).reasons
        assert reason == f"R-hat of agreements is {said}, not below 1.01"
        assert format_worst([good, good._replace(r_hat=value), good])[0] == said
    assert judge({"beta": good._replace(r_hat=100.0)}, 4).reasons[0].startswith("R-hat of beta is 100.000, ")


@pytest.mark.parametrize("n", [4, 7])
def test_too_few_draws_for_effective_sizes_are_told_once(n: int) -> None:
    rows = {name: summarize(_chains(0.0, n)[:1] + shift) for name, shift in (("means[0]", 0), ("beta", 9))}
    reasons = judge(rows, 1).reasons
    assert reasons[-1] == "there are too few draws to tell ESS, fewer than 8 a chain; make more"
    assert not any("nan" in reason for reason in reasons)
    assert format_worst(rows.values())[1] == "unknown"
    enough = judge({"beta": summarize(_chains(0.0, 8)[:1])}, 1).reasons
    assert not any("too few draws" in reason for reason in enough)


def test_a_size_that_is_unknown_is_the_worst() -> None:
    good = summarize(_chains(0.0, 1000))
    lost = good._replace(mean=np.nan, ess_bulk=np.nan)
    for rows in ({"a": good, "b": lost}, {"b": lost, "a": good}):
        assert judge(rows, 4).reasons == ("bulk ESS of b is nan, not at least 400",)


@pytest.mark.parametrize("probability", [0, 1, 1.5, float("nan")])
def test_wrong_probability(probability: float) -> None:
    with pytest.raises(OptionError, match="probability must be between 0 and 1, got"):
        summarize(_chains(0.0, 37), probability=probability)


@pytest.mark.parametrize("scale", [1e-18, 1e12])
def test_units_do_not_matter(scale: float) -> None:
    draws = np.random.default_rng(5).normal(size=(4, 500)).cumsum(axis=1)
    one, other = summarize(draws), summarize(draws * scale)
    assert other.mcse_mean / other.sd == pytest.approx(one.mcse_mean / one.sd, rel=1e-9)
