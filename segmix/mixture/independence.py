"""Independence Metropolis from multivariate t distributions around the posterior's modes.

With a proposal that does not look at the current point, all densities are computed in one call, and
acceptance with probability min(1, w(new) / w(old)), w = posterior / proposal, leaves the posterior
invariant (Tierney 1994, Annals of Statistics 22, 1701).
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .chains import State, Steps, Stream, generator, join, state_at
from .density import Target, log_jacobian, unpack
from .proposals import Proposal, weigh
from .threads import in_threads

Array = NDArray[np.float64]

BLOCK = 350  # proposals made at once; three blocks make the default run
PIECE = 20 * BLOCK  # steps between two chances to interrupt


class Block(NamedTuple):
    """Proposals of one chain: parameters (n, n_classes), and (n,) each of the rest."""

    weights: Array
    means: Array
    stds: Array
    log_posterior: Array
    log_weights: Array
    log_uniforms: Array


def propose(target: Target, proposal: Proposal, *, rng: np.random.Generator, n: int = BLOCK) -> Block:
    """Draw proposals with all that accepting them needs."""
    pool = weigh(target, proposal, proposal.draw(n, rng=rng))
    parameters = unpack(pool.points)
    log_posterior = pool.log_density - log_jacobian(parameters)
    return Block(*parameters, log_posterior, pool.log_weights, np.log(rng.random(n)))


def start(target: Target, proposal: Proposal, seed: int, n_chains: int) -> State:
    """Start chains at draws from the proposal inside the posterior's support; else at the first mode."""
    held = []
    for chain in range(n_chains):
        rng = generator(seed, Stream.INDEPENDENCE_START, chain)
        points = np.concatenate([proposal.draw(100, rng=rng), proposal.centers])
        pool = weigh(target, proposal, points)
        first = int(np.isfinite(pool.log_weights).argmax())
        parameters = unpack(points[first : first + 1])
        density = pool.log_density[first] - log_jacobian(parameters)[0]
        held.append((*(part[0] for part in parameters), density, pool.log_weights[first]))
    return state_at(0, proposal, (np.stack(parts) for parts in zip(*held, strict=True)))


def accept(log_weights: Array, log_uniforms: Array) -> NDArray[np.intp]:
    """Run the Metropolis chain: which point is held after each of the n steps, (n,).

    ``log_weights`` (n + 1,) are of the point held before the first step, and of the n proposals.
    """
    held = np.empty(len(log_uniforms), np.intp)
    current, (weight, *proposals) = 0, log_weights.tolist()
    for i, (proposed, threshold) in enumerate(zip(proposals, log_uniforms.tolist(), strict=True)):
        if proposed - weight > threshold:
            current, weight = i + 1, proposed
        held[i] = current
    return held


class IndependenceChains:
    """Chains of the independence sampler."""

    def __init__(self, target: Target, seed: int, state: State) -> None:
        self.target, self.seed, self.state = target, seed, state
        self.last: list[tuple[int, Block] | None] = [None] * len(state.means)

    def run(self, n: int) -> Steps:
        """Make n steps of every chain."""
        return join([self._run(min(PIECE, n - done)) for done in range(0, n, PIECE)])

    def _run(self, n: int) -> Steps:
        work = n * len(self.target.observed.nodes) * self.state.means.shape[1]
        pools = in_threads(partial(self._pool, n=n), range(len(self.last)), work=work)
        rows = [self._walk(chain, pool) for chain, pool in enumerate(pools)]
        steps = Steps(*(np.stack(parts) for parts in zip(*(row[0] for row in rows), strict=True)))
        held = (np.array(parts) for parts in zip(*(row[1] for row in rows), strict=True))
        self.state = state_at(self.state.step + n, self.state.proposal, held)
        return steps

    def _walk(self, chain: int, pool: Block) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Accept or refuse the pool's proposals in turn; the steps, and the point held at their end."""
        state = self.state
        before = (part[chain : chain + 1] for part in state[2:7])
        *parts, log_weights = (np.concatenate(pair) for pair in zip(before, pool[:5], strict=True))
        held = accept(log_weights, pool.log_uniforms)
        moved = np.diff(held, prepend=0) != 0
        steps = (*(part[held] for part in parts), pool.log_weights, moved)
        return steps, (*(part[held[-1]] for part in parts), log_weights[held[-1]])

    def _pool(self, chain: int, n: int) -> Block:
        """The proposals of the next n steps, cut out of whole blocks."""
        begin, end = self.state.step, self.state.step + n
        blocks = []
        for number in range(begin // BLOCK, -(-end // BLOCK)):
            block = self._block(chain, number)
            offset = number * BLOCK
            cut = slice(max(begin - offset, 0), min(end - offset, BLOCK))
            blocks.append(Block(*(part[cut] for part in block)))
        return Block(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))

    def _block(self, chain: int, number: int) -> Block:
        last = self.last[chain]
        if last is None or last[0] != number:
            rng = generator(self.seed, Stream.INDEPENDENCE, chain, number)
            last = self.last[chain] = number, propose(self.target, self.state.proposal, rng=rng)
        return last[1]
