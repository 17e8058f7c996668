"""A chain that is continued is the chain that never stopped."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import segmix
from segmix import Posterior, Priors
from segmix.errors import InputError, OptionError
from segmix.fitting import Data, sample
from segmix.imaging.levels import Levels
from segmix.mixture import plan as plans
from segmix.mixture.independence import BLOCK
from segmix.mixture.plan import Plan, Sampler

from .sealing import changed
from .test_posterior import assert_same


@pytest.fixture(scope="module")
def levels() -> Levels:
    rng = np.random.default_rng(1)
    exact = rng.normal(np.where(rng.random((60, 60)) < 0.4, 60, 120), 20)
    return segmix.count_levels(segmix.as_image(np.clip(np.rint(exact), 0, 255).astype(np.uint8)))


def run(levels: Levels, draws: int, sampler: Sampler = "independence", **options: int) -> Posterior:
    plan = Plan(sampler, draws, 70, 2, 3, until_converged=False, **options)
    return sample(Data(levels), n_classes=2, priors=Priors(), plan=plan)


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


def test_what_went_on_from_a_file_is_written_with_the_same_bytes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 9, (20, 20), dtype=np.uint8)
    row = segmix.simulate_mixture(200, (0.4, 0.6), (0, 9), (1, 2), rng=1)
    for name, data in (("picture", pixels), ("row", row)):
        posterior = segmix.fit(data, draws=20, until_converged=False, rng=1)
        posterior.save(tmp_path / f"{name}.nc")
        segmix.fitting.save_fit(posterior.extend(30), tmp_path / f"{name} at once")
        again = Posterior.load(tmp_path / f"{name}.nc").extend(30)
        segmix.fitting.save_fit(again, tmp_path / f"{name} again")
        for file in ("posterior.nc", "summary.json"):
            whole = [(tmp_path / f"{name} {kind}" / file).read_bytes() for kind in ("at once", "again")]
            assert whole[0] == whole[1], file


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
    "selection",
    [
        *({"draw": slice(*ends)} for ends in ((10, 10), (9, None), (None, None, 4), (None, None, -1))),
        *({"draw": slice(*ends)} for ends in ((None, None, 0), (1.5, None), ("a", None))),
        *({"draw": draw} for draw in (5, [1, 2], "a", 0)),
        *({"chain": chain} for chain in ([], 9, -5, "a", 1.5, [0, 0], True, [[0, 1]])),
    ],
)
def test_wrong_selections(levels: Levels, selection: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="must"):
        run(levels, 10).sel(**selection)  # type: ignore[arg-type]


def test_what_is_left_has_a_summary(levels: Levels) -> None:
    whole = run(levels, 10)
    for part in (whole.thin(2), whole.sel(draw=slice(6, None)), whole.sel(chain=-1)):
        assert part.summary()
        assert repr(part)
    with pytest.raises(OptionError, match="every must be a whole number from 1 to 2, got 3"):
        whole.thin(3)


def test_all_chains_by_name_go_on(levels: Levels) -> None:
    whole = run(levels, 200)
    again = [whole.sel(chain=chain).extend(10).means for chain in (slice(None), range(whole.n_chains), None)]
    for means in again:
        np.testing.assert_array_equal(means, again[-1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priors", None),
        ("sampler", "gibbs"),
        ("seed", "4"),
        ("thinned", 2),
        ("step", 0.5),
        ("open_ends", [0, 1]),
    ],
)
def test_what_was_changed_after_sampling_is_found(
    levels: Levels, tmp_path: Path, name: str, value: object
) -> None:
    path = tmp_path / "posterior.nc"
    run(levels, 10).save(path)
    with changed(path) as file:
        attributes = file["posterior"].attrs
        if name in ("step", "open_ends"):
            assert np.any(file["constant_data"][name][...] != value)
            file["constant_data"][name][...] = value
        elif name == "priors":
            attributes["priors"] = attributes["priors"].replace("[", "[1", 1)
        else:
            assert attributes[name] != value
            attributes[name] = value
    with pytest.raises(InputError, match=r"its data, priors or sampling were changed .*; sample anew"):
        Posterior.load(path)


@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
def test_chains_of_other_data_or_priors_do_not_go_on(levels: Levels, sampler: Sampler) -> None:
    """As from a file, which has a digest."""
    posterior = run(levels, 10, sampler=sampler)
    priors = {part: dict(family) for part, family in posterior.priors.items()}
    priors["weights"]["concentration"] = [2.0, 1.0]
    counts = posterior.counts.copy()
    counts[0] += 1
    wider = (True, not posterior.open_ends[1])
    changes = {"priors": [priors, Priors.lecture().to_dict()], "counts": [counts], "open_ends": [wider]}
    for name, values in changes.items():
        for value in values:
            with pytest.raises(InputError, match="data or priors were changed after it was sampled; sample"):
                dataclasses.replace(posterior, **{name: value}).extend(10)
    same = dataclasses.replace(posterior, priors=Priors.from_dict(dict(posterior.priors)).to_dict())
    np.testing.assert_array_equal(same.extend(10).means, posterior.extend(10).means)


def test_only_chains_that_are_known_go_on(levels: Levels) -> None:
    with pytest.raises(OptionError, match="sampler must be independence or gibbs to go on, got 'nuts'"):
        dataclasses.replace(run(levels, 10), sampler="nuts").extend(5)


def test_plain_sweeps_go_on_from_a_file(levels: Levels, tmp_path: Path) -> None:
    plan = Plan("gibbs", 60, 10, 2, 3, until_converged=False, jumps=False)
    posterior = sample(Data(levels), n_classes=2, priors=Priors(), plan=plan)
    posterior.save(tmp_path / "plain.nc")
    longer = Posterior.load(tmp_path / "plain.nc").extend(50)
    at_once = sample(Data(levels), n_classes=2, priors=Priors(), plan=dataclasses.replace(plan, draws=110))
    np.testing.assert_array_equal(longer.means, at_once.means)
    jumping = sample(Data(levels), n_classes=2, priors=Priors(), plan=dataclasses.replace(plan, jumps=True))
    assert (jumping.means != posterior.means).any()
    with pytest.raises(OptionError, match="jumps are of gibbs, got none for independence"):
        Plan("independence", 60, 10, 2, 3, jumps=False)


def test_a_posterior_cannot_grow_beyond_its_limit(levels: Levels, monkeypatch: pytest.MonkeyPatch) -> None:
    posterior, plain = run(levels, 60), run(levels, 40, thin=5)
    monkeypatch.setattr(plans, "MAX_NUMBERS", 400)  # 100 draws of two chains and two classes
    watched: list[int] = []
    with pytest.raises(OptionError, match="draws must be a whole number from 1 to 40, got 41"):
        posterior.extend(41, watch=lambda done, draws, so_far: watched.append(done))
    assert watched == []
    whole = posterior.extend(40)
    with pytest.raises(OptionError, match="at most 100 draws a chain, this one has 100; thin it"):
        whole.extend(1)
    assert whole.thin(5).extend(20).n_draws == 40
    with pytest.raises(OptionError, match="draws must be a whole number from 1 to 20, got 21"):
        plain.extend(21)
