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

LARGER = (
    20_000  # pixels, below which corners and what is as long as the lattice show near where order sets in
)
N_NODES = 13
FEWEST, MOST = 100, 400  # fields at each
N_UPDATES = 4_000_000  # of single pixels, that are worth more than the fewest fields
TUNE = 30  # sweeps before fields count; ten times as many at the first node
WIDTH = (
    6.0  # sds of beta, of its conditional or over the chains, between the middle and the ends of the nodes
)
INSIDE = 0.5  # of that, within which chains must stay
TOO_WIDE = 3.0  # times
FAR = 8.0  # errors between fields from order and from disorder, from which they are told to differ
NEAR = 0.15  # of where order sets in, where fields from order and from disorder are both asked
TINY = 1e-9  # agreements
ROUNDS, MAX_ROUNDS, LEAST = 3, 12, 40  # of so many steps each, at least
SOURCE = "fields simulated on this lattice"


def is_rough(lattice: Lattice) -> bool:
    """Whether a normalizer of other lattices is too rough for this one."""
    other = lattice.ndim == 3 or lattice.spacing is not None or not is_compact(lattice)
    return lattice.n_pixels >= LARGE and (other or lattice.n_pixels < LARGER)


def settle(chains: FieldChains, n: int, *, seed: int, told: Told | None = None) -> list[Steps]:
    """Make n steps or more, to be thrown away, until chains stay where E[S] is known."""
    search, pieces = LocalSearch(chains.chains, seed=seed), list[Steps]()
    tell = search.simulate.heard = seldom(told, lambda: chains.chains[0].number + search.simulate.swept)
    for _ in range(MAX_ROUNDS):
        pieces.append(run_told(chains, max(n // ROUNDS, LEAST), tell))
        if search.follow(pieces[-1]):
            break
    else:
        search.give_up()
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
        lattice, self.rough = problem.sweeps.lattice, problem.normalizer
        if not is_compact(lattice):  # where order sets in later, and the prior of beta reaches further
            self.rough = _as_far_as(highest_beta(lattice, problem.n_classes), self.rough)
        self.known = np.zeros((3, 0))  # betas, E[S] and errors, simulated so far
        self.window: tuple[float, float] | None = None  # its middle and half width, also beyond the prior

    def follow(self, steps: Steps) -> bool:
        """Whether the chains' last steps stayed where E[S] is known; if not, simulate it there."""
        assert steps.beta is not None
        betas = steps.beta[:, steps.beta.shape[1] // 2 :]
        if self._holds(betas):
            return True
        least, most = self.rough.betas[[0, -1]]
        middle, half = self.window = float(betas.mean()), self._half_width(betas)
        nodes = np.linspace(max(least, middle - half), min(most, middle + half), N_NODES)
        apart = (nodes[1] - nodes[0]) / 2
        others = (self.known[0] < nodes[0] - apart) | (self.known[0] > nodes[-1] + apart)
        found = np.concatenate([self.known[:, others], [nodes, *self.simulate(nodes)]], axis=1)
        self.known = found[:, np.argsort(found[0])]
        self._set(joined(self.rough, *self.known, source=SOURCE + self.simulate.doubt))
        return False

    def give_up(self) -> None:
        """Say that chains went on and on to where E[S] was not simulated."""
        normalizer = self.chains[0].problem.normalizer
        assert normalizer is not None
        self._set(replace(normalizer, source=f"{normalizer.source}; chains did not stay where they are"))

    def _set(self, normalizer: Normalizer) -> None:
        for chain in self.chains:
            chain.problem = chain.problem._replace(normalizer=normalizer)

    def _holds(self, betas: Array) -> bool:
        """Whether chains are in the window's inner part, or at the prior's end, and it is not too wide."""
        if self.window is None:
            return False
        (low, high), (middle, half) = np.quantile(betas, (0.01, 0.99)), self.window
        least, most = self.rough.betas[[0, -1]]
        above = middle - half <= least or middle - INSIDE * half <= low
        below = middle + half >= most or high <= middle + INSIDE * half
        return bool(above and below and half <= TOO_WIDE * self._half_width(betas))

    def _half_width(self, betas: Array) -> float:
        """WIDTH sds of beta: over the chains or given the labels, whichever is more."""
        normalizer = self.chains[0].problem.normalizer
        assert normalizer is not None
        least, most = normalizer.betas[[0, -1]]
        step, middle = (most - least) / 1000, float(betas.mean())
        about = np.clip([middle - step, middle + step], least, most)
        slope = np.ptp(normalizer.mean_agreements(about)) / max(float(np.ptp(about)), TINY)
        return WIDTH * float(max(betas.std(), 1 / np.sqrt(max(float(slope), 1.0))))


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
        self.doubt = ""  # where fields from order and from disorder differ
        self.ordering = ordering_beta(sweeps.lattice, sweeps.n_classes)

    def __call__(self, betas: Array) -> tuple[Array, Array]:
        """Fields from disorder at ascending betas, from one class at descending ones, or both (``NEAR``)."""
        near = np.abs(betas / self.ordering - 1) < NEAR
        rising_ones, falling = near | (betas <= self.ordering), near | (betas > self.ordering)
        found = np.full((2, 2, len(betas)), np.nan)
        for row, which in enumerate((np.flatnonzero(rising_ones), np.flatnonzero(falling)[::-1])):
            found[row][:, which] = self._run(betas[which], is_ordered=bool(row))
        errors = np.sqrt(np.nansum(found[:, 1] ** 2, axis=0)) / np.isfinite(found[:, 1]).sum(axis=0)
        gap = np.where(near, np.abs(found[1, 0] - found[0, 0]), 0.0)
        differ = gap > FAR * errors
        self.doubt = ""
        if differ.any():
            low, high = betas[differ][[0, -1]]
            self.doubt = f"; those from order and from disorder differ at beta {low:.3g} to {high:.3g}"
        return np.nanmean(found[:, 0], axis=0), np.hypot(errors, gap / 2 * differ)

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


def joined(
    rough: Normalizer, betas: Array, means: Array, errors: Array, *, source: str = SOURCE
) -> Normalizer:
    """E[S] as simulated at ascending betas (n,), and beyond as it was, stretched so that it joins there."""
    means, low, high = rising(means), float(betas[0]), float(betas[-1])
    apart = (high - low) / len(betas) / 2  # nodes closer than that would make a step of noise
    below, above = rough.betas < low - apart, rough.betas > high + apart
    below[0], above[-1] = rough.betas[0] < low, rough.betas[-1] > high  # the prior's ends stay
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
        source=source,
    )
