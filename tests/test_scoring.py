"""`segmix.score` and `segmix score`: which pixels count, which label is which class, what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segmix_cli.main import run

from segmix import InputError, OptionError, score, segment, simulate_phantom
from segmix.imaging.files import read_image, write_png

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 255]], np.uint8)
LABELS = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], np.uint8)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A phantom, its segmentation, and the folder of it beside its truth."""
    folder = tmp_path_factory.mktemp("cells")
    phantom = simulate_phantom("cells", shape=(96, 128), rng=1)
    domain = np.ones((96, 128), bool)
    domain[:10] = False
    result = segment(phantom.pixels, domain=domain, draws=200, chains=2, rng=1)
    result.save(folder / "found")
    write_png(folder / "truth.png", phantom.truth)
    return phantom.truth, result, folder


def test_by_hand() -> None:
    known = score(LABELS, TRUTH)
    assert known.n_pixels == 11
    assert known.matching == (1, 0)
    assert known.accuracy == 10 / 11
    assert known.iou == (5 / 6, 5 / 6)
    assert known.brier is None
    assert score(LABELS, TRUTH, match=False).accuracy == 1 / 11


def test_a_mask_of_0_and_255_is_two_classes() -> None:
    mask = np.where(TRUTH == 1, 255, 0).astype(np.uint8)
    assert score(mask, mask).n_pixels == 12
    assert score(mask, TRUTH == 1, match=False).accuracy == 1
    assert score(mask, mask, ignore=0).n_pixels == 5
    assert score(mask, mask, ignore=None).accuracy == 1
    with pytest.raises(InputError, match="classes 0 to 15, got numbers up to 255"):
        score(LABELS, TRUTH, ignore=None)


def test_probabilities_follow_the_matching() -> None:
    p = np.where(LABELS == 1, 0.9, 0.2)
    known = score(LABELS, TRUTH, probabilities=np.stack([1 - p, p]))
    counts = TRUTH != 255
    own = np.where(TRUTH == 0, p, 1 - p)[counts]
    assert known.brier is not None
    assert known.log_loss is not None
    assert np.isclose(known.brier, ((1 - own) ** 2).mean())
    assert np.isclose(known.log_loss, -np.log(own).mean())
    wrong = score(LABELS, TRUTH, probabilities=np.stack([1 - p, p]), match=False)
    assert wrong.brier is not None
    assert np.isclose(wrong.brier, (own**2).mean())


def test_segmentation_arrays_and_folder_agree(cells: Any) -> None:
    truth, result, folder = cells
    whole = score(result, truth)
    assert whole.n_pixels == 86 * 128
    assert score(folder / "found", folder / "truth.png").to_dict() == whole.to_dict()
    arrays = score(result.labels, truth, probabilities=result.probabilities)
    assert arrays.to_dict() == whole.to_dict()
    labels = score(folder / "found" / "labels.png", truth, domain=result.image.domain)
    assert labels.iou == whole.iou


def test_the_mask_of_several_classes(tmp_path: Path) -> None:
    truth = np.repeat(np.arange(3, dtype=np.uint8), 16)[None].repeat(20, axis=0)
    noise = np.random.default_rng(1).normal(0, 9, truth.shape)
    pixels = np.rint(60 + 60 * truth + noise).astype(np.uint8)
    result = segment(pixels, n_classes=3, foreground=(1, 2), draws=100, chains=2, rng=1)
    result.save(tmp_path / "found")
    known = score(tmp_path / "found", truth > 0, mask=True)
    assert known.accuracy == (result.mask == (truth > 0)).mean()
    assert known.brier is not None
    p = result.probabilities[1:].sum(axis=0)
    assert np.isclose(known.brier, ((p - (truth > 0)) ** 2).mean(), rtol=1e-5)
    assert score(result, truth, mask=True, foreground=2).accuracy == (result.mask == (truth == 2)).mean()
    with pytest.raises(OptionError, match="name the one that the mask shows"):
        score(result, truth, mask=True)


def test_masked_pixels_do_not_count() -> None:
    hidden = np.ma.masked_array(TRUTH, TRUTH == 0)
    assert score(LABELS, hidden).n_pixels == 5
    assert score(np.ma.masked_array(LABELS, LABELS == 1), TRUTH).n_pixels == 6
    assert score(LABELS, np.where(TRUTH == 255, 0, TRUTH), ignore=np.int64(1)).n_pixels == 7


def test_a_volume(tmp_path: Path) -> None:
    truth = np.zeros((3, 12, 16), np.uint8)
    truth[:, :, 8:] = 1
    noise = np.random.default_rng(1).normal(0, 8, truth.shape)
    pixels = np.rint(100 + 60 * truth + noise).astype(np.uint8)
    result = segment(pixels, draws=100, chains=2, rng=1)
    result.save(tmp_path / "found")
    np.save(tmp_path / "truth.npy", truth)
    assert score(tmp_path / "found", tmp_path / "truth.npy").to_dict() == score(result, truth).to_dict()


def test_palettes_are_read_as_numbers(cells: Any) -> None:
    _, result, folder = cells
    image = read_image(folder / "found" / "labels.png", indexes=True)
    np.testing.assert_array_equal(image.pixels, result.labels)
    assert "color" in " ".join(read_image(folder / "found" / "labels.png").notes)


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"found": LABELS[:2]}, InputError, "shape"),
        ({"domain": np.zeros(TRUTH.shape, bool)}, InputError, "at least one pixel"),
        ({"domain": np.ones((2, 2), bool)}, InputError, "domain must have"),
        ({"domain": TRUTH == 255}, InputError, "no pixel"),
        ({"domain": np.ones(TRUTH.shape)}, InputError, "domain must be boolean"),
        ({"foreground": 1, "match": False}, OptionError, "foreground"),
        ({"tolerance": np.inf}, OptionError, "tolerance"),
        ({"tolerance": "x"}, OptionError, "tolerance"),
        ({"ignore": np.array([1, 2])}, OptionError, "ignore"),
        ({"truth": [[1, 2], [3]]}, InputError, "truth"),
        ({"probabilities": np.full((20, 3, 4), 0.05)}, InputError, "probabilities must be of classes"),
        ({"found": LABELS.astype(float)}, InputError, "whole numbers"),
        ({"truth": np.full(TRUTH.shape, 40)}, InputError, "classes 0 to 15"),
        ({"probabilities": np.ones((2, 3, 4))}, InputError, "sum to 1"),
        ({"probabilities": np.ones((2, 4, 3))}, InputError, "probabilities must be floats"),
        ({"foreground": 5}, OptionError, "foreground"),
        ({"ignore": "x"}, OptionError, "ignore"),
        ({"mask": True}, OptionError, "foreground is known"),
        ({"tolerance": -1.0}, OptionError, "tolerance"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], what: str) -> None:
    given = {"found": LABELS, "truth": TRUTH, **options}
    with pytest.raises(error, match=what):
        score(given.pop("found"), given.pop("truth"), **given)


def test_command(cells: Any, capsys: pytest.CaptureFixture[str]) -> None:
    truth, result, folder = cells
    paths = [str(folder / "found"), str(folder / "truth.png")]
    assert run(["score", *paths, "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert known["iou"] == list(score(result, truth).iou)
    assert known["calibration"]["counts"] == score(result, truth).to_dict()["calibration"]["counts"]
    assert run(["score", *paths, "--foreground", "1"]) == 0
    text = capsys.readouterr().out
    assert f"{known['iou'][1]:.4f}" in text
    assert "Brier score" in text
    assert "Brier score" not in printed(run, ["score", str(folder / "found" / "mask.png"), paths[1]], capsys)


def printed(call: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert call(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (["nope.png", "truth.png"], 1, "no such file"),
        (["found", "nope.png"], 1, "no such file"),
        ([".", "truth.png"], 1, "no folder of a segmented picture"),
        (["found/overlay.png", "truth.png"], 1, "labels must be numbers, got colors"),
        (["found/probabilities.tif", "truth.png"], 1, "labels of several pages"),
        (["found", "truth.png", "--foreground", "1", "--no-match"], 2, "--no-match"),
        (["found", "truth.png", "--max-pixels", "100"], 1, "above the limit of 100"),
        (["found", "truth.png", "--ignore", "x"], 2, "--ignore"),
        (["found", "truth.png", "--foreground", "9"], 2, "foreground"),
        (["found/mask.png", "truth.png", "--mask"], 2, "foreground is known"),
        (["found", "truth.png", "--tolerance", "-1"], 2, "tolerance"),
        (["found", "truth.png", "--domain", "nope.png"], 1, "--domain"),
        (["found"], 2, "TRUTH"),
    ],
)
def test_the_command_refuses(
    arguments: list[str],
    status: int,
    what: str,
    cells: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(cells[2])
    assert run(["score", *arguments]) == status
    said = capsys.readouterr()
    assert what in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out


SUMMARIES = (
    *("", "{", "[]", "[" * 100_000, '{"data": {}}'),
    *(
        f'{{"image": {{"shape": {shape}}}, "model": {{"n_classes": {k}, "foreground": {front}}}}}'
        for shape, k, front in (
            ('"64"', 2, [1]), ("[96, 1e12]", 2, [1]), ("[0, 128]", 2, [1]), ("[]", 2, [1]),
            ('["96", "128"]', 2, [1]), ("[96, 128]", "2.0", [1]), ("[96, 128]", "null", [1]),
            ("[96, 128]", 0, [1]), ("[96, 128]", 10**9, [1]), ("[96, 128]", 2, [99]), ("[96, 128]", 2, [-1]),
            ("[96, 128]", 2, [1, 1]), ("[96, 128]", 2, [[1]]), ("[96, 128]", 2, '"x"'),
        )
    ),
)  # fmt: skip


@pytest.mark.parametrize("text", SUMMARIES, ids=range(len(SUMMARIES)))
def test_a_broken_folder(text: str, cells: Any, tmp_path: Path) -> None:
    shutil.copytree(cells[2] / "found", tmp_path / "found")
    (tmp_path / "found" / "summary.json").write_text(text)
    with pytest.raises(InputError, match="found: is no folder of a segmented picture's results"):
        score(tmp_path / "found", cells[0])


def test_a_folder_of_other_pictures(cells: Any, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    shutil.copytree(cells[2] / "found", folder)
    shutil.copy(folder / "overlay.png", folder / "labels.png")
    with pytest.raises(InputError, match="beside it tells of"):
        score(folder, cells[0])
    summary = json.loads((folder / "summary.json").read_text())
    summary["image"]["shape"] = [192, 64]
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match="beside it tells of"):
        score(folder, cells[0])
