"""From levels to judged draws: modes, chains, verdict, and more draws where it asks for them."""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import MAX_PARETO_K, ParameterSummary, Verdict, judge, pareto_k, summarize
from ..errors import InputError, OptionError, check_whole
from ..imaging.levels import Levels
from ..samples import MAX_CLASSES
from . import gibbs, independence
from .chains import Chains, State, Steps, Stream, Watch, generator, join, run_thinned
from .density import Parameters, Target, observe
from .modes import find_modes
from .priors import Priors, ResolvedPriors
from .proposals import Proposal, adapt, around_modes, with_exchanges

Array = NDArray[np.float64]
Sampler = Literal["independence", "gibbs", "nuts", "pymc-lecture"]

PARAMETERS = Parameters._fields
RESUMABLE: tuple[Sampler, ...] = ("independence", "gibbs")
SAMPLERS: tuple[Sampler, ...] = (*RESUMABLE, "nuts", "pymc-lecture")
TUNE = {"independence": 50, "gibbs": 500, "nuts": 1000, "pymc-lecture": 1000}
MAX_DRAWS = 10**7
MAX_NUMBERS = 2 * 10**7  # draws of all classes, some 200 bytes each on the way
HOPELESS_R_HAT = 1.5  # after a first doubling: more of the same will not do
EXTENSIONS = 3  # a run that has not converged is doubled at most so often


@dataclass(frozen=True)
class Plan:
    """What was asked of the sampler.

    ``thin`` keeps every thin-th step. Without ``until_converged`` just these draws are made by just this
    sampler, whatever the verdict.
    """

    sampler: Sampler
    draws: int
    tune: int | None
    chains: int
    seed: int
    thin: int = 1
    until_converged: bool = True

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise OptionError(f"sampler must be one of {', '.join(SAMPLERS)}, got {self.sampler!r}; name one")
        for name, least, most in (
            ("draws", 4, 10**7), ("chains", 1, 1000), ("tune", 0, 10**7), ("thin", 1, 10**6),
        ):  # fmt: skip
            value = getattr(self, name)
            if name == "tune" and value is None:
                continue
            check_whole(name, value, least, most)
        if self.chains * self.draws * self.thin > MAX_DRAWS:
            raise OptionError(
                f"chains times draws times thin must be at most {MAX_DRAWS}, "
                f"got {self.chains * self.draws * self.thin}; use fewer"
            )


class Run(NamedTuple):
    """What a sampler did: the steps thrown away, those kept, where the chains stand, under which priors.

    The summary is that of the steps, where it is known.
    """

    sampler: Sampler
    priors: ResolvedPriors
    warmup: Steps
    steps: Steps
    state: State | None
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

    A run whose verdict is bad is doubled up to three times. Where the independence sampler's weights have a
    heavy tail (Pareto k above 0.7), ``gibbs`` takes over and the notes say so.

    ``watch`` is told every moment how many draws are made of how many, and given a function that returns the
    run so far; PyMC's samplers tell nothing.

    Raises
    ------
    InputError
        If the data cannot carry so many classes.
    OptionError
        If an option is out of its range.
    """
    check_classes(levels, n_classes, source)
    if plan.chains * plan.draws * plan.thin * n_classes > MAX_NUMBERS:
        raise OptionError(
            f"chains times draws times thin times n_classes must be at most {MAX_NUMBERS}, got "
            f"{plan.chains * plan.draws * plan.thin * n_classes}; use fewer draws"
        )
    observed = observe(levels)
    target = Target(observed, priors.resolve(observed, n_classes))
    if plan.sampler not in RESUMABLE:
        return _run_pymc(target, n_classes, plan)
    proposal = _propose(target, n_classes, generator(plan.seed, Stream.MODES))
    run, verdict = _extend(target, plan, plan.sampler, proposal, watch)
    if not verdict.converged and plan.until_converged and plan.sampler == "independence":
        note = f"gibbs took over from independence: {'; '.join(verdict.reasons)}"
        run, _ = _extend(target, plan, "gibbs", proposal, watch, note)
    return run


def _run_pymc(target: Target, n_classes: int, plan: Plan) -> Run:
    """Sample by PyMC from around the best mode; every thin-th step is kept, and nothing is run again."""
    from . import nuts

    rng = generator(plan.seed, Stream.MODES)
    mode = find_modes(target, n_classes, rng=rng)[0]
    tune = TUNE[plan.sampler] if plan.tune is None else plan.tune
    size = {"draws": plan.draws * plan.thin, "tune": tune, "chains": plan.chains, "seed": plan.seed}
    assignments = None
    if plan.sampler == "nuts":
        steps = nuts.sample_marginal(target, mode, **size, rng=rng)
    else:
        steps, assignments = nuts.sample_lecture(target, mode, **size, rng=rng)
    thin = slice(plan.thin - 1, None, plan.thin)
    steps, assignments = steps.select(thin), None if assignments is None else assignments[:, thin]
    notes = (f"{nuts.describe()}, after {tune} steps of tuning", "from around the best mode only")
    return Run(plan.sampler, target.priors, steps.select(slice(0)), steps, None, notes, assignments)


def _propose(target: Target, n_classes: int, rng: np.random.Generator) -> Proposal:
    proposal = with_exchanges(around_modes(find_modes(target, n_classes, rng=rng)), n_classes)
    return adapt(target, proposal, rng=rng)[0]


def resume(levels: Levels, priors: Priors, *, sampler: str, seed: int, state: State) -> Chains:
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


def check_more(draws: int, *, held: int, each: int, thinned: int) -> None:
    """Refuse draws beyond what a posterior may hold, and beyond what a run may make.

    Parameters
    ----------
    draws, held : int
        Of each chain, to come and there already.
    each : int
        Numbers that a draw of all chains has: chains times classes.
    thinned : int
        Of so many steps one is kept.
    """
    room = MAX_NUMBERS // each - held
    if room < 1:
        raise OptionError(
            f"a posterior must have at most {MAX_NUMBERS // each} draws a chain, this one has {held}; thin it"
        )
    check_whole("draws", draws, 1, min(room, MAX_NUMBERS // (each * thinned)))


def check_classes(
    levels: Levels, n_classes: int, source: str = "array", *, unit: Literal["pixel", "value"] = "pixel"
) -> None:
    """Refuse a number of classes that the data, pixels or other values, cannot carry."""
    check_whole("n_classes", n_classes, 1, MAX_CLASSES)
    if levels.n_pixels < 3 * n_classes - 1:
        several = n_classes > 1
        raise InputError(
            f"{source}: too few {unit}s for {n_classes} {'classes' if several else 'class'}: at least "
            f"{3 * n_classes - 1} must count, got {levels.n_pixels}; give more"
            f"{' or lower n_classes' if several else ''}"
        )
    if n_classes > 1 and levels.n_levels == 1:
        raise InputError(
            f"{source}: is constant (every {unit} is {levels.values[0]:g}), "
            f"so it has no {n_classes} classes; use one class (-k 1)"
        )
    if n_classes > levels.n_levels:
        kind = "intensities" if unit == "pixel" else "values"
        raise InputError(
            f"{source}: n_classes must be at most the number of distinct {kind} ({levels.n_levels}), "
            f"got {n_classes}; lower n_classes (-k {levels.n_levels})"
        )


def _extend(
    target: Target, plan: Plan, sampler: Sampler, proposal: Proposal, watch: Watch[Run] | None, *notes: str
) -> tuple[Run, Verdict]:
    """Run, judge, and while the verdict is bad throw all away as tune and run twice as long."""
    chains = _start(target, plan, sampler, proposal)
    draws, thrown = plan.draws, list[Steps]()
    if tune := TUNE[sampler] if plan.tune is None else plan.tune:
        thrown.append(chains.run(tune).select(slice(plan.thin - 1, None, plan.thin)))
    for extension in range(EXTENSIONS + 1):
        built = partial(_run, sampler, target, tuple(thrown), notes)
        steps = run_thinned(chains, draws, plan.thin, built, watch)
        summary = summarize_parameters(steps)
        verdict = judge_steps(steps, summary)
        hopeless = extension and max(row.r_hat for row in summary.values()) > HOPELESS_R_HAT
        too_many = 2 * draws * plan.thin * steps.means[:, 0].size > MAX_NUMBERS
        if verdict.converged or not plan.until_converged or hopeless or too_many or has_poor_weights(steps):
            break
        if extension < EXTENSIONS:
            thrown.append(steps)
            draws *= 2
    if draws > plan.draws:
        notes = (*notes, f"extended to {draws} draws a chain")
    run = _run(sampler, target, tuple(thrown), notes, steps, chains.state)
    return run._replace(summary=summary), verdict


def _start(target: Target, plan: Plan, sampler: Sampler, proposal: Proposal) -> Chains:
    if sampler == "gibbs":
        state = gibbs.start(target, proposal, plan.seed, plan.chains)
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
    warmup = join(list(thrown)) if thrown else steps.select(slice(0))
    return Run(sampler, target.priors, warmup, steps, state, notes)


def summarize_parameters(steps: Steps) -> dict[str, ParameterSummary]:
    """Summaries by name ("means[0]"); one class has no weight to summarize."""
    n_classes = steps.means.shape[2]
    return {
        f"{name}[{k}]": summarize(part[:, :, k])
        for name, part in zip(PARAMETERS, steps.parameters, strict=True)
        if n_classes > 1 or name != "weights"
        for k in range(n_classes)
    }


def judge_steps(steps: Steps, summary: dict[str, ParameterSummary]) -> Verdict:
    """Say whether draws have converged."""
    return judge(summary, len(steps.means), pareto_k=weights_k(steps))


def weights_k(steps: Steps) -> float | None:
    """Pareto k of the importance weights; None for other samplers."""
    return None if steps.log_weights is None else pareto_k(steps.log_weights.reshape(-1))


def has_poor_weights(steps: Steps) -> bool:
    """Whether the importance weights cannot be used."""
    return (weights_k(steps) or 0.0) > MAX_PARETO_K
