"""The joint sampler of labels, classes and beta: simulated fields and its promises."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import Dirichlet, Priors
from segmix.diagnostics import ParameterSummary
from segmix.errors import OptionError
from segmix.imaging.image import as_image
from segmix.imaging.levels import count_levels
from segmix.mixture.density import Parameters
from segmix.mixture.plan import Plan
from segmix.potts.beginning import find_beginning
from segmix.potts.chains import pose
from segmix.potts.lattice import Lattice
from segmix.potts.options import PottsOptions
from segmix.potts.philox import keys_of
from segmix.potts.sampling import FieldRun, sample_field
from segmix.potts.sweeps import Sweeps

from .test_potts_coverage import Picture, bayes_labels

Array = NDArray[np.float64]


def field_of(shape: tuple[int, ...], beta: float, n_classes: int, *, seed: int, n: int = 400) -> Any:
    """Labels from the prior by Swendsen-Wang, from a random start."""
    lattice = Lattice(shape)
    sweeps = Sweeps(lattice, np.zeros(shape, np.uint8), 1, n_classes)
    rng = np.random.default_rng(seed)
    labels = sweeps.lay_out(rng.integers(0, n_classes, shape, dtype=np.uint8))
    for number in range(n):
        sweeps.sweep_clusters(labels, np.zeros((1, n_classes)), beta, keys=keys_of(seed), number=number)
    return lattice.join(labels)


def picture(
    labels: Any, means: tuple[float, ...], std: float, rng: np.random.Generator, dtype: Any = np.uint8
) -> NDArray[Any]:
    top = np.iinfo(dtype).max
    exact = rng.normal(np.take(means, labels), std)
    return np.clip(np.rint(exact), 0, top).astype(dtype)


PLAN = Plan("potts", 400, 200, 3, 1, until_converged=False)


def summary_of(found: FieldRun) -> dict[str, ParameterSummary]:
    assert found.run.summary is not None
    return found.run.summary


def run(pixels: Any, *, options: PottsOptions | None = None, **plan: Any) -> FieldRun:
    levels = count_levels(as_image(pixels))
    return sample_field(
        levels, n_classes=2, priors=Priors(), options=options or PottsOptions(), plan=replace(PLAN, **plan)
    )


@pytest.fixture(scope="module")
def noisy() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A field at beta 1 whose classes lie two sds apart."""
    labels = field_of((128, 128), 1.0, 2, seed=3)
    return labels, picture(labels, (100.0, 140.0), 20.0, np.random.default_rng(4))


def test_a_simulated_field_is_found(noisy: Any) -> None:
    labels, pixels = noisy
    found = run(pixels, draws=1000)
    for name, truth in (("means[0]", 100.0), ("means[1]", 140.0), ("stds[0]", 20.0), ("beta", 1.0)):
        row = summary_of(found)[name]
        assert abs(row.mean - truth) < 4.5 * row.sd, (name, row)
    known = run(pixels, draws=1000, options=PottsOptions(beta=1.0))
    assert "beta" not in summary_of(known)
    errors = [(x.probabilities.argmax(axis=0) != labels).mean() for x in (found, known)]
    threshold = (labels != (pixels > 120)).mean()
    assert errors[0] < 0.4 * threshold
    assert abs(errors[0] - errors[1]) < 0.02 * errors[1] + 0.001


def test_classes_under_much_noise_are_found_by_every_chain() -> None:
    """One sd apart, one pixel of twenty bright: of single pixels the mixture tells nothing of this."""
    labels = field_of((256, 256), 1.0, 2, seed=3)
    labels = labels if labels.mean() < 0.5 else 1 - labels
    assert labels.mean() < 0.1
    pixels = picture(labels, (118.0, 138.0), 20.0, np.random.default_rng(5))
    found = run(pixels, draws=300, tune=100)
    later = found.run.steps.select(slice(200, None))
    assert np.abs(later.weights[..., 1].mean(axis=1) - labels.mean()).max() < 0.02
    assert np.abs(later.means.mean(axis=1) - [118.0, 138.0]).max() < 5
    truth = Parameters(np.array([0.5, 0.5]), np.array([118.0, 138.0]), np.array([20.0, 20.0]))
    best = bayes_labels(Picture(pixels, labels, truth, 1.0, Priors()), 1)
    assert (found.probabilities.argmax(axis=0) != labels).mean() < 1.02 * (best != labels).mean()


@pytest.mark.parametrize("shape", [(96, 96), (900, 800), (24, 24, 24)])
@pytest.mark.parametrize("apart", [40.0, 60.0])
def test_strangers_begin_at_their_mixture(shape: tuple[int, ...], apart: float) -> None:
    rng = np.random.default_rng(1)
    means = (120.0 - apart / 2, 120.0 + apart / 2)
    pixels = picture((rng.random(shape) < 0.3).astype(np.uint8), means, 20.0, rng)
    problem = pose(
        count_levels(as_image(pixels)), n_classes=2, priors=Priors(), options=PottsOptions(1.0), seed=1
    )
    begun = find_beginning(problem._replace(beta=None), seed=1)
    error = (
        4.5 * (8 if apart == 40 else 2) * 20 / np.sqrt(0.3 * pixels.size)
    )  # sds overlapping means are vague by
    assert np.abs(begun.parameters.means - means).max() < error
    assert begun.beta < 0.15
    assert begun.logits[0] - begun.logits[1] == pytest.approx(np.log(7 / 3), abs=0.1 + error / 10)


@pytest.mark.parametrize(("weights", "prior"), [("equal", Dirichlet(1e6)), ("infer", Dirichlet(1.0))])
def test_without_coupling_it_is_a_mixture(weights: Any, prior: Dirichlet) -> None:
    """At beta 0 pixels are strangers: the mixture with the same prior of weights is the reference."""
    rng = np.random.default_rng(4)
    pixels = picture((rng.random((96, 96)) < 0.3).astype(np.uint8), (90.0, 150.0), 20.0, rng)
    ours = run(pixels, draws=2000, options=PottsOptions(beta=0.0, weights=weights))
    from segmix import fit

    theirs = fit(pixels, priors=Priors(weights=prior), draws=2000, rng=1)
    rows = {
        name: (summary_of(ours)[name], theirs.summary()[name]) for name in ("means[0]", "means[1]", "stds[0]")
    }
    if weights == "infer":
        rows["weights[0]"] = summary_of(ours)["field[0]"], theirs.summary()["weights[0]"]
    for name, (one, other) in rows.items():
        error = np.hypot(one.mcse_mean, other.mcse_mean)
        assert abs(one.mean - other.mean) < 4.5 * error, name


def test_the_same_seed_gives_the_same_bytes(noisy: Any) -> None:
    first, again = (run(noisy[1], draws=50, tune=20) for _ in range(2))
    for one, other in zip(first.run.steps, again.run.steps, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    other = run(noisy[1], draws=50, tune=20, seed=2)
    assert (other.run.steps.means != first.run.steps.means).any()


def test_pixels_outside_the_domain_have_no_say(noisy: Any) -> None:
    _, pixels = noisy
    domain = np.zeros(pixels.shape, bool)
    domain[10:100, 5:90] = True
    inside = count_levels(as_image(pixels, domain=domain))
    cut = count_levels(as_image(np.ascontiguousarray(pixels[10:100, 5:90])))
    part, alone = (
        sample_field(
            levels, n_classes=2, priors=Priors(), options=PottsOptions(1.0, weights="equal"), plan=PLAN
        )
        for levels in (inside, cut)
    )
    assert np.isnan(part.probabilities[:, ~domain]).all()
    for name, row in summary_of(part).items():
        other = summary_of(alone)[name]
        assert abs(row.mean - other.mean) < 4.5 * np.hypot(row.mcse_mean, other.mcse_mean), name
    apart = np.abs(part.probabilities[1][domain] - alone.probabilities[1].ravel())
    assert apart.mean() < 0.02


def test_volumes_and_wide_types(noisy: Any) -> None:
    labels = field_of((24, 30, 20), 0.6, 2, seed=5)
    pixels = picture(labels, (9000.0, 21000.0), 5000.0, np.random.default_rng(1), np.uint16)
    found = run(pixels, options=PottsOptions(beta=0.6), draws=200)
    assert found.probabilities.shape == (2, 24, 30, 20)
    assert (found.probabilities.argmax(axis=0) != labels).mean() < 0.08


@pytest.mark.parametrize("beta", [-0.1, float("nan"), float("inf"), "pseudos", True])
def test_wrong_betas(beta: Any) -> None:
    with pytest.raises(OptionError, match="beta must be 'infer', 'pseudo' or a number from 0 to"):
        PottsOptions(beta=beta)
