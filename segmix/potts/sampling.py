"""From an image to judged draws of its hidden Potts field, and the probabilities of its pixels."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError
from ..imaging.levels import Levels
from ..mixture.chains import Steps, Watch, join, run_thinned
from ..mixture.doubling import double, joined
from ..mixture.plan import Plan, check_classes
from ..mixture.priors import Priors
from ..mixture.sampling import Run
from ..mixture.threads import to_the_end
from .chains import FieldChain, Problem, pose, start_parameters
from .fields import Fields
from .keeping import keepers
from .options import PottsOptions

TUNE = 300
PIECE = 2 * 10**7  # pixels drawn by a chain between two chances to interrupt

Result = TypeVar("Result")


class FieldRun(NamedTuple):
    """Draws of a hidden Potts field, and p(z_i = k | y) of its pixels, (n_classes, *shape) float32.

    ``labels`` (n, *shape) uint8 are those of evenly spaced draws, 255 outside the domain; None if none were
    to be kept.
    """

    run: Run
    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8] | None = None


class FieldChains:
    """All chains of a field, which run at once; Ctrl-C never leaves one of them behind the others.

    Attributes
    ----------
    seen : tuple of (n_classes - 1, n_planes, plane size) unsigned integers
        What was added to the pixels' probabilities before, as in ``Fields``.
    interrupted : bool
        Whether Ctrl-C was heard while they ran; ``run`` raises KeyboardInterrupt when next called.
    """

    def __init__(
        self, problem: Problem, options: PottsOptions, chains: list[FieldChain], seen: tuple[Any, ...] = ()
    ) -> None:
        self.problem, self.options, self.chains, self.seen = problem, options, chains, seen
        self.interrupted = False

    @property
    def state(self) -> Fields:
        """Where the chains stand; the arrays are their own, which change as they go on."""
        sweeps, lattice = self.problem.sweeps, self.problem.sweeps.lattice
        return Fields(
            shape=lattice.shape,
            options=self.options,
            domain=lattice.domain,
            normalizer=self.problem.normalizer,
            codes=sweeps.codes,
            seen=(*self.seen, *(chain.seen for chain in self.chains if chain.seen.size)),
            chains=tuple(chain.state for chain in self.chains),
        )

    @property
    def least(self) -> int:
        """How many sweeps are worth the way there and back."""
        return max(1, PIECE // self.chains[0].labels.size)

    def watch_pixels(self) -> None:
        """Begin anew to add up the pixels' probabilities."""
        self.seen = ()
        for chain in self.chains:
            chain.watch_pixels()

    def keep(self, labels: NDArray[np.uint8], *, n_draws: int, thin: int) -> None:
        """Begin anew to fill ``labels`` (n, *shape) with draws."""
        lattice = self.problem.sweeps.lattice
        each = keepers(lattice, labels, n_chains=len(self.chains), n_draws=n_draws, thin=thin)
        for chain, keeper in zip(self.chains, each, strict=True):
            chain.keeper = keeper

    def settle(self) -> None:
        """Add up what the chains saw, in the memory of one of them."""
        if not self.chains[0].seen.size:
            return
        self.seen = (self.state.total_seen,)
        for chain in self.chains:
            chain.seen = chain.seen[:0]

    def run(self, n: int) -> Steps:
        """Make n steps of every chain, in threads and in pieces, so that an interruption is heard."""
        pieces = []
        for begun in range(0, n, self.least):
            if self.interrupted:
                raise KeyboardInterrupt
            rows, self.interrupted = to_the_end(partial(_run, n=min(self.least, n - begun)), self.chains)
            parts: list[Any] = list(zip(*rows, strict=True))
            pieces.append(Steps(*(None if part[0] is None else np.stack(part) for part in parts)))  # type: ignore[arg-type]
        return join(pieces)


def _run(chain: FieldChain, n: int) -> Steps:
    return chain.run(n)


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

    Chains start from different labelings: those of the mixture, random ones, all of one class. A run whose
    verdict on means, sds, fractions, beta and agreements is bad is doubled up to ``plan.doublings`` times.

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
    watch : callable, optional
        Is told every moment how many draws are made of how many, 0 during the tune, and given a function that
        returns the run so far, as long as the chains stand where they do.

    Raises
    ------
    InputError
        If the image cannot carry so many classes.
    """
    check_classes(levels, n_classes, source)
    problem = pose(levels, n_classes=n_classes, priors=priors, options=options, seed=plan.seed)
    start = start_parameters(problem, seed=plan.seed)
    each = [FieldChain(problem, start, seed=plan.seed, number=i) for i in range(plan.chains)]
    chains, notes = FieldChains(problem, options, each), (_describe(problem, options),)

    shape = problem.sweeps.lattice.shape
    labels = None if keep_labels is None else np.empty((keep_labels, *shape), np.uint8)

    def built(thrown: tuple[Steps, ...], steps: Steps, state: Fields) -> Run:
        return Run("potts", problem.target.priors, joined(thrown, like=steps), steps, state, notes)

    def run(draws: int, thrown: tuple[Steps, ...]) -> Steps:
        chains.watch_pixels()
        if labels is not None:
            chains.keep(labels, n_draws=draws, thin=plan.thin)
        return run_field(chains, draws, plan.thin, partial(built, thrown), watch)

    found = double(plan, run, tune=_tune(chains, plan, built, watch))
    made = built(found.thrown, found.steps, chains.state)
    made = made._replace(summary=found.summary, notes=(*notes, *found.notes))
    return FieldRun(made, chains.state.probabilities(), labels)


def _tune(
    chains: FieldChains,
    plan: Plan,
    built: Callable[[tuple[Steps, ...], Steps, Fields], Run],
    watch: Watch[Run] | None,
) -> Steps | None:
    """Steps to be thrown away, every thin-th; ``watch`` hears of no draws meanwhile, but of their tune."""
    tune = TUNE if plan.tune is None else plan.tune
    if not tune:
        return None

    def begun(steps: Steps, state: Fields) -> Run:
        return built((steps.thin(plan.thin),), steps.select(slice(0)), state)

    def told(_: int, __: int, so_far: Callable[[], Run]) -> None:
        if watch:
            watch(0, plan.draws, so_far)

    return run_field(chains, tune, 1, begun, told if watch else None).thin(plan.thin)


def run_field(
    chains: FieldChains,
    draws: int,
    thin: int,
    built: Callable[[Steps, Fields], Result],
    watch: Watch[Result] | None = None,
) -> Steps:
    """Keep so many draws of every chain, each the last of ``thin`` steps; see ``run_thinned``.

    What was built so far cannot be asked for any more once the chains went on: their labels are not copied.
    """

    def standing(steps: Steps, state: Fields) -> Result:
        if any(chain.number != then.number for chain, then in zip(chains.chains, state.chains, strict=True)):
            raise OutputError("the chains have gone on since; ask for what they have drawn while they stand")
        return built(steps, state)

    least = max(1, chains.least // thin)
    steps = run_thinned(chains, draws, thin, standing, watch, least=least)
    if chains.interrupted:
        raise KeyboardInterrupt
    chains.settle()
    return steps


def resume_field(levels: Levels, priors: Priors, *, seed: int, state: Fields) -> FieldChains:
    """Chains that go on from where they stand; ``priors`` in absolute numbers, levels with their pixels."""
    options, normalizer = state.options, state.normalizer
    problem = pose(
        levels, n_classes=state.n_classes, priors=priors, options=options, seed=seed, normalizer=normalizer
    )
    each = [FieldChain(problem, stood, seed=seed, number=i) for i, stood in enumerate(state.chains)]
    for chain in each:
        chain.watch_pixels(chain.n_seen)
    return FieldChains(problem, options, each, state.seen)


def _describe(problem: Problem, options: PottsOptions) -> str:
    """What beta is and where its normalizing constant comes from."""
    if problem.pseudo is not None:
        return f"beta by pseudo-likelihood, an approximation, connectivity {options.connectivity}"
    if problem.normalizer is None:
        return f"beta is fixed at {problem.beta:g}, connectivity {options.connectivity}"
    source = problem.normalizer.source
    return f"beta by its normalizing constant ({source}), connectivity {options.connectivity}"
