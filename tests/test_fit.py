"""Fits of rows of values and of images, and going on with them, in Python and in the shell."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from segmix_cli.main import run

import segmix
from segmix import Posterior, Priors, fit, simulate_mixture
from segmix.errors import InputError, OptionError, OutputError
from segmix.fitting import extend_in_pieces

from .test_posterior import assert_same

LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))


@pytest.fixture
def table(here: Path) -> Path:
    assert run(["simulate", "mixture", "-n", "300", "--seed", "5", "-o", "data.csv"]) == 0
    return here / "data.csv"


def test_the_lectures_data_give_back_their_mixture() -> None:
    samples = simulate_mixture(500, *LECTURE, rng=5)
    posterior = fit(samples, priors=Priors.lecture(), rng=1)
    assert posterior.converged
    summary = posterior.summary()
    for k, (weight, mean, std) in enumerate(zip(*LECTURE, strict=True)):
        for name, truth in (("weights", weight), ("means", mean), ("stds", std)):
            row = summary[f"{name}[{k}]"]
            assert abs(row.mean - truth) < 4.5 * row.sd


def test_an_image_is_fitted_as_it_is_segmented() -> None:
    pixels = np.random.default_rng(1).integers(0, 50, (40, 40), dtype=np.uint8)
    pixels[10:20] += 100
    assert_same(fit(pixels, rng=3, draws=200), segmix.segment(pixels, rng=3, draws=200).posterior)


def test_rows_of_values_of_every_kind_are_one_fit(tmp_path: Path) -> None:
    samples = simulate_mixture(200, *LECTURE, rng=5)
    np.save(tmp_path / "a.npy", samples.values)
    fits = [fit(data, rng=1, draws=100) for data in (samples, samples.values, tmp_path / "a.npy")]
    assert_same(fits[0], fits[1])
    assert_same(fits[0], fits[2])


def test_exactly_the_draws_asked_for() -> None:
    samples = simulate_mixture(200, *LECTURE, rng=5)
    posterior = fit(samples, draws=10, tune=0, until_converged=False, rng=1)
    assert (posterior.n_draws, posterior.tune, posterior.converged) == (10, 0, False)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ([1.0, 2.0], {}, InputError, "too few values for 2 classes: at least 5 must count, got 2"),
        ([1.0], {"n_classes": 1}, InputError, "too few values"),
        ([1.0] * 9, {}, InputError, "constant"),
        ([1.0, 2.0] * 9, {"n_classes": 3}, InputError, "distinct"),
        ([1.0, np.nan] * 9, {}, InputError, "must be finite, value 2 of 18 is nan"),
        ([1.0, 2.0] * 9, {"priors": "lecture"}, OptionError, "priors must be"),
        ([1.0, 2.0] * 9, {"thin": 0}, OptionError, "thin must be"),
        ("nowhere.csv", {}, InputError, "nowhere.csv: no such file"),
    ],
)
def test_data_that_cannot_be_fitted(
    data: object, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fit(data, **options)  # type: ignore[arg-type]


def test_pieces_and_checkpoints_change_nothing(tmp_path: Path) -> None:
    short = fit(simulate_mixture(200, *LECTURE, rng=5), draws=50, until_converged=False, rng=1)
    told: list[int] = []
    checkpoint = tmp_path / "a.checkpoint.nc"
    pieced = extend_in_pieces(short, 900, every=0.0, checkpoint=checkpoint, show=told.append)
    assert_same(pieced, short.extend(900))
    assert told[0] == 200
    assert told[-1] == 900
    part = Posterior.load(checkpoint)
    assert_same(part.extend(950 - part.n_draws), pieced)


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = fit(simulate_mixture(200, *LECTURE, rng=5), draws=50, until_converged=False, rng=1)
    checkpoint = tmp_path / "a.checkpoint.nc"
    short.save(checkpoint)
    before = checkpoint.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segmix.netcdf, "write_posterior", full)
    with pytest.raises(OutputError, match=r"No space left on device.*make room"):
        extend_in_pieces(short, 900, every=0.0, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.checkpoint.nc"]


def test_fit_and_continue_in_the_shell(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lecture = ["--prior", "lecture", "--seed", "1", "--draws"]
    assert run(["fit", "data.csv", "-o", "out", *lecture, "600"]) == 0
    out = capsys.readouterr().out
    assert "truth 1  200" in out
    assert "converged" in out
    assert sorted(os.listdir("out/data")) == ["posterior.nc", "summary.json"]
    summary = json.loads(Path("out/data/summary.json").read_text("utf-8"))
    assert summary["truth"]["means"] == [100, 200]
    assert summary["sampling"]["draws"] == 600
    assert run(["continue", "out/data/posterior.nc", "-o", "more", "--draws", "400", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["sampling"]["draws"], record["output"]) == (1000, "more/data")
    assert (
        run(["fit", "data.csv", "-o", "whole", "--prior", "lecture", "--seed", "1", "--draws", "1000"]) == 0
    )
    whole, more = (Path(name, "data/posterior.nc").read_bytes() for name in ("whole", "more"))
    assert whole == more


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["fit", "none.csv", "-o", "out"], 1, "none.csv: no such file"),
        (["fit", "data.csv", "-o", "out", "--preprocess", "median:1"], 2, "preprocess is for images"),
        (["fit", "data.csv", "-o", "out", "-k", "17"], 2, "-k"),
        (["fit", "data.csv", "-o", ""], 2, "--output must name a folder"),
        (["continue", "data.csv", "-o", "out"], 1, "is not a posterior that segmix wrote"),
        (["continue", "none.nc", "-o", "out"], 1, "none.nc: no such file"),
        (["simulate", "mixture", "--means", "1,x"], 2, "--means must be numbers"),
        (["simulate", "mixture", "--means", "1,2,3"], 2, "must have one number a class each"),
        (["simulate", "mixture", "-o", "a.png"], 2, "--output must end in .csv or .txt"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    table: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    capsys.readouterr()
    assert run(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.startswith("segmix: note:")]
    assert line.startswith("segmix: error: ")
    assert message in line
    assert sorted(os.listdir()) == ["data.csv"]


def test_a_killed_run_goes_on_from_its_checkpoint(table: Path) -> None:
    command = [sys.executable, "-m", "segmix_cli"]
    options = ["--sampler", "gibbs", "--seed", "1", "--chains", "2", "--allow-unconverged", "-q"]
    endless = [*command, "fit", "data.csv", "-o", "out", "--draws", "1000000", "--every", "0.2", *options]
    process = subprocess.Popen(endless)
    checkpoint = Path("out/data.checkpoint.nc")
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    part = Posterior.load(checkpoint)
    assert run(["continue", str(checkpoint), "-o", "out", "--draws", "100", "--allow-unconverged", "-q"]) == 0
    draws = str(part.n_draws + 100)
    assert run(["fit", "data.csv", "-o", "once", "--draws", draws, "--exactly", *options]) == 0
    again, once = (Posterior.load(f"{name}/data/posterior.nc") for name in ("out", "once"))
    assert_same(again, once)
