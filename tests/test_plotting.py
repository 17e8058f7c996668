"""Pictures of posteriors, by name, in Python and in the shell."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from segmix_cli.main import run

from segmix import Posterior, Priors, fit, simulate_mixture
from segmix.errors import OptionError
from segmix.plotting import FIGURES, _visible, graph, plot
from segmix.samples import count_samples
from segmix.views import draws, priors
from segmix.views.draws import _autocorrelation, _pieces

FIGURE_ORDER = ("means[0]", "means[1]", "stds[0]", "stds[1]", "weights[0]", "weights[1]")
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
    truth = simulate_mixture(1, (0.5, 0.5), (110, 190), (20, 20), rng=1).truth
    assert plot(posterior, "histogram") != plot(posterior, "histogram", truth=truth)


def test_autocorrelation_is_that_of_the_definition() -> None:
    line = np.random.default_rng(1).normal(size=200).cumsum()
    centered = line - line.mean()
    expected = [(centered[lag:] * centered[: 200 - lag]).sum() / (centered**2).sum() for lag in range(31)]
    np.testing.assert_allclose(_autocorrelation(line, 30), expected, atol=1e-12)
    assert _autocorrelation(np.ones(50), 3).tolist() == [1, 0, 0, 0]


def test_long_lines_are_means_over_extremes() -> None:
    line = np.random.default_rng(1).normal(size=100_000)
    line[77_777] = 9.0
    at, low, mean, high = _pieces(line)
    assert len(at) == len(mean) == 500
    assert (high.max(), low.min()) == (line.max(), line.min())
    assert mean[7] == pytest.approx(line[1400:1600].mean())
    assert at[7] == 1500
    for part in _pieces(line[:4000])[1:]:
        np.testing.assert_array_equal(part, line[:4000])


def test_exact_values_are_gathered_for_the_eye() -> None:
    levels = count_samples(simulate_mixture(500, *LECTURE, rng=1))
    gathered = _visible(levels)
    assert levels.step == 0
    assert gathered.counts.sum() == 500
    assert 15 <= gathered.n_levels <= 60


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that draws, and returns the figure and its visible axes instead of the PNG."""
    for module in (draws, priors):
        monkeypatch.setattr(module, "to_png", lambda figure: figure)

    def draw(posterior: Posterior, kind: str) -> Any:
        figure: Any = plot(posterior, kind)
        return figure, [axes for axes in figure.axes if axes.get_visible()]

    return draw


def test_the_trace_has_a_panel_for_each_number_and_a_color_for_each_chain(
    posterior: Posterior, drawn: Any
) -> None:
    figure, panels = drawn(posterior, "trace")
    assert [axes.get_title(loc="left") for axes in panels] == list(FIGURE_ORDER)
    for axes in panels:
        colors = [line.get_color() for line in axes.lines]
        assert len(set(colors)) == posterior.n_chains
        assert axes.patches[0].get_width() == posterior.tune
        assert not axes.texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["chain 0", "1", "2", "3"]
    np.testing.assert_array_equal(panels[1].lines[2].get_ydata()[posterior.tune :], posterior.means[2, :, 1])


def test_lines_of_chains_stand_out_from_white() -> None:
    """The contrast that WCAG 2.1 (1.4.11) asks of lines is 3."""
    for color in draws.CHAINS:
        red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
        assert 1.05 / (np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05) > 3


def test_a_wide_prior_and_a_narrow_posterior_are_both_seen(drawn: Any) -> None:
    data = simulate_mixture(20_000, *LECTURE, rng=5)
    narrow = fit(data, rng=1)
    _, panels = drawn(narrow, "prior")
    for axes, name in zip(panels, FIGURE_ORDER, strict=True):
        (left, right), row = axes.get_xlim(), narrow.summary()[name]
        assert (row.high - row.low) / (right - left) > 0.15
        assert left < row.low < row.high < right
        outline = axes.patches[-1].get_data()
        inside = (outline.edges[1:] > left) & (outline.edges[:-1] < right)
        assert outline.values[inside].max() > 0.15 * axes.get_ylim()[1]
        assert re.fullmatch(r"prior .* to .*, height x [\d,.]+", axes.texts[0].get_text())


def test_a_prior_like_the_posterior_is_shown_whole_and_as_it_is(drawn: Any) -> None:
    strong = fit([95.0, 96, 130, 199, 210], n_classes=2, priors=Priors.lecture(), draws=200, rng=1)
    _, panels = drawn(strong, "prior")
    text = panels[0].texts[0].get_text()
    assert "height" not in text
    low, high = (float(part) for part in re.findall(r"[\d.]+", text))
    assert (low, high) == pytest.approx((110 - 18.8, 110 + 18.8), abs=1)
    left, right = panels[0].get_xlim()
    assert left < low < high < right


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
def test_the_command_draws_the_graph(
    here: Path, posterior: Posterior, capsys: pytest.CaptureFixture[str]
) -> None:
    posterior.save("posterior.nc")
    command = ["plot", "graph", "posterior.nc", "--overwrite", "-o", "model.dot"]
    for options, edge in (
        ([], '"means" -> "likelihood"'),
        (["--model", "marginal"], '"weights" -> "likelihood"'),
        (["--model", "lecture"], '"assignment" -> "values"'),
    ):
        assert run([*command, *options]) == 0
        assert edge in Path("model.dot").read_text()
    assert run(["plot", "trace", "posterior.nc", "-o", "a.png", "--model", "lecture"]) == 2
    assert "--model is of graph, got it for trace" in capsys.readouterr().err
    fit(np.arange(20), draws=50, until_converged=False, rng=1).save("binned.nc")
    assert run(["plot", "graph", "binned.nc", "-o", "a.dot", "--model", "lecture"]) == 2
    assert "the lecture's model has no intervals" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_the_graph_is_of_the_model_that_was_sampled(posterior: Posterior) -> None:
    explicit = replace(posterior, sampler="gibbs")
    assert b'"assignment" -> "values"' in graph(explicit)
    assert b'"likelihood"' in graph(replace(explicit, step=1.0))
    assert b'"likelihood"' in graph(replace(explicit, counts=posterior.counts * 1000))
    with pytest.raises(OptionError, match="model must be one of lecture, marginal, got 'other'"):
        graph(posterior, model="other")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_graphviz_draws_it(posterior: Posterior, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(graph(posterior, ".png", model="lecture"))
    with Pillow.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 100
    assert b">assignment (200)<" in graph(posterior, ".svg", model="lecture")
