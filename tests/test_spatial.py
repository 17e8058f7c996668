"""Labels that hang together, from a picture to its files and back."""

import json
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segmix_cli.main import run

import segmix
from segmix import Posterior, PottsOptions, Segmentation, segment, simulate_potts
from segmix.errors import InputError, OptionError
from segmix.imaging.files import write_png
from segmix.imaging.image import Image
from segmix.plotting import FIGURES, graph, plot
from segmix.potts.lattice import Lattice
from segmix.potts.normalizer import (
    Normalizer,
    critical_beta,
    ising_agreements,
    read_table,
    simulate_agreements,
    tabulated_normalizer,
)
from segmix.potts.pseudo import PseudoLikelihood, join_shares, joined_levels
from segmix.potts.states import number_states
from segmix.potts.sweeps import Sweeps

from . import naive_potts as naive

pytestmark = pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")  # of short runs


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    truth = simulate_potts((96, 120), beta=0.85, rng=2)
    rng = np.random.default_rng(3)
    return truth, np.clip(np.rint(rng.normal(90 + 50 * truth, 25)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def found(noisy: tuple[np.ndarray, np.ndarray]) -> Segmentation:
    return segment(noisy[1], spatial=True, draws=500, rng=1)


def test_neighbors_help(noisy: tuple[np.ndarray, np.ndarray], found: Segmentation) -> None:
    truth, pixels = noisy
    alone = segment(pixels, rng=1)
    assert found.posterior.converged
    assert (found.labels != truth).mean() < 0.75 * (alone.labels != truth).mean()
    beta = found.posterior.summary()["beta"]
    assert abs(beta.mean - 0.85) < 4.5 * beta.sd


def test_a_result_has_the_usual_parts(found: Segmentation, tmp_path: Path) -> None:
    probabilities = found.probabilities
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(found.labels, probabilities.argmax(axis=0))
    np.testing.assert_array_equal(found.mask, probabilities[1] > 0.5)
    p = probabilities.astype(float)
    bits = -(p * np.log2(np.maximum(p, 1e-30))).sum(axis=0)
    np.testing.assert_allclose(found.entropy, bits, atol=1e-5)
    areas = found.areas()
    assert sum(area.pixels.mean for area in areas) == pytest.approx(found.levels.n_pixels, abs=1)
    assert all(area.pixels.low <= area.pixels.mean <= area.pixels.high for area in areas)
    found.save(tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["sampling"]["sampler"] == "potts"
    assert summary["coupling"]["beta"]["mean"] == pytest.approx(found.posterior.summary()["beta"].mean)
    assert summary["options"]["spatial"] == asdict(PottsOptions(spacing=None))
    assert set(summary["files"]) >= {
        "labels.png",
        "mask.png",
        "probabilities.tif",
        "entropy.png",
        "overlay.png",
    }
    again = Posterior.load(tmp_path / "out" / "posterior.nc")
    np.testing.assert_array_equal(again.steps.beta, found.posterior.steps.beta)
    assert again.summary() == found.posterior.summary()
    assert "share of neighbor pairs that agree" in found.table_text()


def test_pseudo_likelihood_is_close_and_says_what_it_is(
    noisy: tuple[np.ndarray, np.ndarray], found: Segmentation
) -> None:
    rough = segment(noisy[1], spatial=PottsOptions(beta="pseudo"), draws=500, doublings=0, rng=1)
    assert rough.posterior.notes[0] == "beta by pseudo-likelihood, an approximation, connectivity 1"
    one, other = (result.posterior.summary()["beta"] for result in (rough, found))
    assert one.mean == pytest.approx(other.mean, abs=0.1)
    with pytest.raises(OptionError, match="too many of 9 classes at connectivity 2; take beta='infer'"):
        segment(noisy[1], n_classes=9, spatial=PottsOptions("pseudo", 2), draws=20, rng=1)


def test_pseudo_likelihood_is_the_sum_of_conditionals() -> None:
    rng = np.random.default_rng(1)
    for n_classes in (2, 3):
        lattice = Lattice((5, 6))
        states = number_states(lattice, n_classes)
        assert states is not None
        labels, codes = (rng.integers(0, n, lattice.shape).astype(np.uint8) for n in (n_classes, 4))
        sweeps, shares = Sweeps(lattice, codes, 4, n_classes), rng.random((4, n_classes))
        counts = sweeps.count_states(sweeps.lay_out(labels), states)
        betas = np.array([0.0, 0.4, 1.3])
        flat = np.ones(n_classes)
        expected = [
            sum(
                np.log(naive.conditional(lattice, labels, site, flat, beta) @ shares[codes[site]])
                for site in naive.sites(lattice)
            )
            for beta in betas
        ]
        ours = PseudoLikelihood(states.agreements, 2.0)
        np.testing.assert_allclose(ours.log_density(betas, counts, shares), expected)
        drawn = [ours.draw_beta(counts, shares, np.nan, rng=rng) for _ in range(4000)]
        grid = np.linspace(0, 2, 2001)
        logs = ours.log_density(grid, counts, shares)
        density = np.exp(logs - logs.max())
        mean = float((density * grid).sum() / density.sum())
        assert abs(np.mean(drawn) - mean) < 4.5 * np.std(drawn) / np.sqrt(len(drawn)) + 1e-3


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_can_be_drawn(found: Segmentation, kind: str) -> None:
    assert plot(found.posterior, kind).startswith(b"\x89PNG")
    with pytest.raises(OptionError, match="the graph is of mixtures"):
        graph(found.posterior)


def test_areas_are_those_of_labels_not_of_strangers(
    noisy: tuple[np.ndarray, np.ndarray], found: Segmentation
) -> None:
    truth = noisy[0]
    for area in found.areas():
        assert abs(area.pixels.mean - (truth == area.label).sum()) < 4.5 * area.pixels.sd


def test_the_same_seed_gives_the_same_files(noisy: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    for name in ("one", "two"):
        segment(noisy[1], spatial=True, draws=40, tune=20, rng=7).save(tmp_path / name)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_voxels_of_several_sizes_are_coupled_by_their_distances() -> None:
    truth = simulate_potts((12, 30, 30), beta=0.6, spacing=(3.0, 1.0, 1.0), rng=1)
    pixels = np.clip(np.rint(np.random.default_rng(1).normal(90 + 60 * truth, 20)), 0, 255).astype(np.uint8)
    image = Image(pixels, axes="ZYX", spacing=(3.0, 1.0, 1.0))
    options = PottsOptions(0.6, weights="equal")
    few: Any = {"draws": 60, "tune": 20, "until_converged": False, "rng": 1}
    by_image = segment(image, spatial=options, **few)
    given = segment(pixels, spatial=replace(options, spacing=(3.0, 1.0, 1.0)), **few)
    np.testing.assert_array_equal(by_image.probabilities, given.probabilities)
    once = segment(image, spatial=replace(options, spacing=None), **few)
    assert (once.probabilities != given.probabilities).any()


def test_labels_that_do_not_hang_together_are_named(found: Segmentation) -> None:
    """Strangers, three of ten bright: the prior's equal shares move the means, which a caution says."""
    rng = np.random.default_rng(1)
    truth = rng.random((96, 96)) < 0.3
    pixels = np.clip(np.rint(rng.normal(90 + 60 * truth, 20)), 0, 255).astype(np.uint8)
    result = segment(pixels, spatial=PottsOptions(weights="equal"), draws=200, rng=1)
    assert any(caution.startswith("labels hardly hang together: ") for caution in result.cautions)
    assert not any("hang together" in caution for caution in found.cautions)


def test_labels_of_one_class_are_no_strangers() -> None:
    """Where one class prevails neighbors agree by chance, too, whether labels hang together or not."""
    truth = simulate_potts((48, 48), beta=1.0, rng=1)
    assert 0.05 < truth.mean() < 0.3 or 0.7 < truth.mean() < 0.95  # ordered: one class prevails
    pixels = np.clip(np.rint(np.random.default_rng(1).normal(90 + 60 * truth, 20)), 0, 255).astype(np.uint8)
    few: Any = {"draws": 40, "tune": 20, "until_converged": False, "rng": 1}
    for options in (PottsOptions(weights="equal"), PottsOptions(1e6), PottsOptions(700, 2)):
        result = segment(pixels, spatial=options, **few)
        assert not any("hang together" in caution for caution in result.cautions), options
    rng = np.random.default_rng(1)  # the control: strangers, one class twice as frequent
    pixels = np.clip(np.rint(rng.normal(90 + 60 * (rng.random((48, 48)) < 0.33), 20)), 0, 255).astype(
        np.uint8
    )
    result = segment(pixels, spatial=PottsOptions(weights="equal"), **few)
    assert any("labels hardly hang together: " in caution for caution in result.cautions)


def test_a_run_of_four_draws_says_that_they_are_few(
    noisy: tuple[np.ndarray, np.ndarray], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("a.npy", noisy[1])
    few = ["--chains", "1", "--draws", "4", "--exactly", "--seed", "1", "--beta", "0.5"]
    assert run(["segment", "a.npy", "--spatial", "-o", "out", *few]) == 3
    out, err = capsys.readouterr()
    assert "there are too few draws to tell ESS, fewer than 8 a chain; make more" in err
    assert "ESS unknown (potts, 1 chains x 4 draws" in out
    assert "nan" not in out + err


@pytest.mark.parametrize("beta", ["infer", "pseudo", 0.5])
def test_pixels_without_neighbors_cannot_hang_together(
    noisy: tuple[np.ndarray, np.ndarray], here: Path, errors: Any, beta: Any
) -> None:
    domain = np.zeros(noisy[1].shape, bool)
    domain[::3, ::3] = True
    with pytest.raises(InputError, match="no two pixels that count are neighbors, so labels cannot hang"):
        segment(noisy[1], spatial=PottsOptions(beta), domain=domain, draws=20, rng=1)
    np.save("a.npy", noisy[1])
    write_png("domain.png", domain.astype(np.uint8))
    spatial = ["--spatial", "--beta", str(beta), "--domain", "domain.png", "-q"]
    assert run(["segment", "a.npy", "-o", "out", *spatial]) == 1
    (line,) = errors()
    assert line.startswith("segmix: error: a.npy: no two pixels that count are neighbors")
    assert not Path("out").exists()
    domain[0, 1] = True  # a single pair will do
    few: Any = {"draws": 8, "tune": 4, "until_converged": False, "rng": 1}
    assert segment(noisy[1], spatial=PottsOptions(beta, weights="equal"), domain=domain, **few).posterior


def test_labels_that_nothing_confuses_have_settled() -> None:
    pixels = np.tile(np.array([[0, 255]], np.uint8), (10, 10))
    result = segment(pixels, spatial=True, draws=400, rng=1)
    np.testing.assert_array_equal(result.labels, pixels > 0)
    row = result.posterior.summary()["weights[0]"]
    assert (row.mean, row.sd, row.r_hat) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("n_classes", [1, 3])
def test_other_numbers_of_classes(n_classes: int) -> None:
    truth = simulate_potts((64, 64), beta=1.2, n_classes=3, rng=4)
    pixels = np.clip(np.rint(np.random.default_rng(1).normal(60 + 60 * truth, 15)), 0, 255).astype(np.uint8)
    options = PottsOptions(beta=1.2)
    result = segment(pixels, n_classes=n_classes, spatial=options, draws=100, tune=50, rng=1)
    assert result.probabilities.shape == (n_classes, 64, 64)
    if n_classes == 3:
        assert (result.labels != truth).mean() < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial": "yes"}, "spatial must be True, False or PottsOptions, got 'yes'"),
        (
            {"spatial": True, "sampler": "gibbs"},
            "spatial has a sampler of its own, got 'gibbs'; leave it out",
        ),
        ({"sampler": "potts"}, r"the sampler potts is of pictures; call segment with spatial=True"),
        ({"spatial": PottsOptions(connectivity=3)}, "connectivity must be a whole number from 1 to 2, got 3"),
        ({"spatial": PottsOptions(spacing=(1.0,))}, "spacing must be 2 positive distances"),
        (
            {"n_classes": 12, "spatial": PottsOptions(700.0, 2)},
            "beta must be at most 87.5 with 12 classes at connectivity 2, got 700; labels hang",
        ),
    ],
)
def test_wrong_options(noisy: tuple[np.ndarray, np.ndarray], options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        segment(noisy[1], draws=20, rng=1, **options)


@pytest.mark.parametrize(
    "options",
    [
        *({"beta": beta} for beta in (None, [1], 1j, np.array([0.5, 0.6]), 10**400, 10**5000, np.nan)),
        *({"beta": beta} for beta in (1e308, True, np.True_, np.array(True), "1", b"1", -np.float32(1))),
        *({"spacing": spacing} for spacing in (3, (1, "a"), ((1,), 2), ("1", "2"), "12", b"12", ())),
        *({"spacing": spacing} for spacing in (np.array(3.0), np.eye(2), (1, True), (1, np.nan), {1: 2})),
        *({"connectivity": connectivity} for connectivity in (1.0, "1", True, np.array([1]), None, 4)),
        *({"weights": weights} for weights in (None, np.array(["infer", "equal"]), "none")),
    ],
)
def test_wrong_numbers_are_told(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(OptionError, match=rf"^{name} must be .*, got .*; give ") as told:
        PottsOptions(**options)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("keep_labels", [np.nan, 0, 2.0, "1"])
def test_label_draws_are_counted(noisy: tuple[np.ndarray, np.ndarray], keep_labels: Any) -> None:
    with pytest.raises(OptionError, match="keep_labels must be a whole number from 1 upward, got "):
        segment(noisy[1], spatial=True, keep_labels=keep_labels, rng=1)


def test_numbers_of_numpy_are_taken_and_saved(noisy: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    plain = PottsOptions(0.5, 2, (1.0, 2.0), "equal")
    few: Any = {"draws": 8, "tune": 4, "until_converged": False, "rng": 1}
    expected = segment(noisy[1], spatial=plain, keep_labels=3, **few)
    expected.save(tmp_path / "plain")
    given = (
        (np.float32(0.5), np.int64(2), (np.float64(1), np.int64(2))),
        (np.array(0.5), 2, np.array([1, 2])),
        (Fraction(1, 2), np.int8(2), [1, 2]),
    )
    for number, (beta, connectivity, spacing) in enumerate(given):
        options = PottsOptions(beta, connectivity, spacing, "equal")  # type: ignore[arg-type]
        assert (options, repr(options)) == (plain, repr(plain))
        result = segment(noisy[1], spatial=options, keep_labels=np.int64(3), **few)  # type: ignore[arg-type]
        result.save(tmp_path / str(number))
        for name in ("summary.json", "posterior.nc", "label_draws.tif"):
            assert (tmp_path / str(number) / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_spacings_of_any_unit_and_no_extreme_ratio() -> None:
    for connectivity in (1, 2):
        expected = Lattice((4, 5), connectivity, (1.0, 2.0)).couplings
        for unit in (1e-300, 1e-160, 1e160, 1e300):
            ours = Lattice((4, 5), connectivity, (unit, 2 * unit)).couplings
            np.testing.assert_allclose(ours, expected, rtol=1e-12)
    assert Lattice((4, 5), spacing=(1.0, 1000.0)).couplings.min() == 1e-3
    for spacing in ((1e-300, 1e300), (1.0, 1001.0)):
        for refused in (lambda s: PottsOptions(spacing=s), lambda s: Lattice((4, 5), spacing=s)):
            with pytest.raises(OptionError, match=r"at most 1000 times the least, got .* hardly couple"):
                refused(spacing)


def test_an_image_of_extreme_spacing_is_told() -> None:
    image = Image(np.eye(20, dtype=np.uint8), spacing=(1e-5, 1.0))
    with pytest.raises(OptionError, match="hardly couple"):
        segment(image, spatial=True, rng=1)


def test_the_command_simulates_and_segments(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate = [
        "simulate",
        "potts",
        "--shape",
        "64,64",
        "--means",
        "90,150",
        "--stds",
        "25,25",
        "--seed",
        "2",
    ]
    assert run([*simulate, "-o", "field.png"]) == 0
    assert sorted(path.name for path in here.iterdir()) == ["field.png", "field_truth.png"]
    few = ["--draws", "60", "--tune", "20", "--seed", "1", "--allow-unconverged"]
    assert run(["segment", "field.png", "--spatial", "--beta", "1.0", "-o", "out", *few]) == 0
    assert "share of neighbor pairs that agree" in capsys.readouterr().out
    summary = json.loads(Path("out/field/summary.json").read_text())
    assert summary["sampling"]["notes"][0] == "beta is fixed at 1, connectivity 1"


def test_the_command_simulates_volumes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate = [
        "simulate",
        "potts",
        "--shape",
        "6,20,24",
        "--means",
        "60,160",
        "--stds",
        "0,0",
        "--seed",
        "2",
    ]
    assert run([*simulate, "--spacing", "3,1,1", "--connectivity", "3", "-o", "a.npy"]) == 0
    assert sorted(path.name for path in here.iterdir()) == ["a.npy", "a_truth.npy"]
    pixels, truth = np.load("a.npy"), np.load("a_truth.npy")
    assert (pixels.dtype, truth.dtype, truth.shape) == (np.uint8, np.uint8, (6, 20, 24))
    np.testing.assert_array_equal(pixels, 60 + 100 * truth)
    rng = np.random.default_rng(2)
    expected = simulate_potts((6, 20, 24), beta=1.0, connectivity=3, spacing=(3, 1, 1), rng=rng)
    np.testing.assert_array_equal(truth, expected)
    assert run(simulate) == 0
    assert sorted(path.name for path in here.glob("potts*")) == ["potts.npy", "potts_truth.npy"]
    assert (np.load("potts_truth.npy") != truth).any()
    assert run([*simulate, "--spacing", "none", "-o", "b.npy"]) == 0
    assert Path("b_truth.npy").read_bytes() == Path("potts_truth.npy").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stds", "-1,5"], "--stds must be at least 0, got -1,5; give for example 20,20"),
        (["--stds", "nan,5"], "--stds must be numbers separated by commas"),
        (["--means", "1,inf"], "--means must be numbers separated by commas"),
        (["--shape", "8193,8"], "--shape must have sides from 1 to 8192, got 8193,8; give"),
        (["--shape", "0,8"], "--shape must have sides from 1 to 8192, got 0,8; give"),
        (
            ["--shape", "8192,8192,3", "-o", "a.npy"],
            "shape must have at most 2**27 (134217728) pixels in all",
        ),
        (["--shape", "9" * 5000 + ",8"], "--shape must be ROWS,COLS or PLANES,ROWS,COLS, got '999"),
        (["--shape", "8,8,8,8"], "--shape must be ROWS,COLS or PLANES,ROWS,COLS, got '8,8,8,8'"),
        (
            ["--shape", "4,8,8", "-o", "a.png"],
            "--output must end in .npy for a volume, got 'a.png'; rename it",
        ),
        (["--shape", "8,8", "-o", "a.npy"], "--output must end in .png or .tif, got 'a.npy'"),
        (
            ["--spacing", "image"],
            "--spacing must be none, or positive distances along each axis, got 'image'",
        ),
        (["--spacing", "3,1,1"], "spacing must be 2 positive distances"),
        (["--spacing", "1,1001"], "hardly couple"),
        (["--shape", "8,8", "--connectivity", "3"], "connectivity must be a whole number from 1 to 2, got 3"),
    ],
)
def test_wrong_fields_of_the_command(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["simulate", "potts", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert list(here.iterdir()) == []


def test_a_phantom_is_no_volume(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "cells", "--shape", "64,64,64"]) == 2
    assert "--shape must be ROWS,COLS, got '64,64,64'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beta", "1.0"], "--beta is of labels that hang together; add --spatial"),
        (["--connectivity", "2"], "--connectivity is of labels that hang together; add --spatial"),
        (
            ["--spatial", "--beta", "much"],
            "--beta must be infer, pseudo or a number of at least 0, got",
        ),
        (
            ["--spatial", "--beta", "-1"],
            "beta must be 'infer', 'pseudo' or a number from 0 to 1e+06, got -1.0",
        ),
        (
            ["--spatial", "--beta", "1e308"],
            "beta must be 'infer', 'pseudo' or a number from 0 to 1e+06, got 1e+308",
        ),
        (["--spatial", "--connectivity", "3"], "connectivity must be a whole number from 1 to 2, got 3"),
        (["--spatial", "--spacing", "1e-300,1e300"], "neighbors further apart hardly couple"),
    ],
)
def test_wrong_commands(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    np.save("a.npy", np.arange(400, dtype=np.uint8).reshape(20, 20))
    assert run(["segment", "a.npy", "-o", "out", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


# Fields of the prior alone


def test_fields_repeat_and_keep_to_their_domain() -> None:
    domain = np.random.default_rng(1).random((30, 40)) < 0.7
    one, two = (simulate_potts((30, 40), beta=0.8, n_classes=3, domain=domain, rng=5) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one[~domain] == 255).all()
    assert set(np.unique(one[domain])) == {0, 1, 2}


@pytest.mark.parametrize("shape", [(1 << 14, 1 << 14), (8, 8.5), (8, -1), (8,), 8, "88", (10**400, 1), None])
def test_wrong_shapes_of_fields(shape: Any) -> None:
    with pytest.raises(OptionError, match="shape must "):
        simulate_potts(shape, beta=1.0)


@pytest.mark.parametrize(
    "options", [{"beta": -1.0}, {"beta": "x"}, {"beta": 1.0, "n_classes": 17}, {"beta": 1.0, "n_sweeps": 0}]
)
def test_wrong_fields(options: dict) -> None:
    with pytest.raises(OptionError, match="must be a"):
        simulate_potts((8, 8), **options)
    assert "simulate_potts" in segmix.__all__


def test_onsagers_solution_at_published_values() -> None:
    """1.106079 and sqrt(2), the mean of s s' per site, at J = 0.4 and at the critical coupling 0.4406868."""
    per_site = 2 * (2 * ising_agreements(np.array([0.8, 2 * 0.44068679])) - 1)
    np.testing.assert_allclose(per_site, [1.106079, np.sqrt(2)], atol=2e-6)
    assert critical_beta(2) == pytest.approx(2 * 0.44068679, abs=1e-7)
    np.testing.assert_allclose(ising_agreements(np.array([0.0, 8.0])), [0.5, 1.0], atol=1e-6)


@pytest.mark.parametrize("beta", [0.5, 0.8, 1.1])
def test_fields_agree_as_often_as_the_table_says(beta: float) -> None:
    """Of a lattice that the table was not made from, a rectangle with holes; boundary and all."""
    domain = np.ones((70, 110), bool)
    domain[20:40, 30:60] = False
    lattice = Lattice(domain.shape, domain=domain)
    means, errors = simulate_agreements(lattice, 2, np.array([beta]), n_sweeps=600, seed=3)
    table = tabulated_normalizer(lattice, 2)
    assert isinstance(table, Normalizer)
    # 2e-3 of the pairs is what corners and the table's own Monte Carlo error may be
    assert abs(float(table.mean_agreements(beta)) - means[0]) < 4.5 * errors[0] + 2e-3 * lattice.n_pairs


def test_every_kind_in_the_table_is_sound() -> None:
    for name, rows in read_table().items():
        n_classes = int(name.split()[0])
        betas, bulk = np.array(rows["betas"]), np.array(rows["bulk"])
        assert betas[0] == 0
        assert (np.diff(betas) > 0).all()
        assert (np.diff(bulk) >= 0).all()
        assert bulk[0] == pytest.approx(1 / n_classes, abs=1e-6)
        assert bulk[-1] > 0.99
        assert np.abs(np.array(rows["surface"])[-1] - 0.5) < 0.1  # a missing neighbor would have agreed


def test_naive_agreements_of_one_color() -> None:
    lattice = Lattice((4, 5), connectivity=2)
    assert naive.agreements(lattice, np.zeros((4, 5), int)) == lattice.n_pairs


def test_many_levels_are_joined_for_pseudo_likelihood() -> None:
    """Neighboring ones, with the mean of their normalized shares; about the same likelihood."""
    rng = np.random.default_rng(2)
    assert joined_levels(200).tolist() == list(range(200))
    assert np.bincount(joined_levels(4000)).max() == 16
    values = np.sort(rng.normal(np.repeat([0, 4], 2000), 1.5))
    shares = np.exp(-((values[:, None] - [0, 4]) ** 2) / 4.5)
    lattice = Lattice((80, 50))
    labels = simulate_potts(lattice.shape, beta=0.8, rng=1)
    order = np.argsort(np.argsort(rng.normal(4.0 * labels, 1.5).ravel()))
    sweeps, states = (
        Sweeps(lattice, order.reshape(80, 50).astype(np.uint16), 4000, 2),
        number_states(lattice, 2),
    )
    assert states is not None
    planes, betas = sweeps.lay_out(labels), np.linspace(0.2, 1.6, 8)
    ours = PseudoLikelihood(states.agreements, 2.0)
    whole = ours.log_density(betas, sweeps.count_states(planes, states), shares)
    joined = join_shares(shares, np.ones(4000, np.int64))
    counts = sweeps.count_states(planes, states, joined_levels(4000))
    assert counts.shape == (256, 9)
    rough = ours.log_density(betas, counts, joined)
    np.testing.assert_allclose(rough - rough[0], whole - whole[0], rtol=0.02)
