"""What the command says when it is misused, and what it says of odd pictures."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from segmix_cli.main import app, run
from typer.main import get_command

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


NAMES_OF_COMMANDS = ["segment", "fit", "continue", "compare", "info", "lecture", "plot", "score", "simulate"]


@pytest.mark.parametrize("command", NAMES_OF_COMMANDS)
def test_help_prints_its_brackets(command: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in brackets is no markup but in headings, and is printed."""
    monkeypatch.setenv("COLUMNS", "300")
    known = get_command(app).commands[command]
    assert run([command, "--help"]) == 0
    printed = capsys.readouterr().out
    texts = [known.help, *(getattr(parameter, "help", None) or "" for parameter in known.params)]
    words = {word for text in texts for word in re.findall(r"\[[^\]]*\]", text)} - {"[bold]", "[/bold]"}
    assert all(word in printed for word in words)
    if any(parameter.name == "prior" for parameter in known.params):
        assert words == {"[means]", "[stds]", "[weights]"}
        assert "tables [means], [stds] and [weights], each" in printed


def test_every_command_has_its_help_looked_at() -> None:
    assert sorted(get_command(app).commands) == sorted(NAMES_OF_COMMANDS)


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


COMMANDS = {
    "segment": ["segment", "{}", "-o", "out"],
    "fit": ["fit", "{}", "-o", "out"],
    "continue": ["continue", "{}", "-o", "out"],
    "plot": ["plot", "trace", "{}", "-o", "trace.png"],
    "info": ["info", "{}"],
    "compare": ["compare", "{}"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_standard_input_is_not_read(here: Path, errors, command: str) -> None:
    assert run([word.format("-") for word in COMMANDS[command]]) == 1
    (line,) = errors()
    assert line == (
        "segmix: error: -: standard input is not read; write it to a file and give that "
        "(./- is a file of this name)"
    )
    assert os.listdir() == []


def test_a_file_named_like_standard_input_is_a_file(picture: Path) -> None:
    os.rename(picture, "-")
    assert run(["info", "-"]) == 0
    assert run(["info", "./-"]) == 0


@pytest.mark.parametrize("command", ["segment", "fit", "continue", "plot"])
def test_a_missing_input_is_told_before_the_target(here: Path, errors, command: str) -> None:
    Path("out/IMG_0001").mkdir(parents=True)
    Path("trace.png").touch()
    assert run([word.format("IMG_0001") for word in COMMANDS[command]]) == 1
    (line,) = errors()
    assert line == "segmix: error: IMG_0001: no such file; check the name and the folder"
    os.symlink("nowhere", "IMG_0002")
    assert run([word.format("IMG_0002") for word in COMMANDS[command]]) == 1
    assert "IMG_0002: a link to a file that does not exist" in errors()[0]


NAMES = [
    "mask.png",
    "a.JPG",
    "b.jpeg",
    "c.tif",
    "d.tiff",
    "e.bmp",
    "f.gif",
    "g.webp",
    "h.npy",
    "i.nc",
    "j.json",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", ["segment", "fit", "continue", "lecture"])
def test_a_folder_with_the_name_of_a_file_is_not_made(picture: Path, errors, command: str, name: str) -> None:
    given = [] if command == "lecture" else ["cells.png"]
    assert run([command, *given, "-o", f"new/{name}"]) == 2
    (line,) = errors()
    stem = name.partition(".")[0]
    assert line.endswith(
        "--output must name a folder, in which results get names of their own, "
        f"got 'new/{name}', which looks like a file's; give for example -o new/{stem}, "
        "or make that folder first"
    )
    assert os.listdir() == ["cells.png"]


def test_a_folder_with_the_name_of_a_file_that_is_there_is_taken(picture: Path) -> None:
    Path("run.png").mkdir()
    for name in ("run.png", "run.1"):
        few = ["--seed", "1", "--draws", "100", "-q", "--allow-unconverged"]
        assert run(["segment", "cells.png", "-o", name, *few]) == 0
        assert Path(name, "cells/mask.png").exists()


@pytest.mark.parametrize("command", ["segment", "fit"])
def test_a_folder_that_cannot_be_read_is_named(picture: Path, errors, monkeypatch, command: str) -> None:
    Path("scans").mkdir()

    def closed(path: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        assert run([command, "scans", "-o", "out"]) == 1
    (line,) = errors()
    assert line.startswith("segmix: error: scans: ")
    said = {"segment": "is a folder that can't be read (Permission denied); change", "fit": "a folder"}
    assert said[command] in line
    assert sorted(os.listdir()) == ["cells.png", "scans"]


def test_any_file_that_fails_is_named() -> None:
    from segmix_cli import failures

    error = OSError(5, "Input/output error", "disk/a.bin")
    told = "disk/a.bin: can't be read or written (Input/output error); check the disk and the permissions"
    assert failures.explain(error, source="segmix") == f"segmix: {told}"
    assert failures.explain(error, source="disk/a.bin") == told


@pytest.mark.parametrize("command", ["segment", "fit"])
def test_an_empty_domain_and_a_figure_for_a_folder_are_refused(picture: Path, errors, command: str) -> None:
    assert run([command, "cells.png", "-o", "out", "--domain", ""]) == 2
    assert "--domain must name a file" in errors()[-1]
    for name in ("out.svg", "out.pdf"):
        assert run([command, "cells.png", "-o", name]) == 2
        assert "--output must name a folder" in errors()[-1]


@pytest.mark.parametrize("command", ["segment", "fit"])
def test_a_domain_that_is_missing_is_told_as_one(picture: Path, errors, command: str) -> None:
    assert run([command, "cells.png", "-o", "out", "--domain", "no.png"]) == 1
    assert "--domain: no.png: no such file" in errors()[-1]
