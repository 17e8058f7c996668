"""The posterior's numbers, its file, and ArviZ's view of it."""

import dataclasses
import gc
import os
from pathlib import Path

import numpy as np
import pytest

import segmix
from segmix import Posterior
from segmix.errors import InputError, OutputError

from .sealing import changed


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


@pytest.mark.parametrize("cut", [1, 2, 31, 32, 33, 45, 46, 47, 100, 1000])
def test_a_file_that_was_cut_is_refused(posterior: Posterior, tmp_path: Path, cut: int) -> None:
    posterior.save(tmp_path / "a.nc")
    whole = (tmp_path / "a.nc").read_bytes()
    (tmp_path / "a.nc").write_bytes(whole[:-cut])
    with pytest.raises(InputError, match=r"is damaged \(.*; make it anew"):
        Posterior.load(tmp_path / "a.nc")
    (tmp_path / "a.nc").write_bytes(whole + b"\n")
    with pytest.raises(InputError, match="its checksum is wrong"):
        Posterior.load(tmp_path / "a.nc")


def test_what_another_program_wrote_again_is_refused(posterior: Posterior, tmp_path: Path) -> None:
    import h5py

    posterior.save(tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        file["posterior"].attrs["seed"] = "2"
    with pytest.raises(InputError, match="its checksum is missing, so that it was cut, or another program"):
        Posterior.load(tmp_path / "a.nc")


def test_a_pipe_is_no_posterior(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a named pipe, not a regular file"):
        Posterior.load(tmp_path / "pipe")


def test_attributes_of_another_type(posterior: Posterior, tmp_path: Path) -> None:
    posterior.save(tmp_path / "a.nc")
    with changed(tmp_path / "a.nc") as file:
        file["posterior"].attrs["priors"] = 3
    with pytest.raises(InputError, match="is not a posterior that segmix wrote, or is damaged"):
        Posterior.load(tmp_path / "a.nc")
    posterior.save(tmp_path / "b.nc")
    with changed(tmp_path / "b.nc") as file:
        file["posterior"].attrs["notes"] = np.zeros(5)
    with pytest.raises(InputError, match="notes is more than one text or number"):
        Posterior.load(tmp_path / "b.nc")


def test_source_column_and_truth_come_back(tmp_path: Path) -> None:
    samples = segmix.simulate_mixture(50, (0.5, 0.5), (0, 9), (1, 1), rng=1)
    fitted = segmix.fit(samples, draws=20, until_converged=False, rng=1)
    known = dataclasses.replace(fitted, source="a \udcff.csv", column="\u03b2")
    known.save(tmp_path / "a.nc")
    again = Posterior.load(tmp_path / "a.nc").extend(5)
    assert (again.source, again.column, again.truth) == (known.source, known.column, samples.truth)


def test_the_summary_is_that_of_the_draws_after_every_change(posterior: Posterior) -> None:
    for part in (posterior, posterior.thin(2), posterior.sel(chain=[0, 1]), posterior.extend(10)):
        row = part.summary()["means[0]"]
        assert row.mean == pytest.approx(part.means[:, :, 0].mean(), rel=1e-12)


def impossible(posterior: Posterior) -> dict[str, Posterior]:
    """Posteriors with one thing that cannot be; without the end of the chains, so that no digest finds it."""
    steps = posterior.steps
    holed, descending = steps.means.copy(), steps.means.copy()
    holed[1, 2], descending[1, 2] = np.nan, [9.0, 1.0]
    changes = {
        "nan": {"steps": steps._replace(means=holed)},
        "descending": {"steps": steps._replace(means=descending)},
        "shares": {"steps": steps._replace(weights=2 * steps.weights)},
        "stds": {"steps": steps._replace(stds=-steps.stds)},
        "types": {"steps": steps._replace(stds=np.ones(steps.stds.shape, int))},
        "empty": {"steps": steps.select(slice(0))},
        "warmup": {"warmup": posterior.warmup.of_chains(np.arange(2))},
        "levels": {"values": posterior.values[::-1]},
        "counts": {"counts": -posterior.counts},
        "step": {"step": -1.0},
        "sampler": {"sampler": "magic"},
        "seed": {"seed": -1},
        "thinned": {"thinned": 0},
        "priors": {"priors": {"means": {}}},
        "source": {"source": 3},
    }
    return {name: dataclasses.replace(posterior, state=None, **change) for name, change in changes.items()}


def test_what_cannot_be_is_found(posterior: Posterior, tmp_path: Path) -> None:
    for name, part in impossible(posterior.sel(draw=slice(9, None))).items():
        part.save(tmp_path / f"{name}.nc")
        with pytest.raises(InputError, match=r"is not a posterior that segmix wrote, or is damaged \("):
            Posterior.load(tmp_path / f"{name}.nc")


def test_whatever_hdf5_throws_is_one_line(
    posterior: Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py

    posterior.save(tmp_path / "a.nc")
    for error in (RuntimeError, AttributeError, MemoryError, RecursionError):
        monkeypatch.setattr(h5py, "File", lambda *_, error=error: (_ for _ in ()).throw(error("two\nlines")))
        with pytest.raises(
            InputError, match=r"a\.nc: is not a posterior .* damaged \(two lines\); make it anew"
        ):
            Posterior.load(tmp_path / "a.nc")


def test_damaged_files_are_refused_in_silence(
    posterior: Posterior, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    posterior.sel(draw=slice(0, 8)).save(tmp_path / "a.nc")
    posterior.thin(100).save(tmp_path / "b.nc")
    rng, said = np.random.default_rng(1), list[str]()
    for name in ("a.nc", "b.nc"):
        whole = np.fromfile(tmp_path / name, np.uint8)
        for _ in range(100):
            data, n = whole.copy(), rng.integers(1, 20)
            data[rng.integers(0, len(data), n)] ^= rng.integers(1, 256, n, dtype=np.uint8)
            data.tofile(tmp_path / "damaged.nc")
            try:
                Posterior.load(tmp_path / "damaged.nc")
            except InputError as error:
                said.append(str(error))
    gc.collect()
    assert len(said) == 200
    assert all("damaged.nc: " in line and "\n" not in line for line in said)
    assert capfd.readouterr() == ("", "")
