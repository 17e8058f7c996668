"""What the chains of every sampler have in common: their draws, where they stand, and their random numbers.

Numbers come from streams with a name (what for, which chain, which block), so that a chain that is continued
later, or run in other pieces, meets the same ones.
"""

import json
import time
from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .density import Parameters
from .proposals import Proposal

Array = NDArray[np.float64]
Result = TypeVar("Result")
Held = TypeVar("Held", covariant=True)
Place = TypeVar("Place")

FIRST_PIECE = 200  # steps before the clock is looked at
SECONDS = 0.2  # that a piece takes then, or so


class Stream(IntEnum):
    """What a stream of random numbers is for."""

    MODES = 0
    INDEPENDENCE_START = 1
    INDEPENDENCE = 2
    GIBBS_START = 3
    GIBBS = 4
    JUMPS = 5
    PREDICTION = 6
    LABELS = 7
    FIELD = 8
    FIELD_START = 9
    ANCHORS = 10


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of a stream; the same seed and key give the same numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def state_of(rng: np.random.Generator) -> str:
    """A generator's state as JSON, its large numbers as text."""
    return json.dumps(rng.bit_generator.state, default=int)


def generator_at(text: str) -> np.random.Generator:
    """The generator whose state this is."""
    rng = np.random.default_rng(0)
    rng.bit_generator.state = json.loads(text)
    return rng


class Steps(NamedTuple):
    """Consecutive draws of all chains.

    weights, means, stds (n_chains, n, n_classes); log_posterior (n_chains, n); of the independence sampler
    also the log importance weight of the point proposed at each step, and whether it was accepted; of NUTS
    whether its trajectory diverged; of "potts" beta and the share of couplings that agree, (n_chains, n),
    the weights are fractions of pixels, and where the prior's are inferred they are ``field`` (n_chains, n,
    n_classes).
    """

    weights: Array
    means: Array
    stds: Array
    log_posterior: Array
    log_weights: Array | None = None
    accepted: NDArray[np.bool_] | None = None
    diverging: NDArray[np.bool_] | None = None
    beta: Array | None = None
    agreements: Array | None = None
    field: Array | None = None

    @property
    def parameters(self) -> Parameters:
        """Weights, means and stds."""
        return Parameters(*self[:3])

    def select(self, chosen: slice) -> "Steps":
        """Take some of the steps of every chain."""
        return self._each(lambda part: part[:, chosen])

    def thin(self, every: int) -> "Steps":
        """Take the last of every so many steps, which stands for a divergence of any of them."""
        kept = self.select(slice(every - 1, None, every))
        if self.diverging is None or every == 1:
            return kept
        whole = self.diverging[:, : kept.means.shape[1] * every]
        diverging: NDArray[np.bool_] = whole.reshape(*kept.log_posterior.shape, every).max(axis=2)
        return kept._replace(diverging=diverging)

    def of_chains(self, chains: NDArray[np.intp]) -> "Steps":
        """Take some of the chains."""
        return self._each(lambda part: part[chains])

    def _each(self, take: Callable[[NDArray[Any]], NDArray[Any]]) -> "Steps":
        parts: list[Any] = [None if part is None else take(part) for part in self]
        return Steps(*parts)


def join(pieces: list[Steps]) -> Steps:
    """Put pieces of the same chains one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    rows: list[Any] = list(zip(*pieces, strict=True))
    return Steps(*(None if parts[0] is None else np.concatenate(parts, axis=1) for parts in rows))  # type: ignore[arg-type]


class State(NamedTuple):
    """Where chains stand: all that later draws depend on, beside the target and the seed.

    ``step`` counts the steps done. weights, means, stds (n_chains, n_classes), log_posterior and log_weights
    (n_chains,) are of the points held; ``generators`` has one state a chain, of the Gibbs sampler.
    """

    step: int
    proposal: Proposal
    weights: Array
    means: Array
    stds: Array
    log_posterior: Array
    log_weights: Array
    generators: tuple[str, ...] = ()


def state_at(step: int, proposal: Proposal, held: Iterable[Array], generators: tuple[str, ...] = ()) -> State:
    """Build a state from weights, means, stds, log_posterior and log_weights of the points held."""
    weights, means, stds, log_posterior, log_weights = held
    return State(step, proposal, weights, means, stds, log_posterior, log_weights, generators)


class Chains(Protocol[Held]):
    """Chains that can be run piece by piece; how they are cut into pieces changes nothing."""

    @property
    def state(self) -> Held:
        """Where the chains stand."""

    def run(self, n: int) -> Steps:
        """Make n steps of every chain."""


Watch = Callable[[int, int, Callable[[], Result]], None]


def run_thinned(
    chains: Chains[Place],
    draws: int,
    thin: int,
    built: Callable[[Steps, Place], Result],
    watch: Watch[Result] | None = None,
    *,
    least: int | None = None,
) -> Steps:
    """Keep so many draws of every chain, each the last of ``thin`` steps.

    Parameters
    ----------
    chains : Chains
    draws, thin : int
    built : callable
        What ``watch`` wants to see, made of draws and of where the chains stand.
    watch : callable, optional
        Is told after every piece of the run how many draws are made of how many, and given a function that
        returns what is built of these, also later.
    least : int, optional
        The draws of the smallest piece, 200 by default.
    """
    if watch is None:
        return chains.run(draws * thin).thin(thin)
    pieces: list[Steps] = []
    least = max(1, (least or FIRST_PIECE) // thin)
    done, piece = 0, least
    while done < draws:
        began, piece = time.monotonic(), min(piece, draws - done)
        pieces.append(chains.run(piece * thin).thin(thin))
        done += piece
        watch(done, draws, partial(_recall, pieces, len(pieces), chains.state, built))
        rate = piece / max(time.monotonic() - began, 1e-3)
        piece = max(least, int(rate * SECONDS))
    return join(pieces)


def _recall(pieces: list[Steps], size: int, state: Place, built: Callable[[Steps, Place], Result]) -> Result:
    """Build from the first pieces, whatever was drawn since."""
    return built(join(pieces[:size]), state)
