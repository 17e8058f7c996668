"""From an image to judged draws of its hidden Potts field, and the probabilities of its pixels."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import UnreadyError
from ..imaging.levels import Levels
from ..mixture.chains import Steps, Watch, join
from ..mixture.doubling import double, joined
from ..mixture.plan import Plan, check_classes
from ..mixture.priors import Priors
from ..mixture.sampling import Run
from .anchors import AnchorSearch
from .beginning import find_beginning
from .chains import FieldChain, Problem, pose
from .fields import Fields
from .local import SOURCE, is_rough, settle
from .options import PottsOptions
from .running import FieldChains, run_field
from .telling import Told, run_told

TUNE = 300
ROUNDS, MAX_ROUNDS = 3, 12  # in which chains and what is known of their weights' constant find together
LEAST = 20  # steps of a round


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
    watch: Watch[Run] | None = None,
) -> FieldRun:
    """Sample labels, classes and beta of an image's hidden Potts field.

    Chains start from different labelings: the likely ones, random ones, all of one class. A run whose
    verdict on means, sds, fractions, beta and agreements is bad is doubled up to ``plan.doublings`` times.

    Parameters
    ----------
    levels : Levels
        With the pixels that they came from.
    n_classes : int
    priors : Priors
        Of means, sds and, where labels are not ordered, weights.
    options : PottsOptions
    plan : Plan
        Its sampler is "potts".
    source : str
        What messages call the image.
    keep_labels : int, optional
        How many label draws to keep, within the limits of ``keeping.check_keeping``.
    watch : callable, optional
        Is told every moment how many draws are made of how many, 0 during the tune, and given a function that
        returns the run so far, as long as the chains stand where they do. While the constant of weights is
        searched for that function raises UnreadyError: a run cannot go on from there.

    Raises
    ------
    InputError
        If the image cannot carry so many classes.
    """
    check_classes(levels, n_classes, source)
    problem = pose(levels, n_classes=n_classes, priors=priors, options=options, seed=plan.seed)
    start = find_beginning(problem, seed=plan.seed)
    if not _infers_weights(problem, options):
        start = start._replace(logits=np.zeros(n_classes))
    each = [FieldChain(problem, start, seed=plan.seed, number=i) for i in range(plan.chains)]
    chains = FieldChains(problem, options, each)
    labels = None if keep_labels is None else np.empty((keep_labels, *levels.index.shape), np.uint8)

    def built(thrown: tuple[Steps, ...], steps: Steps, state: Fields) -> Run:
        warmup, notes = joined(thrown, like=steps), _describe(chains.problem, options)
        if chains.problem.external is None:
            warmup, steps = (part._replace(field=None) for part in (warmup, steps))
        return Run("potts", chains.problem.target.priors, warmup, steps, state, notes)

    def run(draws: int, thrown: tuple[Steps, ...]) -> Steps:
        chains.watch_pixels()
        if labels is not None:
            chains.keep(labels, n_draws=draws, thin=plan.thin)
        return run_field(chains, draws, plan.thin, partial(built, thrown), watch)

    found = double(plan, run, tune=_tune(chains, plan, built, watch))
    made = built(found.thrown, found.steps, chains.state)
    made = made._replace(summary=found.summary, notes=(*made.notes, *found.notes))
    return FieldRun(made, chains.state.probabilities(), labels)


def _tune(
    chains: FieldChains,
    plan: Plan,
    built: Callable[[tuple[Steps, ...], Steps, Fields], Run],
    watch: Watch[Run] | None,
) -> Steps | None:
    """Steps to be thrown away, every thin-th; ``watch`` hears of no draws meanwhile, but of their tune."""
    tune, problem = TUNE if plan.tune is None else plan.tune, chains.problem
    told, pieces = _searching(plan, watch), list[Steps]()
    if _infers_weights(problem, chains.options):
        pieces.append(search_weights(chains, tune, seed=plan.seed, told=told))
    if _is_roughly_known(chains.problem):
        pieces += settle(chains, tune, seed=plan.seed, told=told)
    if pieces:
        return join(pieces).thin(plan.thin)
    if not tune:
        return None

    def begun(steps: Steps, state: Fields) -> Run:
        return built((steps.thin(plan.thin),), steps.select(slice(0)), state)

    def tuning(_: int, __: int, so_far: Callable[[], Run]) -> None:
        if watch:
            watch(0, plan.draws, so_far)

    return run_field(chains, tune, 1, begun, tuning if watch else None).thin(plan.thin)


def _infers_weights(problem: Problem, options: PottsOptions) -> bool:
    return options.weights == "infer" and problem.n_classes > 1 and problem.pseudo is None


def _is_roughly_known(problem: Problem) -> bool:
    """Whether beta is drawn by a normalizing constant that other lattices tell."""
    by_normalizer = problem.external is None and problem.normalizer is not None
    return by_normalizer and is_rough(problem.sweeps.lattice)


def _searching(plan: Plan, watch: Watch[Run] | None) -> Told | None:
    """What tells ``watch`` of the search for the constant of weights, where it hears of runs."""
    if watch is None:
        return None

    def refuse(sweeps: int) -> NoReturn:
        raise UnreadyError(
            f"the constant of the prior is still searched for ({sweeps} sweeps were made), and no run could "
            "go on from here; ask again when chains draw",
            sweeps,
        )

    return lambda sweeps: watch(0, plan.draws, partial(refuse, sweeps))


def search_weights(chains: FieldChains, n: int, *, seed: int, told: Told | None = None) -> Steps:
    """Make n steps or more, to be thrown away, until the constant of weights is known where chains are."""

    def run(n: int) -> Steps:
        return run_told(chains, n, search.tell)

    search = AnchorSearch(chains.chains, run, seed=seed, told=told)
    pieces = search.pilot(n // (ROUNDS + 1))
    search.begin()
    for number in range(MAX_ROUNDS):
        if search.is_settled and number >= ROUNDS:
            break
        steps = run(max(n // (ROUNDS + 1), LEAST))
        pieces.append(steps)
        search.follow(steps)
    search.end()
    chains.problem = chains.chains[0].problem
    return join(pieces)


def _describe(problem: Problem, options: PottsOptions) -> tuple[str, ...]:
    """What beta and the prior's weights are, and where their normalizing constant comes from."""
    where, equal = f"connectivity {options.connectivity}", list[str]()
    if options.weights == "infer":
        reason = "beta is by pseudo-likelihood" if problem.pseudo is not None else problem.equal
        equal = [f"weights of the prior are equal: {reason}"] if reason and problem.n_classes > 1 else []
    if problem.pseudo is not None:
        return (f"beta by pseudo-likelihood, an approximation, {where}", *equal)
    fixed = "" if problem.beta is None else f"beta is fixed at {problem.beta:g}, {where}"
    if problem.external is not None:
        subject = "weights" if fixed else "beta and weights"
        means = f"{subject} by their normalizing constant ({SOURCE})"
        return (fixed, means) if fixed else (f"{means}, {where}",)
    if problem.normalizer is None:
        return (fixed, *equal)
    return (f"beta by its normalizing constant ({problem.normalizer.source}), {where}", *equal)
