"""The command in a process of its own: streams, signals, environments."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

FEW = ("--draws", "250", "--seed", "1")


def names(folder="."):
    return sorted(os.listdir(folder))


def command_line(*arguments):
    return [sys.executable, "-m", "segmix_cli", *arguments]


@pytest.fixture
def command(tmp_path):
    """The command, run in `tmp_path`; call it with the arguments, and with options of subprocess.run."""

    def call(*arguments, env=None, **options):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        environment = {**os.environ, **(env or {})}
        return subprocess.run(
            command_line(*arguments), cwd=tmp_path, env=environment, text=True, check=False, **streams
        )

    return call


def test_the_installed_command(command, picture):
    script = Path(sys.executable).with_name("segmix")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == command("--version").stdout


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "40"},
    ],
)
def test_any_terminal_will_do(command, picture, environment):
    os.rename(picture, picture.with_name("\u03b2.png"))
    done = command("info", "\u03b2.png", env=environment)
    assert done.returncode == 0, done.stderr
    assert "24 x 32" in done.stdout
    assert "\x1b" not in command("--help", env=environment).stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stdout_is_told(command, picture):
    with open("/dev/full", "w") as full:
        done = command("info", "cells.png", stdout=full)
        assert done.returncode == 1
        assert "<stdout>: can't be written (No space left on device)" in done.stderr
        done = command("--help", stdout=full)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_does_not_stop_the_work(command, picture):
    reading, writing = os.pipe()
    os.close(reading)
    done = command("segment", "cells.png", "-o", "out", *FEW, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert "summary.json" in names("out/cells")


def test_closed_streams_do_not_matter(picture, tmp_path):
    line = " ".join(command_line("segment", "cells.png", "-o", "out", *FEW))
    done = subprocess.run(["sh", "-c", f"exec {line} <&- >&- 2>&-"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert "summary.json" in names("out/cells")


def let_interrupt():
    """Undo a parent's wish to ignore Ctrl-C, as a shell has it for jobs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("when", [1.0, 2.5])
def test_an_interruption_leaves_nothing_behind(picture, tmp_path, number, status, when):
    options = ["-o", "out", "--sampler", "gibbs", "--draws", "1000000"]
    process = subprocess.Popen(
        command_line("segment", "cells.png", *options),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=let_interrupt,
    )
    time.sleep(when)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    assert "Traceback" not in err
    assert names(tmp_path) == ["cells.png"]


INTERRUPTED_WHILE_IMPORTING = """
import os, signal, sys

chosen = sys.argv[-1]

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == chosen:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from segmix_cli.__main__ import main
sys.argv = ["segmix", "segment", "cells.png", "-o", "out"]
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "segmix_cli.interruptions",
        "segmix_cli.main",
        "typer",
        "segmix_cli.batch",
        "segmix.errors",
        "segmix.imaging.files",
    ],
)
def test_an_interruption_while_importing_is_no_traceback(picture, tmp_path, module):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTING, module],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=let_interrupt,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert names(tmp_path) == ["cells.png"]


def test_a_signal_after_the_end_changes_no_status():
    """Where Ctrl-C comes too late to stop anything, the work is done."""
    script = """
import os, signal, sys
from segmix_cli import __main__ as door
set_signal = signal.signal
def late(number, handler):
    if handler is signal.SIG_IGN:
        os.kill(os.getpid(), signal.SIGINT)
    return set_signal(number, handler)
signal.signal = late
sys.argv = ["segmix", "--version"]
door.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, preexec_fn=let_interrupt
    )
    assert (done.returncode, done.stderr) == (0, "")


INTERRUPTED_WHILE_WRITING = """
import os, signal, sys, time
from segmix_cli import __main__ as door
from segmix import Segmentation

def write(self, folder):
    (folder / "half.png").touch()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(20)

Segmentation._write = write
sys.argv = ["segmix", "segment", "cells.png", "-o", "out", "--overwrite", "-q"]
door.main()
"""


def test_an_interruption_while_writing_leaves_the_earlier_result(picture, tmp_path):
    earlier = Path("out/cells/summary.json")
    earlier.parent.mkdir(parents=True)
    earlier.write_text('{"versions": {"segmix": "0.1.0"}}')
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_WRITING],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=let_interrupt,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert names("out") == ["cells"]
    assert names("out/cells") == ["summary.json"]


def fill_the_disk():
    """Let no file grow beyond 8 KiB: less than a posterior, more than an empty file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def test_a_full_disk_is_one_line_and_leaves_nothing(command, picture):
    assert command("segment", "cells.png", "-o", "out", *FEW).returncode == 0  # all is compiled now
    assert Path("out/cells/posterior.nc").stat().st_size > 8192
    done = command("segment", "cells.png", "-o", "full", *FEW, preexec_fn=fill_the_disk)
    assert (done.returncode, done.stdout) == (1, "")
    assert "full/cells: can't be written (File too large); choose another place" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert names() == ["cells.png", "out"]


def test_a_disk_that_fills_at_a_checkpoint_is_told_and_the_run_can_be_had_again(command, picture):
    chain = ("--sampler", "gibbs", "--seed", "1")
    assert command("fit", "cells.png", "-o", "out", *chain, "--draws", "250").returncode == 0
    further = ("continue", "out/cells/posterior.nc", "-o", "more", "--draws", "40000", "--every", "0.1")
    done = command(*further, preexec_fn=fill_the_disk)
    assert (done.returncode, done.stdout) == (1, "")
    assert "can't be written (File too large); choose another place" in done.stderr
    assert "Traceback" not in done.stderr
    assert names() == ["cells.png", "out"]
    assert command(*further).returncode == 0


FILTERING = """
import sys
from segmix_cli import __main__ as door
from segmix.imaging import preprocess as room

work = room.preprocess

def told(*arguments):
    print("begun", flush=True)
    return work(*arguments)

room.preprocess = told
sys.argv = ["segmix", "segment", "large.npy", "-o", "out", "--preprocess", "median:25"]
door.main()
"""


def test_an_interruption_is_heard_while_a_filter_works(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (1200, 1200), dtype=np.uint8)
    np.save(tmp_path / "large.npy", pixels)
    process = subprocess.Popen(
        [sys.executable, "-c", FILTERING],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=let_interrupt,
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # the median takes half a minute
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 130)
    assert time.monotonic() - start < 5.0
    assert names(tmp_path) == ["large.npy"]
