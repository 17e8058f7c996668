"""PyMC, ArviZ and what they stand on, imported in silence and with folders that they can write to.

On import ArviZ makes a folder in the user's cache and Matplotlib one for its fonts, and PyTensor compiles in
the home folder; where these can't be written, the first and the last fail and the second prints.
"""

import atexit
import functools
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOGGERS = ("pymc", "pytensor", "arviz", "matplotlib")


@contextmanager
def importable() -> Iterator[None]:
    """Silence PyMC's stack, and let it write to a temporary folder where its own cannot be written.

    That folder is one for the process and goes with it. Environment and loggers are as before afterward.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    needed = _environment()
    before = {name: os.environ.get(name) for name in needed}
    os.environ.update(needed)
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


def _environment() -> dict[str, str]:
    """The variables to set: PyTensor's flags, and a place for what has none."""
    known = os.environ
    found = {}
    if not _can_write(os.path.join(known.get("XDG_CACHE_HOME") or "~/.cache", "arviz")):
        found["XDG_CACHE_HOME"] = _scratch()
    settings = os.path.join(known.get("XDG_CONFIG_HOME") or "~/.config", "matplotlib")
    if not _can_write(known.get("MPLCONFIGDIR") or settings):
        found["MPLCONFIGDIR"] = _scratch()
    given = known.get("PYTENSOR_FLAGS", "")
    wanted = {"blas__ldflags": ""} | ({} if shutil.which("g++") else {"cxx": ""})
    if not _can_write("~/.pytensor"):
        wanted["base_compiledir"] = _scratch()
    added = [f"{key}={value}" for key, value in wanted.items() if key not in given]
    return found | {"PYTENSOR_FLAGS": ",".join([*filter(None, [given]), *added])}


def _can_write(folder: str) -> bool:
    """Whether a file can be made there; os.access says yes to root, also on a read-only disk."""
    try:
        path = Path(folder).expanduser()
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except (OSError, RuntimeError):  # the latter where no home is known
        return False


@functools.cache
def _scratch() -> str:
    """The temporary folder of this process."""
    folder = tempfile.mkdtemp(prefix="segmix-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
