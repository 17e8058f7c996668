"""From levels to judged draws: modes, chains, verdict, and more draws where it asks for them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import MAX_PARETO_K, ParameterSummary, Verdict, distance, judge, pareto_k, summarize
from ..errors import InputError, OptionError, check_whole
from ..imaging.levels import Levels
from . import gibbs, independence
from .chains import Chains, State, Steps, Stream, generator, join
from .density import Target, observe
from .modes import find_modes
from .priors import Priors, check_proper
from .proposals import Proposal, adapt, around_modes, with_exchanges

Array = NDArray[np.float64]
Sampler = Literal["independence", "gibbs", "nuts", "pymc-lecture"]

PARAMETERS = ("weights", "means", "stds")
SAMPLERS: tuple[Sampler, ...] = ("independence", "gibbs", "nuts", "pymc-lecture")
MAX_CLASSES = 16
TUNE = {"independence": 50, "gibbs": 500, "nuts": 1000, "pymc-lecture": 1000}
MAX_DRAWS = 10**7
MAX_NUMBERS = 2 * 10**7  # draws of all classes, some 200 bytes each on the way
GOOD_ACCEPTANCE = 0.6  # pictures have 0.7 to 0.9; posteriors that were missed in part had 0.5
MAX_Z = 4.0
HOPELESS_R_HAT = 1.5  # after a first doubling: more of the same will not do
START_EVIDENCE = np.log(100)  # PyMC's chains start around modes of a hundredth of the best one's evidence
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
    """What a sampler did: the steps thrown away, those kept, where the chains stand, and the judgment."""

    sampler: Sampler
    warmup: Steps
    steps: Steps
    state: State | None
    summary: dict[str, ParameterSummary]
    verdict: Verdict
    notes: tuple[str, ...] = ()
    assignments: NDArray[np.uint8] | None = None


def sample_levels(
    levels: Levels, *, n_classes: int, priors: Priors, plan: Plan, source: str = "array"
) -> tuple[Run, Priors]:
    """Sample the posterior of the mixture; the run, and the priors in absolute numbers.

    A run of ``gibbs`` whose verdict is bad is doubled up to three times. Where the independence sampler's own
    figures leave a doubt, ``gibbs`` takes over and the notes say so: a proposal that hardly reaches a part of
    the posterior gives chains that agree with each other and are wrong.

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
    check_proper(observed, target.priors, source)
    resolved = Priors(target.priors.means, target.priors.stds, target.priors.weights)
    if plan.sampler in ("nuts", "pymc-lecture"):
        return _run_pymc(target, n_classes, plan), resolved
    proposal = _propose(target, n_classes, generator(plan.seed, Stream.MODES))
    if plan.sampler == "independence" and plan.until_converged:
        return _run_independence(target, plan, proposal), resolved
    return _extend(target, plan, plan.sampler, proposal), resolved


def _run_independence(target: Target, plan: Plan, proposal: Proposal) -> Run:
    """Run independence; where that leaves a doubt, gibbs, unless it can't settle and sees no difference."""
    run = _extend(target, plan, "independence", proposal, extensions=0)
    doubts = run.verdict.reasons or _doubts(run.steps)
    if not doubts:
        return run
    if run.verdict.converged:
        check = _extend(target, plan, "gibbs", proposal, extensions=0)
        if not check.verdict.converged and largest_z(run.steps, check.steps) < MAX_Z:
            return run._replace(notes=(f"gibbs found no difference, for {'; '.join(doubts)}",))
    note = f"gibbs took over from independence: {'; '.join(doubts)}"
    run = _extend(target, plan, "gibbs", proposal)
    return run._replace(notes=(note, *run.notes))


def _doubts(steps: Steps) -> tuple[str, ...]:
    """Why draws of independence that have converged may still miss a part of the posterior."""
    acceptance = 1.0 if steps.accepted is None else float(steps.accepted.mean())
    if acceptance >= GOOD_ACCEPTANCE:
        return ()
    return (f"acceptance is {acceptance:.2f}, not at least {GOOD_ACCEPTANCE}",)


def largest_z(one: Steps, other: Steps) -> float:
    """How many standard errors means and log sds of two samplers' draws lie apart, the most of them."""
    worst = 0.0
    for part, rest in zip(one.parameters, other.parameters, strict=True):
        for k in range(part.shape[2]):
            worst = max(worst, distance(part[:, :, k], rest[:, :, k]))
    return worst


def _run_pymc(target: Target, n_classes: int, plan: Plan) -> Run:
    """Sample by PyMC from around the modes that count; every thin-th step is kept, nothing is run again."""
    from . import nuts

    rng = generator(plan.seed, Stream.MODES)
    found = find_modes(target, n_classes, rng=rng)
    modes = [mode for mode in found if mode.log_evidence > found[0].log_evidence - START_EVIDENCE]
    tune = TUNE[plan.sampler] if plan.tune is None else plan.tune
    size = {"draws": plan.draws * plan.thin, "tune": tune, "chains": plan.chains, "seed": plan.seed}
    assignments = None
    if plan.sampler == "nuts":
        warmup, steps = nuts.sample_marginal(target, modes, **size, rng=rng)
    else:
        warmup, steps, assignments = nuts.sample_lecture(target, modes, **size, rng=rng)
        assignments = assignments[:, plan.thin - 1 :: plan.thin]
    warmup, steps = warmup.thin(plan.thin), steps.thin(plan.thin)
    summary = summarize_parameters(steps)
    begun = min(len(modes), plan.chains)
    notes = (
        f"{nuts.describe(plan.sampler)}, {n_diverging(steps)} divergences",
        "from around the best mode only" if begun == 1 else f"from around {begun} modes in turn",
    )
    return Run(plan.sampler, warmup, steps, None, summary, judge_steps(steps, summary), notes, assignments)


def _propose(target: Target, n_classes: int, rng: np.random.Generator) -> Proposal:
    proposal = with_exchanges(around_modes(find_modes(target, n_classes, rng=rng)), n_classes)
    return adapt(target, proposal, rng=rng)[0]


def resume(levels: Levels, priors: Priors, *, sampler: str, seed: int, state: State) -> Chains:
    """Chains that go on from where they stand; ``priors`` in absolute numbers."""
    observed = observe(levels)
    target = Target(observed, priors.resolve(observed, state.means.shape[1]))
    if sampler == "gibbs":
        return gibbs.GibbsChains(target, seed, state)
    return independence.IndependenceChains(target, seed, state)


def check_classes(levels: Levels, n_classes: int, source: str = "array") -> None:
    """Refuse a number of classes that the data cannot carry."""
    check_whole("n_classes", n_classes, 1, MAX_CLASSES)
    if levels.n_pixels < 3 * n_classes - 1:
        several = n_classes > 1
        raise InputError(
            f"{source}: too few pixels for {n_classes} {'classes' if several else 'class'}: at least "
            f"{3 * n_classes - 1} must count, got {levels.n_pixels}; take a larger image"
            f"{' or lower n_classes' if several else ''}"
        )
    if n_classes > 1 and levels.n_levels == 1:
        raise InputError(
            f"{source}: the image is constant (every pixel is {levels.values[0]:g}), "
            f"so it has no {n_classes} classes; use one class (-k 1)"
        )
    if n_classes > levels.n_levels:
        raise InputError(
            f"{source}: n_classes must be at most the number of distinct intensities ({levels.n_levels}), "
            f"got {n_classes}; lower n_classes (-k {levels.n_levels})"
        )


def _extend(
    target: Target, plan: Plan, sampler: Sampler, proposal: Proposal, *, extensions: int = EXTENSIONS
) -> Run:
    """Run, judge, and while the verdict is bad throw all away as tune and run twice as long."""
    chains: Chains
    if sampler == "gibbs":
        state = gibbs.start(target, proposal, plan.seed, plan.chains)
        chains = gibbs.GibbsChains(target, plan.seed, state)
    else:
        state = independence.start(target, proposal, plan.seed, plan.chains)
        chains = independence.IndependenceChains(target, plan.seed, state)
    draws = plan.draws
    tune = TUNE[sampler] if plan.tune is None else plan.tune
    thrown = [chains.run(tune).thin(plan.thin)] if tune else []
    for extension in range(extensions + 1):
        steps = chains.run(draws * plan.thin).thin(plan.thin)
        summary = summarize_parameters(steps)
        verdict = judge_steps(steps, summary)
        hopeless = extension and max(row.r_hat for row in summary.values()) > HOPELESS_R_HAT
        too_many = 2 * draws * plan.thin * steps.means[:, 0].size > MAX_NUMBERS
        if verdict.converged or not plan.until_converged or hopeless or too_many or has_poor_weights(steps):
            break
        if extension < extensions:
            thrown.append(steps)
            draws *= 2
    notes = (f"extended to {draws} draws a chain",) if draws > plan.draws else ()
    warmup = join(thrown) if thrown else steps.select(slice(0))
    return Run(sampler, warmup, steps, chains.state, summary, verdict, notes)


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
    return judge(summary, len(steps.means), pareto_k=weights_k(steps), n_diverging=n_diverging(steps))


def n_diverging(steps: Steps) -> int:
    """How many steps of NUTS diverged; none of other samplers do."""
    return 0 if steps.diverging is None else int(steps.diverging.sum())


def weights_k(steps: Steps) -> float | None:
    """Pareto k of the importance weights; None for other samplers."""
    return None if steps.log_weights is None else pareto_k(steps.log_weights.reshape(-1))


def has_poor_weights(steps: Steps) -> bool:
    """Whether the importance weights cannot be used."""
    return (weights_k(steps) or 0.0) > MAX_PARETO_K
