"""Effective draws a CPU second on the lecture's data: segmix, nutpie, and PyMC as the lecture used it.

500 numbers from two processes, sd 50 (hard) and sd 20 (easy), the lecture's prior. segmix is timed from the
numbers to the judged posterior, 4 chains x 1000 draws. nutpie is compiled before and only its sampling is
timed. Our sampler "nuts", which takes nutpie too, is timed whole; the lecture's model by PyMC by the draw,
300 draws less 100.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from measure import Timing, timed
from peers import smallest_ess
from report import Figure, record

from segmix import Posterior, Priors, Samples, fit, simulate_mixture
from segmix.mixture import nuts
from segmix.mixture.density import observe
from segmix.samples import count_samples

NOTE = """\
The lecture's tool of then, PyMC 2, took 60.3 s for 100,000 draws of one chain. The 300 points of Bayesian
Methods for Hackers are not among the data: they are not shipped here."""
REPEATS = 5
TIMES_NUTPIE, TIMES_EXPLICIT = 10.0, 1000.0
LONG, LONG_SECONDS, LONG_ESS = 100_000, 2.0, 60_000


def arrays(posterior: Posterior) -> dict[str, Any]:
    return {name: getattr(posterior, name) for name in ("weights", "means", "stds")}


def compile_nutpie(data: Samples) -> Any:
    """Compile the marginal model of the data once."""
    import nutpie

    observed = observe(count_samples(data, quantization=None))
    return nutpie.compile_pymc_model(nuts.marginal_model(observed, Priors.lecture().resolve(observed, 2)))


def sample_nutpie(model: Any, *, seed: int) -> dict[str, Any]:
    import nutpie

    trace = nutpie.sample(model, draws=1000, tune=500, chains=4, cores=2, seed=seed, progress_bar=False)
    return {name: trace["posterior"][name].values for name in ("weights", "means", "stds")}


def run(data: Samples) -> dict[str, list[tuple[float, float, Timing]]]:
    """Bulk ESS, R-hat and seconds of every contender, in turn."""
    model = compile_nutpie(data)
    ours: dict[str, Callable[..., Posterior]] = {
        "segmix, independence": partial(fit, data, priors=Priors.lecture()),
        "segmix, gibbs": partial(fit, data, priors=Priors.lecture(), sampler="gibbs"),
    }
    found: dict[str, list[tuple[float, float, Timing]]] = {}
    for seed in range(-1, REPEATS):
        for name, function in ours.items():
            timing, posterior = timed(partial(function, rng=seed + 1))
            if seed >= 0:
                found.setdefault(name, []).append((*smallest_ess(arrays(posterior)), timing))
        timing, draws = timed(partial(sample_nutpie, model, seed=seed + 1))
        if seed >= 0:
            found.setdefault("nutpie, precompiled", []).append((*smallest_ess(draws), timing))
    timing, posterior = timed(partial(fit, data, priors=Priors.lecture(), sampler="nuts", rng=1))
    found["sampler nuts (by nutpie), compiling"] = [(*smallest_ess(arrays(posterior)), timing)]
    return found


def seconds_per_draw(data: Samples, sampler: Any, few: int, many: int) -> float:
    """Wall seconds of one draw of one chain, by the difference of a long and a short run."""
    seconds = []
    for draws in (few, many):
        start = time.perf_counter()
        fit(
            data, priors=Priors.lecture(), sampler=sampler, draws=draws, tune=100, chains=1,
            quantization=None, until_converged=False, rng=1,
        )  # fmt: skip
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / (many - few)


def rate(runs: list[tuple[float, float, Timing]]) -> float:
    """Median effective draws a CPU second."""
    return statistics.median(ess / timing.cpu for ess, _, timing in runs)


def main() -> None:
    """Measure and record."""
    figures, rows = [], []
    for name, std in (("sd 50", 50.0), ("sd 20", 20.0)):
        data = simulate_mixture(500, (0.25, 0.75), (100.0, 200.0), (std, std), rng=5)
        found = run(data)
        ratio = rate(found["segmix, independence"]) / rate(found["nutpie, precompiled"])
        figures.append(
            Figure(f"{name}: independence over nutpie", ratio, "times as many", TIMES_NUTPIE, at_least=True)
        )
        for what, runs in found.items():
            rows.append(
                {
                    "what": f"{name}: {what}",
                    "runs": len(runs),
                    "bulk ESS": round(statistics.median(ess for ess, _, _ in runs)),
                    "worst R-hat": f"{max(r_hat for _, r_hat, _ in runs):.4f}",
                    "CPU s": statistics.median(timing.cpu for _, _, timing in runs),
                    "ESS per CPU s": rate(runs),
                }
            )
    long = partial(fit, data, priors=Priors.lecture(), draws=LONG, chains=1, until_converged=False, rng=1)
    timing, posterior = timed(long)
    ess = smallest_ess(arrays(posterior))[0]
    gibbs = seconds_per_draw(data, "gibbs", 2000, 12_000)
    explicit = seconds_per_draw(data, "pymc-lecture", 100, 300)
    figures += [
        Figure(f"sd 20: {LONG:,} draws of one chain, wall", timing.wall, "s", LONG_SECONDS),
        Figure("sd 20: their smallest bulk ESS", ess, "", LONG_ESS, at_least=True),
        Figure(
            "sd 20: gibbs by the draw, over PyMC's explicit model",
            explicit / gibbs,
            "times as fast",
            TIMES_EXPLICIT,
            at_least=True,
        ),
        Figure("PyMC's explicit model", 1 / explicit, "draws a second and chain"),
        Figure("gibbs, explicit classes", 1 / gibbs, "draws a second and chain"),
    ]
    record(__file__, "The lecture's data", figures, rows, note=NOTE)


if __name__ == "__main__":
    main()
