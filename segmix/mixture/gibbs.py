"""Gibbs sampling over levels: how many pixels of each level are of each class, then each class in turn.

Given the classes of the pixels (multinomial counts at each level), weights are Dirichlet, and each mean and
standard deviation is drawn from its conditional by slice sampling, exact for intervals and points and for
every prior: the lecture's scheme, assignments, then parameters (Diebolt and Robert 1994, JRSS B 56, 363). A
jump to another mode is tried now and then.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .density import Parameters, Target, pack, unpack
from .independence import Proposal, weigh
from .starts import random_starts
from .threads import in_threads

Array = NDArray[np.float64]

FAMILY_CODES = {"normal": 0, "uniform": 1, "half-normal": 2, "inverse-gamma": 3}
SWEEPS = 5  # between two tries to jump
BLOCK = 100  # sweeps between two chances to interrupt
OVERDISPERSION = 3.0


class Chain(NamedTuple):
    """A chain's place (n_classes,) and its generator; both move on with every step."""

    state: Parameters
    rng: np.random.Generator


def init(target: Target, proposal: Proposal, rngs: list[np.random.Generator]) -> list[Chain]:
    """Start chains far apart: around the modes at three times their spread, the last one at random."""
    wide = Proposal(proposal.shares, proposal.centers, OVERDISPERSION * proposal.factors)
    chains = []
    for number, rng in enumerate(rngs):
        points = wide.draw(200, rng=rng)
        if number == len(rngs) - 1 and number > 0:
            points = np.concatenate([_random_points(target, rng), points])
        points = np.concatenate([points, proposal.centers])
        usable = np.flatnonzero(np.isfinite(target.log_density(points)))
        chains.append(Chain(unpack(points[usable[0]]), rng))
    return chains


def _random_points(target: Target, rng: np.random.Generator) -> Array:
    starts = random_starts(target.observed, len(target.priors.means.parameters[0]), 20, rng=rng)
    return pack(starts)[1:]


def step(target: Target, chain: Chain, n: int) -> Parameters:
    """Make n sweeps; returns the draws, each part (n, n_classes), and leaves the chain at the last."""
    from .kernels import gibbs_sweeps

    priors = target.priors
    families = np.array([FAMILY_CODES[priors.means.name], FAMILY_CODES[priors.stds.name]])
    numbers = np.stack([priors.means.parameters, priors.stds.parameters])
    draws = np.empty((n, 3, len(chain.state.means)))
    low, high = target.observed.span
    gibbs_sweeps(  # type: ignore[no-untyped-call]
        target.observed.nodes, target.observed.counts, families, numbers, priors.weights.parameters[0],
        priors.exchangeable, 1e-9 * max(high - low, abs(low), abs(high)), *chain.state, chain.rng, draws,
    )  # fmt: skip
    return Parameters(draws[:, 0], draws[:, 1], draws[:, 2])


class GibbsChains:
    """Chains of the Gibbs sampler, to be run piece by piece."""

    quality: tuple[float | None, float | None] = (None, None)

    def __init__(self, target: Target, proposal: Proposal, rngs: list[np.random.Generator]) -> None:
        self.target, self.proposal = target, proposal
        self.chains = init(target, proposal, rngs)

    def run(self, n: int) -> tuple[Array, Array]:
        """Make n sweeps of every chain; points (n_chains, n, d) and their log density (n_chains, n)."""
        blocks = [min(BLOCK, n - done) for done in range(0, n, BLOCK)]
        parts = [in_threads(partial(self._run, n=size), self.chains) for size in blocks]
        points, density = zip(*(zip(*block, strict=True) for block in parts), strict=True)
        return np.concatenate(list(map(np.stack, points)), axis=1), np.concatenate(
            list(map(np.stack, density)), axis=1
        )

    def _run(self, chain: Chain, n: int) -> tuple[Array, Array]:
        """Five sweeps, then one independence Metropolis step, so that chains go from mode to mode."""
        jumps = weigh(self.target, self.proposal, self.proposal.draw(-(-n // SWEEPS), rng=chain.rng))
        thresholds = np.log(chain.rng.random(len(jumps.points)))
        parts = []
        for i, jump in enumerate(jumps.points):
            parts.append(pack(step(self.target, chain, min(SWEEPS, n - i * SWEEPS))))
            held = weigh(self.target, self.proposal, parts[-1][-1:])
            if jumps.log_weights[i] - held.log_weights[0] > thresholds[i]:
                parts[-1][-1] = jump
                for part, new in zip(chain.state, unpack(jump), strict=True):
                    part[:] = new
        points = np.concatenate(parts)
        return points, self.target.log_density(points)
