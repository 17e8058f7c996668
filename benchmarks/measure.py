"""Timing: what is compared runs in turn, so that a busy machine is busy for both.

Times are CPU seconds of all threads (of a whole process: of its children too) and wall seconds.
"""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Timing(NamedTuple):
    """Seconds of one run."""

    cpu: float
    wall: float


class Times(NamedTuple):
    """Seconds of repeated runs: median and best."""

    cpu: float
    wall: float
    best_cpu: float
    best_wall: float


class Finished(NamedTuple):
    """A finished process: its seconds, peak memory in bytes, and what it wrote."""

    timing: Timing
    peak: int
    stdout: str
    stderr: str


def timed(function: Callable[[], Any]) -> tuple[Timing, Any]:
    """Run a function; return its seconds (CPU of children that have ended too) and its result."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    result = function()
    return Timing(cpu_seconds() - cpu, time.perf_counter() - wall), result


def cpu_seconds() -> float:
    """CPU seconds of this process so far, and of its children that have ended (compilers, chains)."""
    now = os.times()
    return time.process_time() + now.children_user + now.children_system


def interleave(
    contenders: Mapping[str, Callable[[], Any]], *, repeats: int, warm: int = 1
) -> dict[str, Times]:
    """Time functions in turn, after ``warm`` rounds that do not count."""
    timings: dict[str, list[Timing]] = {name: [] for name in contenders}
    for turn in range(-warm, repeats):
        for name, function in contenders.items():
            timing, _ = timed(function)
            if turn >= 0:
                timings[name].append(timing)
    return {name: summarize(rows) for name, rows in timings.items()}


def summarize(timings: Sequence[Timing]) -> Times:
    """Median and best of repeated runs."""
    cpu, wall = [row.cpu for row in timings], [row.wall for row in timings]
    return Times(statistics.median(cpu), statistics.median(wall), min(cpu), min(wall))


def run_process(
    command: Sequence[str | os.PathLike[str]],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Finished:
    """Run a command to its end; CPU seconds and peak memory are of the process and its children.

    Raises
    ------
    RuntimeError
        If its exit status is not 0, with the end of what it wrote to stderr.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        env=plain_environment() if environment is None else dict(environment),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        stdout, stderr = _read_both(process)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{Path(str(command[0])).name} left with {process.returncode}: {stderr[-2000:]}")
    return Finished(Timing(usage.ru_utime + usage.ru_stime, wall), usage.ru_maxrss * 1024, stdout, stderr)


def _read_both(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Read stdout and stderr to their ends, without waiting for the process (whose usage is wanted)."""
    assert process.stdout is not None
    assert process.stderr is not None
    with ThreadPoolExecutor(2) as pool:
        stdout, stderr = pool.map(lambda stream: stream.read(), (process.stdout, process.stderr))
    return stdout, stderr


def plain_environment(**extra: str) -> dict[str, str]:
    """Return the environment without switches that slow Python or change what is measured."""
    dropped = (
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
        "PYTHONPATH",
        "PYTHONWARNINGS",
        "NUMBA_CACHE_DIR",
    )
    return {key: value for key, value in os.environ.items() if key not in dropped} | extra


def camera(times: int = 1) -> NDArray[np.uint8]:
    """scikit-image's photograph "camera", 512 x 512 in 8 bits, repeated ``times`` in rows and columns."""
    from skimage import data

    picture: NDArray[np.uint8] = np.tile(data.camera(), (times, times))
    return picture
