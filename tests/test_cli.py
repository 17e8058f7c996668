import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from segmix_cli import options
from segmix_cli.inputs import expand, plan_jobs, result_name
from segmix_cli.main import run
from segmix_cli.phantoms import write_phantom
from segmix_cli.simulate import Kind

import segmix
from segmix import outputs
from segmix.errors import OptionError, printable
from segmix.imaging import guard
from segmix.imaging.files import write_png
from segmix.simulate import KINDS

FILES = {
    "entropy.png",
    "fit.png",
    "labels.png",
    "mask.png",
    "overlay.png",
    "posterior.nc",
    "probabilities.tif",
    "summary.json",
}
FEW = ("--draws", "250", "--seed", "1")


def names(folder="."):
    return sorted(os.listdir(folder))


def test_segment_writes_a_folder_and_prints_a_table(picture, capsys):
    assert run(["segment", "cells.png", "-o", "out", *FEW]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("cells.png -> out/cells\nclass")
    assert "converged" in out
    assert "Warning" not in err
    assert set(names("out/cells")) == FILES
    assert names() == ["cells.png", "out"]
    summary = json.loads(Path("out/cells/summary.json").read_text("utf-8"))
    assert summary["sampling"]["seed"] == 1


def test_the_same_seed_gives_the_same_bytes(picture, capsys):
    for folder in ("first", "second"):
        assert run(["segment", "cells.png", "-o", folder, *FEW]) == 0
    for name in FILES:
        assert Path("first/cells", name).read_bytes() == Path("second/cells", name).read_bytes()
    assert run(["segment", "cells.png", "-o", "third", "--draws", "250", "--seed", "2"]) == 0
    first, third = (Path(folder, "cells", "posterior.nc").read_bytes() for folder in ("first", "third"))
    assert first != third


def test_json_is_one_object_per_image_with_finite_numbers(here, capsys, write_picture):
    for name in ("a.png", "b.png"):
        write_picture(here / name)
    assert run(["segment", "a.png", "b.png", "-o", "out", "--json", *FEW]) == 0
    records = [json.loads(line, parse_constant=pytest.fail) for line in capsys.readouterr().out.splitlines()]
    assert [record["input"] for record in records] == ["a.png", "b.png"]
    assert [record["output"] for record in records] == ["out/a", "out/b"]
    assert all(record["verdict"]["converged"] for record in records)


def test_a_drawn_seed_is_told_and_stored(picture, capsys):
    assert run(["segment", "cells.png", "-o", "out", "--draws", "250"]) == 0
    seed = json.loads(Path("out/cells/summary.json").read_text("utf-8"))["sampling"]["seed"]
    assert f"--seed {seed} gives the same again" in capsys.readouterr().err


def test_quiet_prints_nothing(picture, capsys):
    assert run(["segment", "cells.png", "-o", "out", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_every_option_reaches_the_library(here, capsys, monkeypatch, write_picture):
    write_picture(here / "three.png", n_classes=3)
    write_png(here / "roi.png", np.repeat([[True, False]], [24, 8], axis=1).repeat(24, axis=0))
    Path("prior.toml").write_text('[means]\nfamily = "normal"\nmean = [60, 120, 180]\nstd = 50\n')
    options = [
        "-k",
        "3",
        "--foreground",
        "2,1",
        "--prior",
        "prior.toml",
        "--quantization",
        "1",
        "--limits",
        "none,255",
    ]
    options += ["--sampler", "gibbs", "--draws", "400", "--tune", "300", "--chains", "3", "--seed", "7"]
    options += ["--thin", "2", "--doublings", "2"]
    options += [
        "--preprocess",
        "crop:0,0,20,32",
        "--preprocess",
        "median:1",
        "--max-pixels",
        "768",
        "--page",
        "0",
    ]
    seen = {}
    segment = segmix.segment
    monkeypatch.setattr(
        segmix,
        "segment",
        lambda image, **given: segment(seen.setdefault("i", image), **seen.setdefault("g", given)),
    )
    assert run(["segment", "three.png", "-o", "out", "--domain", "roi.png", *options]) in (0, 3)
    assert seen["i"].limits == (None, 255.0)
    given = seen["g"]
    assert seen["i"].domain.sum() == 24 * 24
    assert given.pop("priors") == segmix.Priors.from_toml("prior.toml")
    assert given == {
        "n_classes": 3,
        "foreground": (1, 2),
        "quantization": 1.0,
        "spatial": False,
        "keep_labels": None,
        "preprocess": ("crop:0,0,20,32", "median:1"),
        "sampler": "gibbs",
        "draws": 400,
        "tune": 300,
        "chains": 3,
        "thin": 2,
        "until_converged": True,
        "doublings": 2,
        "watch": None,
        "rng": 7,
    }


def test_n_is_another_name_of_k(here, capsys, write_picture):
    write_picture(here / "three.png", n_classes=3)
    assert run(["segment", "three.png", "-o", "out", "-n", "3", "--json", *FEW]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["n_classes"] == 3


@pytest.mark.parametrize(("flags", "status"), [((), 3), (("--allow-unconverged",), 0)])
def test_what_did_not_converge_is_written_and_told(picture, capsys, monkeypatch, flags, status):
    verdict = type(segmix.segment("cells.png", draws=250, rng=1).posterior.verdict)
    monkeypatch.setattr(
        segmix.Posterior, "verdict", verdict(False, ("R-hat of means[0] is 1.2, not below 1.01",))
    )
    assert run(["segment", "cells.png", "-o", "out", *FEW, *flags]) == status
    assert set(names("out/cells")) == FILES
    err = capsys.readouterr().err
    assert (
        err.count("segmix: warning: cells.png: not converged: R-hat of means[0] is 1.2, not below 1.01\n")
        == 1
    )


def test_one_bad_file_does_not_stop_the_others(here, capsys, write_picture):
    for name in ("a.png", "c.png"):
        write_picture(here / name)
    Path("b.png").write_text("no picture")
    assert run(["segment", "a.png", "b.png", "missing.png", "c.png", "-o", "out", *FEW]) == 1
    out, err = capsys.readouterr()
    assert names("out") == ["a", "c"]
    assert "a.png -> out/a" in out
    assert "c.png -> out/c" in out
    told = [line for line in err.splitlines() if line.startswith("segmix: error: ")]
    assert told[0].startswith("segmix: error: b.png: ")
    assert told[1].startswith("segmix: error: missing.png: no such file; ")
    assert told[2:] == ["segmix: error: 2 of 4 images failed: b.png, missing.png"]


def test_folders_and_patterns_stand_for_pictures(here):
    for name in ("b.TIF", "a.png", "notes.txt", ".hidden.png", "sub/c.npy", "d[1].png", "d1.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert expand(".") == ["./a.png", "./b.TIF", "./d1.png", "./d[1].png"]
    assert expand("*.png") == ["a.png", "d1.png", "d[1].png"]
    assert expand("**/*.npy") == ["sub/c.npy"]
    assert expand("s*") == ["sub/c.npy"]
    assert expand("d[1].png") == ["d[1].png"]
    Path("d[1].png").unlink()
    assert expand("d[1].png") == ["d1.png"]
    assert expand("missing.png") == ["missing.png"]


def test_earlier_results_are_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out/a").mkdir(parents=True)
    for name in ("b.png", "out/a/mask.png"):
        Path(name).touch()
    Path("out/a/summary.json").write_text('{"versions": {"segmix": "0.1.0"}, "files": ["mask.png"]}')
    assert expand("*") == expand("**/*.png") == ["b.png"]
    assert expand("out/a/mask.png") == ["out/a/mask.png"]
    with pytest.raises(OptionError, match="out/a: is an earlier result of segmix; give the pictures"):
        expand("out/a")
    with pytest.raises(OptionError, match="matches only earlier results"):
        expand("out/*")
    with pytest.raises(OptionError, match="is given twice; give it once"):
        plan_jobs(["b.png", "b.png"], "new")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/b.png", "b"),
        ("b.tar.gz", "b.tar"),
        ("noext", "noext"),
        (".png", ".png"),
        ("..png", "..png"),
        ("...png", "...png"),
    ],
)
def test_no_name_leads_out_of_the_output_folder(source, name):
    assert result_name(source) == name
    assert result_name(source) not in ("", ".", "..")


NAMES = [
    "x[red]y[bold].png",
    "esc\x1b[31mred.png",
    "new\nline.png",
    "-k.png",
    "\u03b2 e\u0301.png",
    "caf\udce9.png",
    "~.png",
    "%s{}.png",
    "rtl\u202egnp.png",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_file_name_is_printed_safely(picture, capsys, name, errors):
    os.rename("cells.png", name)
    assert run(["segment", "-o", "out", *FEW, "--", name]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"{printable(name)} -> out/{printable(name[:-4])}"
    assert "\x1b" not in out + err
    assert names("out") == [name[:-4]]
    assert run(["segment", "-o", "new", "--json", *FEW, "--", name]) == 0
    assert json.loads(capsys.readouterr().out)["input"] == name
    os.unlink(name)
    assert run(["info", f"./{name}"]) == 1
    (line,) = errors()
    assert line.startswith(f"segmix: error: ./{printable(name)}: no such file; ")


def test_safe_text_keeps_what_can_be_printed():
    assert printable("caf\u00e9 \u4e2d [red] %s") == "caf\u00e9 \u4e2d [red] %s"
    assert printable("\r\x1b[2K\x00\udce9\u202e") == "\\r\\x1b[2K\\x00\\udce9\\u202e"


def test_info_describes_and_suggests(here, capsys):
    pixels = np.full((10, 100), 9, np.uint8)
    pixels[0, :40], pixels[1, :30] = 0, 255
    write_png("a b.png", pixels)
    assert run(["info", "a b.png", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["shape"] == [10, 100]
    assert record["type"] == "uint8"
    assert record["levels"] == 3
    assert record["range"] == [0, 255]
    assert record["saturation"] == {
        "low": {"at": 0, "pixels": 40, "fraction": 0.04},
        "high": {"at": 255, "pixels": 30, "fraction": 0.03},
    }
    assert record["suggestion"] == "segmix segment 'a b.png' -o out -k 2"
    assert run(["info", "a b.png"]) == 0
    out = capsys.readouterr().out
    assert "40 pixels at 0 (4 %)" in out
    assert "10 x 100 (rows x cols)" in out


def test_info_sees_a_detector_that_saturates_inside_its_type(here, capsys):
    rng = np.random.default_rng(1)
    pixels = rng.normal(3000, 700, (64, 64)).clip(0, 4095).astype(np.uint16)
    np.save("twelve.npy", pixels)
    assert run(["info", "twelve.npy", "--json"]) == 0
    assert "--limits 0,4095" in json.loads(capsys.readouterr().out)["suggestion"]
    np.save("sixteen.npy", rng.normal(3000, 200, (64, 64)).astype(np.uint16))
    assert run(["info", "sixteen.npy", "--json"]) == 0
    assert "--limits" not in json.loads(capsys.readouterr().out)["suggestion"]


def test_info_counts_what_is_not_finite_and_sees_bright_fields(here, capsys):
    pixels = np.random.default_rng(1).normal(200, 5, (20, 20))
    pixels[:4] -= 150
    pixels[5, :3] = np.nan
    np.save("float.npy", pixels)
    assert run(["info", "float.npy", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["not_counted"] == 3
    assert record["saturation"] == {"low": None, "high": None}
    assert "--foreground dark" in record["suggestion"]


@pytest.mark.parametrize(
    ("values", "classes"), [([9], None), ([9, 9], "1"), ([1, 2, 3, 4], "1"), ([1, 2, 3, 4, 9], "2")]
)
def test_info_of_a_tiny_picture_suggests_what_works(here, capsys, values, classes):
    write_png("tiny.png", np.array([values], np.uint8))
    assert run(["info", "tiny.png", "--json"]) == 0
    suggestion = json.loads(capsys.readouterr().out)["suggestion"]
    if classes is None:
        assert suggestion is None
        assert run(["info", "tiny.png"]) == 0
        assert "too few for a class" in capsys.readouterr().out
    else:
        assert suggestion == f"segmix segment tiny.png -o out -k {classes}"
        assert run([*shlex.split(suggestion)[1:], "--seed", "1"]) in (0, 3)


def test_info_tells_the_type_in_the_file(here, capsys):
    for dtype, offset in (("int64", 1 << 60), (">u2", 0), ("float16", 0), ("bool", 0)):
        np.save("any.npy", (np.arange(64).reshape(8, 8) % 2 + offset).astype(dtype))
        assert run(["info", "any.npy", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["type"] == dtype.replace(">u2", "uint16")
    assert run(["segment", "any.npy", "-o", "out", *FEW]) in (0, 3)
    assert json.loads(Path("out/any/summary.json").read_text())["image"]["type"] == "bool"


def test_a_value_that_may_stand_for_no_data_is_told_everywhere(here, capsys):
    pixels = np.random.default_rng(1).normal(60, 9, (40, 40)).astype(np.float32)
    pixels[24:] += 100
    pixels[:4] = -3.4028235e38
    np.save("gaps.npy", pixels)
    assert run(["info", "gaps.npy"]) == 0
    out = capsys.readouterr().out
    assert "-3.40282e+38 holds 10.0% of the pixels" in out
    assert "--limits" not in out  # no detector saturates there
    assert run(["segment", "gaps.npy", "-o", "out", "-k", "3", *FEW]) in (0, 3)
    err = capsys.readouterr().err
    assert "segmix: warning: gaps.npy: -3.40282e+38 holds 10.0% of the pixels, far from all others" in err
    assert "codes" not in err
    assert "--foreground" not in out
    for command in ("fit", "segment"):
        again = [command, "gaps.npy", "-o", command, "-k", "3", "-q", *FEW]
        assert run(again) in (0, 3)
        assert "warning: gaps.npy: -3.40282e+38 holds" in capsys.readouterr().err
        cautions = json.loads(Path(command, "gaps/summary.json").read_text())["cautions"]
        assert cautions[0].startswith("-3.40282e+38 holds")


def test_limits_hold_for_a_picture_far_from_zero_and_a_prior_of_its_means_is_refused(here, capsys, errors):
    pixels = np.random.default_rng(1).normal(60, 9, (40, 40))
    pixels[20:] += 100
    np.save("far.npy", 10**15 + pixels.clip(62, 160).round())
    np.save("huge.npy", 2**62 + pixels.clip(62, 160).round().astype(np.int64))
    for name, base in (("far", 10**15), ("huge", 2**62)):
        limits = ["--limits", f"{base + 62},{base + 160}"]
        assert run(["info", f"{name}.npy"]) == 0
        assert f"--limits {base + 62},{base + 160}" in capsys.readouterr().out
        for command in ("segment", "fit"):
            assert run([command, f"{name}.npy", "-o", command, *limits, *FEW]) in (0, 3)
            assert "counted from" in capsys.readouterr().err
            summary = json.loads(Path(command, name, "summary.json").read_text())
            assert summary["model"]["open_ends"] == [True, True]
            assert abs(summary["options"]["offset"] - base) < 200
            assert run([command, f"{name}.npy", "-o", "no", "--prior", "lecture", *FEW]) == 2
            assert "a prior of means must be in the units" in errors()[-1]


def test_the_suggestion_of_info_works(here, capsys, write_picture):
    write_picture(here / "-odd name.png")
    assert run(["info", "./-odd name.png", "--json"]) == 0
    words = json.loads(capsys.readouterr().out)["suggestion"]
    assert run([*shlex.split(words)[1:], *FEW]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_simulate_writes_a_picture_and_its_truth(here, capsys, kind, errors):
    assert run(["simulate", kind, "--shape", "64,80", "--seed", "3"]) == 0
    picture, truth = capsys.readouterr().out.split()
    assert [picture, truth] == [f"{kind}.{'tif' if kind == 'cells16' else 'png'}", f"{kind}_truth.png"]
    expected = segmix.simulate_phantom(kind, shape=(64, 80), rng=np.random.default_rng(3))
    np.testing.assert_array_equal(segmix.read_image(picture).pixels, expected.pixels)
    np.testing.assert_array_equal(segmix.read_image(truth).pixels, expected.truth)
    assert run(["simulate", kind, "--seed", "3"]) == 1
    assert "exists already" in errors()[0]
    assert run(["simulate", kind, "--shape", "64,80", "--seed", "3", "--overwrite"]) == 0
    assert names() == sorted([picture, truth])


def test_a_picture_without_its_truth_does_not_stay(here, monkeypatch):
    put, calls = outputs._put_new_file, []

    def interrupted(temporary, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        put(temporary, target)

    monkeypatch.setattr(outputs, "_put_new_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_phantom("cells", Path("a.png"), shape=(64, 64), seed=1, overwrite=False)
    assert names() == []


def test_the_kinds_of_the_command_are_those_of_the_library():
    assert [kind.value for kind in Kind] == [*KINDS, "potts", "mixture"]


def test_the_limit_of_the_command_is_that_of_the_library():
    assert options.MAX_PIXELS == guard.MAX_PIXELS


def test_help_lists_the_commands_and_gives_examples(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for words in ("segment", "info", "simulate", "segmix segment cells.png -o out"):
        assert words in out
    for verb in ("segment", "info", "simulate"):
        assert run([verb, "-h"]) == 0
        assert f"segmix {verb} " in capsys.readouterr().out


def test_no_arguments_show_the_help(capsys):
    assert run([]) == 2
    assert "Usage: segmix" in capsys.readouterr().out


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"segmix {segmix.__version__}\n"
