"""From an image to judged draws of its hidden Potts field, and the probabilities of its pixels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..imaging.levels import Levels
from ..mixture.chains import Steps, join
from ..mixture.judgment import judge_steps, summarize_parameters
from ..mixture.plan import MAX_NUMBERS, Plan, check_classes
from ..mixture.priors import Priors
from ..mixture.sampling import EXTENSIONS, Run
from .anchors import AnchorSearch
from .chains import FieldChain, Problem, pose, run_chains, start_parameters
from .keeping import keepers
from .options import PottsOptions

TUNE = 300
ROUNDS, MAX_ROUNDS = 3, 12  # in which chains and what is known of their weights' constant find together


class FieldRun(NamedTuple):
    """Draws of a hidden Potts field, and p(z_i = k | y) of its pixels, (n_classes, *shape) float32.

    ``labels`` (n, *shape) uint8 are those of evenly spaced draws, 255 outside the domain; None if none were
    to be kept.
    """

    run: Run
    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8] | None = None


def sample_field(
    levels: Levels,
    *,
    n_classes: int,
    priors: Priors,
    options: PottsOptions,
    plan: Plan,
    source: str = "array",
    keep_labels: int | None = None,
) -> FieldRun:
    """Sample labels, classes and beta of an image's hidden Potts field.

    Chains start from different labelings: those of the mixture, random ones, all of one class. A run whose
    verdict on means, sds, fractions, beta and agreements is bad is doubled up to three times.

    Parameters
    ----------
    levels : Levels
        With the pixels that they came from.
    n_classes : int
    priors : Priors
        Of means and sds; labels have the Potts prior instead of weights.
    options : PottsOptions
    plan : Plan
        Its sampler is "potts".
    source : str
        What messages call the image.
    keep_labels : int, optional
        How many label draws to keep, within the limits of ``keeping.check_keeping``.

    Raises
    ------
    InputError
        If the image cannot carry so many classes.
    """
    check_classes(levels, n_classes, source)
    problem = pose(levels, n_classes=n_classes, priors=priors, options=options, seed=plan.seed)
    start = start_parameters(problem, seed=plan.seed)
    chains = [FieldChain(problem, start, seed=plan.seed, number=i) for i in range(plan.chains)]
    tune, draws = TUNE if plan.tune is None else plan.tune, plan.draws
    tuned = tune_chains(chains, tune, options, seed=plan.seed)
    thrown = [] if tuned is None else [tuned.thin(plan.thin)]
    problem = chains[0].problem
    shape = problem.sweeps.lattice.shape
    labels = None if keep_labels is None else np.empty((keep_labels, *shape), np.uint8)
    for extension in range(EXTENSIONS + 1):
        _watch(chains, labels, n_draws=draws, thin=plan.thin)
        steps = run_chains(chains, draws * plan.thin).thin(plan.thin)
        summary = summarize_parameters(steps if problem.field else steps._replace(field=None))
        too_many = 2 * draws * plan.thin * steps.means[:, 0].size > MAX_NUMBERS
        if judge_steps(steps, summary).converged or not plan.until_converged or too_many:
            break
        if extension < EXTENSIONS:
            thrown.append(steps)
            draws *= 2
    notes = [*_describe(problem, options)]
    if draws > plan.draws:
        notes.append(f"extended to {draws} draws a chain")
    warmup = join(thrown) if thrown else steps.select(slice(0))
    if problem.field is None:
        warmup, steps = (part._replace(field=None) for part in (warmup, steps))
    run = Run("potts", problem.target.priors, warmup, steps, None, tuple(notes), None, summary)
    return FieldRun(run, pixel_probabilities(problem, chains), labels)


def _watch(chains: list[FieldChain], labels: NDArray[np.uint8] | None, *, n_draws: int, thin: int) -> None:
    """Begin anew to add up the pixels' probabilities, and to fill ``labels`` (n, *shape) with draws."""
    for chain in chains:
        chain.watch_pixels()
    if labels is not None:
        lattice = chains[0].problem.sweeps.lattice
        each = keepers(lattice, labels, n_chains=len(chains), n_draws=n_draws, thin=thin)
        for chain, keeper in zip(chains, each, strict=True):
            chain.keeper = keeper


def tune_chains(chains: list[FieldChain], n: int, options: PottsOptions, *, seed: int) -> Steps | None:
    """Make n steps to be thrown away; where weights are inferred, find where their constant is needed."""
    problem = chains[0].problem
    if problem.pseudo is not None:
        problem = problem._replace(equal="beta is by pseudo-likelihood")
    if options.weights == "equal" or problem.n_classes == 1 or problem.pseudo is not None:
        for chain in chains:
            chain.problem = problem
        return run_chains(chains, n) if n else None
    search = AnchorSearch(chains, seed=seed)
    pieces = search.pilot(chains, n // 4)
    search.begin(chains)
    for number in range(MAX_ROUNDS):
        if search.is_settled and number >= ROUNDS:
            break
        steps = run_chains(chains, max(n // 4, 20))
        pieces.append(steps)
        search.follow(chains, steps)
    search.end(chains)
    return join(pieces)


def _describe(problem: Problem, options: PottsOptions) -> list[str]:
    """What beta and the prior's weights are, and where their normalizing constant comes from."""
    where, equal = f"connectivity {options.connectivity}", ["weights of the prior are equal, as asked for"]
    if options.weights == "infer" and problem.n_classes > 1:
        equal = [f"weights of the prior are equal: {problem.equal}"] if problem.equal else []
    if problem.pseudo is not None:
        return [f"beta by pseudo-likelihood, an approximation, {where}", *equal]
    fixed = "" if problem.beta is None else f"beta is fixed at {problem.beta:g}, {where}"
    if problem.field is not None:
        subject = "weights" if fixed else "beta and weights"
        means = f"{subject} by their normalizing constant (fields simulated on this lattice)"
        return [fixed, means] if fixed else [f"{means}, {where}"]
    if problem.normalizer is None:
        return [fixed, *equal]
    return [f"beta by its normalizing constant ({problem.normalizer.source}), {where}", *equal]


def pixel_probabilities(problem: Problem, chains: list[FieldChain]) -> NDArray[np.float32]:
    """p(z_i = k | y) of every class and pixel, (n_classes, *shape), NaN outside the domain.

    Means over chains and sweeps of the conditional probabilities, not of drawn labels (Rao-Blackwell).
    """
    lattice, n_seen = problem.sweeps.lattice, sum(chain.n_seen for chain in chains)
    below = np.zeros((problem.n_classes + 1, *lattice.shape), np.float32)
    below[-1] = 1.0
    for k in range(problem.n_classes - 1):
        total = chains[0].seen[k].astype(np.float64)
        for chain in chains[1:]:
            total += chain.seen[k]
        below[k + 1] = (lattice.join(total) / n_seen + 0.5) / 65536
    probabilities = np.diff(below, axis=0)
    if lattice.domain is not None:
        probabilities[:, ~lattice.domain] = np.nan
    return probabilities
