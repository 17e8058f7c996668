"""From a picture to labels, probabilities, areas and a folder of results."""

import hashlib
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

import segmix
from segmix.areas import Area, Estimate
from segmix.cautions import find_cautions
from segmix.errors import ConvergenceWarning, InputError, OptionError, OutputError
from segmix.mixture.density import log_table, observe

OUTPUTS = {
    "labels.png", "mask.png", "probabilities.tif", "entropy.png",
    "overlay.png", "fit.png", "posterior.nc", "summary.json",
}  # fmt: skip


def _stripes(n_classes: int = 2, *, seed: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    truth = np.tile(np.arange(96) * n_classes // 96, (64, 1))
    noise = np.random.default_rng(seed).normal(0, 12, truth.shape)
    return np.clip(np.rint(50 + 60 * truth + noise), 0, 255).astype(np.uint8), truth


@pytest.fixture(scope="module")
def result() -> segmix.Segmentation:
    return segmix.segment(_stripes(3)[0], n_classes=3, rng=1, draws=300)


def test_types_and_ranges(result: segmix.Segmentation) -> None:
    assert (result.labels.dtype, result.labels.shape) == (np.uint8, (64, 96))
    assert (result.mask.dtype, result.mask.shape) == (np.bool_, (64, 96))
    assert (result.probabilities.dtype, result.probabilities.shape) == (np.float32, (3, 64, 96))
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-6)
    assert result.entropy.min() >= 0
    assert result.entropy.max() <= np.log2(3)
    np.testing.assert_array_equal(result.labels, result.probabilities.argmax(axis=0))
    np.testing.assert_array_equal(result.mask, result.probabilities[2] > 0.5)


def test_labels_are_near_the_truth(result: segmix.Segmentation) -> None:
    """Classes 5 sds apart: the Bayes error is 2/3 of P(|z| > 2.5), 0.83 % of 6144 pixels, 51 with sd 7."""
    assert abs((result.labels != _stripes(3)[1]).sum() - 51) < 4.5 * 7.2


def test_probabilities_are_the_average_over_draws(result: segmix.Segmentation) -> None:
    posterior, observed = result.posterior, observe(result.levels)
    table = np.zeros((3, result.levels.n_levels))
    for c in range(posterior.n_chains):
        for d in range(posterior.n_draws):
            density = np.exp(
                log_table(observed, posterior.means[c, d], posterior.stds[c, d])[:, observed.columns]
            )
            joint = posterior.weights[c, d][:, None] * density
            table += joint / joint.sum(axis=0)
    np.testing.assert_allclose(result.table, table / (posterior.n_chains * posterior.n_draws), atol=1e-9)


def test_areas_add_up(result: segmix.Segmentation) -> None:
    areas = result.areas()
    assert [area.label for area in areas] == [0, 1, 2]
    assert sum(area.pixels.mean for area in areas) == pytest.approx(result.labels.size)
    for area in areas:
        assert area.pixels.low <= area.pixels.mean <= area.pixels.high
        assert area.fraction.mean == pytest.approx(area.pixels.mean / result.labels.size)
        assert area.pixels.mean == pytest.approx(result.probabilities[area.label].sum(dtype=float), rel=1e-5)


def test_outside_the_domain_nothing_is_said() -> None:
    pixels = _stripes()[0].astype(np.float32)
    pixels[3, 4] = np.nan
    domain = np.ones(pixels.shape, bool)
    domain[:10] = False
    result = segmix.segment(pixels, domain=domain, rng=1, draws=300)
    outside = ~domain
    outside[3, 4] = True
    assert not result.labels[outside].any()
    assert not result.mask[outside].any()
    assert np.isnan(result.probabilities[:, outside]).all()
    assert np.isnan(result.entropy[outside]).all()
    assert np.isfinite(result.probabilities[:, ~outside]).all()
    assert sum(area.pixels.mean for area in result.areas()) == pytest.approx((~outside).sum())


def test_foreground() -> None:
    pixels = _stripes(3)[0]
    options = {"n_classes": 3, "rng": 1, "draws": 200}
    dark = segmix.segment(pixels, foreground="dark", **options)
    both = segmix.segment(pixels, foreground=(2, 1), **options)
    np.testing.assert_array_equal(dark.mask, dark.probabilities[0] > 0.5)
    np.testing.assert_allclose(both.mask, both.probabilities[1:].sum(axis=0) > 0.5)
    assert both.foreground == (1, 2)


def test_the_input_is_not_changed() -> None:
    pixels = _stripes()[0]
    before = pixels.copy()
    pixels.flags.writeable = False
    segmix.segment(pixels, rng=1, draws=100, preprocess=["gaussian:1"])
    np.testing.assert_array_equal(pixels, before)


def test_volumes(tmp_path: Path) -> None:
    volume = np.stack([_stripes(seed=s)[0] for s in range(5)])
    result = segmix.segment(volume, rng=1, draws=200)
    assert result.labels.shape == volume.shape
    result.save(tmp_path / "volume")
    names = {path.name for path in (tmp_path / "volume").iterdir()}
    assert names == OUTPUTS - {"labels.png", "mask.png"} | {"labels.tif", "mask.tif"}


def test_saved_folder(result: segmix.Segmentation, tmp_path: Path) -> None:
    import tifffile

    result.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == OUTPUTS
    np.testing.assert_array_equal(np.asarray(Pillow.open(tmp_path / "out/labels.png")), result.labels)
    np.testing.assert_array_equal(np.asarray(Pillow.open(tmp_path / "out/mask.png")) == 255, result.mask)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out/probabilities.tif"), result.probabilities)
    record = json.loads((tmp_path / "out/summary.json").read_text())
    assert record["verdict"] == {"converged": True, "reasons": []}
    assert record["sampling"]["seed"] == 1
    assert [row["label"] for row in record["classes"]] == [0, 1, 2]
    assert record["image"]["sha256"] == hashlib.sha256(_stripes(3)[0].tobytes()).hexdigest()
    assert segmix.Posterior.load(tmp_path / "out/posterior.nc").seed == 1
    with pytest.raises(OutputError, match="exists already"):
        result.save(tmp_path / "out")
    result.save(tmp_path / "out", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_while_saving_leaves_nothing(
    result: segmix.Segmentation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segmix.segmentation, "write_posterior", full)
    with pytest.raises(OutputError, match="No space left on device"):
        result.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
import sys, numpy as np, segmix
pixels = np.load(sys.argv[1])
for sampler in ("independence", "gibbs"):
    segmix.segment(pixels, rng=7, draws=100, sampler=sampler).save(sys.argv[2] + sampler)
"""


def test_same_seed_same_bytes_whatever_the_surroundings(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", _stripes()[0])
    digests = []
    for run, extra in enumerate(
        [{"OMP_NUM_THREADS": "1"}, {"PYTHONHASHSEED": "5", "LANG": "C", "OMP_NUM_THREADS": "4"}]
    ):
        target = tmp_path / str(run)
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "pixels.npy"), str(target)]
        pinned = ["taskset", "-c", "0"] if run == 0 and sys.platform == "linux" else []
        subprocess.run([*pinned, *command], check=True, env=os.environ | extra)
        files = sorted(tmp_path.glob(f"{run}*/*"))
        digests.append({path.parent.name[1:] + path.name: path.read_bytes() for path in files})
    assert digests[0].keys() == digests[1].keys()
    assert len(digests[0]) == 2 * len(OUTPUTS)
    assert [name for name in digests[0] if digests[0][name] != digests[1][name]] == []


def test_other_seeds_give_other_draws() -> None:
    pixels = _stripes()[0]
    first, second = (segmix.segment(pixels, rng=seed, draws=100).posterior.means for seed in (1, 2))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_a_drawn_seed_repeats_the_run() -> None:
    pixels = _stripes()[0]
    for rng in (None, np.random.default_rng(3), np.random.SeedSequence(5), np.int64(4)):
        first = segmix.segment(pixels, rng=rng, draws=100).posterior
        second = segmix.segment(pixels, rng=first.seed, draws=100).posterior
        np.testing.assert_array_equal(first.means, second.means)


def test_an_unconverged_run_says_so() -> None:
    with pytest.warns(ConvergenceWarning, match="array: the draws have not converged: R-hat of"):
        result = segmix.segment(_stripes()[0], sampler="gibbs", chains=1, draws=4, tune=0, rng=1)
    assert not result.posterior.converged
    assert "NOT CONVERGED" in result.table_text()
    assert result.posterior.notes[0].startswith("extended to ")
    assert result.summary()["options"]["draws"] == 4


def test_repr(result: segmix.Segmentation) -> None:
    assert repr(result) == "<Segmentation of 'array', 64 x 96, 3 classes, converged>"
    page = result._repr_html_()
    assert page.count("<img") == 1
    assert "data:image/png;base64," in page
    assert len(page) < 100_000


def test_a_hostile_name_is_escaped_in_the_page(tmp_path: Path) -> None:
    name = tmp_path / "<img onerror=x>.png"
    Pillow.fromarray(_stripes()[0]).save(name)
    assert "<img onerror" not in segmix.segment(name, rng=1, draws=100)._repr_html_()


@pytest.mark.parametrize("n_classes", [0, -1, 17, 2.5, "2", None, True])
def test_wrong_n_classes(n_classes: object) -> None:
    with pytest.raises(OptionError, match="n_classes must be a whole number from 1 to 16, got"):
        segmix.segment(_stripes()[0], n_classes=n_classes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "draws must be a whole number from 4 to 10000000, got 0"),
        ({"chains": 0}, "chains must be a whole number from 1 to 1000, got 0"),
        ({"tune": -1}, "tune must be a whole number from 0 to 10000000, got -1"),
        ({"draws": 10**6, "chains": 100}, "chains times draws times thin must be at most 10000000"),
        ({"sampler": "em"}, "sampler must be one of independence, gibbs, .* got 'em'"),
        ({"foreground": "light"}, "foreground must be 'bright', 'dark' or labels, got 'light'"),
        ({"foreground": (2,)}, "label in foreground must be a whole number from 0 to 1, got 2"),
        ({"foreground": ()}, r"foreground must name a label, got \(\)"),
        ({"foreground": None}, "label in foreground must be .* got None"),
        ({"priors": "lecture"}, "priors must be segmix.Priors or None, got 'lecture'; take Priors"),
        ({"draws": True}, "draws must be a whole number from 4 to 10000000, got True"),
        ({"rng": -1}, "rng must be a whole number from 0"),
        ({"rng": 2**128}, "rng must be a whole number from 0"),
        ({"rng": 1.5}, "rng must be a seed, SeedSequence, Generator or None, got float"),
        ({"preprocess": ["blur"]}, "blur"),
        ({"preprocess": 5}, "preprocessing step must be a text, got 5"),
        ({"quantization": True}, "quantization must be 'auto', None or a positive width"),
        ({"quantization": []}, "quantization must be"),
        ({"quantization": 1j}, "quantization must be"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        segmix.segment(_stripes()[0], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pixels", "n_classes", "message"),
    [
        (np.full((9, 9), 7, np.uint8), 2, r"constant \(every pixel is 7\).*use one class \(-k 1\)"),
        (np.eye(9, dtype=np.uint8), 3, r"at most the number of distinct intensities \(2\), got 3; lower"),
        (
            np.array([[0, 1], [2, 9]], np.uint8),
            2,
            r"too few pixels for 2 classes: .* 5 must count, got 4; give more or lower n_classes \(-k 1\)$",
        ),
        (np.full((9, 9), np.nan), 2, "finite"),
    ],
)
def test_data_that_cannot_carry_the_classes(
    pixels: NDArray[np.generic], n_classes: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        segmix.segment(pixels, n_classes=n_classes)


def test_classes_that_overlap_or_are_tiny_are_named(result: segmix.Segmentation) -> None:
    assert result.cautions == result.summary()["cautions"] == []
    rng = np.random.default_rng(2)
    pixels = np.clip(np.rint(rng.normal(100, 10, (80, 80))), 0, 255).astype(np.uint8)
    pixels[0, :4] = 220, 222, 218, 221
    small = segmix.segment(pixels, rng=1).cautions
    assert small == ["class 1 is small: about 4 pixels (0.06%); it may stand for a few odd pixels only"]
    priors = segmix.Priors(means=segmix.Normal((95.0, 100.0), 0.1), stds=segmix.InverseGamma(200.0, 2e4))
    assert (
        segmix.segment(pixels[1:], priors=priors, rng=1)
        .cautions[0]
        .startswith("classes 0 and 1 overlap: their means are 0.5")
    )


@pytest.mark.parametrize(
    ("share", "pixels", "small"), [(9e-4, 90, True), (1.1e-3, 110, False), (0.2, 9, True), (0.2, 11, False)]
)
def test_a_tiny_share_or_few_pixels_are_named(
    result: segmix.Segmentation, share: float, pixels: float, small: bool
) -> None:
    area = Area(0, Estimate(pixels, 1.0, 0.0, 2.0), Estimate(share, 1e-5, 0.0, 1.0))
    assert any("class 0 is small" in text for text in find_cautions(result.posterior, [area], ())) is small


def test_a_buffer_that_is_used_again_changes_no_result() -> None:
    pixels = _stripes()[0]
    domain = np.ones(pixels.shape, bool)
    result = segmix.segment(pixels, domain=domain, rng=1, draws=100)
    again = segmix.segment(pixels.copy(), domain=domain.copy(), rng=1, draws=100)
    pixels[:], domain[:] = 0, False
    np.testing.assert_array_equal(result.labels, again.labels)
    assert result.summary() == again.summary()


def test_numbers_of_numpy_are_numbers() -> None:
    pixels = _stripes()[0] + np.random.default_rng(1).random((64, 96))
    steps = [segmix.count_levels(segmix.as_image(pixels), quantization=q).step for q in (8, np.int64(8))]
    assert steps == [8.0, 8.0]
    assert segmix.count_levels(segmix.as_image(pixels), quantization=np.float32(8)).step == 8.0


def test_options_as_numbers_of_numpy_can_be_saved(tmp_path: Path) -> None:
    whole = {"n_classes": 2, "draws": 40, "tune": 50, "chains": 2, "thin": 2, "rng": 1, "foreground": 1}
    given = {name: np.int64(value) for name, value in whole.items()}
    image = segmix.Image(_stripes()[0], limits=(np.float32(0), Fraction(255)), source=Path("a.png"))
    for q in (np.float32(1), np.int64(1), Fraction(1)):
        odd = segmix.segment(image, **given, sampler=np.str_("gibbs"), quantization=q)
        odd.save(tmp_path / "odd", overwrite=True)
    plain = segmix.Image(image.pixels, limits=(0.0, 255.0), source="a.png")
    segmix.segment(plain, **whole, sampler="gibbs", quantization=1.0).save(tmp_path / "plain")
    for name in ("summary.json", "posterior.nc"):
        assert (tmp_path / "odd" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.parametrize("n_classes", [np.int64(2), np.uint8(2)])
def test_bright_and_dark_of_a_numpy_number_of_classes(n_classes: int, tmp_path: Path) -> None:
    result = segmix.segment(_stripes()[0], n_classes=n_classes, rng=1, draws=40)
    result.save(tmp_path / "a")
    assert result.foreground == (1,)


def test_a_posterior_thinned_by_a_numpy_number_can_be_saved(tmp_path: Path) -> None:
    posterior = segmix.fit(_stripes()[0], n_classes=np.int64(2), thin=np.int64(2), draws=np.int64(40), rng=1)
    longer = posterior.extend(np.int64(20)).thin(np.int64(5))
    longer.save(tmp_path / "a.nc")
    assert segmix.Posterior.load(tmp_path / "a.nc").thinned == 10


def test_smoothing_is_said_to_make_intervals_too_narrow() -> None:
    pixels = _stripes()[0]
    assert segmix.segment(pixels, preprocess="crop:0,0,60,60", rng=1, draws=100).cautions == []
    (caution,) = segmix.segment(pixels, preprocess=["median:1", "gaussian:1"], rng=1, draws=100).cautions
    assert caution.startswith("intervals are too narrow: median:1 makes neighboring pixels alike")


def test_a_mean_outside_its_own_interval_is_a_caution(tmp_path: Path) -> None:
    """One odd pixel: a few draws put both classes on the others, and their share makes the means."""
    pixels = np.full((64, 64), 100, np.uint8)
    pixels[30, 30] = 140
    result = segmix.segment(pixels, rng=1)
    row = result.posterior.summary()["weights[1]"]
    assert not row.low <= row.mean <= row.high
    result.save(tmp_path / "out")
    told = json.loads((tmp_path / "out/summary.json").read_text())["cautions"]
    assert told == result.cautions
    (caution,) = [line for line in told if line.startswith("the posterior has more than one answer: ")]
    assert "the mean of the " in caution
    assert "lies outside its own interval" in caution
    assert "of class 1, 0.00" in caution or "of class 0, " in caution
    assert not any("more than one answer" in line for line in segmix.segment(_stripes()[0], rng=1).cautions)


def test_one_class_of_a_constant_picture() -> None:
    result = segmix.segment(np.full((9, 9), 7, np.uint8), n_classes=1, rng=1)
    assert result.mask.all()
    assert result.areas()[0].pixels == (81, 0, 81, 81)


def test_two_values_are_told_apart() -> None:
    pixels = np.zeros((40, 40), np.uint8)
    pixels[10:20] = 255
    result = segmix.segment(pixels, rng=1)
    np.testing.assert_array_equal(result.mask, pixels == 255)
    assert result.areas()[1].pixels.mean == pytest.approx(400, abs=1)
    assert result.posterior.converged


def test_saving_over_the_folder_of_the_picture_keeps_the_picture(tmp_path: Path) -> None:
    result = segmix.segment(_stripes()[0], rng=1, draws=100)
    result.save(tmp_path / "res")
    Pillow.fromarray(_stripes()[0]).save(tmp_path / "res/in.png")
    again = segmix.segment(tmp_path / "res/in.png", rng=1, draws=100)
    with pytest.raises(OutputError, match=r"holds .*in\.png, which replacing it would delete"):
        again.save(tmp_path / "res", overwrite=True)
    assert (tmp_path / "res/in.png").exists()


def test_a_folder_that_comes_up_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = segmix.segment(_stripes()[0], rng=1, draws=100)
    write = segmix.segmentation.write_posterior

    def write_slowly(posterior: object, path: object) -> None:
        write(posterior, path)  # type: ignore[arg-type]
        (tmp_path / "out").mkdir()
        (tmp_path / "out/thesis.txt").write_text("mine")

    monkeypatch.setattr(segmix.segmentation, "write_posterior", write_slowly)
    with pytest.raises(OutputError, match="exists already"):
        result.save(tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]


def test_far_priors_end() -> None:
    """A slice can be searched only where the means still resolve; a prior far from the data must not hang."""
    priors = segmix.Priors(means=segmix.Normal(0.0, 1e15))
    result = segmix.segment(_stripes()[0], n_classes=2, sampler="gibbs", priors=priors, rng=1, draws=100)
    assert result.posterior.means.shape[2] == 2


@pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")
def test_levels_tell_what_is_clipped() -> None:
    pixels = np.clip(_stripes()[0].astype(int) - 60, 0, 255).astype(np.uint8)
    notes = segmix.count_levels(segmix.as_image(pixels)).notes
    assert notes[0].startswith(f"{(pixels == 0).mean():.2%} of the pixels lie at the low end (0) or beyond")
    codes = segmix.count_levels(segmix.as_image(pixels > 50)).notes
    assert codes == ("2 values are taken as codes, not as rounded intensities",)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"quantization": 1e30}, "at most twice the range"), ({"quantization": 1e-17}, "at least 1e-9")],
)
def test_quantizations_that_make_no_sense(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        segmix.segment(_stripes()[0], **options)  # type: ignore[arg-type]


def test_thinning_keeps_one_of_so_many_steps() -> None:
    pixels = _stripes()[0]
    thin, whole = (segmix.segment(pixels, rng=1, draws=n, tune=0, thin=t) for n, t in ((200, 3), (600, 1)))
    np.testing.assert_array_equal(thin.posterior.means, whole.posterior.means[:, 2::3])
    assert thin.summary()["options"]["thin"] == thin.summary()["sampling"]["thinned"] == 3
