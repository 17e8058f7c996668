"""PyMC's NUTS on small mixtures with known data: the numbers that tests/test_agreement.py compares with.

    python benchmarks/nuts_reference.py                        name the cases
    python benchmarks/nuts_reference.py k2-binned -o new.json  sample some of them
    python benchmarks/nuts_reference.py all -o tests/reference/nuts.json

The model is written here anew, from DESIGN's equations and not from segmix's code: labels summed out, levels
weighted by their counts, means in ascending order.
"""

import argparse
import json
import platform
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Family = dict[str, Any]

CHAINS = 4
TUNE = 1500
OFFSET = 2.0  # chains start so many standard errors around the truth


class Case(NamedTuple):
    """A mixture to simulate, how a detector records it, and the prior of the fit."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]
    n_pixels: int
    step: float
    limits: tuple[float | None, float | None]
    binned: bool
    priors: dict[str, Family]


def normal(mean: Any, std: float) -> Family:
    return {"family": "normal", "mean": mean, "std": std}


def uniform(low: float, high: float) -> Family:
    return {"family": "uniform", "low": low, "high": high}


def priors(means: Family, stds: Family, concentration: float = 1.0) -> dict[str, Family]:
    return {"means": means, "stds": stds, "weights": {"family": "dirichlet", "concentration": concentration}}


FREE = (None, None)
INVERSE_GAMMA = {"family": "inverse-gamma", "shape": 3.0, "scale": 60.0}
CASES = {
    "k1-binned": Case(
        (1.0,), (10.3,), (0.55,), 400, 1.0, FREE, True,
        priors(normal(8.0, 5.0), {"family": "inverse-gamma", "shape": 3.0, "scale": 1.0}),
    ),
    "k1-plain": Case(
        (1.0,), (12.0,), (3.0,), 300, 1.0, FREE, False,
        priors(uniform(0.0, 30.0), {"family": "half-normal", "std": 2.0}),
    ),
    "k2-binned": Case(
        (0.4, 0.6), (6.2, 10.0), (0.8, 1.3), 3000, 1.0, FREE, True,
        priors(normal(8.0, 6.0), uniform(0.05, 6.0)),
    ),
    "k2-clipped": Case(
        (0.6, 0.4), (5.0, 60.0), (15.0, 18.0), 3000, 4.0, (0.0, 252.0), True,
        priors(normal(120.0, 200.0), uniform(0.1, 128.0)),
    ),
    "k2-plain": Case(
        (0.25, 0.75), (100.0, 200.0), (22.0, 30.0), 400, 1.0, FREE, False,
        priors(normal([110.0, 210.0], 10.0), uniform(5.0, 100.0)),  # values are tied: no sd near 0
    ),
    "k3-binned": Case(
        (0.3, 0.4, 0.3), (20.0, 44.0, 70.0), (6.0, 7.0, 8.0), 4000, 4.0, FREE, True,
        priors(uniform(-50.0, 150.0), {"family": "half-normal", "std": 20.0}, 2.0),
    ),
    "k3-plain": Case(
        (0.5, 0.2, 0.3), (30.0, 60.0, 90.0), (8.0, 9.0, 7.0), 3000, 1.0, FREE, False,
        priors(normal(60.0, 60.0), INVERSE_GAMMA),
    ),
}  # fmt: skip


def simulate(name: str) -> tuple[Array, NDArray[np.int64], tuple[bool, bool]]:
    """Return levels, counts, and whether the interval of the lowest and of the highest level is open."""
    case, rng = CASES[name], np.random.default_rng(zlib.crc32(name.encode()))
    labels = rng.choice(len(case.weights), case.n_pixels, p=case.weights)
    exact = rng.normal(np.take(case.means, labels), np.take(case.stds, labels))
    low, high = (-np.inf if case.limits[0] is None else case.limits[0]), case.limits[1]
    recorded = np.clip(np.rint(exact / case.step) * case.step, low, np.inf if high is None else high)
    values, counts = np.unique(recorded, return_counts=True)
    return values, counts, (bool(values[0] == low), bool(values[-1] == high))


def build_model(case: Case, values: Array, counts: NDArray[np.int64], open_ends: tuple[bool, bool]) -> Any:
    """Write the posterior as a PyMC model with the variables weights, means and stds, each (n_classes,)."""
    import pymc as pm
    import pytensor.tensor as pt

    n = len(case.means)
    ascending = {"transform": pm.distributions.transforms.ordered} if n > 1 else {}
    with pm.Model() as model:
        concentration = np.full(n, case.priors["weights"]["concentration"])
        weights = pm.Dirichlet("weights", concentration) if n > 1 else pt.ones(1)
        means = _prior(case.priors["means"], "means", n, **ascending)
        stds = _prior(case.priors["stds"], "stds", n)
        if case.binned:
            table = _interval_table(values, case.step, open_ends, means, stds)
        else:
            table = pm.logp(pm.Normal.dist(means, stds), values[:, None])
        pm.Potential("likelihood", (counts * pt.logsumexp(pt.log(weights) + table, axis=1)).sum())
    return model


def _prior(family: Family, name: str, n: int, **options: Any) -> Any:
    import pymc as pm

    if family["family"] == "normal":
        return pm.Normal(name, np.asarray(family["mean"]), family["std"], shape=n, **options)
    if family["family"] == "uniform":
        return pm.Uniform(name, family["low"], family["high"], shape=n, **options)
    if family["family"] == "half-normal":
        return pm.HalfNormal(name, family["std"], shape=n)
    variance = pm.InverseGamma("variances", family["shape"], family["scale"], shape=n)
    return pm.Deterministic(name, variance**0.5)


def _interval_table(values: Array, step: float, open_ends: tuple[bool, bool], means: Any, stds: Any) -> Any:
    """log(Phi(b) - Phi(a)) for each level and class, on the side of the mean where both are small."""
    import pytensor.tensor as pt

    first, last = int(open_ends[0]), len(values) - int(open_ends[1])
    lower, upper = values[:, None] - step / 2, values[:, None] + step / 2
    a, b = (lower[first:last] - means) / stds, (upper[first:last] - means) / stds
    flip = pt.gt(a + b, 0)
    small, large = _log_ndtr(pt.switch(flip, -b, a)), _log_ndtr(pt.switch(flip, -a, b))
    rows = [large + pt.log1mexp(small - large)]
    if open_ends[0]:
        rows.insert(0, _log_ndtr((upper[:1] - means) / stds))
    if open_ends[1]:
        rows.append(_log_ndtr((means - lower[-1:]) / stds))
    return pt.concatenate(rows)


def _log_ndtr(z: Any) -> Any:
    from pymc.distributions.dist_math import normal_lcdf

    return normal_lcdf(0.0, 1.0, z)


def starts(case: Case, rng: np.random.Generator) -> list[dict[str, Array]]:
    """Place each chain around the truth, within twice the standard errors that known labels would give."""
    sizes, points = np.asarray(case.weights) * case.n_pixels, []
    for _ in range(CHAINS):
        noise = OFFSET * rng.uniform(-1, 1, (3, len(sizes)))
        weights = sizes + noise[0] * np.sqrt(sizes)
        means = np.sort(case.means + noise[1] * case.stds / np.sqrt(sizes))
        stds = case.stds * np.exp(noise[2] / np.sqrt(2 * sizes))
        points.append(
            {"means": means, "stds": stds, "variances": stds**2, "weights": weights / weights.sum()}
        )
    return points


def sample(name: str, *, draws: int, seed: int) -> dict[str, Any]:
    """Return data, prior and NUTS's posterior of one case, ready for JSON."""
    import pymc as pm

    case, (values, counts, open_ends) = CASES[name], simulate(name)
    with build_model(case, values, counts, open_ends) as model:
        free = {variable.name for variable in model.free_RVs}
        initvals = [
            {key: value for key, value in point.items() if key in free}
            for point in starts(case, np.random.default_rng(seed))
        ]
        trace = pm.sample(
            draws, tune=TUNE, chains=CHAINS, cores=2, random_seed=seed, init="adapt_diag", target_accept=0.9,
            initvals=initvals, jitter_max_retries=0,
            progressbar=False, compute_convergence_checks=False,
        )  # fmt: skip
    names = ("weights", "means", "stds") if len(case.means) > 1 else ("means", "stds")
    data = {"values": values.tolist(), "counts": counts.tolist(), "limits": case.limits}
    return {
        "data": {**data, "step": case.step if case.binned else None, "open_ends": open_ends},
        "priors": case.priors,
        "sampler": {
            "draws": draws, "tune": TUNE, "chains": CHAINS, "seed": seed,
            "divergences": int(trace["sample_stats"]["diverging"].sum()),
        },
        "posterior": {
            f"{name}[{k}]": summarize(trace["posterior"][name].values[..., k])
            for name in names
            for k in range(len(case.means))
        },
    }  # fmt: skip


def summarize(draws: Array) -> dict[str, float]:
    """Mean and sd of one number from draws (n_chains, n_draws), with the Monte Carlo error of each.

    The error of log sd is that of the mean of (x - mean)^2, over twice that mean.
    """
    import arviz as az

    mean, square = draws.mean(), (draws - draws.mean()) ** 2
    ess, ess_square = (float(az.ess(x, method="mean")) for x in (draws, square))
    return {
        "mean": float(mean),
        "sd": float(draws.std()),
        "mcse_mean": float(draws.std() / np.sqrt(ess)),
        "mcse_log_sd": float(square.std() / np.sqrt(ess_square) / (2 * square.mean())),
        "ess": ess,
        "r_hat": float(az.rhat(draws)),
    }


def main() -> None:
    """Sample the cases asked for and write them."""
    parser = argparse.ArgumentParser(description="PyMC's NUTS on small mixtures with known data")
    parser.add_argument("cases", nargs="*", help=f"all, or some of {', '.join(CASES)}")
    parser.add_argument("-o", "--output", type=Path, default=Path("nuts.json"))
    parser.add_argument("--draws", type=int, default=10_000, help="a chain (default 10000)")
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    names = list(CASES) if options.cases == ["all"] else options.cases
    if not names:
        print("cases:", *CASES)
        return
    import arviz
    import pymc

    versions = {"python": platform.python_version(), "numpy": np.__version__}
    versions |= {"pymc": pymc.__version__, "arviz": arviz.__version__}
    cases = {name: sample(name, draws=options.draws, seed=options.seed) for name in names}
    options.output.write_text(json.dumps({"versions": versions, "cases": cases}, indent=1) + "\n")
    for name, case in cases.items():
        rows = case["posterior"].values()
        r_hat, ess = max(row["r_hat"] for row in rows), min(row["ess"] for row in rows)
        print(f"{name}: R-hat {r_hat:.4f}, ESS {ess:.0f}, {case['sampler']['divergences']} divergences")


if __name__ == "__main__":
    main()
