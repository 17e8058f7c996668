"""Effective draws a CPU second on the lecture's data: segmix, nutpie, and PyMC as the lecture used it.

500 numbers from two processes, sd 50 (hard) and sd 20 (easy), and the 300 numbers of Bayesian Methods for
Hackers, chapter 3, each under its author's prior. segmix is timed from the numbers to the judged posterior,
4 chains x 1000 draws. nutpie is compiled before and only its sampling is timed. PyMC's two models are timed
whole, and the explicit one by the draw as well, 300 draws less 100.
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
from measure import Timing, plain_environment, run_process, timed
from numpy.typing import NDArray
from peers import draws_of, smallest_ess
from report import Figure, record

NOTE = """\
The lecture's tool of then, PyMC 2, took 60.3 s for 100,000 draws of one chain. The 300 numbers are under the
book's prior, Normal((120, 190), 10) on the centers. A cold call is the first of a process, after imports, its
caches filled by a process before it; nutpie keeps no compiled model between processes. Where 4 x 1000 draws
have less than 1,000 effective ones, seconds are in proportion. The rates of PyMC are of one run, compiling
counted; its explicit model's chains are too short to converge."""
REPEATS = 5
TIMES_NUTPIE, TIMES_EXPLICIT, TIMES_COLD, COLD_ESS = 10.0, 1000.0, 50.0, 1000
LONG, LONG_SECONDS, LONG_ESS = 100_000, 2.0, 60_000
HACKERS = Path(__file__).parent / "data" / "hackers.csv"
Draws = dict[str, NDArray[np.float64]]


class Run(NamedTuple):
    """One posterior: its smallest bulk ESS, worst R-hat, and seconds."""

    ess: float
    r_hat: float
    timing: Timing


class Problem(NamedTuple):
    """Numbers and the prior they are judged under."""

    values: NDArray[np.float64]
    priors: Any


def problems() -> dict[str, Problem]:
    """The three data sets, by name."""
    import segmix

    lecture = segmix.Priors.lecture()
    found = {}
    for std in (50.0, 20.0):
        data = segmix.simulate_mixture(500, (0.25, 0.75), (100.0, 200.0), (std, std), rng=5)
        found[f"sd {std:g}"] = Problem(data.values, lecture)
    book = segmix.Priors(segmix.Normal((120.0, 190.0), 10.0), lecture.stds, lecture.weights)
    found["300 numbers"] = Problem(np.loadtxt(HACKERS, skiprows=1), book)
    return found


def sample_segmix(problem: Problem, *, sampler: Any = "independence", seed: int, **options: Any) -> Draws:
    """Sample by ``segmix.fit`` with its defaults."""
    import segmix

    posterior = segmix.fit(
        problem.values, priors=problem.priors, sampler=sampler, quantization=None, rng=seed, **options
    )
    return {name: getattr(posterior, name) for name in ("weights", "means", "stds")}


def marginal_model(problem: Problem) -> Any:
    """The same density in PyMC, labels summed out."""
    from segmix.mixture import nuts
    from segmix.mixture.density import observe
    from segmix.samples import as_samples, count_samples

    observed = observe(count_samples(as_samples(problem.values), quantization=None))
    return nuts.marginal_model(observed, problem.priors.resolve(observed, 2))


def sample_nutpie(compiled: Any, *, seed: int) -> Draws:
    """4 x 1000 draws of a compiled model, 500 of tuning."""
    import nutpie

    return draws_of(
        nutpie.sample(compiled, draws=1000, tune=500, chains=4, cores=2, seed=seed, progress_bar=False)
    )


def sample_pymc(problem: Problem, *, seed: int) -> Draws:
    """4 x 1000 draws of the marginal model by PyMC's own NUTS, compiling, from the prior's centers."""
    import pymc as pm

    with marginal_model(problem):
        return draws_of(
            pm.sample(
                1000, tune=1000, chains=4, cores=2, random_seed=seed, init="adapt_diag", progressbar=False,
                compute_convergence_checks=False, nuts_sampler="pymc",
                initvals={"means": np.array(problem.priors.means.mean), "stds": np.full(2, 30.0)},
            )
        )  # fmt: skip


def run(problem: Problem) -> dict[str, list[Run]]:
    """Every contender in turn, a first round that does not count, and PyMC once."""
    import nutpie

    compiled = nutpie.compile_pymc_model(marginal_model(problem))
    contenders: dict[str, Callable[..., Draws]] = {
        "segmix, independence": partial(sample_segmix, problem),
        "segmix, gibbs": partial(sample_segmix, problem, sampler="gibbs"),
        "nutpie, precompiled": partial(sample_nutpie, compiled),
    }
    found: dict[str, list[Run]] = {name: [] for name in contenders}
    for seed in range(-1, REPEATS):
        for name, function in contenders.items():
            timing, draws = timed(partial(function, seed=seed + 1))
            if seed >= 0:
                found[name].append(Run(*smallest_ess(draws), timing))
    explicit = partial(sample_segmix, problem, sampler="pymc-lecture", draws=500, tune=500, chains=2)
    for name, function in {
        "PyMC, marginal": partial(sample_pymc, problem),
        "PyMC, explicit": explicit,
    }.items():
        timing, draws = timed(partial(function, seed=1))
        found[name] = [Run(*smallest_ess(draws), timing)]
    return found


def run_cold(name: str, which: str, caches: Path) -> tuple[Run, Run]:
    """Run one contender in a fresh process; the first run counts from the numbers on, the second it all."""
    environment = plain_environment(
        NUMBA_CACHE_DIR=str(caches / "numba"),
        PYTENSOR_FLAGS=f"base_compiledir={caches / 'pytensor'},blas__ldflags=",
    )
    finished = run_process([sys.executable, __file__, "--child", name, which], environment=environment)
    ess, cpu, wall = json.loads(finished.stdout.splitlines()[-1])
    return Run(ess, float("nan"), Timing(cpu, wall)), Run(ess, float("nan"), finished.timing)


def child(name: str, which: str) -> None:
    """Import, then sample under the clock, and say the smallest bulk ESS and the seconds."""
    problem = problems()[which]
    if name == "segmix":
        import segmix.mixture.kernels  # noqa: F401

        timing, draws = timed(partial(sample_segmix, problem, seed=1))
    else:
        import nutpie
        import pymc  # noqa: F401

        timing, draws = timed(
            lambda: sample_nutpie(nutpie.compile_pymc_model(marginal_model(problem)), seed=1)
        )
    print(json.dumps([smallest_ess(draws)[0], *timing]))


def compare_cold(which: str) -> tuple[list[Figure], list[dict[str, Any]]]:
    """How many times sooner segmix has its effective draws, after imports and with them, and all in rows."""
    walls, rows = [], []
    for name in ("segmix", "nutpie"):
        with tempfile.TemporaryDirectory() as folder:
            pairs = [run_cold(name, which, Path(folder)) for _ in range(4)][1:]
        for what, runs in zip(("cold call", "whole process"), zip(*pairs, strict=True), strict=True):
            needed = [run.timing.wall * max(1.0, COLD_ESS / run.ess) for run in runs]
            walls.append(statistics.median(needed))
            rows.append(row(f"{which}: {name}, {what}", list(runs)))
    call, whole = walls[2] / walls[0], walls[3] / walls[1]
    label = f"{which}: ESS {COLD_ESS:,} from a cold call, before nutpie"
    return [
        Figure(label, call, "times sooner", TIMES_COLD, at_least=True),
        Figure(f"{label}, imports included", whole, "times sooner"),
    ], rows


def seconds_per_draw(problem: Problem, sampler: str, few: int, many: int) -> float:
    """Wall seconds of one draw of one chain, by the difference of a long and a short run."""
    seconds = []
    for draws in (few, many):
        start = time.perf_counter()
        sample_segmix(
            problem, sampler=sampler, draws=draws, tune=100, chains=1, until_converged=False, seed=1
        )
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / (many - few)


def rate(runs: list[Run]) -> float:
    """Median effective draws a CPU second."""
    return statistics.median(ess / timing.cpu for ess, _, timing in runs)


def row(name: str, runs: list[Run]) -> dict[str, Any]:
    """One row of the table."""
    r_hat = max(run.r_hat for run in runs)
    return {
        "what": name,
        "runs": len(runs),
        "bulk ESS": round(statistics.median(run.ess for run in runs)),
        "worst R-hat": "" if np.isnan(r_hat) else f"{r_hat:.4f}",
        "CPU s": statistics.median(run.timing.cpu for run in runs),
        "wall s": statistics.median(run.timing.wall for run in runs),
        "ESS per CPU s": rate(runs),
    }


def by_the_draw(problem: Problem) -> list[Figure]:
    """A long chain of ours, and Gibbs beside PyMC's explicit model."""
    long = partial(sample_segmix, problem, draws=LONG, chains=1, until_converged=False, seed=1)
    timing, draws = timed(long)
    gibbs = seconds_per_draw(problem, "gibbs", 2000, 12_000)
    explicit = seconds_per_draw(problem, "pymc-lecture", 100, 300)
    ratio = Figure(
        "sd 20: gibbs by the draw, over PyMC's explicit model", explicit / gibbs, "times as fast",
        TIMES_EXPLICIT, at_least=True,
    )  # fmt: skip
    return [
        Figure(f"sd 20: {LONG:,} draws of one chain, wall", timing.wall, "s", LONG_SECONDS),
        Figure("sd 20: their smallest bulk ESS", smallest_ess(draws)[0], "", LONG_ESS, at_least=True),
        ratio,
        Figure("PyMC's explicit model", 1 / explicit, "draws a second and chain"),
        Figure("gibbs, explicit classes", 1 / gibbs, "draws a second and chain"),
    ]


def measure_all(found: Mapping[str, Problem]) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Figures and rows of all data sets."""
    figures, rows = [], []
    for name, problem in found.items():
        runs = run(problem)
        ratio = rate(runs["segmix, independence"]) / rate(runs["nutpie, precompiled"])
        figures.append(
            Figure(f"{name}: independence over nutpie", ratio, "times as many", TIMES_NUTPIE, at_least=True)
        )
        rows += [row(f"{name}: {what}", these) for what, these in runs.items()]
        sooner, cold = compare_cold(name)
        figures += sooner
        rows += cold
    return figures, rows


def main() -> None:
    """Measure and record."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3])
        return
    found = problems()
    figures, rows = measure_all(found)
    record(__file__, "The lecture's data", figures + by_the_draw(found["sd 20"]), rows, note=NOTE)


if __name__ == "__main__":
    main()
