"""The mixture as PyMC models: marginal over the labels, and the lecture's with every assignment explicit.

The only file that imports PyMC, which takes seconds, and only when one of its functions is called.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..caches import importable
from ..errors import OptionError
from .chains import Steps
from .density import Observed, Parameters, Target
from .modes import Mode, start_points
from .priors import ResolvedPriors
from .traces import chain_seeds, nothing_drawn_interrupts, run_nutpie, steps_of, whole

Array = NDArray[np.float64]

MAX_ASSIGNMENTS = 100_000  # explicit labels, of which PyMC updates each one by one
TARGET_ACCEPT = 0.9


class Size(NamedTuple):
    """How many draws and steps of tuning each of how many chains makes, and their seed."""

    draws: int
    tune: int
    chains: int
    seed: int


@contextmanager
def _pymc() -> Iterator[Any]:
    """Import PyMC, and spare the user what its stack says on import and while it samples."""
    with importable():
        import pymc

        yield pymc


def describe(sampler: str) -> str:
    """Which PyMC samples, and what it lacks to be fast."""
    with _pymc() as pm:
        compiler = "" if shutil.which("g++") else ", without g++ and so many times slower"
        by_nutpie = " and nutpie" if sampler == "nuts" and find_spec("nutpie") else ""
        return f"PyMC {pm.__version__}{by_nutpie}{compiler}"


def marginal_model(observed: Observed, priors: ResolvedPriors) -> Any:
    """Build log p(y | w, mu, sigma) = sum_v n_v log sum_k w_k f_k(v) as a PyMC model, binned or plain.

    Returns
    -------
    pymc.Model with the variables weights, means (ascending) and stds, each (n_classes,).
    """
    with _pymc() as pm:
        import pytensor.tensor as pt

        with pm.Model() as model:
            weights, means, stds = _parameters(pm, priors)
            if observed.binned:
                table = _interval_table(pm, observed.nodes[:, None], means, stds)
            else:
                table = pm.logp(pm.Normal.dist(means, stds), observed.nodes[:, None])
            used = np.flatnonzero(observed.counts)
            mixture = pt.logsumexp(pt.log(weights) + table[used], axis=1)
            pm.Potential("likelihood", (observed.counts[used] * mixture).sum())
    return model


def lecture_model(values: Array, priors: ResolvedPriors) -> Any:
    """Build the lecture's model: z_i ~ Categorical(w), y_i ~ Normal(mu_z, sigma_z), of values (n,)."""
    if len(values) > MAX_ASSIGNMENTS:
        raise OptionError(
            f"the lecture's model takes at most {MAX_ASSIGNMENTS} values, for it samples every assignment, "
            f"got {len(values)}; take nuts, whose answer is the same"
        )
    with _pymc() as pm, pm.Model() as model:
        weights, means, stds = _parameters(pm, priors)
        assignment: Any = np.zeros(len(values), int)
        if len(priors.means.parameters[0]) > 1:
            assignment = pm.Categorical("assignment", p=weights, shape=len(values))
        pm.Normal("values", means[assignment], stds[assignment], observed=values)
    return model


def values_of(observed: Observed) -> Array:
    """Every value, ascending, as the lecture's model takes them."""
    if observed.binned:
        raise OptionError(
            "the lecture's model has no intervals; give quantization=None (--quantization none)"
        )
    return np.repeat(observed.nodes, observed.counts.astype(np.intp))


def _parameters(pm: Any, priors: ResolvedPriors) -> tuple[Any, Any, Any]:
    n_classes = priors.means.parameters.shape[1]
    concentration = priors.weights.parameters[0]
    if n_classes > 1:
        weights = pm.Dirichlet("weights", concentration)
        ascending = {"transform": pm.distributions.transforms.ordered}
    else:
        weights, ascending = np.ones(1), {}
    stds = _prior(pm, "stds", priors.stds)
    return weights, _prior(pm, "means", priors.means, stds, **ascending), stds


def _prior(pm: Any, name: str, family: Any, stds: Any = None, **options: Any) -> Any:
    first, second = family.parameters
    if family.name == "scaled-normal":
        return pm.Normal(name, first, stds / np.sqrt(second), **options)
    if family.name == "normal":
        return pm.Normal(name, first, second, **options)
    if family.name == "uniform":
        return pm.Uniform(name, first, second, **options)
    if family.name == "half-normal":
        return pm.HalfNormal(name, first)
    return pm.Deterministic(name, pm.InverseGamma("variances", first, second) ** 0.5)


def _interval_table(pm: Any, nodes: Array, means: Any, stds: Any) -> Any:
    """log(Phi(b) - Phi(a)) of each interval and class, on the side of the mean where both are small."""
    import pytensor.tensor as pt
    from pymc.distributions.dist_math import normal_lcdf

    def log_phi(z: Any) -> Any:
        return normal_lcdf(0.0, 1.0, z)

    first, last = int(np.isinf(nodes[0, 0])), len(nodes) - int(np.isinf(nodes[-1, 0]))
    z = (nodes[first:last] - means) / stds
    a, b = z[:-1], z[1:]
    flip = pt.gt(a + b, 0)
    small, large = log_phi(pt.switch(flip, -b, a)), log_phi(pt.switch(flip, -a, b))
    rows = [large + pt.log1mexp(small - large)]
    if first:
        rows.insert(0, log_phi(z[:1]))
    if last < len(nodes):
        rows.append(log_phi(-z[-1:]))
    return pt.concatenate(rows)


def sample_marginal(
    target: Target,
    modes: Sequence[Mode],
    size: Size,
    *,
    rng: np.random.Generator,
) -> tuple[Steps, Steps]:
    """Sample the marginal model by NUTS, from chains started around the modes; by nutpie where installed.

    Returns
    -------
    The steps of tuning, and those after it.
    """
    model = marginal_model(target.observed, target.priors)
    starts = start_points(target, modes, size.chains, rng)
    run = _by_nutpie if find_spec("nutpie") else _by_pymc
    traces = run(model, starts, size)
    return steps_of(target, traces, tuning=True), steps_of(target, traces)


def sample_lecture(
    target: Target,
    modes: Sequence[Mode],
    size: Size,
    *,
    rng: np.random.Generator,
) -> tuple[Steps, Steps, NDArray[np.uint8]]:
    """Sample the lecture's model by the compound step that PyMC assigns.

    Returns
    -------
    The steps of tuning and those after it, and of these the assignments (n_chains, draws, n) of the values in
    ascending order.
    """
    values = values_of(target.observed)
    model = lecture_model(values, target.priors)
    starts = start_points(target, modes, size.chains, rng)
    for point in starts:
        distance = (values[:, None] - point["means"]) / point["stds"]
        density = np.log(point["weights"] / point["stds"]) - distance**2 / 2
        point["assignment"] = density.argmax(axis=1)
    (trace,) = traces = _by_pymc(model, starts, size)
    assignments = np.zeros((size.chains, size.draws, len(values)), np.uint8)
    if "assignment" in trace["posterior"]:
        assignments = trace["posterior"]["assignment"].values.astype(np.uint8)
    return steps_of(target, traces, tuning=True), steps_of(target, traces), assignments


def _by_pymc(model: Any, starts: list[dict[str, Array]], size: Size) -> list[Any]:
    with _pymc() as pm, model, nothing_drawn_interrupts():
        initvals = [_free(model, point) for point in starts]
        accept = {} if "assignment" in initvals[0] else {"target_accept": TARGET_ACCEPT}
        trace = pm.sample(
            size.draws, tune=size.tune, chains=len(starts), cores=min(len(starts), os.cpu_count() or 1),
            random_seed=chain_seeds(size.seed, len(starts)), initvals=initvals, nuts_sampler="pymc",
            init="adapt_diag", jitter_max_retries=0, progressbar=False, discard_tuned_samples=False,
            compute_convergence_checks=False, **accept,
        )  # fmt: skip
    return [whole(trace, len(starts), size.draws)]


def _by_nutpie(model: Any, starts: list[dict[str, Array]], size: Size) -> list[Any]:
    with _pymc():
        points = [_unconstrained(model, point) for point in starts]
        seeds = chain_seeds(size.seed, len(starts))
        return run_nutpie(
            model, points, draws=size.draws, tune=size.tune, seeds=seeds, target_accept=TARGET_ACCEPT
        )


def _free(model: Any, point: dict[str, Array]) -> dict[str, Array]:
    """The values of a point that the model has variables for."""
    return {variable.name: point[variable.name] for variable in model.free_RVs}


def _unconstrained(model: Any, point: dict[str, Array]) -> Array:
    """A point on the scale that NUTS moves on, all variables in one row."""
    from pymc.initial_point import make_initial_point_fn

    moved = make_initial_point_fn(model=model, overrides=_free(model, point), return_transformed=True)(0)
    return np.concatenate([np.ravel(moved[variable.name]) for variable in model.value_vars])


def prior_draws(priors: ResolvedPriors, n: int, *, seed: int) -> Parameters:
    """Draw from the prior by PyMC, means ascending: classes of one prior are sorted, other draws dropped.

    Returns
    -------
    Parameters, each (m, n_classes), m at most n.
    """
    with _pymc() as pm:
        with pm.Model():
            _parameters(pm, priors)
            drawn = pm.sample_prior_predictive(n, random_seed=seed)
        group = drawn["prior"]
        means, stds = (np.asarray(group[name].values)[0] for name in ("means", "stds"))
        weights = np.asarray(group["weights"].values)[0] if "weights" in group else np.ones_like(means)
    parts = [weights, means, stds]
    order = np.argsort(means, axis=1)
    if priors.exchangeable:
        return Parameters(*(np.take_along_axis(part, order, axis=1) for part in parts))
    kept = (np.diff(means, axis=1) > 0).all(axis=1)
    return Parameters(*(part[kept] for part in parts))


def find_map(target: Target, mode: Mode) -> Parameters:
    """The maximum of the posterior density of weights, means and stds by PyMC's optimizer, from a mode.

    Where the prior is inverse gamma, PyMC's variable is the variance, of which the density of the std is
    p(sigma | y) = 2 sigma p(sigma^2 | y).
    """
    model = marginal_model(target.observed, target.priors)
    (start,) = start_points(target, [mode._replace(scales=0 * mode.scales)], 1, np.random.default_rng(0))
    with _pymc() as pm, model:
        if target.priors.stds.name == "inverse-gamma":
            import pytensor.tensor as pt

            pm.Potential("density_of_stds", pt.log(2 * model["stds"]).sum())
        tight = {"ftol": 1e-14, "gtol": 1e-6}
        found = pm.find_MAP(start=_free(model, start), progressbar=False, options=tight)
    one = np.ones(1)
    return Parameters(*(np.asarray(found.get(name, one)) for name in ("weights", "means", "stds")))


def model_graph(model: Any) -> str:
    """A model in the DOT language: ovals are unknown, filled ones observed, boxes follow from others."""
    with _pymc():
        from pymc.model_graph import ModelGraph

        graph = ModelGraph(model)
        lines = ["digraph model {", '  node [fontname="sans-serif"];']
        observed = [*model.observed_RVs, *model.potentials]
        for variable in [*model.basic_RVs, *model.deterministics, *model.potentials]:
            shape = "ellipse" if variable in model.basic_RVs else "box"
            style = ' style=filled fillcolor="#dde0e8"' if variable in observed else ""
            lines.append(f'  "{variable.name}" [shape={shape}{style} label="{_label(variable)}"];')
            parents = sorted(str(parent) for parent in graph.get_parent_names(variable))
            lines += [f'  "{parent}" -> "{variable.name}";' for parent in parents]
    return "\n".join([*lines, "}"]) + "\n"


def _label(variable: Any) -> str:
    """A variable's name and size, and its distribution in a second line."""
    size = " x ".join(str(n) for n in variable.type.shape)
    law = getattr(variable.owner.op, "_print_name", None)
    return f"{variable.name}" + (f" ({size})" if size else "") + (rf"\n{law[0]}" if law else "")
