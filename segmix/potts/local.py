"""E[S] simulated on the very lattice about where beta is, where that of other lattices is too rough.

So they are where many neighbors are missing (pitted or thin domains), and near where order sets in, which the
table's lattices see at their own size: in three dimensions at any.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import effective_sample_size
from ..mixture.chains import Steps, Stream, generator
from .chains import FieldChain
from .external import PriorFields
from .lattice import Lattice
from .normalizer import LARGE, Normalizer, highest_beta, is_compact, ordering_beta, rising
from .running import FieldChains
from .sweeps import Sweeps
from .telling import Told, run_told, seldom

Array = NDArray[np.float64]

N_NODES = 13
FEWEST, MOST = 100, 400  # fields at each
N_UPDATES = 4_000_000  # of single pixels, that are worth more than the fewest fields
TUNE = 30  # sweeps before fields count; ten times as many at the first node
WIDTH = (
    6.0  # sds of beta, of its conditional or over the chains, between the middle and the ends of the nodes
)
INSIDE = 0.5  # of that, within which chains must stay
NEAR = 0.15  # of where order sets in, where fields from order and from disorder are both asked
TINY = 1e-9  # agreements
ROUNDS, MAX_ROUNDS, LEAST = 3, 12, 40  # of so many steps each, at least
SOURCE = "fields simulated on this lattice"


def is_rough(lattice: Lattice) -> bool:
    """Whether a normalizer of other lattices is too rough for this one."""
    return lattice.n_pixels >= LARGE and (
        lattice.ndim == 3 or lattice.spacing is not None or not is_compact(lattice)
    )


def settle(chains: FieldChains, n: int, *, seed: int, told: Told | None = None) -> list[Steps]:
    """Make n steps or more, to be thrown away, until chains stay where E[S] is known."""
    search, pieces = LocalSearch(chains.chains, seed=seed), list[Steps]()
    tell = search.simulate.heard = seldom(told, lambda: chains.chains[0].number + search.simulate.swept)
    for _ in range(MAX_ROUNDS):
        pieces.append(run_told(chains, max(n // ROUNDS, LEAST), tell))
        if search.follow(pieces[-1]):
            break
    chains.problem = chains.chains[0].problem
    return pieces


class LocalSearch:
    """Keeps E[S] known about the chains' beta, until they stay there.

    Parameters
    ----------
    chains : list of FieldChain
        Whose problem has a normalizer; it is replaced.
    seed : int
    """

    def __init__(self, chains: list[FieldChain], *, seed: int) -> None:
        problem = chains[0].problem
        assert problem.normalizer is not None
        self.chains = chains
        self.simulate = Simulation(problem.sweeps, seed=seed)
        self.rough = _as_far_as(highest_beta(problem.sweeps.lattice, problem.n_classes), problem.normalizer)
        self.known = np.zeros((3, 0))  # betas, E[S] and errors, simulated so far
        self.window: tuple[float, float] | None = None

    def follow(self, steps: Steps) -> bool:
        """Whether the chains' last steps stayed where E[S] is known; if not, simulate it there."""
        assert steps.beta is not None
        betas = steps.beta[:, steps.beta.shape[1] // 2 :]
        low, high = np.quantile(betas, (0.01, 0.99))
        if self.window is not None:
            middle, half = sum(self.window) / 2, INSIDE * (self.window[1] - self.window[0]) / 2
            if middle - half <= low and high <= middle + half:
                return True
        self.window = self._window(float(betas.mean()), float(betas.std()))
        nodes = np.linspace(*self.window, N_NODES)
        apart = (nodes[1] - nodes[0]) / 2
        others = (self.known[0] < nodes[0] - apart) | (self.known[0] > nodes[-1] + apart)
        found = np.concatenate([self.known[:, others], [nodes, *self.simulate(nodes)]], axis=1)
        self.known = found[:, np.argsort(found[0])]
        normalizer = joined(self.rough, *self.known)
        for chain in self.chains:
            chain.problem = chain.problem._replace(normalizer=normalizer)
        return False

    def _window(self, middle: float, spread: float) -> tuple[float, float]:
        """WIDTH sds about the middle, within the prior."""
        low, high = float(self.rough.betas[0]), float(self.rough.betas[-1])
        step = (high - low) / 1000
        normalizer = self.chains[0].problem.normalizer
        assert normalizer is not None
        about = np.clip([middle - step, middle + step], low, float(normalizer.betas[-1]))
        slope = np.ptp(normalizer.mean_agreements(about)) / max(float(np.ptp(about)), 1e-300)
        half = WIDTH * max(spread, 1 / np.sqrt(max(float(slope), 1.0)))
        return max(low, middle - half), min(high, middle + half)


def _as_far_as(highest: float, rough: Normalizer) -> Normalizer:
    """The same up to a larger beta, about where hardly a pair disagrees."""
    last = float(rough.betas[-1])
    if last >= (1 - 1e-3) * highest:
        return rough
    return replace(
        rough,
        betas=np.append(rough.betas, highest),
        agreements=np.append(rough.agreements, rough.agreements[-1]),
        errors=np.append(rough.errors, 0.0),
    )


class Simulation:
    """E[S] with its Monte Carlo error at ascending betas, on one lattice."""

    def __init__(self, sweeps: Sweeps, *, seed: int) -> None:
        self.sweeps, self.seed, self.number, self.swept = sweeps, seed, 0, 0
        self.heard: Callable[[], None] = lambda: None
        self.ordering = ordering_beta(sweeps.lattice, sweeps.n_classes)

    def __call__(self, betas: Array) -> tuple[Array, Array]:
        """Fields from disorder at ascending betas, from one class at descending ones, or both (``NEAR``)."""
        near = np.abs(betas / self.ordering - 1) < NEAR
        rising_ones, falling = near | (betas <= self.ordering), near | (betas > self.ordering)
        found = np.full((2, 2, len(betas)), np.nan)
        for row, which in enumerate((np.flatnonzero(rising_ones), np.flatnonzero(falling)[::-1])):
            found[row][:, which] = self._run(betas[which], is_ordered=bool(row))
        return np.nanmean(found[:, 0], axis=0), np.nanmax(found[:, 1], axis=0)

    def _hear(self) -> None:
        self.swept += 1
        self.heard()

    def _run(self, betas: Array, *, is_ordered: bool) -> Array:
        """Means and errors, (2, n), of fields that begin at the first beta with one class or with all."""
        lattice, n_classes = self.sweeps.lattice, self.sweeps.n_classes
        n = int(np.clip(N_UPDATES // lattice.n_pixels, FEWEST, MOST))
        self.number += 1
        rng, most = generator(self.seed, Stream.ANCHORS, self.number), 1 if is_ordered else n_classes
        first = self.sweeps.lay_out(rng.integers(0, most, lattice.shape, dtype=np.uint8))
        fields = PriorFields(lattice, n_classes, first, seed=[self.seed, Stream.ANCHORS, self.number])
        fields.heard, rows = self._hear, list[tuple[float, float]]()
        for node, beta in enumerate(betas):
            theta = np.append(np.zeros(n_classes - 1), beta)
            drawn = fields.draw(theta, n, tune=TUNE if node else 10 * TUNE)[:, -1]
            moved = np.ptp(drawn) > 0
            error = drawn.std() / np.sqrt(effective_sample_size(drawn[None])) if moved else 0.0
            rows.append((drawn.mean(), error))
        return np.array(rows).reshape(-1, 2).T


def joined(rough: Normalizer, betas: Array, means: Array, errors: Array) -> Normalizer:
    """E[S] as simulated at ascending betas (n,), and beyond as it was, stretched so that it joins there."""
    means, low, high = rising(means), float(betas[0]), float(betas[-1])
    apart = (high - low) / len(betas) / 2  # nodes closer than that would make a step of noise
    below, above = rough.betas < low - apart, rough.betas > high + apart
    most = max(float(rough.agreements[-1]), float(means[-1]))
    at_low, at_high = (float(rough.mean_agreements(x)) for x in (low, high))
    before = means[0] * np.clip(rough.agreements[below] / max(at_low, TINY), 0.0, 1.0)
    left = np.clip((most - rough.agreements[above]) / max(most - at_high, TINY), 0.0, 1.0)
    after = most - (most - means[-1]) * left
    return replace(
        rough,
        betas=np.concatenate([rough.betas[below], betas, rough.betas[above]]),
        agreements=np.maximum.accumulate(np.concatenate([before, means, after])),
        errors=np.concatenate([rough.errors[below], errors, rough.errors[above]]),
        source=SOURCE,
    )
