"""Prior families against scipy.stats, and the ways to state them."""

import numpy as np
import pytest
from scipy import stats

from segmix.errors import InputError, OptionError
from segmix.imaging.image import as_image
from segmix.imaging.levels import count_levels
from segmix.mixture.density import Observed, observe
from segmix.mixture.distributions import (
    FAMILIES,
    Dirichlet,
    Family,
    HalfNormal,
    InverseGamma,
    Normal,
    ScaledNormal,
    Uniform,
)
from segmix.mixture.priors import Priors, ResolvedPriors


def _observed() -> Observed:
    return Observed(np.arange(101.0) + 99.5, np.ones(100), np.arange(100))


def _inverse_gamma(x: np.ndarray) -> np.ndarray:
    return stats.invgamma(3.0, scale=20.0).logpdf(x**2) + np.log(2 * x)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (Normal(3.0, 2.0), stats.norm(3, 2).logpdf),
        (Uniform(0.0, 9.0), stats.uniform(0, 9).logpdf),
        (HalfNormal(4.0), stats.halfnorm(scale=4).logpdf),
        (InverseGamma(3.0, 20.0), _inverse_gamma),
    ],
)
def test_log_density_and_slope(family: Family, expected: object) -> None:
    expanded = family.expand(2)
    x = np.array([[0.5, 2.0], [3.0, 8.5]])
    np.testing.assert_allclose(expanded.log_density(x), expected(x).sum(axis=1))  # type: ignore[operator]
    step = 1e-6
    slope = (expected(x + step) - expected(x - step)) / (2 * step)  # type: ignore[operator]
    np.testing.assert_allclose(expanded.slope(x), slope, rtol=1e-5, atol=1e-6)


def test_scaled_normal_is_a_normal_of_the_classes_own_spread() -> None:
    family = ScaledNormal((3.0, 5.0), 4.0).expand(2)
    x, stds = np.array([[2.5, 6.0], [3.0, 8.5]]), np.array([[1.0, 2.0], [0.5, 3.0]])

    def expected(x: np.ndarray, stds: np.ndarray) -> np.ndarray:
        return stats.norm.logpdf(x, [3.0, 5.0], stds / 2)

    np.testing.assert_allclose(family.log_density_given(x, stds), expected(x, stds).sum(axis=1))
    step, grow = 1e-6, np.exp(1e-6)
    by_x = (expected(x + step, stds) - expected(x - step, stds)) / (2 * step)
    by_log_std = (expected(x, stds * grow) - expected(x, stds / grow)) / (2 * step)
    np.testing.assert_allclose(family.slopes_given(x, stds), [by_x, by_log_std], rtol=1e-5, atol=1e-6)
    drawn = family.sample_given(np.broadcast_to(stds[0], (4000, 2)), np.random.default_rng(2))
    assert stats.kstest(drawn[:, 1], stats.norm(5.0, 1.0).cdf).pvalue > 1e-4


def test_dirichlet_density() -> None:
    x = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    expected = [stats.dirichlet([1.0, 2.0, 3.5]).logpdf(row) for row in x]
    np.testing.assert_allclose(Dirichlet((1.0, 2.0, 3.5)).expand(3).log_density(x), expected)


@pytest.mark.parametrize("family", [Uniform(1.0, 9.0), HalfNormal(4.0), InverseGamma(3.0, 20.0)])
def test_no_density_outside_the_support(family: Family) -> None:
    assert family.expand(2).log_density(np.array([-1.0, 2.0])) == -np.inf


@pytest.mark.parametrize(
    ("family", "distribution"),
    [
        (Normal(3.0, 2.0), stats.norm(3, 2)),
        (Uniform(2.0, 9.0), stats.uniform(2, 7)),
        (HalfNormal(4.0), stats.halfnorm(scale=4)),
    ],
)
def test_samples_have_the_density(family: Family, distribution: object) -> None:
    draws = family.expand(1).sample((4000,), np.random.default_rng(2))[:, 0]
    assert stats.kstest(draws, distribution.cdf).pvalue > 1e-4  # type: ignore[attr-defined]


def test_samples_of_the_inverse_gamma_have_its_variance() -> None:
    draws = InverseGamma(3.0, 20.0).expand(1).sample((4000,), np.random.default_rng(2))[:, 0]
    assert stats.kstest(draws**2, stats.invgamma(3.0, scale=20.0).cdf).pvalue > 1e-4


def test_defaults_scale_with_the_data() -> None:
    priors = Priors().resolve(_observed(), 2)
    assert priors.means == Normal((149.5, 149.5), (100.0, 100.0))
    assert priors.stds == Uniform((0.0, 0.0), (50.0, 50.0))
    assert priors.weights == Dirichlet((1.0, 1.0))
    assert priors.exchangeable


def test_defaults_without_quantization_have_a_floor() -> None:
    levels = count_levels(as_image(np.arange(64, dtype=np.uint8).reshape(8, 8)), quantization=None)
    assert Priors().resolve(observe(levels), 2).stds.parameters[0, 0] == pytest.approx(63 / 4096)


def test_lecture() -> None:
    priors = Priors.lecture().resolve(_observed(), 2)
    assert priors.means == Normal((110.0, 210.0), (10.0, 10.0))
    assert priors.stds == Uniform((0.0, 0.0), (100.0, 100.0))
    assert not priors.exchangeable
    with pytest.raises(
        OptionError, match=r"normal prior: mean must be one number or 3 \(one a class\), got 2"
    ):
        Priors.lecture().resolve(_observed(), 3)


@pytest.mark.parametrize("part", ["means", "stds", "weights"])
def test_classes_are_exchangeable_if_all_their_priors_are_the_same(part: str) -> None:
    parts = {
        "means": Normal(1.0, (1.0, 2.0)),
        "stds": HalfNormal((1.0, 2.0)),
        "weights": Dirichlet((1.0, 2.0)),
    }
    same = {"means": Normal(1.0, 1.0), "stds": HalfNormal(1.0), "weights": Dirichlet(1.0)}
    assert Priors(**same).resolve(_observed(), 2).exchangeable  # type: ignore[arg-type]
    one = same | {part: parts[part]}
    assert not Priors(**one).resolve(_observed(), 2).exchangeable  # type: ignore[arg-type]


def test_prior_draws_ascend() -> None:
    for priors in (Priors(), Priors(means=Normal((150.0, 140.0), 20.0))):
        weights, means, stds = priors.resolve(_observed(), 2).sample(500, rng=np.random.default_rng(1))
        assert means.shape == weights.shape == stds.shape == (500, 2)
        assert (np.diff(means, axis=1) > 0).all()


def test_density_is_zero_where_means_descend() -> None:
    priors = Priors().resolve(_observed(), 2)
    weights, stds = np.array([[0.5, 0.5]]), np.array([[1.0, 1.0]])
    assert np.isfinite(priors.log_density(weights, np.array([[100.0, 120.0]]), stds))
    assert priors.log_density(weights, np.array([[120.0, 100.0]]), stds) == -np.inf


def test_round_trip_through_a_dictionary() -> None:
    priors = Priors(Uniform(0.0, (5.0, 9.0)), InverseGamma(2.0, 3.0), Dirichlet((1.0, 4.0)))
    conjugate = Priors.conjugate(mean=(1, 2), size=1, shape=3, scale=4)
    assert Priors.from_dict(conjugate.to_dict()) == conjugate
    assert Priors.from_dict(priors.to_dict()) == priors
    resolved = priors.resolve(_observed(), 2)
    again = Priors.from_dict(resolved.to_dict()).resolve(_observed(), 2)
    assert isinstance(again, ResolvedPriors)
    assert again == resolved


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mean]\nfamily='normal'", "unknown key 'mean'; known are means, stds, weights"),
        ("[means]\nmean=3", "means must be a table with family = one of normal, uniform"),
        ("[means]\nfamily='gamma'", "means must be a table with family = one of normal, uniform"),
        ("[means]\nfamily='normal'\nmean=3", "missing key 'std'; normal takes mean, std"),
        ("[means]\nfamily='normal'\nmean=3\nstd=1\nsd=2", "unknown key 'sd'; normal takes mean, std"),
        (
            "[means]\nfamily='normal'\nmean='x'\nstd=1",
            "mean must be a finite number, .* got 'x'",
        ),
        ("[means]\nfamily='normal'\nmean=3\nstd=-1", r"normal prior: std must be positive, got -1.0"),
        ("[means]\nfamily='normal'\nmean=nan\nstd=1", "normal prior: mean must be a finite number"),
        (
            "[means]\nfamily='half-normal'\nstd=1",
            "prior of means must be normal, uniform or scaled-normal, got half",
        ),
        ("[stds]\nfamily='uniform'\nlow=-1\nhigh=4", "low must not be negative, got -1.0"),
        ("[stds]\nfamily='uniform'\nlow=4\nhigh=4", "low must be below high, got 4.0 and 4.0"),
        ("means", "is not TOML"),
    ],
)
def test_wrong_prior_files(tmp_path: object, text: str, message: str) -> None:
    path = tmp_path / "prior.toml"  # type: ignore[operator]
    path.write_text(text)
    with pytest.raises(OptionError, match=message):
        Priors.from_toml(path)


def test_missing_prior_file() -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: no such file; check the name"):
        Priors.from_toml("nowhere.toml")
    with pytest.raises(InputError, match=r"/dev/zero: a character device, not a regular file"):
        Priors.from_toml("/dev/zero")


@pytest.mark.parametrize("parts", [None, 3, {"means": {"family": []}}, {"means": 3}])
def test_priors_of_wrong_types(parts: object) -> None:
    with pytest.raises(OptionError, match="must be a table"):
        Priors.from_dict(parts)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="prior of means must be normal, uniform or scaled-normal, got 3"):
        Priors(means=3)  # type: ignore[arg-type]


def test_every_family_has_its_name() -> None:
    families = {"normal", "scaled-normal", "uniform", "half-normal", "inverse-gamma", "dirichlet"}
    assert set(FAMILIES) == families


def test_means_that_cannot_ascend_are_refused() -> None:
    with pytest.raises(OptionError, match=r"must let them ascend.*order the classes by intensity"):
        Priors(means=Uniform((200.0, 10.0), (210.0, 20.0))).resolve(_observed(), 2)
