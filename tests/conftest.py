"""What several test files share."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from segmix.imaging.files import write_png

settings.register_profile("segmix", deadline=None, derandomize=True)
settings.load_profile("segmix")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, which is also the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def errors(capsys):
    """A function that returns the lines on stderr that are no notes; nothing may stand on stdout."""

    def read():
        out, err = capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        return [line for line in err.splitlines() if not line.startswith("segmix: note: ")]

    return read


@pytest.fixture
def write_picture():
    """A function that writes a picture of well separated Gaussian classes, in stripes."""

    def write(path, *, n_classes=2, shape=(24, 32)):
        rng = np.random.default_rng(1)
        labels = np.arange(shape[0] * shape[1]).reshape(shape) * n_classes // (shape[0] * shape[1])
        write_png(path, np.rint(rng.normal(60 + 60 * labels, 8)).clip(0, 255).astype(np.uint8))
        return Path(path)

    return write


@pytest.fixture
def picture(here, write_picture):
    """cells.png in the working directory: two classes, 24 x 32 pixels."""
    return write_picture(here / "cells.png")
