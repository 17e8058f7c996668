import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from segmix_cli.main import run

import segmix
from segmix.imaging.files import write_png

FEW = ("--draws", "250", "--seed", "1")


def names(folder="."):
    return sorted(os.listdir(folder))


BAD = {
    "missing": (lambda: None, "no such file"),
    "empty": (lambda: Path("x.png").touch(), "empty"),
    "text": (lambda: Path("x.png").write_text("hello"), "not a picture"),
    "truncated": (lambda: truncate("x.png"), "cut off"),
    "constant": (lambda: write_png("x.png", np.full((8, 8), 7, np.uint8)), "-k|n_classes"),
    "pipe": (lambda: os.mkfifo("x.png"), "pipe"),
    "dangling link": (lambda: Path("x.png").symlink_to("nowhere"), "no such file|link"),
    "link loop": (lambda: Path("x.png").symlink_to("x.png"), "link"),
}


def truncate(path):
    write_png(path, np.random.default_rng(1).integers(0, 255, (24, 32), np.uint8))
    os.truncate(path, os.path.getsize(path) - 200)


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("verb", ["segment", "info"])
def test_a_bad_picture_is_told_in_one_line(here, capsys, case, verb, errors):
    make, words = BAD[case]
    make()
    if (verb, case) == ("info", "constant"):
        assert run(["info", "x.png"]) == 0
        assert "-k 1" in capsys.readouterr().out
        return
    before = names()
    assert run([verb, "x.png", *(["-o", "out", "--seed", "1"] if verb == "segment" else [])]) == 1
    (line,) = errors()
    assert line.startswith("segmix: error: x.png: ")
    assert any(word in line for word in words.split("|")), line
    assert "; " in line
    assert names() == before


def test_a_fault_of_segmix_is_told_as_such(picture, capsys, monkeypatch, errors):
    monkeypatch.setattr(segmix, "segment", lambda image, **options: 1 / 0)
    assert run(["segment", "cells.png", "-o", "out"]) == 1
    (line,) = errors()
    assert "cells.png: internal error (ZeroDivisionError: division by zero)" in line
    assert run(["segment", "cells.png", "-o", "out", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setattr(segmix, "segment", lambda image, **options: np.empty(1 << 46))
    assert run(["segment", "cells.png", "-o", "out"]) == 1
    assert "not enough memory" in errors()[0]


USAGE = [
    (["segment"], "Missing argument"),
    (["segment", "cells.png"], "Missing option '-o' / '--output'"),
    (["segment", "cells.png", "-o", ""], "--output must name a folder"),
    (["segment", "cells.png", "-o", "out", "-x"], "No such option: -x"),
    (["segment", "x*.png", "-o", "out"], "x*.png: no file matches"),
    (["segment", "empty", "-o", "out"], "empty: is a folder without pictures"),
    (
        ["segment", "cells.png", "./cells.png", "-o", "out"],
        "cells.png and ./cells.png would both be written to",
    ),
    *(
        (["segment", "cells.png", "-o", "out", "-k", k], "'--classes'")
        for k in ("0", "-1", "17", "nan", "1e20", "2.5")
    ),
    (["segment", "cells.png", "-o", "out", "--draws", "0"], "'--draws'"),
    (["segment", "cells.png", "-o", "out", "--draws", "1e20"], "'--draws'"),
    (["segment", "cells.png", "-o", "out", "--tune", "-1"], "'--tune'"),
    (["segment", "cells.png", "-o", "out", "--chains", "0"], "'--chains'"),
    (["segment", "cells.png", "-o", "out", "--seed", "-1"], "'--seed'"),
    (["segment", "cells.png", "-o", "out", "--seed", str(2**70)], "'--seed'"),
    (["segment", "cells.png", "-o", "out", "--max-pixels", "0"], "'--max-pixels'"),
    (["segment", "cells.png", "-o", "out", "--sampler", "nuts2"], "'--sampler'"),
    *(
        (
            ["segment", "cells.png", "-o", "out", "--foreground", labels],
            f"from 0 to 1 separated by commas, got {labels!r}",
        )
        for labels in ("2", "-1", "red", "", "0,2", "0;1")
    ),
    *(
        (["segment", "cells.png", "-o", "out", "--quantization", step], "--quantization must be")
        for step in ("0", "-1", "nan", "inf", "x")
    ),
    *(
        (["segment", "cells.png", "-o", "out", "--limits", ends], "--limits must be")
        for ends in ("1", "2,1", "1,1", "nan,1", "0,inf", "a,b", "1,2,3", "")
    ),
    (["segment", "cells.png", "-o", "out", "--preprocess", "sharpen"], "'sharpen'"),
    (["segment", "cells.png", "-o", "out", "--prior", "bad.toml"], "--prior: bad.toml"),
    (["segment", "cells.png", "-o", "out", "--prior", "unknown.toml"], "smoothness"),
    (["simulate", "faces"], "'faces'"),
    (["simulate", "tissue", "--shape", "0,5"], "shape must be"),
    (["simulate", "cells", "--shape", "5"], "--shape must be"),
    (["simulate", "cells", "-o", "cells.jpg"], "--output must end in .png or .tif"),
    (["paint"], "No such command 'paint'"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), USAGE, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_wrong_usage_is_told_in_one_line(picture, arguments, words, errors):
    Path("empty").mkdir()
    Path("bad.toml").write_text("[means")
    Path("unknown.toml").write_text("[smoothness]\nbeta = 1\n")
    before = names()
    assert run(arguments) == 2
    (line,) = errors()
    assert line.startswith("segmix: error: ")
    assert words in line
    assert names() == before


def test_a_bad_domain_is_told_before_the_work(picture, errors):
    assert run(["segment", "cells.png", "-o", "out", "--domain", "roi.png"]) == 1
    assert errors()[0].startswith("segmix: error: --domain: roi.png: no such file")
    write_png("roi.png", np.ones((5, 5), bool))
    assert run(["segment", "cells.png", "-o", "out", "--domain", "roi.png"]) == 1
    assert "shape" in errors()[0]
    assert names() == ["cells.png", "roi.png"]


def test_targets_are_checked_before_the_work(picture, monkeypatch, errors):
    monkeypatch.setattr(segmix, "segment", lambda image, **options: pytest.fail("the work began"))
    Path("out/cells").mkdir(parents=True)
    assert run(["segment", "cells.png", "-o", "out"]) == 1
    assert "out/cells: exists already; " in errors()[0]
    Path("out/cells/notes.txt").write_text("mine")
    assert run(["segment", "cells.png", "-o", "out", "--overwrite"]) == 1
    assert "segmix did not write it" in errors()[0]
    for output in ("cells.png", "cells.png/deeper"):
        assert run(["segment", "cells.png", "-o", output]) == 1
        assert "cells.png is not a folder" in errors()[0]
    assert names("out/cells") == ["notes.txt"]


def test_overwriting_replaces_an_earlier_result_but_never_the_input(picture, capsys, errors):
    for _ in range(2):
        assert run(["segment", "cells.png", "-o", "out", "--overwrite", *FEW]) == 0
    shutil.move("cells.png", "out/cells/cells.png")
    capsys.readouterr()
    assert run(["segment", "out/cells/cells.png", "-o", "out", "--overwrite", *FEW]) == 1
    assert "which replacing it would delete" in errors()[0]
    assert {"cells.png", "summary.json"} < set(names("out/cells"))


def test_a_palette_is_no_domain(picture, errors):
    write_png(
        "roi.png", np.eye(24, 32, dtype=np.uint8), palette=np.array([[9, 0, 80], [255, 255, 0]], np.uint8)
    )
    assert run(["segment", "cells.png", "-o", "out", "--domain", "roi.png"]) == 1
    assert "roi.png: a domain must be gray (0 leaves out), got a palette" in errors()[-1]
    assert not os.path.exists("out")


def test_words_are_no_files_to_be_kept(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ["--seed", "1", "--draws", "100", "-q", "--allow-unconverged"]
    for command in ("segment", "fit"):
        assert run([command, "cells.png", "-o", f"{command}s", *few]) == 0
        monkeypatch.chdir(picture.parent / f"{command}s" / "cells")
        for prior in ("auto", "lecture"):
            again = ["../../cells.png", "-o", "..", "--overwrite", "--prior", prior, *few]
            assert run([command, *again]) == 0
            monkeypatch.chdir(picture.parent / f"{command}s" / "cells")
        segmix.segment(np.eye(9), rng=1).save("../cells", overwrite=True)
        monkeypatch.chdir(picture.parent)


def test_an_empty_name_is_told(here, errors):
    for command in (["info"], ["segment", "-o", "out"], ["fit", "-o", "out"]):
        assert run([*command, ""]) == 2
        (line,) = errors()
        assert line.startswith("segmix: error: ")
        assert "must name a file, got an empty name; give the name" in line
