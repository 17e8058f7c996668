"""Seconds that the first run on a machine spends compiling, and that it works where nothing can be cached.

`segmix segment` of camera with an empty cache, then again: the difference is what compiling took. Then a
copy of the package that nobody may write to, run without a home folder, where every run compiles.
"""

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from measure import Finished, camera, plain_environment, run_process, summarize
from report import Figure, record

REPEATS = 3
LIMIT_S = 5.0
NOTE = "compiling"
AS_ANYONE = ("setpriv", "--bounding-set", "-dac_override", "--")  # root, but bound by permissions


class Pair(NamedTuple):
    """A first run and the next."""

    first: Finished
    second: Finished

    @property
    def compiling(self) -> float:
        """Wall seconds of the first run beyond the second's."""
        return self.first.timing.wall - self.second.timing.wall

    @property
    def compiling_cpu(self) -> float:
        """The same in CPU seconds."""
        return self.first.timing.cpu - self.second.timing.cpu

    @property
    def notes(self) -> tuple[int, int]:
        """How often each run says on stderr that it compiles."""
        return self.first.stderr.count(NOTE), self.second.stderr.count(NOTE)


def run(folder: Path, environment: dict[str, str], *, prefix: Sequence[str] = ()) -> Finished:
    """Segment camera into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as target:
        arguments = ["segment", str(folder / "camera.png"), "-o", target, "--seed", "1"]
        command = [*prefix, sys.executable, "-m", "segmix_cli", *arguments]
        return run_process(command, environment=environment, cwd=folder)


def with_empty_cache(folder: Path) -> Pair:
    """Run twice with a cache that is empty at first."""
    with tempfile.TemporaryDirectory() as cache:
        environment = plain_environment(NUMBA_CACHE_DIR=cache)
        return Pair(run(folder, environment), run(folder, environment))


def without_any_cache(folder: Path) -> Pair:
    """Run a copy that cannot be written to, without a home; beside it a run with the cache."""
    import segmix_cli

    import segmix

    site = folder / "site"
    if not site.exists():
        for package in (segmix, segmix_cli):
            source = Path(str(package.__file__)).parent
            shutil.copytree(source, site / package.__name__, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [site, *site.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    home = str(site / "home")
    environment = plain_environment(
        PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1", HOME=home, XDG_CACHE_HOME=home
    )
    prefix = AS_ANYONE if os.getuid() == 0 else ()
    return Pair(run(folder, environment, prefix=prefix), run(folder, plain_environment()))


def figures(cached: list[Pair], bare: list[Pair]) -> list[Figure]:
    """Medians over the repetitions; the note must come once in a first run and never in a second."""
    wrong = [pair for pair in cached if pair.notes != (1, 0)] + [pair for pair in bare if pair.notes[0] != 1]
    return [
        Figure("compiling, wall", statistics.median(pair.compiling for pair in cached), "s", LIMIT_S),
        Figure("compiling, CPU", statistics.median(pair.compiling_cpu for pair in cached), "s"),
        Figure("compiling where nothing can be written, wall", median_of(bare), "s", LIMIT_S),
        Figure("runs that don't say once that they compile", float(len(wrong)), "", 0.0),
    ]


def median_of(pairs: list[Pair]) -> float:
    """Median seconds of compiling."""
    return statistics.median(pair.compiling for pair in pairs)


def main() -> None:
    """Measure and record."""
    from segmix.imaging.files import write_png

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_png(folder / "camera.png", camera())
        run(folder, plain_environment())
        cached = [with_empty_cache(folder) for _ in range(REPEATS)]
        bare = [without_any_cache(folder) for _ in range(REPEATS)]
    runs = {
        "empty cache, first run": [pair.first for pair in cached],
        "empty cache, second run": [pair.second for pair in cached],
        "read-only install, no home": [pair.first for pair in bare],
        "installed here, cached": [pair.second for pair in bare],
    }
    times = {name: summarize([finished.timing for finished in every]) for name, every in runs.items()}
    record(
        __file__,
        "The first run on a machine",
        figures(cached, bare),
        [
            {"what": f"segmix segment, {name}", "median wall s": row.wall, "median CPU s": row.cpu}
            for name, row in times.items()
        ],
        note="Compiling is a first run minus the next. The read-only install is a copy nobody may write to.",
    )


if __name__ == "__main__":
    main()
