"""All chains of a hidden Potts field at once: in threads, watched, interrupted, resumed where they stood."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError
from ..imaging.levels import Levels
from ..mixture.chains import Steps, Watch, join, run_thinned
from ..mixture.priors import Priors
from ..mixture.threads import to_the_end
from .chains import FieldChain, Problem, pose
from .fields import Fields
from .keeping import keepers
from .options import PottsOptions

PIECE = 2 * 10**7  # pixels drawn by a chain between two chances to interrupt

Result = TypeVar("Result")


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
            external=self.problem.external,
            equal=self.problem.equal,
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
        """Fill ``labels`` (n, *shape) anew with those of draws to come."""
        lattice, n_chains = self.problem.sweeps.lattice, len(self.chains)
        each = keepers(lattice, labels, n_chains=n_chains, n_draws=n_draws, thin=thin)
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
    )._replace(external=state.external, equal=state.equal)
    each = [FieldChain(problem, stood, seed=seed, number=i) for i, stood in enumerate(state.chains)]
    for chain in each:
        chain.watch_pixels(chain.n_seen)
    return FieldChains(problem, options, each, state.seen)
