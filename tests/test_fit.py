"""Fits of rows of values and of images, and going on with them, in Python and in the shell."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from segmix_cli.main import run

import segmix
from segmix import Priors, fit, simulate_mixture
from segmix.errors import InputError, OptionError
from segmix.imaging.files import write_png

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
    assert_same(fits[0], replace(fits[1], truth=samples.truth))
    assert fits[2].source == str(tmp_path / "a.npy")
    assert_same(fits[1], replace(fits[2], source="array"))


def test_the_mask_of_a_row_is_heeded() -> None:
    values = simulate_mixture(200, *LECTURE, rng=5).values
    spoiled = np.ma.masked_invalid(np.insert(values, [3, 50], [np.nan, np.inf]))
    spoiled = np.ma.concatenate([spoiled, np.ma.masked_all(5)])
    assert_same(fit(spoiled, rng=1, draws=100), fit(values, rng=1, draws=100))
    with pytest.raises(InputError, match=r"must be one row of values, got shape \(0,\)"):
        fit(np.ma.masked_all(50))


def test_exactly_the_draws_asked_for() -> None:
    samples = simulate_mixture(200, *LECTURE, rng=5)
    posterior = fit(samples, draws=10, tune=0, until_converged=False, rng=1)
    assert (posterior.n_draws, posterior.tune, posterior.converged) == (10, 0, False)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ([1.0, 2.0], {}, InputError, r"at least 5 must count, got 2; give more or lower n_classes \(-k 1\)$"),
        ([1.0], {"n_classes": 1}, InputError, "at least 2 must count, got 1; give more$"),
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


def test_fit_and_continue_in_the_shell(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lecture = ["--prior", "lecture", "--seed", "1", "--draws"]
    assert run(["fit", "data.csv", "-o", "out", *lecture, "600"]) == 0
    out = capsys.readouterr().out
    assert "truth 1  200" in out
    assert "converged" in out
    assert sorted(os.listdir("out/data")) == ["posterior.nc", "summary.json"]
    summary = json.loads(Path("out/data/summary.json").read_text("utf-8"))
    assert summary["truth"]["means"] == [100, 200]
    assert summary["data"] == {"source": "data.csv", "column": "value", "levels": 300, "values": 300}
    assert summary["sampling"]["draws"] == 600
    assert run(["continue", "out/data/posterior.nc", "-o", "more", "--draws", "400", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["sampling"]["draws"], record["output"]) == (1000, "more/data")
    assert (record["truth"], record["data"]) == (summary["truth"], summary["data"])
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
        (
            ["fit", "same.csv", "-o", "out"],
            1,
            "same.csv: is constant (every value is 7), so it has no 2 classes",
        ),
        (
            ["fit", "few.csv", "-o", "out"],
            1,
            "few.csv: too few values for 2 classes: at least 5 must count, got 2",
        ),
        (["fit", "two.csv", "-o", "out", "-k", "3"], 1, "at most the number of distinct values (2), got 3"),
        (["fit", "data.csv", "-o", ""], 2, "--output must name a folder"),
        (["continue", "data.csv", "-o", "out"], 1, "is not a posterior that segmix wrote"),
        (["continue", "none.nc", "-o", "out"], 1, "none.nc: no such file"),
        (["simulate", "mixture", "--means", "1,x"], 2, "--means must be numbers"),
        *(
            (["simulate", "mixture", "--p", p], 2, f"--p must be a share above 0 and at most 1, got {p!r}")
            for p in ("1.5", "0", "-0.5")
        ),
        (["simulate", "mixture", "--means", "1,2,3"], 2, "must have one number a class each"),
        (["simulate", "mixture", "-o", "a.png"], 2, "--output must end in .csv or .txt"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    table: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    tables = {"same.csv": [7] * 9, "few.csv": [1, 2], "two.csv": [1, 2] * 9}
    for name, values in tables.items():
        Path(name).write_text("".join(f"{value}\n" for value in values))
    capsys.readouterr()
    assert run(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.startswith("segmix: note:")]
    assert line.startswith("segmix: error: ")
    assert message in line
    assert sorted(os.listdir()) == sorted(["data.csv", *tables])


def test_a_preprocessed_picture_is_told(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--seed", "1", "--draws", "100", "--allow-unconverged"]
    assert run(["fit", "cells.png", "-o", "out", "--preprocess", "gaussian:2", *few]) == 0
    out, err = capsys.readouterr()
    assert "after gaussian:2" in out
    assert "intervals are too narrow: gaussian:2" in err
    summary = json.loads(Path("out/cells/summary.json").read_text("utf-8"))
    assert summary["options"]["preprocess"] == ["gaussian:2"]
    assert (summary["options"]["draws"], summary["options"]["until_converged"]) == (100, True)
    assert len(summary["cautions"]) == 1
    assert run(["continue", "out/cells/posterior.nc", "-o", "more", *few[2:]]) == 0
    assert "intervals are too narrow: gaussian:2" in capsys.readouterr().err


def test_fit_and_compare_read_pictures_as_segment_does(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = np.random.default_rng(1).integers(0, 50, (2, 24, 32), dtype=np.uint8)
    pages[1, :12] += 100
    tifffile.imwrite("two.tif", pages, photometric="minisblack")
    write_png("domain.png", np.arange(24 * 32).reshape(24, 32) % 32 < 20)
    read = ["two.tif", "--page", "1", "--limits", "0,120", "--domain", "domain.png"]
    few = ["--seed", "1", "--draws", "100", "--json", "--allow-unconverged"]
    for command in ("segment", "fit"):
        assert run([command, *read, "-o", command, *few]) == 0
    segmented, fitted = map(json.loads, capsys.readouterr().out.splitlines())
    assert fitted["classes"][0]["mean"] == segmented["classes"][0]["mean"]
    for name in ("page", "limits", "domain_sha256"):
        assert fitted["options"][name] == segmented["options"][name]
    assert fitted["options"]["page"] == 1
    assert run(["compare", *read, "--methods", "kmeans"]) == 0
    assert run(["compare", *read, "--methods", "kmeans", "--max-pixels", "100"]) == 1
    capsys.readouterr()
    Path("a.csv").write_text("1\n2\n3\n4\n5\n9\n")
    for option in (["--page", "0"], ["--limits", "0,1"], ["--max-pixels", "9"], ["--domain", "domain.png"]):
        assert run(["fit", "a.csv", "-o", "out", *option]) == 2
        assert f"({option[0]}) is for images, a.csv is a row of values" in capsys.readouterr().err


def test_a_column_is_named_in_the_shell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = simulate_mixture(40, *LECTURE, rng=5).values.reshape(20, 2)
    Path("two.csv").write_text("a,b\n" + "".join(f"{x},{y}\n" for x, y in rows.tolist()))
    for command in (["fit", "two.csv", "-o", "out"], ["compare", "two.csv"]):
        assert run(command) == 1
        assert "two.csv: 2 columns hold numbers (a, b); name one with --column" in capsys.readouterr().err
    few = ["--column", "b", "--seed", "1", "--draws", "300"]
    assert run(["fit", "two.csv", "-o", "out", *few, "--json", "--allow-unconverged"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["data"]["column"], record["data"]["values"]) == ("b", 20)
    assert run(["compare", "two.csv", "--methods", "kmeans", "--column", "2"]) == 0
    assert run(["fit", "two.csv", "-o", "no", "--column", "c"]) == 2
    Path("one.csv").write_text("x,value\n" + "".join(f"{x},{y}\n" for x, y in rows.tolist()))
    assert run(["fit", "one.csv", "-o", "out", "--draws", "300", "--allow-unconverged"]) == 0
    assert "one.csv: took the column 'value'" in capsys.readouterr().err


EXTREME = [
    ("stds", f'family = "half-normal"\nstd = {size}') for size in ("1e-300", "1e300", "1e-119", "1e119")
]
EXTREME += [("means", f'family = "normal"\nmean = 1\nstd = {size}') for size in ("1e-200", "1e-119", "1e119")]
EXTREME += [("weights", f'family = "dirichlet"\nconcentration = {a}') for a in ("1e300", "1e-119", "1e119")]
EXTREME += [
    ("stds", f'family = "inverse-gamma"\nshape = {a}\nscale = {b}')
    for a, b in (("1e300", "1"), ("1", "1e300"), ("1e119", "1e119"), ("1e-119", "1e-119"), ("1", "1e-119"))
]
EXTREME += [
    ("means", f'family = "scaled-normal"\nmean = 1\nsize = {n}') for n in ("1e300", "1e119", "1e-119")
]


@pytest.mark.parametrize(("part", "family"), EXTREME)
def test_extreme_priors_are_fitted_or_refused(
    table: Path, capfd: pytest.CaptureFixture[str], part: str, family: str
) -> None:
    Path("prior.toml").write_text(f"[{part}]\n{family}\n")
    few = ["--prior", "prior.toml", "--seed", "1", "--draws", "40"]
    statuses = {
        run(["fit", "data.csv", "-o", "out", *few, "--exactly", "--allow-unconverged"]),
        run(["compare", "data.csv", *few, "--methods", "map,independence"]),
    }
    err = capfd.readouterr().err
    assert "internal error" not in err
    assert all(line.startswith("segmix: ") for line in err.splitlines())
    assert statuses in ({0}, {2})
