"""A posterior on its way, kept in a file, so that a run that is stopped can go on."""

import time
from collections.abc import Callable
from pathlib import Path

from .posterior import Posterior


class Checkpoints:
    """Writes the posterior so far every so many seconds; the file is whole at any moment.

    Parameters
    ----------
    path : Path
        The file, whose place was looked at before.
    every : float
        Seconds between two writings; infinity for none but that of ``write``.
    replaces : bool
        Whether what stands there already may be replaced, and removed.

    Attributes
    ----------
    n_draws : int
        Draws a chain in the file that this run wrote last, 0 if it wrote none.
    """

    def __init__(self, path: Path, every: float, *, replaces: bool = False) -> None:
        self.path, self.every, self.n_draws = path, every, 0
        self._ours = replaces
        self._so_far: Callable[[], Posterior] | None = None
        self._saved = time.monotonic()

    @property
    def is_unused(self) -> bool:
        """Whether there was nothing to keep, so far."""
        return self._so_far is None and not self.n_draws

    def watch(self, done: int, draws: int, so_far: Callable[[], Posterior]) -> None:
        """Take note of a posterior on its way, and write it if it is time.

        Raises
        ------
        OutputError
            If the file cannot be written, or one that is not ours stands there.
        """
        self._so_far = so_far
        if done < draws and time.monotonic() - self._saved >= self.every:
            self.write()

    def write(self) -> None:
        """Write what was drawn since the last time, if anything was."""
        if self._so_far is None:
            return
        posterior = self._so_far()
        posterior.save(self.path, overwrite=self._ours)
        self._ours, self.n_draws = True, posterior.n_draws
        self._so_far, self._saved = None, time.monotonic()

    def remove(self) -> None:
        """Remove the file if this run wrote it or may replace it."""
        if self._ours:
            self.path.unlink(missing_ok=True)
