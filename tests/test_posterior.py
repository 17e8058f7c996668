"""The posterior's numbers, its file, and ArviZ's view of it."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

import segmix
from segmix import Posterior
from segmix.errors import InputError, OutputError


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    truth = np.arange(4096).reshape(64, 64) % 64 > 40
    noise = np.random.default_rng(1).normal(0, 20, truth.shape)
    pixels = np.clip(np.rint(60 + 120 * truth + noise), 0, 255).astype(np.uint8)
    return segmix.segment(pixels, rng=1, draws=400).posterior


def assert_same(one: object, other: object) -> None:
    """Compare dataclasses, tuples and arrays to the last bit."""
    if dataclasses.is_dataclass(one):
        one, other = ([getattr(x, field.name) for field in dataclasses.fields(one)] for x in (one, other))
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def test_shapes_and_order(posterior: Posterior) -> None:
    assert posterior.means.shape == posterior.stds.shape == posterior.weights.shape == (4, 400, 2)
    assert (np.diff(posterior.means, axis=2) > 0).all()
    np.testing.assert_allclose(posterior.weights.sum(axis=2), 1)
    assert posterior.converged
    assert repr(posterior) == "<Posterior 2 classes, 4 chains x 400 draws, independence, converged>"


def test_summary_is_of_the_draws(posterior: Posterior) -> None:
    row = posterior.summary()["means[1]"]
    draws = posterior.means[:, :, 1]
    assert row.mean == pytest.approx(draws.mean())
    assert row.sd == pytest.approx(draws.std(ddof=1))
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(draws, (0.03, 0.97))))


def test_log_posterior_is_likelihood_times_prior(posterior: Posterior) -> None:
    import naive

    from segmix.imaging.levels import Levels
    from segmix.mixture.density import observe
    from segmix.mixture.priors import Priors

    levels = Levels(
        posterior.values, posterior.counts, posterior.step, posterior.open_ends,
        np.zeros(0, np.uint8), np.zeros(0, np.intp), None,
    )  # fmt: skip
    observed = observe(levels)
    priors = Priors.from_dict(dict(posterior.priors)).resolve(observed, 2)
    parameters = [part[2, 7] for part in (posterior.weights, posterior.means, posterior.stds)]
    expected = naive.log_likelihood(observed, *parameters) + float(priors.log_density(*parameters))
    assert posterior.log_posterior[2, 7] == pytest.approx(expected, rel=1e-9)


def test_round_trip(posterior: Posterior, tmp_path: Path) -> None:
    posterior.save(tmp_path / "posterior.nc")
    again = Posterior.load(tmp_path / "posterior.nc")
    assert_same(posterior, again)
    posterior.sel(draw=slice(0, 100, 3)).save(tmp_path / "thin.nc")
    assert_same(posterior.sel(draw=slice(0, 100, 3)), Posterior.load(tmp_path / "thin.nc"))


def test_same_bytes(posterior: Posterior, tmp_path: Path) -> None:
    posterior.save(tmp_path / "a.nc")
    posterior.save(tmp_path / "b.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


@pytest.mark.filterwarnings("ignore")  # ArviZ's own, on import
def test_arviz_opens_the_file(posterior: Posterior, tmp_path: Path) -> None:
    arviz = pytest.importorskip("arviz")
    posterior.save(tmp_path / "posterior.nc")
    data = arviz.from_netcdf(tmp_path / "posterior.nc")
    np.testing.assert_array_equal(data["posterior"]["means"].values, posterior.means)
    assert data["posterior"]["means"].dims == ("chain", "draw", "class")
    np.testing.assert_array_equal(data["observed_data"]["counts"].values, posterior.counts)
    rows = arviz.summary(data, var_names=["means"], kind="diagnostics", round_to=12)
    assert float(rows["r_hat"].iloc[0]) == pytest.approx(posterior.summary()["means[0]"].r_hat, abs=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_to_inference_data(posterior: Posterior) -> None:
    pytest.importorskip("arviz")
    data = posterior.to_inference_data()
    np.testing.assert_array_equal(data["posterior"]["stds"].values, posterior.stds)
    assert data["posterior"]["stds"].dims == ("chain", "draw", "class")
    np.testing.assert_array_equal(data["observed_data"]["levels"].values, posterior.values)
    np.testing.assert_array_equal(data["sample_stats"]["lp"].values, posterior.log_posterior)
    assert tuple(data["constant_data"]["open_ends"].values) == posterior.open_ends
    assert data["posterior"].attrs["seed"] == "1"


def test_an_existing_file_stays(posterior: Posterior, tmp_path: Path) -> None:
    path = tmp_path / "posterior.nc"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"posterior\.nc: exists already"):
        posterior.save(path)
    assert path.read_text() == "mine"
    posterior.save(path, overwrite=True)
    assert Posterior.load(path).seed == 1


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "other", "newer"])
def test_files_that_are_no_posterior(posterior: Posterior, tmp_path: Path, kind: str) -> None:
    import h5netcdf

    path = tmp_path / "posterior.nc"
    if kind != "missing":
        posterior.save(path)
    if kind in ("empty", "text", "truncated"):
        path.write_bytes({"empty": b"", "text": b"hello", "truncated": path.read_bytes()[:5000]}[kind])
    if kind == "other":
        path.unlink()
        with h5netcdf.File(path, "w") as file:
            file.create_group("posterior")
    if kind == "newer":
        with h5netcdf.File(path, "r+") as file:
            file["posterior"].attrs["segmix_format"] = 99
    expected = {
        "missing": "no such file",
        "empty": "posterior.nc: the file is empty",
        "newer": "written by a newer segmix; upgrade segmix",
    }
    with pytest.raises(InputError, match=expected.get(kind, "is not a posterior that segmix wrote")):
        Posterior.load(path)


def test_a_pipe_is_no_posterior(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a named pipe, not a regular file"):
        Posterior.load(tmp_path / "pipe")


def test_attributes_of_another_type(posterior: Posterior, tmp_path: Path) -> None:
    import h5netcdf

    posterior.save(tmp_path / "a.nc")
    with h5netcdf.File(tmp_path / "a.nc", "r+") as file:
        file["posterior"].attrs["priors"] = 3
    with pytest.raises(InputError, match="is not a posterior that segmix wrote, or is damaged"):
        Posterior.load(tmp_path / "a.nc")
