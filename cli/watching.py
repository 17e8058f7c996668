"""A run on its way: its progress on the terminal, its checkpoints, and Ctrl-C."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segmix.checkpoints import Checkpoints
from segmix.diagnostics import format_worst
from segmix.errors import OutputError, SegmixError, UnreadyError
from segmix.mixture.chains import Watch
from segmix.posterior import Posterior
from segmix.targets import check_file

from .console import Console, Show
from .interruptions import interruptions

SECONDS = 1.0  # between two looks at R-hat
SHARE = 50  # times what the last look took, at least, for the next
FEWEST = 20  # draws that an R-hat is made of


def checkpoints_beside(
    target: Path, every: float | None, *, overwrite: bool, inputs: list[str], goes_on: bool = False
) -> Checkpoints | None:
    """Checkpoints beside the target, whose place is free or may be used; None if none are wanted.

    A run that ``goes_on`` may use that of its input, the first of ``inputs``.
    """
    if not every:
        return None
    path, own = _place(target), goes_on and superseded(inputs[0], target) is not None
    if path.is_file() and not path.is_symlink() and not overwrite and not own:
        raise OutputError(
            f"{path}: a checkpoint of an earlier run is there; segmix continue goes on with it, "
            "--overwrite discards it"
        )
    check_file(path, overwrite=True, keep=[] if own else inputs)
    return Checkpoints(path, every, replaces=overwrite or own)


def superseded(source: str, target: Path) -> Path | None:
    """Return the checkpoint in the place of the target's if it is the source that a run went on from."""
    path = _place(target)
    return path if path.is_file() and not path.is_symlink() and path.samefile(source) else None


def _place(target: Path) -> Path:
    return target.with_name(f"{target.name}.checkpoint.nc")


@contextmanager
def watched(
    name: str, checkpoints: Checkpoints | None, console: Console, show: Show
) -> Iterator[Watch[Posterior]]:
    """Yield what shows progress, hears interruptions and writes checkpoints, one more when interrupted."""
    detail = SweepMeter().detail if console.shows_progress else lambda _: ""

    def watch(done: int, draws: int, so_far: Callable[[], Posterior]) -> None:
        show(name, done, draws, detail(so_far))
        if checkpoints and done:
            checkpoints.watch(done, draws, so_far)
        interruptions.check()

    try:
        yield watch
    except KeyboardInterrupt:
        if checkpoints:
            _keep(checkpoints, console)
        raise


def _keep(checkpoints: Checkpoints, console: Console) -> None:
    """Write what is drawn unless that takes too long, and tell where it is."""
    with suppress(KeyboardInterrupt, SegmixError):  # then the one before stands
        checkpoints.write()
    if checkpoints.n_draws:
        console.warning(
            f"interrupted; {checkpoints.path} holds {checkpoints.n_draws} draws a chain, "
            "segmix continue goes on with them"
        )
    elif checkpoints.is_unused:
        console.warning("interrupted before the chains drew anything; there was nothing to keep yet")


class SweepMeter:
    """How fast the sweeps of a field go, and how far apart its chains are, looked at now and then."""

    def __init__(self) -> None:
        self.text, self._looked, self._pause = "", -math.inf, SECONDS
        self._steps, self._searched = 0, False

    def detail(self, so_far: Callable[[], Posterior]) -> str:
        """Return sweeps a second of each chain and the largest R-hat, such as "210 sweeps/s, R-hat 1.02"."""
        began = time.monotonic()
        passed = began - self._looked
        if passed < self._pause:
            return self.text
        steps, searches, parts = _look(so_far)
        if parts is not None:
            # a search counts sweeps of its own
            goes_on = math.isfinite(passed) and searches == self._searched
            rate = [f"{(steps - self._steps) / passed:.3g} sweeps/s"] if goes_on else []
            self.text = ", ".join(rate + parts)
        self._looked, self._steps, self._searched = time.monotonic(), steps, searches
        self._pause = max(SECONDS, SHARE * (self._looked - began))
        return self.text


def _look(so_far: Callable[[], Posterior]) -> tuple[int, bool, list[str] | None]:
    """Sweeps made, whether in the search for weights' constant, and what is to be told, None of no field."""
    try:
        posterior = so_far()
    except UnreadyError as unready:
        return unready.sweeps, True, ["search"]
    steps = (posterior.tune + posterior.n_draws) * posterior.thinned
    if posterior.steps.agreements is None:
        return steps, False, None
    return steps, False, _worst(posterior) if posterior.n_draws else ["tune"]


def _worst(posterior: Posterior) -> list[str]:
    """The largest R-hat of all numbers, where draws are enough for one."""
    if posterior.n_draws < FEWEST:
        return []
    return [f"R-hat {format_worst(posterior.summary().values())[0]}"]
