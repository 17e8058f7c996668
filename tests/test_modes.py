"""EM, the search for modes, and proposals that cover all of them."""

import numpy as np
import pytest
from numpy.typing import NDArray

import segmix
from segmix.imaging.image import as_image
from segmix.imaging.levels import count_levels
from segmix.mixture import kernels, starts
from segmix.mixture.density import Likelihood, Observed, Parameters, Target, observe, pack
from segmix.mixture.em import em_step
from segmix.mixture.modes import climb, find_modes, fit_em
from segmix.mixture.priors import Priors
from segmix.mixture.proposals import Proposal, _reorder
from segmix.mixture.starts import good_starts, random_starts
from segmix.samples import count_samples


def _mixture(n: int, weights: list[float], means: list[float], stds: list[float]) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    z = rng.choice(len(weights), n, p=weights)
    return np.clip(np.rint(rng.normal(np.array(means)[z], np.array(stds)[z])), 0, 255).astype(np.uint8)[None]


def _target(pixels: NDArray[np.uint8], n_classes: int, quantization: object = "auto") -> Target:
    observed = observe(count_levels(as_image(pixels), quantization=quantization))  # type: ignore[arg-type]
    return Target(observed, Priors().resolve(observed, n_classes))


@pytest.mark.parametrize("quantization", ["auto", None])
def test_em_never_lowers_the_likelihood(quantization: object) -> None:
    observed = _target(_mixture(2000, [0.3, 0.7], [60, 120], [15, 20]), 2, quantization).observed
    parameters = Parameters(np.array([[0.5, 0.5]]), np.array([[90.0, 100.0]]), np.array([[30.0, 10.0]]))
    likelihoods = []
    for _ in range(60):
        likelihood, parameters = em_step(observed, parameters)
        likelihoods.append(likelihood[0])
    assert (np.diff(likelihoods) > -1e-7).all()
    assert likelihoods[-1] > likelihoods[0] + 100


@pytest.mark.parametrize("quantization", ["auto", None])
def test_em_ends_where_the_gradient_is_zero(quantization: object) -> None:
    observed = _target(_mixture(2000, [0.3, 0.7], [60, 120], [15, 20]), 2, quantization).observed
    parameters, likelihood = fit_em(observed, 2, tolerance=1e-14, rng=np.random.default_rng(1))
    total, sizes, by_mean, by_log_std = kernels.scores(
        observed.nodes, observed.counts, *(part[None] for part in parameters)
    )
    assert total[0] == pytest.approx(likelihood, abs=1e-3)
    # in units of the standard errors, so that 0.01 is far below what the posterior can tell
    assert np.abs(by_mean * parameters.stds / np.sqrt(sizes)).max() < 0.01
    assert np.abs(by_log_std / np.sqrt(2 * sizes)).max() < 0.01
    assert (np.diff(parameters.means) > 0).all()


def test_a_mode_is_a_maximum_of_the_posterior() -> None:
    target = _target(_mixture(2000, [0.3, 0.7], [60, 120], [15, 20]), 2)
    mode = find_modes(target, 2, rng=np.random.default_rng(1))[0]
    around = mode.point + 0.3 * mode.scales * np.random.default_rng(2).normal(size=(500, 5))
    assert (target.log_density(around) < mode.log_density).all()
    assert climb(target, around[0]).point == pytest.approx(mode.point, abs=1e-3)


def test_a_narrow_class_inside_a_broad_one_is_found_from_every_seed() -> None:
    """Gray ground between darker and brighter things: two quantile slices climb to a far worse mode."""
    target = _target(_mixture(100_000, [0.2, 0.5, 0.3], [95, 128, 165], [8, 4, 8]), 2)
    best = [find_modes(target, 2, rng=np.random.default_rng(seed))[0] for seed in range(6)]
    assert np.ptp([mode.log_density for mode in best]) < 1e-3
    assert min(np.exp(mode.point[3:]).min() for mode in best) < 4.2


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 1, 3, 2), (3, 1, 0, 2)])
def test_the_matrix_of_an_order_reorders_the_classes(order: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    weights, means, stds = rng.dirichlet(np.ones(4)), rng.normal(size=4), rng.random(4) + 0.1
    expected = pack(Parameters(*(part[list(order)] for part in (weights, means, stds))))
    np.testing.assert_allclose(_reorder(order) @ pack(Parameters(weights, means, stds)), expected, atol=1e-12)


@pytest.mark.parametrize(
    "priors",
    [
        segmix.Priors(),
        segmix.Priors(weights=segmix.Dirichlet((1.0, 1.0001))),
        segmix.Priors(means=segmix.Normal((125.0, 131.0), 10.0)),
    ],
    ids=["the same", "nearly the same", "of its own"],
)
def test_classes_of_equal_means_are_in_both_orders(priors: segmix.Priors) -> None:
    """Which of two classes with one mean is the broad one: both samplers must say the same."""
    pixels = _mixture(2000, [0.5, 0.5], [128, 128], [5, 20])
    shares, errors = [], []
    for sampler in ("independence", "gibbs"):
        posterior = segmix.fit(
            pixels, sampler=sampler, priors=priors, draws=4000, until_converged=False, rng=1
        )
        broad = posterior.stds[..., 0] > posterior.stds[..., 1]
        shares.append(broad.mean())
        errors.append(segmix.diagnostics.summarize(broad.astype(float)).mcse_mean)
    assert 0.05 < shares[0] < 0.95
    assert abs(shares[0] - shares[1]) < 4.5 * np.hypot(*errors)


def test_three_classes_of_equal_means_are_in_all_orders() -> None:
    """The narrow class comes last in about one draw of six, which no single exchange reaches."""
    pixels = _mixture(6000, [0.4, 0.3, 0.3], [128, 128, 128], [3, 12, 40])
    shares, errors = [], []
    for sampler in ("independence", "gibbs"):
        posterior = segmix.fit(pixels, n_classes=3, sampler=sampler, draws=4000, until_converged=False, rng=1)
        last = posterior.stds.argmin(axis=2) == 2
        shares.append(last.mean())
        errors.append(segmix.diagnostics.summarize(last.astype(float)).mcse_mean)
    assert min(shares) > 0.03
    assert abs(shares[0] - shares[1]) < 4.5 * np.hypot(*errors)


@pytest.mark.parametrize(
    ("priors", "best"),
    [
        (segmix.Priors(stds=segmix.Uniform(4.0, 60.0)), -89121),
        (segmix.Priors(means=segmix.Uniform((0.0, 136.0), (129.0, 255.0))), -88866),
    ],
    ids=["stds", "means"],
)
@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
def test_a_bound_that_cuts_off_the_maximum_does_not_hide_its_mode(
    priors: segmix.Priors, best: float, sampler: str
) -> None:
    """EM ends beyond the bound; the other mode, 2000 nats below, was all that used to be found.

    ``best``: the highest log posterior that a plain random walk from the good side found; 5 parameters lose
    2.5 nats on average, 8 is more than one draw in a thousand loses.
    """
    pixels = _mixture(20_000, [0.2, 0.5, 0.3], [95, 128, 165], [8, 4, 8])
    posterior = segmix.segment(pixels, priors=priors, sampler=sampler, rng=1).posterior
    assert posterior.converged
    assert posterior.log_posterior.mean() > best - 8


def test_a_proposal_density_integrates_its_draws() -> None:
    """E_q[r / q] = 1 for a density r inside q, here one component of two."""
    rng = np.random.default_rng(4)
    factor = np.linalg.cholesky(np.array([[2.0, 0.6], [0.6, 1.0]]))
    both = Proposal(
        np.array([0.7, 0.3]), np.array([[0.0, 0.0], [3.0, 1.0]]), np.stack([factor, 0.5 * factor])
    )
    one = Proposal(np.array([1.0]), both.centers[:1], both.factors[:1])
    points = both.draw(20_000, rng=rng)
    ratio = np.exp(one.log_density(points) - both.log_density(points))
    assert ratio.mean() == pytest.approx(1, abs=4.5 * ratio.std() / np.sqrt(len(ratio)))


def test_em_reaches_the_peak_of_a_flat_likelihood() -> None:
    """EM's own steps end at 127.2 and 208.4; BFGS from there, without our Hessian, at 135.1 and 212.0."""
    data = segmix.simulate_mixture(500, (0.25, 0.75), (100, 200), (50, 50), rng=5)
    observed = observe(count_samples(data, quantization=None))
    found, likelihood = fit_em(observed, 2, rng=np.random.default_rng(5))
    assert found.means == pytest.approx([135.1, 212.0], abs=0.2)
    assert likelihood == pytest.approx(-2818.48288, abs=1e-5)


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_the_gradient_of_the_likelihood_is_its_slope(n_classes: int) -> None:
    observed = _target(_mixture(2000, [0.3, 0.7], [60, 120], [15, 20]), 2).observed
    density, rng = Likelihood(observed, n_classes), np.random.default_rng(4)
    stds = rng.uniform(10, 30, n_classes)
    parts = Parameters(rng.dirichlet(np.full(n_classes, 5.0)), np.sort(rng.uniform(50, 130, n_classes)), stds)
    point, steps = pack(parts), 1e-4 * np.eye(3 * n_classes - 1)
    slopes = (density.log_density(point + steps) - density.log_density(point - steps)) / 2e-4
    np.testing.assert_allclose(density.gradient(point[None])[0], slopes, rtol=1e-5, atol=1e-4)


def test_the_number_of_starts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen classes once took 768 starts."""
    drawn: list[int] = []

    def counted(observed: Observed, n_classes: int, n: int, *, rng: np.random.Generator) -> Parameters:
        drawn.append(n)
        return random_starts(observed, n_classes, n, rng=rng)

    monkeypatch.setattr(starts, "random_starts", counted)
    observed = _target(_mixture(2000, [0.3, 0.7], [60, 120], [15, 20]), 2).observed
    for n_classes in (2, 5, 8):
        good_starts(observed, n_classes, rng=np.random.default_rng(1))
    assert drawn == [64, 400, 400]
