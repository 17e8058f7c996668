"""The lecture's replay, shortened."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from segmix_cli.main import run

from segmix import Priors, lecture
from segmix.comparison import compare
from segmix.fitting import load
from segmix.samples import simulate_mixture
from segmix.views.render import palette

FIGURES = {
    "1_data.png",
    "2_prior.png",
    "3_model.dot",
    "4_trace_500.png",
    "5_trace_all.png",
    "6_before.png",
    "7_after.png",
    "8_autocorrelation.png",
    "9_thinned.png",
    "10_bad_guesses.png",
    "11_picture.png",
    "12_assignments.png",
    "summary.json",
}


@pytest.mark.filterwarnings("ignore")  # PyMC's and ArviZ's own, on import
def test_the_command_replays_it(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lecture, "SWEEP", (50, 100))
    assert run(["lecture", "-o", "out", "--draws", "1000"]) == 0
    out = capsys.readouterr().out
    drawn = {"3_model.png"} if shutil.which("dot") else set()
    assert set(os.listdir("out")) == FIGURES | drawn
    assert '"assignment" -> "values"' in Path("out/3_model.dot").read_text()
    assert "the first 500 draws" in out
    assert "NOT CONVERGED" in out.split("1,500 draws")[0]
    summary = json.loads(Path("out/summary.json").read_text("utf-8"))
    assert out.startswith("points\nestimate  means")
    points = summary["point_estimates"]
    assert list(points) == ["kmeans", "em", "map"]
    data = load(simulate_mixture(lecture.N_VALUES, *lecture.TRUTH, rng=5), n_classes=2)
    (peak,) = compare(data, priors=Priors.lecture(), methods=("map",))
    assert points["map"]["means"] == pytest.approx(peak.parameters.means, abs=0.01)
    with Pillow.open("out/12_assignments.png") as picture:
        colors = np.unique(np.asarray(picture)[:, 256:].reshape(-1, 3), axis=0)
    assert sorted(colors.tolist()) == sorted(palette(3).tolist())
    assert len(summary["bad_guesses"]) == 16
    assert summary["sampling"]["thinned"] == 5
    assert run(["lecture", "-o", "out", "--draws", "1000"]) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_the_story_it_tells() -> None:
    """500 draws have not converged, 100,000 more have; narrow wrong guesses win over the data."""
    data = simulate_mixture(lecture.N_VALUES, *lecture.TRUTH, rng=5)
    tries = lecture.sweep(data, seed=5, centers=((110.0, 210.0), (210.0, 310.0)), widths=(3.0, 100.0))
    good, _, wrong, vague = tries
    assert good.draws is not None
    assert good.draws <= 1000
    assert abs(wrong.means[1] - 200) > 90
    assert abs(vague.means[1] - 200) < 25
