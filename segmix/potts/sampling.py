"""Chains of the hidden Potts model: labels given the rest, classes given their pixels, beta given labels.

y_i | z_i = k is of class k's interval probabilities (or density), p(z | beta) = exp(beta S(z)) / C(beta).
Means stay in ascending order, each between its neighbors.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import ParameterSummary, Verdict, judge, summarize
from ..errors import OptionError
from ..imaging.levels import Levels
from ..mixture.chains import Stream, generator
from ..mixture.class_kernels import Model
from ..mixture.density import Parameters, Target, observe, unpack
from ..mixture.gibbs import model_of
from ..mixture.modes import find_modes
from ..mixture.priors import Priors
from ..mixture.threads import in_threads
from .lattice import OUTSIDE, Lattice
from .normalizer import Normalizer, normalizer_of
from .philox import keys_of
from .sweeps import UNSEEN, Planes, Sweeps

Array = NDArray[np.float64]

WARM_SWEEPS = 5  # of labels alone, before anything else moves
SEEN_EVERY = 4  # sweeps between two additions to the pixels' probabilities
MAX_SEEN = 1 << 16  # additions that a counter holds
STARTS = ("mixture", "random", "one class")


@dataclass(frozen=True)
class PottsOptions:
    """How labels hang together.

    Parameters
    ----------
    beta : "infer" or float
        Inverse temperature: inferred under a flat prior, its normalizing constant included, or fixed.
    connectivity : int
        Neighbors, in scikit-image's sense.
    spacing : tuple of float, optional
        Distance of neighbors along each axis; a pair at distance d counts min(spacing) / d times.
    """

    beta: Literal["infer"] | float = "infer"
    connectivity: int = 1
    spacing: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.beta, str):
            if self.beta != "infer":
                raise OptionError(f"beta must be 'infer' or a number of at least 0, got {self.beta!r}")
        elif isinstance(self.beta, bool) or not 0 <= float(self.beta) < np.inf:
            raise OptionError(f"beta must be 'infer' or a number of at least 0, got {self.beta!r}")


class FieldSteps(NamedTuple):
    """Consecutive draws of all chains.

    means, stds, fractions (n_chains, n, n_classes), the last of pixels in each class; beta and agreements
    (n_chains, n), the last S(z) over its largest value, in [0, 1].
    """

    means: Array
    stds: Array
    fractions: Array
    beta: Array
    agreements: Array


class Problem(NamedTuple):
    """What all chains share: the image on its lattice, the target, and what is known of beta."""

    sweeps: Sweeps
    target: Target
    model: Model
    normalizer: Normalizer | None
    beta: float | None

    @property
    def n_classes(self) -> int:
        """The number of classes K."""
        return self.sweeps.n_classes


def pose(levels: Levels, *, n_classes: int, priors: Priors, options: PottsOptions, seed: int) -> Problem:
    """Lay an image out on its lattice, and find the normalizing constant where beta is inferred."""
    index = levels.index
    domain = index >= 0
    lattice = Lattice(index.shape, options.connectivity, options.spacing, None if domain.all() else domain)
    kind = np.uint8 if levels.n_levels <= 256 else np.uint16
    codes: NDArray[Any] = np.where(domain, index, 0).astype(kind)
    observed = observe(levels)
    target = Target(observed, priors.resolve(observed, n_classes))
    fixed = None if isinstance(options.beta, str) else float(options.beta)
    normalizer = normalizer_of(lattice, n_classes, seed=seed) if fixed is None and n_classes > 1 else None
    return Problem(
        Sweeps(lattice, codes, levels.n_levels, n_classes), target, model_of(target), normalizer,
        0.0 if n_classes == 1 else fixed,
    )  # fmt: skip


class FieldChain:
    """One chain: labels, means, stds and beta, and the generators they are drawn with."""

    def __init__(self, problem: Problem, start: Parameters, *, seed: int, number: int) -> None:
        self.problem, self.number = problem, 0
        self.keys = keys_of(seed, Stream.LABELS, number)
        self.rng = generator(seed, Stream.FIELD, number)
        self.means, self.stds = start.means.copy(), start.stds.copy()
        self.table = problem.sweeps.prepare()
        self.labels = _first_labels(problem, start, STARTS[number % len(STARTS)], seed=seed, number=number)
        self.beta = 0.5 if problem.beta is None else problem.beta
        self.seen, self.n_seen = UNSEEN, 0
        for _ in range(WARM_SWEEPS):
            self._sweep(UNSEEN)

    def run(self, n: int, *, keep: bool = False) -> FieldSteps:
        """Make n steps; where ``keep``, add to the pixels' probabilities on the way."""
        rows = []
        if keep and not self.seen.size:
            self.seen = np.zeros((self.problem.n_classes - 1, *self.labels.shape), np.uint32)
        for step in range(n):
            adds = keep and step % SEEN_EVERY == 0 and self.n_seen < MAX_SEEN
            self._sweep(self.seen if adds else UNSEEN)
            self.n_seen += adds
            rows.append(self._step())
        parts = [np.array(part, np.float64) for part in zip(*rows, strict=True)]
        return FieldSteps(*parts)

    def _sweep(self, seen: NDArray[np.uint32]) -> None:
        self.problem.sweeps.sweep(
            self.labels, class_shares(self.problem.target, self.means, self.stds), self.beta,
            keys=self.keys, number=self.number, table=self.table, seen=seen,
        )  # fmt: skip
        self.number += 1

    def _step(self) -> tuple[Any, ...]:
        """Draw classes and beta given the labels; what they are now."""
        problem = self.problem
        counts = problem.sweeps.count(self.labels)
        self._draw_classes(counts)
        agreements = problem.sweeps.agreements(self.labels)
        if problem.normalizer is not None:
            self.beta = problem.normalizer.draw_beta(agreements, rng=self.rng)
        sizes = counts.sum(axis=0)
        most = problem.sweeps.lattice.n_pairs
        share = agreements / most if most else 1.0
        return self.means.copy(), self.stds.copy(), sizes / sizes.sum(), self.beta, share

    def _draw_classes(self, counts: NDArray[np.int64]) -> None:
        from ..mixture.class_kernels import draw_class

        observed = self.problem.target.observed
        split = np.zeros((self.problem.n_classes, len(observed.counts)))
        split[:, observed.columns] = counts.T
        for k in range(self.problem.n_classes):
            draw_class(  # type: ignore[no-untyped-call]
                self.problem.model, split[k], k, False, self.means, self.stds, self.rng
            )


def class_shares(target: Target, means: Array, stds: Array) -> Array:
    """f_k(v) of every level and class up to a factor a level, (n_levels, n_classes)."""
    from ..mixture.kernels import sum_probabilities

    observed = target.observed
    equal = np.full((1, len(means)), 1 / len(means))
    n = len(observed.counts)
    shares = sum_probabilities(observed.nodes, n, equal, means[None], stds[None], np.ones(1))
    return np.ascontiguousarray(shares[:, observed.columns].T)


def _first_labels(problem: Problem, start: Parameters, how: str, *, seed: int, number: int) -> Planes:
    """Labels far apart from chain to chain: the mixture's, random ones, all of the largest class."""
    sweeps, shape = problem.sweeps, problem.sweeps.lattice.shape
    if how == "one class":
        return sweeps.lay_out(np.full(shape, start.weights.argmax(), np.uint8))
    if how == "random":
        rng = generator(seed, Stream.FIELD_START, number)
        return sweeps.lay_out(rng.integers(0, problem.n_classes, shape, dtype=np.uint8))
    best = class_shares(problem.target, start.means, start.stds).argmax(axis=1).astype(np.uint8)
    labels: Planes = best[sweeps.codes]
    labels[sweeps.lay_out(np.zeros(shape, np.uint8)) == OUTSIDE] = OUTSIDE
    return labels


def start_parameters(problem: Problem, *, seed: int) -> Parameters:
    """The mixture's best mode, labels being strangers to each other: (n_classes,) each."""
    mode = find_modes(problem.target, problem.n_classes, rng=generator(seed, Stream.MODES))[0]
    return unpack(mode.point)


class FieldRun(NamedTuple):
    """Draws of a hidden Potts field, their judgment, and the pixels' probabilities."""

    steps: FieldSteps
    summary: dict[str, ParameterSummary]
    verdict: Verdict
    probabilities: NDArray[np.float32]
    chains: list[FieldChain]


def sample_field(
    levels: Levels, *, n_classes: int, priors: Priors, options: PottsOptions, draws: int, tune: int,
    chains: int, seed: int,
) -> FieldRun:  # fmt: skip
    """Sample labels, classes and beta of an image's hidden Potts field."""
    problem = pose(levels, n_classes=n_classes, priors=priors, options=options, seed=seed)
    start = start_parameters(problem, seed=seed)

    def run(number: int) -> tuple[FieldChain, FieldSteps]:
        chain = FieldChain(problem, start, seed=seed, number=number)
        if tune:
            chain.run(tune)
        return chain, chain.run(draws, keep=True)

    done = in_threads(run, range(chains))
    steps = FieldSteps(*(np.stack(parts) for parts in zip(*(steps for _, steps in done), strict=True)))
    summary = summarize_field(steps)
    every = [chain for chain, _ in done]
    probabilities = pixel_probabilities(problem, every)
    return FieldRun(steps, summary, judge(summary, chains), probabilities, every)


def summarize_field(steps: FieldSteps) -> dict[str, ParameterSummary]:
    """Summaries by name; numbers that never move (a fixed beta, one class) have none."""
    named = {
        f"{name}[{k}]": part[:, :, k]
        for name, part in zip(("means", "stds", "fractions"), steps, strict=False)
        for k in range(part.shape[2])
    }
    named |= {"beta": steps.beta, "agreements": steps.agreements}
    return {name: summarize(draws) for name, draws in named.items() if np.ptp(draws) > 0}


def pixel_probabilities(problem: Problem, chains: list[FieldChain]) -> NDArray[np.float32]:
    """p(z_i = k | y) of every class and pixel, (n_classes, *shape), NaN outside the domain.

    Means over chains and sweeps of the conditional probabilities, not of drawn labels (Rao-Blackwell).
    """
    lattice, n_seen = problem.sweeps.lattice, sum(chain.n_seen for chain in chains)
    below = np.zeros((problem.n_classes + 1, *lattice.shape), np.float32)
    below[-1] = 1.0
    for k in range(problem.n_classes - 1):
        total = sum(chain.seen[k].astype(np.float64) for chain in chains)
        below[k + 1] = (lattice.join(np.asarray(total)) / n_seen + 0.5) / 65536
    probabilities = np.diff(below, axis=0)
    if lattice.domain is not None:
        probabilities[:, ~lattice.domain] = np.nan
    return probabilities
