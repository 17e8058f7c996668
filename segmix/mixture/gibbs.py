"""Gibbs sampling over levels: how many pixels of each level are of each class, then each class in turn.

Given the classes of the pixels (multinomial counts at each level), weights are Dirichlet, and each mean and
standard deviation is drawn from its conditional by slice sampling, exact for intervals and points and for
every prior: the lecture's scheme, assignments, then parameters (Diebolt and Robert 1994, JRSS B 56, 363). A
jump to another mode, an independence Metropolis step, is tried after every fifth sweep, unless the state has
no proposal.
"""

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .chains import State, Steps, Stream, generator, generator_at, join, state_at, state_of
from .density import Parameters, Target, pack, unpack
from .proposals import DEGREES, Proposal
from .starts import random_starts
from .threads import in_threads

if TYPE_CHECKING:
    from .class_kernels import Model
    from .gibbs_kernels import Jumps

Array = NDArray[np.float64]

FAMILY_CODES = {"normal": 0, "uniform": 1, "half-normal": 2, "inverse-gamma": 3, "scaled-normal": 4}
SWEEPS = 5  # between two tries to jump
JUMPS = 20  # proposed at once
PIECE = SWEEPS * JUMPS  # sweeps between two chances to interrupt
OVERDISPERSION = 3.0


class Chain(NamedTuple):
    """A chain's place (n_classes,) and its generator; both move on with every step."""

    state: Parameters
    rng: np.random.Generator


def start(target: Target, proposal: Proposal, seed: int, n_chains: int) -> State:
    """Start chains far apart: around the modes at three times their spread, the last one at random."""
    wide = Proposal(proposal.shares, proposal.centers, OVERDISPERSION * proposal.factors)
    held = []
    for chain in range(n_chains):
        rng = generator(seed, Stream.GIBBS_START, chain)
        points = np.concatenate([wide.draw(200, rng=rng), proposal.centers])
        if chain == n_chains - 1 and chain > 0:
            points = np.concatenate([_random_points(target, rng), points])
        usable = int(np.isfinite(target.log_density(points)).argmax())
        held.append(unpack(points[usable : usable + 1]))
    parameters = Parameters(*(np.concatenate(parts) for parts in zip(*held, strict=True)))
    generators = [state_of(generator(seed, Stream.GIBBS, chain)) for chain in range(n_chains)]
    unused = np.zeros(n_chains)
    return State(0, proposal, *parameters, target.log_posterior(parameters), unused, tuple(generators))


def _random_points(target: Target, rng: np.random.Generator) -> Array:
    starts = random_starts(target.observed, len(target.priors.means.parameters[0]), 20, rng=rng)
    return pack(starts)[1:]


def model_of(target: Target) -> "Model":
    """Data and prior as the kernels take them."""
    from .class_kernels import Model

    observed, priors = target.observed, target.priors
    families = np.array([FAMILY_CODES[priors.means.name], FAMILY_CODES[priors.stds.name]])
    numbers = np.stack([priors.means.parameters, priors.stds.parameters])
    low, high = observed.span
    narrowest = 1e-9 * max(high - low, abs(low), abs(high))
    return Model(
        observed.nodes, observed.counts, families, numbers, priors.weights.parameters[0],
        priors.exchangeable, narrowest,
    )  # fmt: skip


class GibbsChains:
    """Chains of the Gibbs sampler."""

    def __init__(self, target: Target, seed: int, state: State) -> None:
        self.target, self.seed, self.begun = target, seed, state
        self.step, self.log_posterior = state.step, state.log_posterior
        parts = zip(state.weights, state.means, state.stds, state.generators, strict=True)
        self.chains = [
            Chain(Parameters(w.copy(), m.copy(), s.copy()), generator_at(text)) for w, m, s, text in parts
        ]
        self.model = model_of(target)
        self.jumps = self._jumps if len(state.proposal.shares) else self._no_jumps
        if len(state.proposal.shares):
            shares, centers, factors = state.proposal
            determinants = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
            inverses = np.linalg.inv(factors).astype(np.float64)
            self.proposal = np.log(shares) - determinants, centers, inverses

    @property
    def state(self) -> State:
        """Where the chains stand."""
        held = [np.stack(parts) for parts in zip(*(chain.state for chain in self.chains), strict=True)]
        generators = tuple(state_of(chain.rng) for chain in self.chains)
        held += [self.log_posterior, self.begun.log_weights]
        return state_at(self.step, self.begun.proposal, held, generators)

    def run(self, n: int) -> Steps:
        """Make n sweeps of every chain."""
        pieces, end = [], self.step + n
        while self.step < end:
            pieces.append(self._run(min(PIECE - self.step % PIECE, end - self.step)))
        return join(pieces)

    def _run(self, n: int) -> Steps:
        """Make n sweeps, of one piece of the chains."""
        rows = in_threads(partial(self._run_chain, n=n), range(len(self.chains)))
        steps = Steps(*(np.stack(parts) for parts in zip(*rows, strict=True)))
        self.step, self.log_posterior = self.step + n, steps.log_posterior[:, -1]
        return steps

    def _run_chain(self, number: int, n: int) -> tuple[Array, ...]:
        from .gibbs_kernels import gibbs_sweeps

        chain, (piece, done) = self.chains[number], divmod(self.step, PIECE)
        draws = np.empty((n, 3, len(chain.state.means)))
        jumps = self.jumps(number, piece)
        gibbs_sweeps(self.model, jumps, done, SWEEPS, *chain.state, chain.rng, draws)  # type: ignore[no-untyped-call]
        parameters = Parameters(draws[:, 0], draws[:, 1], draws[:, 2])
        return (*parameters, self.target.log_posterior(parameters))

    def _jumps(self, number: int, piece: int) -> "Jumps":
        """The points that a chain tries to jump to in this piece, and their thresholds."""
        from .gibbs_kernels import Jumps

        rng = generator(self.seed, Stream.JUMPS, number, piece)
        points = self.begun.proposal.draw(JUMPS, rng=rng)
        return Jumps(DEGREES, *self.proposal, points, np.log(rng.random(JUMPS)))

    def _no_jumps(self, number: int, piece: int) -> "Jumps":
        """Points that no chain goes to."""
        from .gibbs_kernels import Jumps

        d = 3 * len(self.chains[number].state.means) - 1
        at_0 = np.zeros(1), np.zeros((1, d)), np.zeros((1, d, d))
        return Jumps(DEGREES, *at_0, np.zeros((JUMPS, d)), np.full(JUMPS, np.inf))
