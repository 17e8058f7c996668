"""Priors under which a class may shrink to a value, so that no posterior exists, and those that keep it."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from segmix import fit
from segmix.errors import OptionError
from segmix.mixture.density import Observed
from segmix.mixture.distributions import (
    Dirichlet,
    Family,
    HalfNormal,
    Normal,
    ScaledNormal,
    Uniform,
)
from segmix.mixture.priors import Priors, ResolvedPriors, check_proper


def test_tied_values_without_quantization_have_no_posterior_where_stds_reach_0() -> None:
    values = np.repeat([50.0, 90.0, 120.0, 150.0, 180.0, 200.0, 230.0], [1, 2, 2, 3, 3, 2, 1])
    with pytest.raises(
        OptionError, match=r"tied values \(90 occurs 2 times\) need a prior of stds that keeps"
    ):
        fit(values, priors=Priors.lecture(), quantization=None, rng=1)
    floor = Priors(Normal((110.0, 210.0), 10.0), Uniform(1.0, 100.0))
    for priors in (floor, Priors.conjugate((110.0, 210.0), 1.0, 3.0, 900.0)):
        assert fit(values, priors=priors, quantization=None, draws=50, until_converged=False, rng=1).n_draws
    assert fit(values, priors=Priors.lecture(), draws=50, until_converged=False, rng=1).n_draws


CENTERED = Priors(ScaledNormal(90.0, 1.0), Uniform(0.0, 100.0))


@pytest.mark.parametrize(
    ("values", "n_classes", "priors", "message"),
    [
        (np.full(9, 90.0), 1, Priors.lecture().stds, r"tied values \(90 occurs 9 times\)"),
        (np.full(9, 90.0), 1, HalfNormal(5.0), r"tied values \(90 occurs 9 times\)"),
        (
            np.arange(80.0, 95.0),
            2,
            CENTERED,
            r"a value at the center of the prior of means \(90 occurs 1 time\)",
        ),
        (np.full(9, 90.0), 1, CENTERED, r"at the center of the prior of means \(90 occurs 9 times\)"),
    ],
    ids=["constant", "constant half-normal", "centered", "constant centered"],
)
def test_a_class_that_may_shrink_to_a_value_has_no_posterior(
    values: np.ndarray, n_classes: int, priors: Any, message: str
) -> None:
    priors = priors if isinstance(priors, Priors) else Priors(stds=priors)
    with pytest.raises(OptionError, match=message):
        fit(values, n_classes=n_classes, priors=priors, quantization=None, rng=1)


def test_what_cannot_shrink_has_one() -> None:
    """One class that must hold two values, and ties away from the center of a scaled prior."""
    options: Any = {"quantization": None, "draws": 50, "until_converged": False, "rng": 1}
    assert fit(np.repeat([90.0, 95.0], 5), n_classes=1, priors=CENTERED, **options).n_draws
    away = np.repeat([70.0, 80, 85, 95, 100, 120], 2)
    assert fit(away, n_classes=2, priors=CENTERED, **options).n_draws
    with pytest.raises(OptionError, match="tied values"):
        fit(away, n_classes=2, priors=Priors(stds=CENTERED.stds), **options)


FROM_0 = Uniform(0.0, 5.0)


@pytest.mark.parametrize(
    ("means", "stds", "tie"),
    [
        (Uniform(-3.0, 3.0), FROM_0, 9.0),
        (Uniform((-3.0, 4.0), (3.0, 8.0)), FROM_0, 3.5),
        (Uniform((-3.0, 4.0), (3.0, 9.0)), Uniform((0.0, 0.5), 5.0), 9.0),
        (Uniform((1.0, -3.0), (3.0, 3.0)), FROM_0, -2.0),
    ],
    ids=["outside", "between", "of the other class", "before the other class"],
)
def test_ties_where_no_mean_can_be_have_a_posterior(means: Family, stds: Family, tie: float) -> None:
    """Beyond the uniform prior of the means, or within that of a class that cannot shrink."""
    check_proper(
        _tied(tie), ResolvedPriors(means.expand(2), stds.expand(2), Dirichlet(1.0).expand(2)), "data"
    )


@pytest.mark.parametrize(
    ("means", "stds", "tie"),
    [
        (Uniform(-3.0, 3.0), FROM_0, 0.0),
        (Uniform(-3.0, 3.0), FROM_0, -3.0),
        (Uniform(-3.0, 3.0), FROM_0, 3.0),
        (Uniform((-3.0, 4.0), (3.0, 9.0)), FROM_0, 9.0),
        (Uniform((-3.0, 4.0), (3.0, 9.0)), Uniform((0.5, 0.0), 5.0), 9.0),
        (Normal(0.0, 1.0), FROM_0, 9.0),
    ],
    ids=["inside", "low", "high", "of the second class", "that alone shrinks", "normal"],
)
def test_ties_where_a_mean_can_be_have_none(means: Family, stds: Family, tie: float) -> None:
    priors = ResolvedPriors(means.expand(2), stds.expand(2), Dirichlet(1.0).expand(2))
    with pytest.raises(
        OptionError, match=rf"data: without.* tied values \({tie:g} occurs 2 times\) need a prior"
    ):
        check_proper(_tied(tie), priors, "data")


def _tied(tie: float) -> Observed:
    """Three values, and one that occurs twice, as densities."""
    values, counts = np.unique([-1.25, 1.25, 2.25, tie, tie], return_counts=True)
    return Observed(values, counts.astype(float), np.arange(len(values)))


def test_ties_beyond_a_uniform_prior_of_means_are_fitted() -> None:
    priors = Priors(means=Uniform(-3.0, 3.0), stds=FROM_0)
    values = np.append(np.linspace(-2.0, 2.0, 9), [9.0, 9.0])
    options: Any = {"priors": priors, "quantization": None, "rng": 1}
    assert np.isfinite(fit(values, draws=50, until_converged=False, **options).log_posterior).all()
    with pytest.raises(OptionError, match=r"tied values \(2 occurs 3 times\)"):
        fit(np.append(values, [2.0, 2.0]), **options)


def test_the_marginal_likelihood_at_a_small_std_has_the_power_that_decides() -> None:
    """sigma^(1 - m) of m tied values; of a scaled prior sigma^(-m) at its center, else nothing."""
    x, stds = np.linspace(-1, 1, 200_001), np.array([0.004, 0.002])
    for m in (1, 2, 3):
        plain = [stats.norm.pdf(0.0, x, s) ** m @ np.full(len(x), 1e-5) for s in stds]
        scaled = [
            [(stats.norm.pdf(y, x, s) ** m * stats.norm.pdf(x, 0.0, s)) @ np.full(len(x), 1e-5) for s in stds]
            for y in (0.0, 0.1)
        ]
        assert np.log2(plain[1] / plain[0]) == pytest.approx(m - 1, abs=1e-3)
        assert np.log2(scaled[0][1] / scaled[0][0]) == pytest.approx(m, abs=1e-3)
        assert scaled[1][1] < 1e-6 * scaled[1][0]
