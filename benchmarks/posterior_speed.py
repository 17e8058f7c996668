"""Effective draws a CPU second: segmix, nutpie and PyMC on the posterior of one photograph.

The picture is camera (512 x 512, 8 bits, 256 levels), K = 2, 4 chains of 1000 draws, and the number the
smallest bulk ESS over weights, means and standard deviations. segmix is timed from the array to the judged
posterior. nutpie is compiled once and only its sampling is timed, started at the posterior means; so is
PyMC. Against PyMC every run is a fresh process that compiles: with empty caches on both sides (a machine's
first run ever), and with the caches of a first run.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import Timing, camera, cpu_seconds, plain_environment, run_process, timed
from numpy.typing import NDArray
from peers import Form, Problem, compile_nutpie, pose, sample_nutpie, sample_pymc, smallest_ess
from report import Figure, record

NOTE = """\
nutpie and PyMC have the same levels, likelihood and priors, and start at the posterior means. The likelihood
is written in three ways: *stable* with PyMC's functions, *one tail* the same tuned by hand, *linear* with
tails cut off at 1e-300. Fresh processes are timed from the array on, after imports, unless it says whole."""
REPEATS, COLD_REPEATS = 7, 2
TIMES_NUTPIE, TIMES_PYMC = 60.0, 1000.0
FORMS: tuple[Form, ...] = ("stable", "one tail", "linear")
Draws = dict[str, NDArray[np.float64]]


class Run(NamedTuple):
    """One posterior: its effective draws, worst R-hat, and seconds."""

    ess: float
    r_hat: float
    timing: Timing

    @property
    def rate(self) -> float:
        """Effective draws a CPU second."""
        return self.ess / self.timing.cpu


def sample_segmix(pixels: NDArray[Any], *, seed: int) -> Draws:
    """From the array to the judged posterior."""
    import segmix

    posterior = segmix.segment(pixels, rng=seed).posterior
    if not posterior.converged:
        raise RuntimeError(f"segmix has not converged: {posterior.verdict.reasons}")
    return {name: getattr(posterior, name) for name in ("weights", "means", "stds")}


def run_warm(pixels: NDArray[Any], problem: Problem) -> dict[str, list[Run]]:
    """Run segmix and nutpie in turn, all compiled before."""
    compiled = {form: compile_nutpie(problem, form=form) for form in FORMS}
    runs: dict[str, list[Run]] = {}
    for seed in range(-1, REPEATS):
        contenders: dict[str, Callable[[], Draws]] = {"segmix": partial(sample_segmix, pixels, seed=seed + 1)}
        for form, model in compiled.items():
            contenders[f"nutpie, {form}"] = partial(sample_nutpie, model, seed=seed + 1)
        for name, function in contenders.items():
            timing, draws = timed(function)
            if seed >= 0:
                runs.setdefault(name, []).append(Run(*smallest_ess(draws), timing))
    return runs


def run_cold(name: str, caches: Path, *, seed: int) -> tuple[Run, Run]:
    """Sample in a fresh process; the first run counts from the array on, the second the whole process."""
    environment = plain_environment(
        NUMBA_CACHE_DIR=str(caches / "numba"),
        PYTENSOR_FLAGS=f"base_compiledir={caches / 'pytensor'},blas__ldflags=",
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "draws.npz"
        finished = run_process(
            [sys.executable, __file__, "--child", name, str(seed), str(target)], environment=environment
        )
        with np.load(target) as file:
            quality = smallest_ess(dict(file))
    part = Timing(*json.loads(finished.stdout.splitlines()[-1]))
    return Run(*quality, part), Run(*quality, finished.timing)


def child(name: str, seed: int, target: str) -> None:
    """Import, then sample under the clock, and leave the draws in a file."""
    pixels = camera()
    if name == "segmix":
        import segmix.mixture.kernels
        import segmix.workflow  # noqa: F401

        clock, start = cpu_seconds(), time.perf_counter()
        draws = sample_segmix(pixels, seed=seed)
    else:
        import pymc  # noqa: F401

        problem = pose(pixels)
        clock, start = cpu_seconds(), time.perf_counter()
        draws = sample_pymc(problem, seed=seed)
    print(json.dumps([cpu_seconds() - clock, time.perf_counter() - start]))
    np.savez(target, allow_pickle=False, **draws)


def compare_cold(repeats: int) -> dict[str, list[tuple[Run, Run]]]:
    """Run segmix and PyMC in turn in fresh processes, first with empty caches and then with those."""
    runs: dict[str, list[tuple[Run, Run]]] = {}
    for seed in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            for state in ("empty", "filled"):
                for name in ("segmix", "PyMC"):
                    run = run_cold(name, Path(folder) / name, seed=seed)
                    runs.setdefault(f"{name}, caches {state}", []).append(run)
    return runs


def row(name: str, runs: list[Run]) -> dict[str, Any]:
    """One row of the table: medians over the runs."""
    return {
        "what": name,
        "runs": len(runs),
        "bulk ESS": round(statistics.median(run.ess for run in runs)),
        "worst R-hat": f"{max(run.r_hat for run in runs):.4f}",
        "CPU s": statistics.median(run.timing.cpu for run in runs),
        "wall s": statistics.median(run.timing.wall for run in runs),
        "ESS per CPU s": rate(runs),
    }


def rate(runs: list[Run]) -> float:
    """Median effective draws a CPU second."""
    return statistics.median(run.rate for run in runs)


def figures(warm: Mapping[str, list[Run]], cold: Mapping[str, list[tuple[Run, Run]]]) -> list[Figure]:
    """Ratios of the medians."""
    ours, times = rate(warm["segmix"]), "times as many"
    nutpie = {form: ours / rate(warm[f"nutpie, {form}"]) for form in FORMS}
    fresh = {name: rate([part for part, _ in pairs]) for name, pairs in cold.items()}
    first = fresh["segmix, caches empty"] / fresh["PyMC, caches empty"]
    later = fresh["segmix, caches filled"] / fresh["PyMC, caches filled"]
    return [
        Figure("segmix, warm", ours, "ESS per CPU s"),
        Figure("over nutpie precompiled", nutpie["stable"], times, TIMES_NUTPIE, at_least=True),
        Figure("over nutpie, its model tuned by hand", nutpie["one tail"], times),
        Figure("over nutpie, tails cut off in its model", nutpie["linear"], times),
        Figure("over PyMC, both compiling (caches empty)", first, times, TIMES_PYMC, at_least=True),
        Figure("over PyMC, both in a fresh process with filled caches", later, times),
        Figure("warm, over PyMC compiling", ours / fresh["PyMC, caches empty"], times),
    ]


def tabulate(
    warm: Mapping[str, list[Run]], cold: Mapping[str, list[tuple[Run, Run]]]
) -> list[dict[str, Any]]:
    """Every contender in a row; fresh processes with and without what they import."""
    rows = [row(f"{name}, warm", runs) for name, runs in warm.items()]
    for name, pairs in cold.items():
        rows.append(row(f"{name}, without imports", [part for part, _ in pairs]))
        rows.append(row(f"{name}, whole process", [whole for _, whole in pairs]))
    return rows


def main() -> None:
    """Measure and record."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    pixels = camera()
    warm = run_warm(pixels, pose(pixels))
    cold = compare_cold(repeats=COLD_REPEATS)
    record(__file__, "Effective draws a CPU second", figures(warm, cold), tabulate(warm, cold), note=NOTE)


if __name__ == "__main__":
    main()
