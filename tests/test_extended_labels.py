"""Label draws of a run that goes on: they are of the added draws, and tell so."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from segmix_cli.main import run
from tifffile import TiffFile

from segmix import Posterior, Segmentation, segment
from segmix.errors import OptionError
from segmix.potts import keeping
from segmix.workflow import segmentation_of

from .test_posterior import assert_same

pytestmark = pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")  # of short runs

FIRST, MORE, CHAINS, THIN = 9, 12, 3, 2


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """Two halves under noise, some pixels of which are not in the domain of ``sampled``."""
    exact = np.random.default_rng(3).normal(90 + 40 * (np.arange(30) > 14), 25, (20, 30))
    return np.clip(np.rint(exact), 0, 255).astype(np.uint8)


def sampled(pixels: NDArray[np.uint8], draws: int, n: int | None) -> Segmentation:
    domain = np.random.default_rng(1).random(pixels.shape) < 0.9
    options: dict[str, Any] = {"tune": 8, "chains": CHAINS, "thin": THIN, "until_converged": False, "rng": 5}
    return segment(pixels, spatial=True, domain=domain, draws=draws, keep_labels=n, **options)


@pytest.fixture(scope="module")
def every(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All labelings of the added draws of one run that never stopped, (chains, MORE, rows, cols)."""
    labels = sampled(pixels, FIRST + MORE, CHAINS * (FIRST + MORE)).label_draws
    assert labels is not None
    return labels.reshape(CHAINS, FIRST + MORE, *pixels.shape)[:, FIRST:]


@pytest.mark.parametrize("n", [1, 7, CHAINS * MORE])
@pytest.mark.parametrize("before", [None, 5])
def test_they_are_spaced_over_the_added_draws(
    pixels: NDArray[np.uint8], every: NDArray[np.uint8], n: int, before: int | None
) -> None:
    """The very labels of a run that never stopped, whatever was kept before; all else stays the same."""
    first = sampled(pixels, FIRST, before)
    longer = first.extend(MORE, keep_labels=n)
    assert longer.label_draws is not None
    chain, draw = keeping.places(n, n_chains=CHAINS, n_draws=MORE).T
    np.testing.assert_array_equal(longer.label_draws, every[chain, draw])
    if n > 1:  # control: those of the run before are others
        assert (longer.label_draws != every[chain, draw - 1]).any()
    plain = first.extend(MORE)
    assert_same(longer.posterior.steps, plain.posterior.steps)
    np.testing.assert_array_equal(longer.probabilities, plain.probabilities)
    assert longer.options["keep_labels"] == n
    assert (longer.options["extended"], longer.options["labels_after"]) == ([MORE], FIRST)
    assert longer.summary()["shapes"]["label_draws"] == n
    assert len(longer.components()) == 2
    again = longer.extend(5, keep_labels=2)
    assert again.options["labels_after"] == FIRST + MORE
    assert again.label_draws is not None
    assert len(again.label_draws) == 2


def test_without_a_wish_they_stay_those_of_before(pixels: NDArray[np.uint8]) -> None:
    first = sampled(pixels, FIRST, 5)
    longer = first.extend(MORE)
    assert longer.label_draws is first.label_draws
    assert "labels_after" not in longer.options


def test_a_file_knows_of_them(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    longer = sampled(pixels, FIRST, None).extend(MORE, keep_labels=4)
    longer.save(tmp_path / "out")
    assert (tmp_path / "out/label_draws.tif").is_file()
    opened = segmentation_of(Posterior.load(tmp_path / "out/posterior.nc"), foreground=(1,))
    assert opened.label_draws is None
    assert any("label draws were kept but are not carried on" in note for note in opened.image.notes)
    more = opened.extend(4, keep_labels=3)
    assert more.label_draws is not None
    np.testing.assert_array_equal(more.label_draws, longer.extend(4, keep_labels=3).label_draws)


@pytest.mark.parametrize(
    ("draws", "n", "message"),
    [
        (5, 0, "keep_labels must be a whole number from 1 upward, got 0"),
        (5, 16, r"keep_labels must be at most chains times draws \(15\), got 16"),
        (0, 1, "draws must be a whole number from 1 upward, got 0"),
    ],
)
def test_wrong_options(pixels: NDArray[np.uint8], draws: int, n: int, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        sampled(pixels, FIRST, None).extend(draws, keep_labels=n)


def test_strangers_have_none(pixels: NDArray[np.uint8]) -> None:
    alone = segment(pixels, draws=20, until_converged=False, rng=1)
    with pytest.raises(OptionError, match="keep_labels is of labels that hang together, got 2; segment with"):
        alone.extend(20, keep_labels=2)


def test_the_command_keeps_labels_of_added_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    simulate = ["simulate", "potts", "--shape", "40,44", "--beta", "0.7", "--seed", "1", "-o", "f.png"]
    assert run(simulate) == 0
    short = [
        "--draws",
        "40",
        "--tune",
        "20",
        "--chains",
        "2",
        "--exactly",
        "--allow-unconverged",
        "--seed",
        "1",
    ]
    assert run(["segment", "f.png", "--spatial", *short, "-o", "a"]) == 0
    more = ["continue", "a/f/posterior.nc", "--draws", "60", "--allow-unconverged"]
    assert run([*more, "--keep-labels", "10", "-o", "b"]) == 0
    with TiffFile("b/f/label_draws.tif") as file:
        kept = file.asarray()
    assert kept.shape == (10, 40, 44)
    whole = segment("f.png", spatial=True, draws=40, tune=20, chains=2, until_converged=False, rng=1)
    np.testing.assert_array_equal(kept, whole.extend(60, keep_labels=10).label_draws)
    shapes = json.loads(Path("b/f/summary.json").read_text())["shapes"]
    assert shapes["label_draws"] == 10
    capsys.readouterr()
    assert run([*more, "--keep-labels", "1000", "-o", "c"]) == 2
    assert "keep_labels" in capsys.readouterr().err
    assert not Path("c").exists()
