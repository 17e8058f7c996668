"""Checkpoints: a run that is stopped goes on, and nothing that is not the run's own is touched."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from segmix_cli.main import run

import segmix
from segmix import Posterior, fit, simulate_mixture
from segmix.checkpoints import Checkpoints
from segmix.errors import OutputError

from .interruptions import interrupt
from .test_posterior import assert_same

LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))
CHECKPOINT = Path("out/data.checkpoint.nc")
LONG = [
    "--draws",
    "20000",
    "--sampler",
    "gibbs",
    "--seed",
    "9",
    "--every",
    "0.1",
    "-q",
    "--allow-unconverged",
]


@pytest.fixture
def table(here: Path) -> Path:
    assert run(["simulate", "mixture", "-n", "300", "--seed", "5", "-o", "data.csv"]) == 0
    return here / "data.csv"


def test_pieces_and_checkpoints_change_nothing(tmp_path: Path) -> None:
    short = fit(simulate_mixture(200, *LECTURE, rng=5), draws=50, until_converged=False, rng=1)
    told: list[tuple[int, int]] = []
    checkpoints = Checkpoints(tmp_path / "a.checkpoint.nc", 0.0)

    def watch(done: int, draws: int, so_far: Callable[[], Posterior]) -> None:
        told.append((done, draws))
        checkpoints.watch(done, draws, so_far)

    pieced = short.extend(900, watch=watch)
    assert_same(pieced, short.extend(900))
    assert (told[0], told[-1]) == ((200, 900), (900, 900))
    part = Posterior.load(tmp_path / "a.checkpoint.nc")
    assert part.n_draws == checkpoints.n_draws > 50
    assert_same(part.extend(950 - part.n_draws), pieced)


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = fit(simulate_mixture(200, *LECTURE, rng=5), draws=50, until_converged=False, rng=1)
    checkpoint = tmp_path / "a.checkpoint.nc"
    short.save(checkpoint)
    before = checkpoint.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segmix.netcdf, "write_posterior", full)
    with pytest.raises(OutputError, match=r"No space left on device.*make room"):
        short.extend(900, watch=Checkpoints(checkpoint, 0.0, replaces=True).watch)
    assert checkpoint.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.checkpoint.nc"]


def test_what_is_drawn_at_any_moment_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while a run is doubled, and after gibbs took over from independence."""
    monkeypatch.setattr(
        "segmix.mixture.sampling.has_poor_weights", lambda steps: steps.log_weights is not None
    )
    monkeypatch.setattr("segmix.mixture.chains.FIRST_PIECE", 10)
    monkeypatch.setattr("segmix.mixture.chains.SECONDS", 0.0)
    seen: list[Callable[[], Posterior]] = []
    data = segmix.fitting.load(simulate_mixture(200, *LECTURE, rng=5), n_classes=2)
    plan = segmix.mixture.plan.Plan("independence", 40, 50, 2, 1)
    options = {"n_classes": 2, "priors": segmix.Priors(), "plan": plan}
    whole = segmix.fitting.sample(data, **options, watch=lambda done, draws, so_far: seen.append(so_far))
    assert_same(whole, segmix.fitting.sample(data, **options))
    parts = [so_far() for so_far in seen]
    assert [part.sampler for part in parts[:5]] == ["independence"] * 4 + ["gibbs"]
    assert whole.tune > 50  # it was doubled
    last = next(part for part in parts if (part.sampler, part.tune) == ("gibbs", whole.tune))
    assert last.n_draws == 10
    np.testing.assert_array_equal(last.extend(whole.n_draws - 10).means, whole.means)
    assert last.notes == whole.notes[:1]


def test_thinned_draws_are_told_as_soon_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segmix.mixture.chains.SECONDS", 0.0)
    for thin, every in ((1, 200), (100, 2), (1000, 1)):
        data = segmix.fitting.load(simulate_mixture(200, *LECTURE, rng=5), n_classes=2)
        plan = segmix.mixture.plan.Plan("gibbs", 400 // thin + 4, 50, 1, 1, thin, until_converged=False)
        seen: list[int] = []
        segmix.fitting.sample(
            data,
            n_classes=2,
            priors=segmix.Priors(),
            plan=plan,
            watch=lambda done, draws, so_far, seen=seen: seen.append(done),
        )
        assert seen[0] == every


def test_checkpoints_change_no_result(table: Path) -> None:
    options = ["--seed", "1", "--draws", "40", "-q"]
    assert run(["fit", "data.csv", "-o", "plain", *options]) == 0
    assert run(["fit", "data.csv", "-o", "out", *options, "--every", "60"]) == 0
    assert Posterior.load("plain/data/posterior.nc").n_draws > 40  # it was doubled
    assert Path("plain/data/posterior.nc").read_bytes() == Path("out/data/posterior.nc").read_bytes()


@pytest.mark.parametrize("name", ["notes", "checkpoint", "folder", "link"])
def test_what_stands_at_the_checkpoints_place_stays(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("segmix_cli.fits.load", lambda *_, **options: pytest.fail("the work began"))
    CHECKPOINT.parent.mkdir()
    if name == "folder":
        CHECKPOINT.mkdir()
    elif name == "link":
        CHECKPOINT.symlink_to(table)
    else:
        CHECKPOINT.write_text(name)
    capsys.readouterr()
    assert run(["fit", "data.csv", "-o", "out", *LONG]) == 1
    said = capsys.readouterr().err
    expected = {"folder": "is a folder, not a file", "link": "is a link, not a file"}
    assert expected.get(name, "earlier run is there; segmix continue goes on with it, --overwrite") in said
    assert os.listdir("out") == [CHECKPOINT.name]
    assert CHECKPOINT.is_dir() or CHECKPOINT.read_text() in (name, table.read_text())


def test_a_checkpoint_of_an_earlier_run_is_discarded_when_asked(table: Path) -> None:
    CHECKPOINT.parent.mkdir()
    CHECKPOINT.write_text("old")
    assert run(["fit", "data.csv", "-o", "out", *LONG, "--overwrite"]) == 0
    assert os.listdir("out") == ["data"]


def test_going_on_from_the_checkpoint_in_its_place(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = fit("data.csv", sampler="gibbs", draws=50, until_converged=False, rng=1)
    CHECKPOINT.parent.mkdir()
    start.save(CHECKPOINT)
    on = [
        "continue",
        str(CHECKPOINT),
        "-o",
        "out",
        "--draws",
        "20000",
        "--every",
        "0.1",
        "--allow-unconverged",
    ]

    def stop(*_: object, **options: object) -> None:
        assert start.n_draws < Posterior.load(CHECKPOINT).n_draws < 20_050
        raise OutputError("stopped before the result is written")

    with monkeypatch.context() as patch:
        patch.setattr("segmix_cli.fits.save_fit", stop)
        assert run(on) == 1
    assert os.listdir("out") == [CHECKPOINT.name]
    start.save(CHECKPOINT, overwrite=True)
    assert run(on) == 0
    assert os.listdir("out") == ["data"]
    assert Posterior.load("out/data/posterior.nc").n_draws == 20_050
    start.save(CHECKPOINT)
    start.save("data.nc")
    assert run(["continue", "data.nc", "-o", "out", "--every", "1", "--overwrite", "-q"]) in (0, 3)
    assert os.listdir("out") == ["data"]


def test_a_checkpoint_is_done_with_when_its_result_is_written(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CHECKPOINT.parent.mkdir()
    fit("data.csv", sampler="gibbs", draws=50, until_converged=False, rng=1).save(CHECKPOINT)
    on = ["continue", str(CHECKPOINT), "--draws", "50", "--allow-unconverged", "-q"]
    assert run([*on, "-o", "elsewhere"]) == 0  # another place
    Path("links").mkdir()
    Path("links/data.checkpoint.nc").symlink_to(CHECKPOINT.resolve())
    assert run([*on, "-o", "links"]) == 0
    assert Path("links/data.checkpoint.nc").is_symlink()

    def fail(*_: object, **options: object) -> None:
        raise OutputError("stopped before the result is written")

    with monkeypatch.context() as patch:
        patch.setattr("segmix_cli.fits.save_fit", fail)
        assert run([*on, "-o", "out"]) == 1
    assert os.listdir("out") == [CHECKPOINT.name]
    assert run([*on, "-o", "out"]) == 0
    assert os.listdir("out") == ["data"]
    assert Posterior.load("out/data/posterior.nc").n_draws == 100


def test_going_on_leaves_the_checkpoint_of_another_run(table: Path) -> None:
    fit("data.csv", draws=50, until_converged=False, rng=1).save("data.nc")
    CHECKPOINT.parent.mkdir()
    CHECKPOINT.write_text("another")
    assert run(["continue", "data.nc", "-o", "out", "--every", "1"]) == 1
    assert CHECKPOINT.read_text() == "another"


@pytest.mark.parametrize("sampler", ["nuts", "pymc-lecture"])
def test_pymc_has_no_checkpoints(here: Path, errors: Callable[[], list[str]], sampler: str) -> None:
    assert run(["fit", "missing.csv", "-o", "out", "--sampler", sampler, "--every", "1"]) == 2
    (line,) = errors()
    assert "--every needs a sampler whose chains can go on, independence or gibbs" in line


def test_a_killed_run_goes_on_from_its_checkpoint(table: Path) -> None:
    command = [sys.executable, "-m", "segmix_cli"]
    options = ["--sampler", "gibbs", "--seed", "1", "--chains", "2", "--allow-unconverged", "-q"]
    endless = [*command, "fit", "data.csv", "-o", "out", "--draws", "1000000", "--every", "0.2", *options]
    process = subprocess.Popen(endless)
    checkpoint = Path("out/data.checkpoint.nc")
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    part = Posterior.load(checkpoint)
    assert run(["continue", str(checkpoint), "-o", "out", "--draws", "100", "--allow-unconverged", "-q"]) == 0
    draws = str(part.n_draws + 100)
    assert run(["fit", "data.csv", "-o", "once", "--draws", draws, "--exactly", *options]) == 0
    again, once = (Posterior.load(f"{name}/data/posterior.nc") for name in ("out", "once"))
    assert_same(again, once)


TELLING = """
import sys
from segmix_cli import __main__ as door
from segmix.checkpoints import Checkpoints

watch = Checkpoints.watch

def told(self, *arguments):
    Checkpoints.watch = watch
    self.watch(*arguments)
    print("drawn", flush=True)

Checkpoints.watch = told
door.main()
"""


def test_an_interruption_names_the_checkpoint(table: Path) -> None:
    command = [sys.executable, "-c", TELLING, "fit", "data.csv", "-o", "out", "--draws", "1000000"]
    process = subprocess.Popen(
        [*command, "--sampler", "gibbs", "--chains", "2", "--seed", "1", "--every", "500", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "drawn\n"
    interrupt(process, CHECKPOINT, timeout=30)
    assert run(["continue", str(CHECKPOINT), "-o", "out", "--draws", "100", "--allow-unconverged", "-q"]) == 0
