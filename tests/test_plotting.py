"""Pictures of posteriors, by name, in Python and in the shell."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from segmix_cli.main import run

from segmix import Posterior, Priors, fit, simulate_mixture
from segmix.errors import OptionError
from segmix.plotting import FIGURES, _visible, plot
from segmix.samples import count_samples
from segmix.views.draws import _autocorrelation, _thinned

LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    return fit(simulate_mixture(200, *LECTURE, rng=5), priors=Priors.lecture(), draws=200, rng=1)


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_is_a_picture_with_the_same_bytes(
    posterior: Posterior, kind: str, tmp_path: Path
) -> None:
    data = plot(posterior, kind, title="data")
    assert data == plot(posterior, kind, title="data")
    (tmp_path / "a.png").write_bytes(data)
    with Pillow.open(tmp_path / "a.png") as picture:
        assert picture.width == 1000
        assert np.asarray(picture.convert("L")).std() > 10


def test_one_class_and_many_are_drawn() -> None:
    data = simulate_mixture(300, (0.2,) * 5, (10, 60, 110, 160, 210), (6,) * 5, rng=1)
    for n_classes in (1, 5):
        few = fit(data, n_classes=n_classes, draws=50, until_converged=False, rng=1)
        for kind in FIGURES:
            assert plot(few, kind, truth=data.truth).startswith(b"\x89PNG")


def test_the_truth_changes_the_histogram(posterior: Posterior) -> None:
    truth = simulate_mixture(1, *LECTURE, rng=1).truth
    assert plot(posterior, "histogram") != plot(posterior, "histogram", truth=truth)


def test_autocorrelation_is_that_of_the_definition() -> None:
    line = np.random.default_rng(1).normal(size=200).cumsum()
    centered = line - line.mean()
    expected = [(centered[lag:] * centered[: 200 - lag]).sum() / (centered**2).sum() for lag in range(31)]
    np.testing.assert_allclose(_autocorrelation(line, 30), expected, atol=1e-12)
    assert _autocorrelation(np.ones(50), 3).tolist() == [1, 0, 0, 0]


def test_long_lines_keep_their_extremes() -> None:
    line = np.random.default_rng(1).normal(size=100_000)
    line[77_777] = 9.0
    at, shown = _thinned(line)
    assert len(at) == len(shown) <= 4000
    assert (shown.max(), shown.min()) == (line.max(), line.min())


def test_exact_values_are_gathered_for_the_eye() -> None:
    levels = count_samples(simulate_mixture(500, *LECTURE, rng=1))
    gathered = _visible(levels)
    assert levels.step == 0
    assert gathered.counts.sum() == 500
    assert 15 <= gathered.n_levels <= 60


def test_an_unknown_figure(posterior: Posterior) -> None:
    with pytest.raises(OptionError, match=r"kind must be one of trace, .* got 'pie'"):
        plot(posterior, "pie")


def test_the_command_draws(here: Path, posterior: Posterior, capsys: pytest.CaptureFixture[str]) -> None:
    posterior.save("posterior.nc")
    assert run(["plot", "trace", "posterior.nc", "-o", "trace.png"]) == 0
    assert capsys.readouterr().out == "trace.png\n"
    for arguments, status, message in (
        (["trace", "posterior.nc", "-o", "trace.png"], 1, "trace.png: exists already"),
        (["trace", "none.nc", "-o", "a.png"], 1, "none.nc: no such file"),
        (["trace", "posterior.nc", "-o", "a.jpg"], 2, "--output must end in .png"),
        (["graph", "posterior.nc", "-o", "a.jpg"], 2, "written as .dot, .gv, .png or .svg"),
        (["pie", "posterior.nc", "-o", "a.png"], 2, "'pie'"),
    ):
        assert run(["plot", *arguments]) == status
        assert message in capsys.readouterr().err
    assert sorted(os.listdir()) == ["posterior.nc", "trace.png"]


def test_a_figure_never_replaces_its_posterior(
    here: Path, posterior: Posterior, capsys: pytest.CaptureFixture[str]
) -> None:
    posterior.save("a.png")
    posterior.save("b.dot")
    os.link("a.png", "c.png")
    for name, target in (("a.png", "./a.png"), ("a.png", "c.png"), ("b.dot", "b.dot")):
        kind = "graph" if name == "b.dot" else "trace"
        assert run(["plot", kind, name, "-o", target, "--overwrite"]) == 1
        assert f"is the input {name}, which must stay; choose another name" in capsys.readouterr().err
        Posterior.load(target)


@pytest.mark.filterwarnings("ignore")  # PyMC's and ArviZ's own, on import
def test_the_command_draws_the_graph(here: Path, posterior: Posterior) -> None:
    posterior.save("posterior.nc")
    assert run(["plot", "graph", "posterior.nc", "-o", "model.dot"]) == 0
    assert '"means" -> "likelihood"' in Path("model.dot").read_text()
