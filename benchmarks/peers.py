"""The same posterior for PyMC and nutpie: segmix's levels, likelihood and priors as a PyMC model."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Form = Literal["stable", "one tail", "linear"]
CHAINS, DRAWS = 4, 1000


class Problem(NamedTuple):
    """Finite edges of the levels (n - 1,), pixels of each level (n,), priors in numbers, and a good start."""

    edges: Array
    counts: Array
    priors: Mapping[str, Mapping[str, Any]]
    start: Mapping[str, Array]


def pose(pixels: NDArray[Any]) -> Problem:
    """Take levels, priors and posterior means from segmix; both ends of the levels must be open."""
    import segmix
    from segmix.mixture.density import observe

    result = segmix.segment(pixels, rng=0)
    nodes, counts, _ = observe(result.levels)
    if np.isfinite(nodes[[0, -1]]).any():
        raise ValueError(
            "the picture must be saturated at both ends, as the peers' model is written for that"
        )
    start = {name: getattr(result.posterior, name).mean(axis=(0, 1)) for name in ("weights", "means", "stds")}
    return Problem(nodes[1:-1], counts, result.posterior.priors, start)


def build_model(problem: Problem, *, form: Form = "stable") -> Any:
    """Write the mixture as a PyMC model: ordered means, binned likelihood, open ends, started well.

    Parameters
    ----------
    problem : Problem
    form : "stable", "one tail" or "linear"
        How the probability of a level is computed. "stable" takes PyMC's own normal_lcdf and logdiffexp in
        both tails; "one tail" is the same to the last digits, tuned by hand; "linear" takes differences of
        erfc, which loses every level beyond 8 standard deviations of all classes.
    """
    import pymc as pm

    priors, n = problem.priors, len(problem.start["means"])
    with pm.Model() as model:
        weights = pm.Dirichlet(
            "weights", priors["weights"]["concentration"], shape=n, initval=problem.start["weights"]
        )
        means = pm.Normal(
            "means", priors["means"]["mean"], priors["means"]["std"], shape=n,
            transform=pm.distributions.transforms.ordered, initval=problem.start["means"],
        )  # fmt: skip
        low, high = priors["stds"]["low"], priors["stds"]["high"]
        stds = pm.Uniform("stds", low, high, shape=n, initval=problem.start["stds"])
        z = (problem.edges[:, None] - means) / stds
        pm.Potential("likelihood", (problem.counts * _FORMS[form](z, weights)).sum())
    return model


def _stable(z: Any, weights: Any) -> Any:
    """Log sum_k w_k f_k(v) by PyMC's functions, each interval on the side where its tails are small."""
    import pytensor.tensor as pt
    from pymc.distributions.dist_math import normal_lcdf
    from pymc.math import logdiffexp

    below, above = normal_lcdf(0.0, 1.0, z), normal_lcdf(0.0, 1.0, -z)
    inner = pt.switch(z[:-1] > 0, logdiffexp(above[:-1], above[1:]), logdiffexp(below[1:], below[:-1]))
    return pt.logsumexp(pt.concatenate([below[:1], inner, above[-1:]]) + pt.log(weights), axis=1)


def _one_tail(z: Any, weights: Any) -> Any:
    """The same with one tail per edge, that beyond |z|."""
    import pytensor.tensor as pt

    far = pt.abs(z)
    tail = pt.log(0.5 * pt.erfcx(far / np.sqrt(2))) - 0.5 * far**2
    near, beyond = pt.maximum(tail[:-1], tail[1:]), pt.minimum(tail[:-1], tail[1:])
    about = pt.log1p(-pt.exp(tail[:-1]) - pt.exp(tail[1:]))
    inner = pt.switch(z[:-1] * z[1:] < 0, about, near + pt.log1mexp(beyond - near))
    rest = pt.log1p(-pt.exp(tail))
    first, last = pt.switch(z[:1] < 0, tail[:1], rest[:1]), pt.switch(z[-1:] > 0, tail[-1:], rest[-1:])
    return pt.logsumexp(pt.concatenate([first, inner, last]) + pt.log(weights), axis=1)


def _linear(z: Any, weights: Any) -> Any:
    """The same without logarithms of tails, cut off at 1e-300."""
    import pytensor.tensor as pt

    below = 0.5 * pt.erfc(-z / np.sqrt(2))
    none = pt.zeros((1, 2))
    mass = pt.concatenate([below, none + 1]) - pt.concatenate([none, below])
    return pt.log(pt.maximum((mass * weights).sum(axis=1), 1e-300))


_FORMS = {"stable": _stable, "one tail": _one_tail, "linear": _linear}


def sample_nutpie(compiled: Any, *, seed: int) -> dict[str, Array]:
    """4 x 1000 draws of a compiled model by nutpie with its defaults; (chain, draw, class) by name."""
    import nutpie

    trace = nutpie.sample(compiled, draws=DRAWS, chains=CHAINS, seed=seed, progress_bar=False)
    return draws_of(trace)


def compile_nutpie(problem: Problem, *, form: Form) -> Any:
    """Compile the model for nutpie, chains started at the posterior means without jitter."""
    import nutpie

    return nutpie.compile_pymc_model(build_model(problem, form=form), jitter_rvs=set())


def sample_pymc(problem: Problem, *, seed: int) -> dict[str, Array]:
    """4 x 1000 draws by PyMC's NUTS (1000 tuning), chains started at the posterior means without jitter."""
    import pymc as pm

    with build_model(problem):
        trace = pm.sample(
            draws=DRAWS, tune=DRAWS, chains=CHAINS, init="adapt_diag", random_seed=seed,
            progressbar=False, compute_convergence_checks=False, nuts_sampler="pymc",
        )  # fmt: skip
    return draws_of(trace)


def draws_of(trace: Any) -> dict[str, Array]:
    """(chain, draw, class) of weights, means and stds."""
    return {name: np.asarray(trace["posterior"][name].values) for name in ("weights", "means", "stds")}


def smallest_ess(draws: Mapping[str, Array]) -> tuple[float, float]:
    """Return the smallest bulk ESS and the largest R-hat over the parameters, by segmix's code."""
    from segmix.diagnostics import ess_bulk, r_hat

    columns = [part[:, :, k] for part in draws.values() for k in range(part.shape[2])]
    return min(map(ess_bulk, columns)), max(map(r_hat, columns))
