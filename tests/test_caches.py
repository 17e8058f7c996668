"""PyMC and ArviZ where the home folder cannot be written: silent, and nothing is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from segmix import caches, fit

PROGRAM = """
import os, sys
from segmix import Posterior
from segmix.mixture import nuts
assert nuts.describe("nuts") == nuts.describe("nuts")
assert "posterior" in Posterior.load(sys.argv[1]).to_inference_data()
assert not {"XDG_CACHE_HOME", "MPLCONFIGDIR", "PYTENSOR_FLAGS"} & set(os.environ)
import pytensor
print(pytensor.config.compiledir, *os.listdir(os.environ["TMPDIR"]))
"""


@pytest.mark.parametrize("home", ["/proc/none", "file/home"])
def test_without_a_home_the_stack_is_silent_and_shares_one_folder(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    fit(np.arange(20.0), n_classes=1, draws=50, rng=1).save(tmp_path / "posterior.nc")
    known = {key: v for key, v in os.environ.items() if not key.startswith(("XDG_", "MPL", "PYTENSOR"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "posterior.nc"],
        env=known | {"HOME": str(tmp_path / home), "TMPDIR": str(tmp_path / "temporary")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    compiled, *left = done.stdout.split()
    assert left == [Path(compiled).parent.name]
    assert left[0].startswith("segmix-")
    assert os.listdir(tmp_path / "temporary") == []


def test_a_folder_that_can_be_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTENSOR_FLAGS", "cxx=,base_compiledir=here")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    with caches.importable():
        assert "XDG_CACHE_HOME" not in os.environ
        assert "MPLCONFIGDIR" not in os.environ
        assert os.environ["PYTENSOR_FLAGS"] == "cxx=,base_compiledir=here,blas__ldflags="
    assert os.environ["PYTENSOR_FLAGS"] == "cxx=,base_compiledir=here"
