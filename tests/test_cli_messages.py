"""What the command says when it is misused, and what it says of odd pictures."""

import os
from pathlib import Path

import numpy as np
import pytest
from segmix_cli.main import run

from segmix.imaging.files import write_png


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (
            ["segment", "x.png", "-o", "o", "--connectivity", "4"],
            "equal to 3, got '4'; see segmix segment --help",
        ),
        (["segment", "x.png", "-o", "o", "-k", "two"], "as an integer, got 'two'; see segmix segment --help"),
        (["simulate", "bar"], "'mixture'; see segmix simulate --help"),
        (["fit", "x", "-o", "o", "--sampler", "foo"], "'pymc-lecture'; see segmix fit --help"),
    ],
)
def test_usage_errors_say_what_came(errors, arguments: list[str], end: str) -> None:
    assert run(arguments) == 2
    (line,) = errors()
    assert line.endswith(end)


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "cells.png", "-o", "", "--debug"],
        ["fit", "cells.png", "-o", "", "--debug"],
        ["fit", "cells.png", "-o", "out", "-k", "2", "--quantization", "-1", "--debug"],
    ],
)
def test_the_traceback_of_wrong_options(picture: Path, capsys, arguments: list[str]) -> None:
    assert run(arguments) == 2
    assert "Traceback" in capsys.readouterr().err
    assert run(arguments[:-1]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_picture_that_is_saturated_all_over(here: Path, capsys) -> None:
    write_png("white.png", np.full((8, 8), 255, np.uint8))
    assert run(["info", "white.png"]) == 0
    assert "64 pixels at 255 (100 %)" in capsys.readouterr().out


def test_no_name_is_no_file(here: Path, errors) -> None:
    for kind in ("mixture", "cells"):
        assert run(["simulate", kind, "-o", ""]) == 2
        (line,) = errors()
        assert "--output must name a file, got ''" in line
    assert os.listdir() == []


def test_the_truth_of_a_file_is_marked(here: Path) -> None:
    from segmix import Posterior
    from segmix.plotting import plot

    assert run(["simulate", "mixture", "-n", "100", "--seed", "5", "-o", "a.csv"]) == 0
    few = ["--seed", "1", "--draws", "40", "--allow-unconverged", "-q"]
    assert run(["fit", "a.csv", "-o", "out", *few]) == 0
    posterior = Posterior.load("out/a/posterior.nc")
    marked = plot(posterior, "histogram")
    assert marked == plot(posterior, "histogram", truth=posterior.truth)
    posterior.__dict__["truth"] = None
    assert marked != plot(posterior, "histogram")
