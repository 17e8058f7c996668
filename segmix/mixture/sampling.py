"""From levels to judged draws: modes, chains, verdict, and more draws where it asks for them."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import ParameterSummary, Verdict
from ..errors import OptionError
from ..imaging.levels import Levels
from . import gibbs, independence
from .chains import Chains, State, Steps, Stream, Watch, generator, run_thinned
from .density import Target, observe
from .doubling import double, joined
from .judgment import has_poor_weights, is_plain, missed_by, n_diverging
from .modes import find_modes
from .plan import MAX_NUMBERS, RESUMABLE, SPATIAL, Plan, Sampler, check_classes
from .priors import Priors, ResolvedPriors, check_proper
from .proposals import Proposal, adapt, around_modes, weigh, with_exchanges
from .refining import ENOUGH, draw_by_gibbs, refine

Array = NDArray[np.float64]

TUNE = {"independence": 50, "gibbs": 500, "nuts": 1000, "pymc-lecture": 1000}
HOPELESS_R_HAT = 1.5  # after a first doubling: more of the same will not do
START_EVIDENCE = np.log(100)  # PyMC's chains start around modes of a hundredth of the best one's evidence


class Run(NamedTuple):
    """What a sampler did: the steps thrown away, those kept, where the chains stand, under which priors.

    The summary is that of the steps, where it is known. The state is a ``State``, or of "potts" ``Fields``.
    """

    sampler: Sampler
    priors: ResolvedPriors
    warmup: Steps
    steps: Steps
    state: Any
    notes: tuple[str, ...] = ()
    assignments: NDArray[np.uint8] | None = None
    summary: dict[str, ParameterSummary] | None = None


def sample_levels(
    levels: Levels,
    *,
    n_classes: int,
    priors: Priors,
    plan: Plan,
    source: str = "array",
    watch: Watch[Run] | None = None,
) -> Run:
    """Sample the posterior of the mixture.

    A run whose verdict is bad is doubled up to ``plan.doublings`` times. Where the independence sampler's
    own figures leave a doubt, or a short run of ``gibbs`` finds what it missed, ``gibbs`` takes over and the
    notes say so: a proposal that hardly reaches a part of the posterior gives chains that agree with each
    other and are wrong.

    ``watch`` is told every moment how many draws are made of how many, and given a function that returns the
    run so far; PyMC's samplers tell nothing.

    Raises
    ------
    InputError
        If the data cannot carry so many classes.
    OptionError
        If an option is out of its range.
    """
    if plan.sampler == SPATIAL:
        raise OptionError("the sampler potts is of pictures; call segment with spatial=True (--spatial)")
    check_classes(levels, n_classes, source)
    if plan.chains * plan.draws * plan.thin * n_classes > MAX_NUMBERS:
        raise OptionError(
            f"chains times draws times thin times n_classes must be at most {MAX_NUMBERS}, got "
            f"{plan.chains * plan.draws * plan.thin * n_classes}; use fewer draws"
        )
    observed = observe(levels)
    target = Target(observed, priors.resolve(observed, n_classes))
    check_proper(observed, target.priors, source)
    if plan.sampler not in RESUMABLE:
        return _run_pymc(target, n_classes, plan)
    rng = generator(plan.seed, Stream.MODES)
    plain, efficiency = _propose(target, n_classes, rng)
    is_poor = plan.sampler == "independence" and efficiency <= ENOUGH
    proposal = refine(target, plain, rng=rng) if is_poor else plain
    if plan.sampler == "independence" and plan.until_converged:
        return _run_independence(target, plan, proposal, proposal is not plain, watch)
    return _extend(target, plan, plan.sampler, proposal, watch)[0]


def _run_independence(
    target: Target, plan: Plan, proposal: Proposal, is_refined: bool, watch: Watch[Run] | None
) -> Run:
    """Run independence; where that leaves a doubt, gibbs, with all its doublings.

    A high acceptance tells that one t distribution a mode is close to the posterior, and of proposals fitted
    to it no more than that they are close to what was seen: of these gibbs is always asked.
    """
    run, verdict = _extend(target, plan, "independence", proposal, watch)
    doubts = verdict.reasons
    if not doubts and (is_refined or not is_plain(run.steps)):
        doubts = _missed(target, plan, proposal, run.steps)
    if not doubts:
        return run
    note = f"gibbs took over from independence: {'; '.join(doubts)}"
    return _extend(target, plan, "gibbs", proposal, watch, note)[0]


def _missed(target: Target, plan: Plan, proposal: Proposal, steps: Steps) -> tuple[str, ...]:
    """Let a short run of gibbs say whether independence missed a part."""
    assert steps.log_weights is not None
    points = draw_by_gibbs(target, proposal, seed=plan.seed)
    return missed_by(steps.log_weights, weigh(target, proposal, points).log_weights)


def _run_pymc(target: Target, n_classes: int, plan: Plan) -> Run:
    """Sample by PyMC from around the modes that count; every thin-th step is kept, nothing is run again."""
    from . import nuts

    rng = generator(plan.seed, Stream.MODES)
    found = find_modes(target, n_classes, rng=rng)
    modes = [mode for mode in found if mode.log_evidence > found[0].log_evidence - START_EVIDENCE]
    tune = TUNE[plan.sampler] if plan.tune is None else plan.tune
    size = nuts.Size(plan.draws * plan.thin, tune, plan.chains, plan.seed)
    assignments = None
    if plan.sampler == "nuts":
        warmup, steps = nuts.sample_marginal(target, modes, size, rng=rng)
    else:
        warmup, steps, assignments = nuts.sample_lecture(target, modes, size, rng=rng)
        assignments = assignments[:, plan.thin - 1 :: plan.thin]
    warmup, steps = warmup.thin(plan.thin), steps.thin(plan.thin)
    begun = min(len(modes), plan.chains)
    notes = (
        f"{nuts.describe(plan.sampler)}, {n_diverging(steps)} divergences",
        "from around the best mode only" if begun == 1 else f"from around {begun} modes in turn",
    )
    return Run(plan.sampler, target.priors, warmup, steps, None, notes, assignments)


def _propose(target: Target, n_classes: int, rng: np.random.Generator) -> tuple[Proposal, float]:
    """A proposal of one t distribution a mode, and its efficiency."""
    proposal = with_exchanges(around_modes(find_modes(target, n_classes, rng=rng)), n_classes)
    proposal, pilot = adapt(target, proposal, rng=rng)
    return proposal, pilot.efficiency


def resume(levels: Levels, priors: Priors, *, sampler: str, seed: int, state: State) -> Chains[State]:
    """Chains that go on from where they stand; ``priors`` in absolute numbers.

    Raises
    ------
    OptionError
        If the sampler is not one that can go on.
    """
    if sampler not in RESUMABLE:
        raise OptionError(f"sampler must be {' or '.join(RESUMABLE)} to go on, got {sampler!r}; sample anew")
    observed = observe(levels)
    target = Target(observed, priors.resolve(observed, state.means.shape[1]))
    if sampler == "gibbs":
        return gibbs.GibbsChains(target, seed, state)
    return independence.IndependenceChains(target, seed, state)


def _extend(
    target: Target, plan: Plan, sampler: Sampler, proposal: Proposal, watch: Watch[Run] | None, *notes: str
) -> tuple[Run, Verdict]:
    """Run the chains of a sampler, doubled until they have converged."""
    chains = _start(target, plan, sampler, proposal)
    tune = TUNE[sampler] if plan.tune is None else plan.tune
    tuned = chains.run(tune).thin(plan.thin) if tune else None

    def run(draws: int, thrown: tuple[Steps, ...]) -> Steps:
        built = partial(_run, sampler, target, thrown, notes)
        return run_thinned(chains, draws, plan.thin, built, watch)

    found = double(plan, run, tune=tuned, gives_up=_gives_up)
    made = _run(sampler, target, found.thrown, (*notes, *found.notes), found.steps, chains.state)
    return made._replace(summary=found.summary), found.verdict


def _gives_up(doublings: int, steps: Steps, summary: dict[str, ParameterSummary]) -> bool:
    """Whether more of the same will not do: chains that are far apart still, or weights that are poor."""
    hopeless = doublings > 0 and max(row.r_hat for row in summary.values()) > HOPELESS_R_HAT
    return hopeless or has_poor_weights(steps)


def _start(target: Target, plan: Plan, sampler: Sampler, proposal: Proposal) -> Chains[State]:
    if sampler == "gibbs":
        state = gibbs.start(target, proposal, plan.seed, plan.chains)
        if not plan.jumps:
            state = state._replace(proposal=Proposal.nowhere(proposal.centers.shape[1]))
        return gibbs.GibbsChains(target, plan.seed, state)
    state = independence.start(target, proposal, plan.seed, plan.chains)
    return independence.IndependenceChains(target, plan.seed, state)


def _run(
    sampler: Sampler,
    target: Target,
    thrown: tuple[Steps, ...],
    notes: tuple[str, ...],
    steps: Steps,
    state: State,
) -> Run:
    return Run(sampler, target.priors, joined(thrown, like=steps), steps, state, notes)
