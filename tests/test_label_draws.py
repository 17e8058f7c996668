"""Draws of labels that hang together: where they come from, what they say, and what becomes of them."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from segmix_cli.main import run
from tifffile import TiffFile

from segmix import (
    InverseGamma,
    Normal,
    PottsOptions,
    Priors,
    Segmentation,
    read_image,
    segment,
    simulate_potts,
)
from segmix.diagnostics import effective_sample_size
from segmix.errors import OptionError
from segmix.imaging.image import Image
from segmix.potts import keeping, running
from segmix.potts.lattice import Lattice
from segmix.shapes import count_components

from . import exact_potts as exact
from .monte_carlo import MAX_Z, check_calibration, is_calibrated, rank

pytestmark = pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")  # of short runs

Array = NDArray[np.float64]


def pinned(means: tuple[float, ...], std: float) -> Priors:
    """Classes that are as good as known."""
    return Priors(Normal(means, 1e-3), InverseGamma(1e8, 1e8 * std**2))


def noisy(truth: Any, means: tuple[float, ...], std: float, *, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal(np.take(means, truth), std)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return noisy(simulate_potts((60, 70), beta=0.85, rng=2), (90, 140), 25, seed=3)


@pytest.fixture(scope="module")
def found(pixels: NDArray[np.uint8]) -> Segmentation:
    return segment(pixels, spatial=True, keep_labels=40, draws=50, tune=20, rng=1)


# Tiny pictures, whose labelings are counted


class Tiny:
    """All labelings of a picture of 12 or 8 pixels, with their probabilities under known classes and beta."""

    def __init__(self, n_classes: int, connectivity: int) -> None:
        shape, self.beta, std = ((3, 4), 0.8, 30.0) if n_classes == 2 else ((2, 4), 0.9, 25.0)
        self.means = (100.0, 140.0) if n_classes == 2 else (80.0, 110.0, 140.0)
        self.lattice = Lattice(shape, connectivity)
        self.n_classes, self.priors = n_classes, pinned(self.means, std)
        self.pixels = noisy(
            simulate_potts(shape, beta=1.0, n_classes=n_classes, rng=1), self.means, std, seed=4
        )
        field = exact.enumerate_field(self.lattice, n_classes)
        z = self.pixels.ravel()[:, None] - np.array(self.means)
        log_shares = -0.5 * (z / std) ** 2  # rounding to whole intensities matters less than 1e-4 at this sd
        energy = self.beta * field.agreements + log_shares[np.arange(len(z)), field.labels].sum(axis=1)
        p = np.exp(energy - energy.max())
        self.p, self.labels = p / p.sum(), field.labels.reshape(-1, *shape).astype(np.uint8)

    def measure(self, draws: NDArray[np.uint8]) -> Array:
        """Components of each class, their squares, whether class 0 is in one piece, and differing pairs."""
        found = []
        for z in draws:
            counts = count_components(z, self.n_classes, self.lattice.connectivity, 1)
            pairs = self.lattice.n_pairs - exact.naive.agreements(self.lattice, z)
            found.append([*counts, *(counts**2), counts[0] == 1, pairs, counts[0] * pairs])
        return np.array(found, np.float64)

    def measure_all(self, draws: NDArray[np.uint8]) -> Array:
        """The same for many draws of few kinds."""
        kinds, place = np.unique(draws.reshape(len(draws), -1), axis=0, return_inverse=True)
        return self.measure(kinds.reshape(-1, *draws.shape[1:]))[place.ravel()]


@pytest.mark.parametrize(("n_classes", "connectivity"), [(2, 1), (2, 2), (3, 1)])
def test_draws_of_a_tiny_picture_are_distributed_as_all_its_labelings(
    n_classes: int, connectivity: int
) -> None:
    tiny, n_chains, n_draws = Tiny(n_classes, connectivity), 2, 3000
    options = PottsOptions(tiny.beta, connectivity, weights="equal")
    result = segment(
        tiny.pixels, n_classes=n_classes, priors=tiny.priors, spatial=options, chains=n_chains, draws=n_draws,
        keep_labels=n_chains * n_draws, rng=1,
    )  # fmt: skip
    assert result.label_draws is not None
    expected = tiny.p @ tiny.measure(tiny.labels)
    ours = tiny.measure_all(result.label_draws).reshape(n_chains, -1, len(expected))
    series = np.moveaxis(ours[:, -n_draws:], 2, 0)
    errors = np.array([x.std() / np.sqrt(effective_sample_size(x)) for x in series])
    assert (np.abs(series.mean(axis=(1, 2)) - expected) < MAX_Z * errors).all()
    for row in result.components():
        assert row.number.mean == pytest.approx(ours[:, :, row.label].mean())
    assert sum(row.pairs.mean for row in result.boundaries()) == pytest.approx(
        ours[:, :, 2 * n_classes + 1].mean()
    )

    # The control: pixels drawn one by one from the very same probabilities fall into too many pieces.
    rng, p = np.random.default_rng(1), result.probabilities.astype(np.float64)
    u = rng.random((len(result.label_draws), 1, *p.shape[1:]))
    strangers = (u > np.cumsum(p, axis=0)[:-1]).sum(axis=1).astype(np.uint8)
    theirs = tiny.measure_all(strangers)
    z = (theirs.mean(axis=0) - expected) / (theirs.std(axis=0) / np.sqrt(len(theirs)))
    assert np.abs(z).max() > 4 * MAX_Z


# Larger ones


def test_draws_are_those_of_the_posterior(found: Segmentation) -> None:
    """The i-th is of the chain and draw that the docs name: with the posterior's fractions and agreements."""
    draws, posterior = found.label_draws, found.posterior
    assert draws is not None
    assert draws.dtype == np.uint8
    assert draws.shape == (40, 60, 70)
    m, lattice = posterior.n_chains * posterior.n_draws, Lattice((60, 70))
    seen = [divmod((2 * i + 1) * m // 80, posterior.n_draws) for i in range(40)]
    assert [chain for chain, _ in seen] == [i // 10 for i in range(40)]
    assert posterior.steps.agreements is not None
    for z, (chain, draw) in zip(draws, seen, strict=True):
        assert z.mean() == pytest.approx(posterior.weights[chain, draw, 1], abs=1e-12)
        equal = (z[1:] == z[:-1]).sum() + (z[:, 1:] == z[:, :-1]).sum()
        assert equal / lattice.n_pairs == pytest.approx(posterior.steps.agreements[chain, draw], abs=1e-12)


def test_thinned_draws_are_those_of_the_posterior(pixels: NDArray[np.uint8]) -> None:
    result = segment(pixels, spatial=True, keep_labels=3, chains=2, draws=6, thin=4, tune=4, rng=1)
    assert result.label_draws is not None
    n = result.posterior.n_draws  # doubled, as it has not converged
    assert n > 6
    shares = result.posterior.weights[:, :, 1].ravel()[[2 * n // 6, 3 * 2 * n // 6, 5 * 2 * n // 6]]
    np.testing.assert_allclose(result.label_draws.mean(axis=(1, 2)), shares)


@pytest.mark.parametrize(
    ("n", "n_chains", "n_draws"), [(1, 4, 10), (2, 4, 10), (7, 3, 5), (15, 3, 5), (9, 1, 9)]
)
def test_places_are_evenly_spaced(n: int, n_chains: int, n_draws: int) -> None:
    found = keeping.places(n, n_chains=n_chains, n_draws=n_draws) @ [n_draws, 1]
    gaps = np.diff(found, prepend=found[-1] - n_chains * n_draws)
    assert len(found) == n
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_areas_are_those_of_the_draws(pixels: NDArray[np.uint8]) -> None:
    """With every draw kept, areas from the chains' counts and from the labels are the same numbers."""
    options: Any = {"spatial": PottsOptions(0.85, weights="equal"), "tune": 50, "chains": 2, "rng": 1}
    result = segment(pixels, draws=60, keep_labels=120, **options)
    assert result.label_draws is not None
    if result.posterior.n_draws == 60:
        raise AssertionError("this run was to be doubled, which replaces the labels that were kept")
    result = segment(pixels, draws=800, keep_labels=1600, doublings=0, **options)
    assert result.label_draws is not None
    assert result.posterior.n_draws == 800
    for area in result.areas():
        drawn = (result.label_draws == area.label).sum(axis=(1, 2))
        assert area.pixels.mean == pytest.approx(drawn.mean())
        assert area.pixels.sd == pytest.approx(drawn.std(ddof=1))
        assert (area.pixels.low, area.pixels.high) == tuple(np.quantile(drawn, (0.03, 0.97)))


def test_areas_of_settled_labels_are_exact() -> None:
    """Probabilities come in units of 2^-16; the sum of a million of them is off by pixels."""
    pixels = np.full((1000, 1000), 20, np.uint8)
    pixels[:100, :100] = 220
    result = segment(pixels, spatial=PottsOptions(beta=1.0), draws=8, tune=20, chains=2, keep_labels=2, rng=1)
    assert abs(result.probabilities[1].sum(dtype=np.float64) - 10_000) > 3
    for area, expected in zip(result.areas(), (990_000, 10_000), strict=True):
        assert area.pixels[:1] + area.pixels[2:] == (expected,) * 3
    assert [row.number.mean for row in result.components()] == [1, 1]


def test_the_number_of_threads_changes_nothing(
    found: Segmentation, pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(running, "to_the_end", lambda function, items: ([*map(function, items)], False))
    again = segment(pixels, spatial=True, keep_labels=40, draws=50, tune=20, rng=1)
    assert again.label_draws is not None
    assert found.label_draws is not None
    assert again.label_draws.tobytes() == found.label_draws.tobytes()
    for result, name in ((found, "one"), (again, "two")):
        result.save(tmp_path / name)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    other = segment(pixels, spatial=True, keep_labels=40, draws=50, tune=20, rng=2)
    assert (other.label_draws != found.label_draws).any()


def test_keeping_changes_nothing_else(found: Segmentation, pixels: NDArray[np.uint8]) -> None:
    without = segment(pixels, spatial=True, draws=50, tune=20, rng=1)
    assert without.label_draws is None
    np.testing.assert_array_equal(without.probabilities, found.probabilities)
    np.testing.assert_array_equal(without.posterior.means, found.posterior.means)
    assert "shapes" not in without.summary()
    assert "components" not in without.table_text()


def test_files_hold_every_draw(found: Segmentation, tmp_path: Path) -> None:
    found.save(tmp_path / "out")
    assert found.label_draws is not None
    path = tmp_path / "out" / "label_draws.tif"
    with TiffFile(path) as tiff:
        np.testing.assert_array_equal(tiff.asarray(), found.label_draws)
        assert len(tiff.pages) == 40
        assert tiff.series[0].axes == "IYX"
        assert tiff.pages[0].aspage().compression == 8  # Adobe's deflate, which every reader has
    assert path.stat().st_size < found.label_draws.size / 4
    np.testing.assert_array_equal(read_image(path, page=7).pixels, found.label_draws[7])
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "label_draws.tif" in summary["files"]
    assert summary["options"]["keep_labels"] == summary["shapes"]["label_draws"] == 40
    assert summary["shapes"]["spacing"] is None
    for row, told in zip(found.components(), summary["shapes"]["components"], strict=True):
        assert told == {"label": row.label, "number": row.number._asdict()}
    (row,), (told,) = found.boundaries(), summary["shapes"]["boundaries"]
    assert told == {"labels": [0, 1], "pairs": row.pairs._asdict(), "length": row.length._asdict()}
    assert row.pairs.low <= row.pairs.mean <= row.pairs.high
    assert not any("label draws" in caution for caution in found.cautions)
    found.save(tmp_path / "out", overwrite=True)  # the file is known as ours


def test_volumes_and_domains(tmp_path: Path) -> None:
    truth = simulate_potts((6, 20, 22), beta=0.6, spacing=(3.0, 1.0, 1.0), rng=1)
    values = noisy(truth, (90, 150), 20, seed=1)
    domain = np.ones(values.shape, bool)
    domain[:, :5] = False
    image = Image(values, axes="ZYX", spacing=(3.0, 1.0, 1.0), domain=domain)
    result = segment(image, spatial=PottsOptions(0.6), draws=20, tune=10, keep_labels=5, rng=1)
    draws = result.label_draws
    assert draws is not None
    assert ((draws == 255) == ~domain).all()
    assert result.summary()["shapes"]["spacing"] == [3.0, 1.0, 1.0]
    assert "area (units of spacing, squared)" in result.table_text()
    (row,) = result.boundaries()
    faces = 0.0  # by faces of voxels, which overrate rough surfaces by up to a half
    for axis, face in enumerate((1.0, 3.0, 3.0)):
        a, b = (np.moveaxis(draws, axis + 1, 0)[part] for part in (slice(1, None), slice(-1)))
        faces += face * ((a != b) & (a != 255) & (b != 255)).sum() / len(draws)
    assert faces / 2 < row.length.mean < faces
    result.save(tmp_path / "out")
    with TiffFile(tmp_path / "out" / "label_draws.tif") as tiff:
        assert tiff.series[0].axes == "IZYX"
        np.testing.assert_array_equal(tiff.asarray(), draws)


@pytest.mark.slow
def test_intervals_of_components_hold_the_truth() -> None:
    """Pictures from the prior itself: the true numbers rank among those of the draws as any of them would."""
    hits, ranks, control, rng = [], [], [], np.random.default_rng(6)
    for number in range(60):
        truth = simulate_potts((20, 20), beta=0.7, rng=number)
        result = segment(
            noisy(truth, (100, 140), 20, seed=number), spatial=PottsOptions(beta=0.7), tune=50, draws=250,
            priors=pinned((100, 140), 20), keep_labels=200, rng=number,
        )  # fmt: skip
        assert result.label_draws is not None
        rows: list[list[int]] = [[], []]
        p = result.probabilities[1]
        strangers = (rng.random((200, *p.shape)) < p).astype(np.uint8)
        true = count_components(truth, 2, 1, 1)
        for row, draws in zip(rows, (result.label_draws, strangers), strict=True):
            counts = np.array([count_components(z, 2, 1, 1) for z in draws])
            row += [rank(counts[:, k], int(true[k]), rng=rng) for k in (0, 1)]
        ranks.append(rows[0])
        control.append(rows[1])
        hits.append(
            [r.number.low <= t <= r.number.high for r, t in zip(result.components(), true, strict=True)]
        )
    assert is_calibrated(check_calibration(np.array(hits), np.array(ranks), 100))
    assert not is_calibrated(check_calibration(np.array(hits), np.array(control), 100))


# What can't be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_labels": 10}, "keep_labels is of labels that hang together, got 10; add spatial=True"),
        ({"spatial": True, "keep_labels": 0}, "keep_labels must be a whole number from 1 upward, got 0"),
        ({"spatial": True, "keep_labels": -1}, "keep_labels must be a whole number from 1 upward, got -1"),
        ({"spatial": True, "keep_labels": 2.5}, "keep_labels must be a whole number from 1 upward, got 2.5"),
        (
            {"spatial": True, "keep_labels": True},
            "keep_labels must be a whole number from 1 upward, got True",
        ),
        (
            {"spatial": True, "keep_labels": 81},
            r"keep_labels must be at most chains times draws \(80\), got 81",
        ),
    ],
)
def test_wrong_options(pixels: NDArray[np.uint8], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        segment(pixels, draws=20, rng=1, **options)


def test_too_many_bytes_are_refused(pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_BYTES", 10 * pixels.size)
    with pytest.raises(OptionError, match=r"at most 42000 .*, got 11 times 4200; keep at most 10, or crop"):
        segment(pixels, spatial=True, draws=20, keep_labels=11, rng=1)
    assert segment(pixels, spatial=True, draws=20, keep_labels=10, tune=0, rng=1).label_draws is not None


@pytest.mark.parametrize(("spatial", "method"), list(product((False, True), ("components", "boundaries"))))
def test_without_draws_there_are_no_shapes(pixels: NDArray[np.uint8], spatial: bool, method: str) -> None:
    result = segment(pixels, spatial=spatial, draws=20, tune=10, rng=1)
    with pytest.raises(OptionError, match=rf"{method} needs draws of labels .* keep_labels=100, say"):
        getattr(result, method)()


def test_the_command_keeps_labels(here: Path, pixels: Any, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("a.npy", pixels)
    few = ["--draws", "20", "--tune", "10", "--seed", "1", "--allow-unconverged"]
    assert run(["segment", "a.npy", "--spatial", "--keep-labels", "12", "-o", "out", *few]) == 0
    told = capsys.readouterr()
    assert "components and boundaries: 12 label draws" in told.out
    assert "length (pixels)" in told.out
    assert "few label draws, 12 and not 33; keep more" in told.err
    with TiffFile("out/a/label_draws.tif") as tiff:
        assert tiff.asarray().shape == (12, 60, 70)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep-labels", "5"], "--keep-labels is of labels that hang together; add --spatial, or leave it"),
        (
            ["--spatial", "--keep-labels", "0"],
            "Invalid value for '--keep-labels': Input should be greater than or equal to 1",
        ),
        (["--spatial", "--keep-labels", "81", "--draws", "20"], "at most chains times draws (80), got 81"),
    ],
)
def test_wrong_commands(
    here: Path, pixels: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    np.save("a.npy", pixels)
    assert run(["segment", "a.npy", "-o", "out", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()
