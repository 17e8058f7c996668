"""A chain that is continued is the chain that never stopped."""

from pathlib import Path

import numpy as np
import pytest

import segmix
from segmix import Posterior, Priors
from segmix.errors import InputError, OptionError
from segmix.imaging.levels import Levels
from segmix.mixture.independence import BLOCK
from segmix.mixture.sampling import Plan, Sampler
from segmix.posterior import sample

from .test_posterior import assert_same


@pytest.fixture(scope="module")
def levels() -> Levels:
    rng = np.random.default_rng(1)
    exact = rng.normal(np.where(rng.random((60, 60)) < 0.4, 60, 120), 20)
    return segmix.count_levels(segmix.as_image(np.clip(np.rint(exact), 0, 255).astype(np.uint8)))


def run(levels: Levels, draws: int, sampler: Sampler = "independence", **options: int) -> Posterior:
    plan = Plan(sampler, draws, 70, 2, 3, until_converged=False, **options)
    return sample(levels, n_classes=2, priors=Priors(), plan=plan)


@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
@pytest.mark.parametrize("pieces", [(500, 207), (4, 1, 702), (BLOCK - 70, BLOCK, 707 - 2 * BLOCK + 70)])
def test_extending_equals_one_longer_run(levels: Levels, sampler: Sampler, pieces: tuple[int, ...]) -> None:
    posterior = run(levels, pieces[0], sampler)
    for more in pieces[1:]:
        posterior = posterior.extend(more)
    assert_same(posterior, run(levels, sum(pieces), sampler))


@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
def test_extending_from_a_file_equals_one_longer_run(
    levels: Levels, sampler: Sampler, tmp_path: Path
) -> None:
    run(levels, 100, sampler).save(tmp_path / "posterior.nc")
    again = Posterior.load(tmp_path / "posterior.nc").extend(333)
    assert_same(again, run(levels, 433, sampler))
    assert again.summary() == run(levels, 433, sampler).summary()


def test_extending_keeps_the_thinning(levels: Levels) -> None:
    assert_same(run(levels, 40, thin=5).extend(30), run(levels, 70, thin=5))
    kept = run(levels, 40, thin=5)
    np.testing.assert_array_equal(kept.means, run(levels, 200).means[:, 4::5])
    thinned = run(levels, 200).thin(5)
    np.testing.assert_array_equal(thinned.means, kept.means)
    np.testing.assert_array_equal(thinned.extend(30).means, run(levels, 350).means[:, 4::5])


def test_a_longer_burn_in_moves_draws_to_the_tune(levels: Levels) -> None:
    whole = run(levels, 200)
    later = whole.sel(draw=slice(50, None))
    np.testing.assert_array_equal(later.means, whole.means[:, 50:])
    np.testing.assert_array_equal(later.warmup.means[:, 70:], whole.means[:, :50])
    assert (later.tune, later.n_draws) == (120, 150)
    assert_same(later.extend(10).steps, run(levels, 210).sel(draw=slice(50, None)).steps)
    np.testing.assert_array_equal(whole.sel(draw=slice(50, 150, 5), chain=1).stds, whole.stds[[1], 50:150:5])


def test_what_is_cut_off_cannot_be_continued(levels: Levels) -> None:
    whole = run(levels, 200)
    for part in (whole.sel(draw=slice(0, 100)), whole.sel(chain=0), whole.thin(3)):
        with pytest.raises(OptionError, match="extend needs the end of every chain"):
            part.extend(10)


@pytest.mark.parametrize("draws", [0, -1, 1.5, True, 10**9])
def test_wrong_draws(levels: Levels, draws: object) -> None:
    with pytest.raises(OptionError, match="draws must be a whole number from 1 to"):
        run(levels, 10).extend(draws)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "selection", [{"draw": slice(10, 10)}, {"draw": slice(None, None, -1)}, {"chain": []}]
)
def test_wrong_selections(levels: Levels, selection: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="must"):
        run(levels, 10).sel(**selection)  # type: ignore[arg-type]


def test_changed_priors_are_found(levels: Levels, tmp_path: Path) -> None:
    import h5netcdf

    path = tmp_path / "posterior.nc"
    run(levels, 10).save(path)
    with h5netcdf.File(path, "r+") as file:
        attributes = file["posterior"].attrs
        attributes["priors"] = attributes["priors"].replace("normal", "uniform", 1)
    with pytest.raises(InputError, match="its data or priors were changed after it was sampled; sample anew"):
        Posterior.load(path)
