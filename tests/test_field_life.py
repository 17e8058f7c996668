"""The life of labels that hang together: a field that goes on is the field that never stopped."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from segmix_cli.main import run

import segmix
from segmix import Posterior, PottsOptions, Priors, Segmentation, segment
from segmix.checkpoints import Checkpoints
from segmix.errors import InputError, OptionError, OutputError, UnreadyError
from segmix.potts.fields import Fields
from segmix.workflow import segmentation_of

from .interruptions import interrupt
from .sealing import seal
from .test_posterior import assert_same

pytestmark = pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning")  # of short runs

CHECKPOINT = Path("out/noisy.checkpoint.nc")


def stripes(shape: tuple[int, ...], n_classes: int, *, kind: Any = np.uint8, scale: int = 1) -> NDArray[Any]:
    """Blocks of classes under noise, in 64 levels, or in many of a wider type."""
    blocks = np.random.default_rng(2).integers(0, n_classes, [-(-n // 6) for n in shape])
    for axis in range(len(shape)):
        blocks = blocks.repeat(6, axis)
    labels = blocks[tuple(slice(n) for n in shape)]
    exact = np.random.default_rng(3).normal(15 + 40 * labels / max(n_classes, 2), 9, labels.shape)
    return np.rint(np.clip(exact, 0, 63) * scale).astype(kind)


def scattered(shape: tuple[int, ...]) -> NDArray[Any]:
    """Pixels of two classes, three of ten bright, that don't hang together, under noise."""
    rng = np.random.default_rng(1)
    return np.clip(np.rint(rng.normal(15 + 30 * (rng.random(shape) < 0.3), 6)), 0, 63).astype(np.uint8)


CASES: dict[str, tuple[Any, int, PottsOptions]] = {
    "inferred, simulated constant": (stripes((12, 15), 2), 2, PottsOptions(weights="equal")),
    "inferred, tabulated constant": (stripes((40, 41), 2), 2, PottsOptions(connectivity=2, weights="equal")),
    "weights inferred": (scattered((20, 21)), 2, PottsOptions()),
    "weights inferred, labels ordered": (stripes((40, 41), 2), 2, PottsOptions()),
    "pseudo-likelihood": (stripes((40, 41), 3), 3, PottsOptions("pseudo")),
    "fixed, three classes": (stripes((40, 41), 3), 3, PottsOptions(0.9, weights="equal")),
    "volume, inferred": (stripes((6, 7, 8), 2), 2, PottsOptions(weights="equal")),
    "general kernel, volume, spacing": (stripes((11, 12, 13), 2), 2, PottsOptions(0.5, 3, (3.0, 1.0, 1.0))),
    "general kernel": (stripes((30, 31), 6), 6, PottsOptions(0.7, 2)),
    "general kernel, volume": (stripes((11, 12, 13), 5), 5, PottsOptions(0.3, 2)),
    "general kernel, many levels": (
        stripes((30, 31), 2, kind=np.uint16, scale=200),
        2,
        PottsOptions(0.8, weights="equal"),
    ),
    "one class": (stripes((20, 21), 1), 1, PottsOptions()),
}


def sampled(case: str, draws: int, **options: Any) -> Segmentation:
    pixels, n_classes, spatial = CASES[case]
    known = {"tune": 7, "chains": 3, "until_converged": False, "rng": 5} | options
    return segment(pixels, n_classes=n_classes, spatial=spatial, draws=draws, **known)


@pytest.mark.parametrize("case", CASES)
def test_extending_equals_one_longer_run(case: str, tmp_path: Path) -> None:
    """To the last bit: draws, labels, probabilities of the pixels, and all that is in the file."""
    at_once, first = sampled(case, 41), sampled(case, 13)
    longer = first.extend(9).extend(19)
    assert_same(longer.posterior, at_once.posterior)
    np.testing.assert_array_equal(longer.probabilities, at_once.probabilities)
    first.posterior.save(tmp_path / "first.nc")
    reopened = Posterior.load(tmp_path / "first.nc").extend(28)
    assert_same(reopened, at_once.posterior)
    assert isinstance(reopened.state, Fields)
    np.testing.assert_array_equal(reopened.state.probabilities(), at_once.probabilities)
    reopened.save(tmp_path / "reopened.nc")
    at_once.posterior.save(tmp_path / "at_once.nc")
    assert (tmp_path / "reopened.nc").read_bytes() == (tmp_path / "at_once.nc").read_bytes()
    assert first.posterior.n_draws == 13  # and stays as it was
    assert_same(first.posterior.extend(28).steps, at_once.posterior.steps)
    assert longer.options["extended"] == [9, 19]


def test_cases_are_by_table_unless_their_names_tell() -> None:
    for case, (pixels, n_classes, spatial) in CASES.items():
        levels = segmix.count_levels(segmix.as_image(pixels))
        problem = segmix.potts.chains.pose(
            levels,
            n_classes=n_classes,
            priors=Priors(),
            options=dataclasses.replace(spatial, beta=0.5),
            seed=1,
        )
        assert (problem.sweeps.states is None) == case.startswith("general"), case


def test_a_domain_and_thinning_go_on_too(tmp_path: Path) -> None:
    pixels = stripes((40, 41), 2)
    domain = np.random.default_rng(1).random(pixels.shape) < 0.8
    options = {"spatial": True, "domain": domain, "thin": 3, "tune": 8, "until_converged": False, "rng": 5}
    at_once, first = (segment(pixels, draws=n, **options) for n in (25, 10))
    first.posterior.save(tmp_path / "first.nc")
    longer = Posterior.load(tmp_path / "first.nc").extend(15)
    assert_same(longer, at_once.posterior)
    whole = segmentation_of(longer, foreground=(1,))
    np.testing.assert_array_equal(whole.probabilities, at_once.probabilities)
    np.testing.assert_array_equal(whole.mask, at_once.mask)
    np.testing.assert_array_equal(whole.image.pixels[domain], pixels[domain])
    assert whole.areas() == at_once.areas()


@pytest.mark.parametrize("forgets", ["generator", "number", "labels", "beta", "n_seen"])
def test_a_state_that_forgets_differs(forgets: str) -> None:
    """Control: each part of the state is needed; n_seen for the probabilities alone."""
    case = "inferred, simulated constant"
    at_once, first = sampled(case, 40).posterior, sampled(case, 20).posterior
    state = first.state
    assert isinstance(state, Fields)
    fresh = sampled(case, 20, rng=6).posterior.state
    assert isinstance(fresh, Fields)
    other = {"number": 1, "n_seen": 0, "beta": 0.0}
    chains = tuple(
        chain._replace(**{forgets: other.get(forgets, getattr(new, forgets))})
        for chain, new in zip(state.chains, fresh.chains, strict=True)
    )
    longer = dataclasses.replace(first, state=state._replace(chains=chains)).extend(20)
    assert isinstance(longer.state, Fields)
    assert isinstance(at_once.state, Fields)
    assert (longer.means != at_once.means).any() == (forgets != "n_seen")
    assert (longer.state.probabilities() != at_once.state.probabilities()).any()


def test_pieces_and_checkpoints_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the run is doubled; what was written at any moment goes on as the run did."""
    monkeypatch.setattr("segmix.potts.running.PIECE", 5 * stripes((12, 15), 2).size)
    monkeypatch.setattr("segmix.mixture.chains.SECONDS", 0.0)
    case, told, parts = "inferred, simulated constant", list[tuple[int, int]](), list[Posterior]()

    def watch(done: int, draws: int, so_far: Callable[[], Posterior]) -> None:
        told.append((done, draws))
        if done:
            checkpoints.watch(done, draws, so_far)
            parts.append(Posterior.load(path) if done < draws else so_far())
        else:
            assert so_far().n_draws == 0

    path = tmp_path / "a.checkpoint.nc"
    checkpoints = Checkpoints(path, 0.0)
    doubled = {"until_converged": True, "doublings": 1}
    whole = sampled(case, 20, watch=watch, **doubled)
    assert_same(whole.posterior, sampled(case, 20, **doubled).posterior)
    assert whole.posterior.tune == 27
    assert told[0] == (0, 20)
    assert told[-1] == (40, 40)
    second = [part for part in parts if part.tune == 27 and part.n_draws < 40]
    assert second
    for part in second:
        longer = part.extend(40 - part.n_draws)
        assert_same(longer.steps, whole.posterior.steps)
        assert_same(longer.state, whole.posterior.state)


def test_a_moment_that_has_passed_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels are not copied at every moment; what would mix two moments is refused."""
    monkeypatch.setattr("segmix.potts.running.PIECE", 1)
    monkeypatch.setattr("segmix.mixture.chains.SECONDS", 0.0)
    kept: list[Callable[[], Posterior]] = []
    sampled("one class", 5, watch=lambda done, draws, so_far: kept.append(so_far))
    assert len(kept) == 12
    assert kept[-1]().n_draws == 5
    for so_far in kept[:-1]:
        with pytest.raises(OutputError, match="the chains have gone on since"):
            so_far()


def test_the_search_for_weights_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no draws and no run to keep, but ever more sweeps; that somebody hears changes nothing."""
    monkeypatch.setattr("segmix.potts.telling.SECONDS", 0.0)
    monkeypatch.setattr("segmix.potts.running.PIECE", 40 * 20 * 21)
    sweeps, told = list[int](), list[tuple[int, int]]()

    def watch(done: int, draws: int, so_far: Callable[[], Posterior]) -> None:
        told.append((done, draws))
        if done:
            assert so_far().n_draws == done
            return
        with pytest.raises(OutputError, match="the constant of the prior is still searched for") as caught:
            so_far()
        assert isinstance(caught.value, UnreadyError)
        sweeps.append(caught.value.sweeps)

    watched = sampled("weights inferred", 30, watch=watch, tune=200)
    assert watched.posterior.steps.field is not None
    assert told[: len(sweeps)] == [(0, 30)] * len(sweeps)
    assert told[-1] == (30, 30)
    assert len(sweeps) > 500  # those of fields, and pieces of the chains
    assert sweeps == sorted(sweeps)
    assert_same(watched.posterior, sampled("weights inferred", 30, tune=200).posterior)


def test_an_interruption_never_tears_chains_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while chains run: all end their piece, and what is drawn is what the state is of."""
    monkeypatch.setattr("segmix.potts.running.PIECE", 500 * 12 * 15)
    parts: list[Posterior] = []

    def watch(done: int, draws: int, so_far: Callable[[], Posterior]) -> None:
        if done == 0:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        elif not parts:
            parts.append(so_far())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            sampled("inferred, simulated constant", 2000, watch=watch)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    (part,) = parts
    assert isinstance(part.state, Fields)
    assert len({chain.number for chain in part.state.chains}) == 1
    assert_same(part.steps, sampled("inferred, simulated constant", part.n_draws).posterior.steps)


def test_the_state_is_small_in_the_file(tmp_path: Path) -> None:
    """At most 8 bytes a pixel with four chains of two classes, of which a plain copy would take 21."""
    truth = segmix.simulate_potts((256, 256), beta=0.85, rng=2, n_sweeps=50)
    pixels = np.clip(np.rint(np.random.default_rng(3).normal(90 + 50 * truth, 25)), 0, 255).astype(np.uint8)
    found = segment(pixels, spatial=True, draws=200, tune=50, until_converged=False, rng=1).posterior
    found.save(tmp_path / "with.nc")
    dataclasses.replace(found, state=None).save(tmp_path / "without.nc")
    with_state, without = ((tmp_path / f"{name}.nc").stat().st_size for name in ("with", "without"))
    assert (with_state - without) / pixels.size < 8
    again = Posterior.load(tmp_path / "with.nc")
    assert_same(again.state, found.state)
    assert Posterior.load(tmp_path / "without.nc").state is None


# Files that are not what they were


@pytest.fixture
def saved(here: Path) -> Path:
    sampled("inferred, tabulated constant", 20).posterior.save("field.nc")
    return here / "field.nc"


def change(path: Path, edit: Callable[[Any], None]) -> None:
    """Change a file by HDF5, as somebody would who makes the seal anew."""
    import h5py

    with h5py.File(path, "r+") as file:
        edit(file)
    seal(path)


def other_picture(file: Any) -> None:
    pixels = file["constant_data/pixel_level"]
    pixels[...] = pixels[...][::-1].copy()


def other_labels(file: Any) -> None:
    labels = file["constant_data/pixel_label"]
    labels[...] = 1 - labels[...]


def other_sums(file: Any) -> None:
    file["constant_data/pixel_seen"][0, 0, 0] += 1


def other_options(file: Any) -> None:
    text = file["constant_data/field_state"]
    raw = text[...].tobytes().replace(b'"connectivity": 2', b'"connectivity": 1')
    text[...] = np.frombuffer(raw, np.uint8)


def other_thinning(file: Any) -> None:
    file["posterior"].attrs["thinned"] = 2


def test_a_field_of_other_priors_does_not_go_on() -> None:
    posterior = sampled("inferred, tabulated constant", 20).posterior
    with pytest.raises(InputError, match="data or priors were changed after it was sampled; sample anew"):
        dataclasses.replace(posterior, priors=Priors.lecture().to_dict()).extend(10)


@pytest.mark.parametrize("edit", [other_picture, other_labels, other_sums, other_options, other_thinning])
def test_another_picture_or_other_options_are_found(
    saved: Path, errors: Callable[[], list[str]], edit: Callable[[Any], None]
) -> None:
    change(saved, edit)
    assert run(["continue", "field.nc", "-o", "out", "--draws", "10", "-q"]) == 1
    (line,) = errors()
    assert "its data, priors or sampling were changed after it was sampled; sample anew" in line
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pixel_level", np.zeros((40, 41), np.uint8), "a picture of other counts"),
        ("pixel_label", np.full((3, 40, 41), 7, np.uint8), "labels that are no classes"),
        ("pixel_label", np.zeros((2, 40, 41), np.uint8), "labels of another picture"),
        ("pixel_seen", np.zeros((2, 40, 41), np.uint32), "probabilities of another picture"),
        ("pixel_seen", np.zeros((1, 40, 41), np.float32), "probabilities of another picture"),
        ("pixel_level", np.zeros((40, 41), np.int64), "levels of pixels of another type"),
    ],
)
def test_pixels_that_cannot_be_are_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, message: str
) -> None:
    """Even where the digest was made to fit."""
    monkeypatch.setattr("segmix.standing._digest", lambda *_: "known")

    def edit(file: Any) -> None:
        del file[f"constant_data/{name}"]
        file[f"constant_data/{name}"] = value
        text = json.loads(file["constant_data/field_state"][...].tobytes()) | {"digest": "known"}
        del file["constant_data/field_state"]
        file["constant_data/field_state"] = np.frombuffer(json.dumps(text).encode(), np.uint8)

    change(saved, edit)
    with pytest.raises(InputError, match=message):
        Posterior.load(saved)


@pytest.mark.parametrize("kind", ["truncated", "flipped", "foreign", "empty"])
def test_checkpoints_that_are_none(saved: Path, errors: Callable[[], list[str]], kind: str) -> None:
    whole = saved.read_bytes()
    middle = len(whole) // 2
    broken = {
        "truncated": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "foreign": b"P5 2 2 255\nabcd",
        "empty": b"",
    }
    saved.write_bytes(broken[kind])
    assert run(["continue", "field.nc", "-o", "out", "--draws", "10", "-q"]) == 1
    (line,) = errors()
    assert line.startswith("segmix: error: field.nc: ")
    assert not Path("out").exists()


def test_a_claim_beyond_what_can_be_packed_is_refused(saved: Path) -> None:
    def swell(file: Any) -> None:
        del file["constant_data/pixel_level"]
        file["constant_data"].create_dataset(
            "pixel_level", (60_000, 60_000), np.uint8, chunks=(1000, 1000), compression="gzip"
        )

    change(saved, swell)
    with pytest.raises(InputError, match="claims 3600000000 bytes"):
        Posterior.load(saved)


# In the shell


@pytest.fixture
def noisy(here: Path) -> Path:
    np.save("noisy.npy", stripes((60, 61), 2))
    return here / "noisy.npy"


SPATIAL = ["segment", "noisy.npy", "--spatial", "--seed", "4", "--chains", "2", "--allow-unconverged", "-q"]


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "segmix_cli", *arguments]


def same_pictures(one: str, other: str) -> None:
    """All but what tells of the run: the overlay's picture, options and versions."""
    names = sorted(os.listdir(one))
    assert names == sorted(os.listdir(other))
    assert {"labels.png", "mask.png", "probabilities.tif", "entropy.png", "posterior.nc"} < set(names)
    for name in names:
        if name != "summary.json":
            assert Path(one, name).read_bytes() == Path(other, name).read_bytes(), name


def test_continuing_gives_the_files_of_one_longer_run(noisy: Path) -> None:
    assert run([*SPATIAL, "--draws", "30", "--exactly", "-o", "short", "--foreground", "dark"]) == 0
    on = ["continue", "short/noisy/posterior.nc", "-o", "long", "--draws", "50", "--foreground", "dark"]
    assert run([*on, "--every", "60", "--allow-unconverged", "-q"]) == 0
    assert run([*SPATIAL, "--draws", "80", "--exactly", "-o", "once", "--foreground", "dark"]) == 0
    same_pictures("long/noisy", "once/noisy")
    assert os.listdir("long") == ["noisy"]


def test_continuing_remembers_how_the_picture_was_read(noisy: Path, capsys) -> None:
    options = ["--preprocess", "gaussian:1", "--limits", "none,250", "--keep-labels", "20", "--draws", "30"]
    assert run([*SPATIAL, *options, "--exactly", "-o", "short", "--allow-unconverged"]) == 0
    on = ["continue", "short/noisy/posterior.nc", "-o", "long", "--draws", "50", "--allow-unconverged"]
    capsys.readouterr()
    assert run(on) == 0
    err = capsys.readouterr().err
    assert "label draws were kept but are not carried on" in err
    assert "intervals are too narrow: gaussian:1" in err
    short, long = (json.loads(Path(name, "noisy/summary.json").read_text()) for name in ("short", "long"))
    assert long["image"]["preprocess"] == short["image"]["preprocess"] == ["gaussian:1"]
    assert any("gaussian:1" in caution for caution in long["cautions"])
    assert long["options"]["limits"] == [None, 250]
    assert "sha256" in short["image"]
    assert "sha256" not in long["image"]
    assert "the picture is rebuilt from the levels of its posterior" in long["image"]["notes"]
    image = segmentation_of(Posterior.load("long/noisy/posterior.nc"), foreground=(1,)).image
    assert (image.steps, image.limits) == (("gaussian:1",), (None, 250))


def test_a_killed_run_goes_on_from_its_checkpoint(noisy: Path) -> None:
    process = subprocess.Popen(command_line(*SPATIAL, "--draws", "1000000", "--every", "0.2", "-o", "out"))
    deadline = time.monotonic() + 90
    while not CHECKPOINT.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # the second one is being written, or stands
    process.kill()
    assert process.wait() == -signal.SIGKILL
    part = Posterior.load(CHECKPOINT)
    on = ["continue", str(CHECKPOINT), "-o", "out", "--draws", "100", "--every", "60", "-q"]
    assert run([*on, "--allow-unconverged"]) == 0
    assert os.listdir("out") == ["noisy"]
    draws = str(part.n_draws + 100)
    assert run([*SPATIAL, "--draws", draws, "--exactly", "-o", "once"]) == 0
    same_pictures("out/noisy", "once/noisy")


def test_an_interruption_names_the_checkpoint(noisy: Path) -> None:
    process = subprocess.Popen(
        command_line(*SPATIAL, "--draws", "1000000", "--every", "0.3", "-o", "out"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 90
    while not CHECKPOINT.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.4)  # so that it is not the first one that is being written
    interrupt(process, CHECKPOINT, timeout=60)
    again = ["continue", str(CHECKPOINT), "-o", "out", "--draws", "20", "--overwrite", "-q"]
    assert run([*again, "--allow-unconverged"]) == 0


def test_an_interruption_of_the_search_has_nothing_to_keep(here: Path) -> None:
    """Checkpoints that are due at every moment wait in silence; Ctrl-C says so, with exit status 130."""
    np.save("noisy.npy", scattered((120, 121)))
    stop = (
        "import signal\n"
        "import segmix.potts.anchors as a; search = a.search\n"
        "a.search = lambda *known: (signal.raise_signal(signal.SIGINT), search(*known))[1]\n"
        "import sys; from segmix_cli.__main__ import main; main()\n"
    )
    arguments = [*SPATIAL, "--draws", "1000000", "--every", "0.1", "-o", "out"]
    process = subprocess.run(
        [sys.executable, "-c", stop, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.returncode == 130
    assert process.stdout == ""
    assert process.stderr == (
        "segmix: warning: interrupted before the chains drew anything; there was nothing to keep yet\n"
    )
    assert not Path("out").exists() or not os.listdir("out")


def test_a_checkpoint_of_an_earlier_run_stays(noisy: Path, errors: Callable[[], list[str]]) -> None:
    CHECKPOINT.parent.mkdir()
    CHECKPOINT.write_text("earlier")
    assert run([*SPATIAL, "--draws", "20", "--every", "1", "-o", "out"]) == 1
    assert "a checkpoint of an earlier run is there" in errors()[0]
    assert CHECKPOINT.read_text() == "earlier"
    assert run([*SPATIAL, "--draws", "20", "--every", "1", "-o", "out", "--overwrite"]) == 0
    assert os.listdir("out") == ["noisy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "1"], "--every is of labels that hang together; add --spatial, or leave it out"),
        (["--spacing", "3,1"], "--spacing is of labels that hang together; add --spatial, or leave it out"),
        (
            ["--spatial", "--spacing", "much"],
            "--spacing must be image, none, or positive distances along each",
        ),
        (["--spatial", "--spacing", "1"], "--spacing must be image, none, or positive distances along each"),
        (
            ["--spatial", "--spacing", "1,0"],
            "--spacing must be image, none, or positive distances along each",
        ),
        (["--spatial", "--spacing", "3,1,1"], "spacing must be 2 positive distances, one an axis"),
        (["--spatial", "--doublings", "21"], "Invalid value for '--doublings'"),
    ],
)
def test_wrong_commands(
    noisy: Path, errors: Callable[[], list[str]], arguments: list[str], message: str
) -> None:
    assert run(["segment", "noisy.npy", "-o", "out", *arguments]) == 2
    assert message in " ".join(errors())
    assert not Path("out").exists()


def test_the_foreground_is_of_fields(here: Path, errors: Callable[[], list[str]]) -> None:
    segmix.fit(np.arange(30), draws=20, until_converged=False, rng=1).save("fit.nc")
    assert run(["continue", "fit.nc", "-o", "out", "--foreground", "dark", "-q"]) == 2
    assert "--foreground is of labels that hang together; leave it out" in errors()[0]


def test_spacing_reaches_the_lattice(here: Path) -> None:
    np.save("stack.npy", stripes((6, 20, 20), 2))
    few = [
        "--spatial",
        "--beta",
        "0.5",
        "--weights",
        "equal",
        "--draws",
        "20",
        "--exactly",
        "--seed",
        "1",
        "--allow-unconverged",
    ]
    for name in ("3,1,1", "none"):
        assert run(["segment", "stack.npy", "-o", name, "--spacing", name, "-q", *few]) == 0
    told, alike = (
        json.loads(Path(name, "stack/summary.json").read_text())["options"]["spatial"]["spacing"]
        for name in ("3,1,1", "none")
    )
    assert told == [3.0, 1.0, 1.0]
    assert alike is None
    known = PottsOptions(0.5, spacing=(3.0, 1.0, 1.0), weights="equal")
    ours = segment("stack.npy", spatial=known, draws=20, until_converged=False, rng=1)
    theirs = Posterior.load("3,1,1/stack/posterior.nc")
    np.testing.assert_array_equal(ours.posterior.means, theirs.means)
    other = Posterior.load("none/stack/posterior.nc")
    assert (other.means != theirs.means).any()


def test_doublings_have_a_limit(noisy: Path) -> None:
    hard = [*SPATIAL, "--draws", "8", "--tune", "0", "--weights", "equal", "--beta", "0.9"]
    for doublings in (0, 2):
        assert run([*hard, "-o", str(doublings), "--doublings", str(doublings)]) == 0
        found = Posterior.load(f"{doublings}/noisy/posterior.nc")
        assert (found.n_draws, found.tune) == (8 * 2**doublings, 8 * (2**doublings - 1))
    assert run([*hard, "-o", "exactly", "--exactly"]) == 0
    assert_same(Posterior.load("exactly/noisy/posterior.nc"), Posterior.load("0/noisy/posterior.nc"))
    with pytest.raises(OptionError, match="doublings must be a whole number from 0 to 20, got 21"):
        segment(np.load(noisy), doublings=21)


def test_a_field_goes_on_without_its_constant_simulated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = sampled("inferred, simulated constant", 10).posterior
    monkeypatch.setattr("segmix.potts.chains.normalizer_of", lambda *_, **__: pytest.fail("simulated again"))
    assert first.extend(5).n_draws == 15


# What a terminal shows


def test_the_bar_shows_sweeps_and_r_hat(monkeypatch: pytest.MonkeyPatch) -> None:
    from segmix_cli import watching

    posterior = sampled("fixed, three classes", 40).posterior
    clock = [10.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])
    meter, told = watching.SweepMeter(), []
    tuned = dataclasses.replace(posterior, steps=posterior.steps.select(slice(0)))
    for moment, draws in ((0.0, None), (0.5, None), (1.5, 20), (1.6, 40), (4.0, 40)):
        clock[0] = 10 + moment
        part = (
            tuned
            if draws is None
            else dataclasses.replace(posterior, steps=posterior.steps.select(slice(draws)))
        )
        told.append(meter.detail(lambda part=part: part))
    worst = max(row.r_hat for row in posterior.summary().values())
    assert told[:2] == ["tune", "tune"]
    assert told[2].startswith("13.3 sweeps/s, R-hat ")
    assert told[3] == told[2]  # it looks once a second
    assert told[4] == f"8 sweeps/s, R-hat {worst:.3f}"


def test_the_bar_shows_sweeps_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose number is not taken for that of the chains afterwards."""
    from segmix_cli import watching

    posterior = sampled("fixed, three classes", 40).posterior
    clock = [10.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])
    meter, told = watching.SweepMeter(), []

    def unready(sweeps: int) -> Posterior:
        raise UnreadyError("not yet", sweeps)

    for sweeps in (50, 350, None, None):
        told.append(meter.detail(lambda n=sweeps: unready(n) if n else posterior))
        clock[0] += 2
    assert told[:2] == ["search", "150 sweeps/s, search"]
    assert told[2].startswith("R-hat ")
    assert told[3].startswith("0 sweeps/s, R-hat ")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_on_a_terminal_only(noisy: Path, terminal: bool) -> None:
    reading, writing = os.openpty() if terminal else os.pipe()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    arguments = [argument for argument in SPATIAL if argument != "-q"]
    arguments += ["--weights", "equal", "--beta", "0.9", "--draws", "8000", "--exactly", "-o", "out"]
    with subprocess.Popen(
        command_line(*arguments),
        stdout=subprocess.PIPE, stderr=writing, env=environment,
    ) as process:  # fmt: skip
        os.close(writing)
        shown = read_all(reading)
        out = process.stdout.read() if process.stdout else b""
    assert process.returncode == 0
    assert out.startswith(b"noisy.npy -> out/noisy")
    assert b"sweeps/s" not in out
    assert (b"sweeps/s, R-hat " in shown) == terminal
    assert terminal or b"\x1b" not in shown


def read_all(descriptor: int) -> bytes:
    """All that comes until the other end is closed, which a pseudo-terminal calls an error."""
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            part = b""
        if not part:
            os.close(descriptor)
            return b"".join(parts)
        parts.append(part)


def test_doubling_by_its_rules() -> None:
    """Of steps that never agree: as often as allowed, not at all without, and until given up."""
    from segmix.mixture.doubling import double
    from segmix.mixture.plan import Plan

    like = sampled("fixed, three classes", 40).posterior.steps
    asked: list[tuple[int, int]] = []

    def made(draws: int, thrown: tuple[Any, ...]) -> Any:
        asked.append((draws, sum(steps.means.shape[1] for steps in thrown)))
        return like.select(slice(draws))

    def sizes(plan: Plan, **options: Any) -> list[tuple[int, int]]:
        asked.clear()
        found = double(plan, made, tune=like.select(slice(7)), **options)
        assert found.warmup.means.shape[1] == asked[-1][1]
        assert not found.verdict.converged
        last = asked[-1][0]
        assert found.notes == ((f"extended to {last} draws a chain",) if last > 5 else ())
        return list(asked)

    plan = Plan("potts", 5, 7, 3, 1, doublings=2)
    assert sizes(plan) == [(5, 7), (10, 12), (20, 22)]
    assert sizes(dataclasses.replace(plan, until_converged=False)) == [(5, 7)]
    assert sizes(dataclasses.replace(plan, doublings=0)) == [(5, 7)]
    assert sizes(plan, gives_up=lambda doublings, steps, summary: doublings == 1) == [(5, 7), (10, 12)]
