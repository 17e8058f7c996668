"""One chain of the hidden Potts model: labels given the rest, classes given their pixels, beta given labels.

y_i | z_i = k is of class k's interval probabilities (or density), p(z | beta) = exp(beta S(z)) / C(beta).
Means stay in ascending order, each between its neighbors.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OptionError
from ..imaging.levels import Levels
from ..mixture.chains import Steps, Stream, generator, generator_at, state_of
from ..mixture.class_kernels import Model
from ..mixture.density import Parameters, Target, observe
from ..mixture.gibbs import model_of
from ..mixture.priors import Priors
from .external import ExternalField, log_weights
from .fields import FieldState
from .keeping import Keeper
from .lattice import OUTSIDE, Lattice
from .normalizer import Normalizer, highest_beta, normalizer_of
from .options import PottsOptions
from .philox import keys_of
from .pseudo import PseudoLikelihood, join_shares, joined_levels
from .states import States, number_states
from .sweeps import UNSEEN, Planes, Sweeps

Array = NDArray[np.float64]

FIRST_BETA = 0.5  # where nothing tells a better one
WARM_SWEEPS = 20  # of labels alone, before anything else moves
SEEN_EVERY = 4  # sweeps between two additions to the pixels' probabilities
MAX_SEEN = 1 << 16  # additions that a counter holds
MAX_EXPONENT = 700.0  # of what a float holds
EMPTY = 1e-12  # the weight of a class without pixels, where a logarithm is taken
STARTS = ("likely", "random", "one class")


class Problem(NamedTuple):
    """What all chains share: the image on its lattice, the target, and what is known of weights and beta.

    ``equal`` says why weights were left equal though they were to be inferred.
    """

    sweeps: Sweeps
    target: Target
    model: Model
    normalizer: Normalizer | None
    beta: float | None
    pseudo: tuple[PseudoLikelihood, States] | None = None
    external: ExternalField | None = None
    equal: str = ""

    @property
    def n_classes(self) -> int:
        """The number of classes K."""
        return self.sweeps.n_classes


def pose(
    levels: Levels,
    *,
    n_classes: int,
    priors: Priors,
    options: PottsOptions,
    seed: int,
    normalizer: Normalizer | None = None,
) -> Problem:
    """Lay an image out on its lattice, and find or take the normalizing constant where beta is inferred.

    Raises
    ------
    InputError
        If no pixel has a neighbor.
    """
    index = levels.index
    domain = index >= 0
    spacing = None if options.spacing == "image" else options.spacing
    lattice = Lattice(index.shape, options.connectivity, spacing, None if domain.all() else domain)
    if not lattice.n_pairs:
        raise InputError(
            "no two pixels that count are neighbors, so labels cannot hang together; take the plain mixture "
            "(leave spatial out), or a domain with neighbors"
        )
    kind = np.uint8 if levels.n_levels <= 256 else np.uint16
    codes: NDArray[Any] = np.where(domain, index, 0).astype(kind)
    observed = observe(levels)
    target = Target(observed, priors.resolve(observed, n_classes))
    sweeps, model = Sweeps(lattice, codes, levels.n_levels, n_classes), model_of(target)
    if n_classes == 1 or not isinstance(options.beta, str):
        fixed = 0.0 if isinstance(options.beta, str) else float(options.beta)
        _check_beta(sweeps, fixed)
        return Problem(sweeps, target, model, None, fixed)
    if options.beta == "pseudo":
        return Problem(sweeps, target, model, None, None, _pseudo_of(lattice, n_classes))
    normalizer = normalizer or normalizer_of(lattice, n_classes, seed=seed)
    return Problem(sweeps, target, model, normalizer, None)


def _check_beta(sweeps: Sweeps, beta: float) -> None:
    """Refuse a fixed beta whose exponentials no float holds, where no table of states has their ratios."""
    most = MAX_EXPONENT / float(sweeps.couplings.max())
    if sweeps.states is None and beta > most:
        raise OptionError(
            f"beta must be at most {most:.3g} with {sweeps.n_classes} classes at connectivity "
            f"{sweeps.lattice.connectivity}, got {beta:g}; labels hang together no more from there on"
        )


def _pseudo_of(lattice: Lattice, n_classes: int) -> tuple[PseudoLikelihood, States]:
    states = number_states(lattice, n_classes)
    if states is None:
        raise OptionError(
            f"beta='pseudo' counts what neighbors can be, too many of {n_classes} classes at connectivity "
            f"{lattice.connectivity}; take beta='infer', or fewer classes"
        )
    return PseudoLikelihood(states.agreements, highest_beta(lattice, n_classes)), states


class Beginning(NamedTuple):
    """Where chains begin, beside their labels: classes, beta, and log weights of the prior (n_classes,)."""

    parameters: Parameters
    beta: float
    logits: Array


class FieldChain:
    """One chain: labels, means, stds and beta, and the generators they are drawn with.

    It begins anew, or goes on from where it stood.
    """

    keeper: Keeper | None = None  # is shown the labels of every step
    free = True  # whether weights and beta are drawn

    def __init__(self, problem: Problem, start: Beginning | FieldState, *, seed: int, number: int) -> None:
        state, warm = start, 0
        if isinstance(state, Beginning):
            state, warm = first_state(problem, state, seed=seed, number=number), WARM_SWEEPS
        self.problem, self.number = problem, state.number
        self.keys = keys_of(seed, Stream.LABELS, number)
        self.rng = generator_at(state.generator)
        self.means, self.stds = state.means.copy(), state.stds.copy()
        self.table = problem.sweeps.prepare()
        self.labels, self.beta, self.logits = state.labels.copy(), state.beta, state.logits.copy()
        self.seen, self.n_seen = UNSEEN, state.n_seen
        for _ in range(warm):
            self._sweep(UNSEEN)

    @property
    def state(self) -> FieldState:
        """Where the chain stands; its labels are the chain's own, which change as it goes on."""
        return FieldState(
            self.number, self.n_seen, self.beta, state_of(self.rng),
            self.means.copy(), self.stds.copy(), self.logits.copy(), self.labels,
        )  # fmt: skip

    def watch_pixels(self, n_seen: int = 0) -> None:
        """Begin to add up the pixels' probabilities, anew or after so many sweeps added elsewhere."""
        self.seen = np.zeros((self.problem.n_classes - 1, *self.labels.shape), np.uint32)
        self.n_seen = n_seen

    def run(self, n: int) -> Steps:
        """Make n steps: weights are the fractions of pixels in each class, each part (n, ...)."""
        rows = []
        for _ in range(n):
            adds = self.seen.size > 0 and self.number % SEEN_EVERY == 0 and self.n_seen < MAX_SEEN
            self._sweep(self.seen if adds else UNSEEN)
            self.n_seen += adds
            rows.append(self._step())
            if self.keeper is not None:
                self.keeper.see(self.labels)
        weights, means, stds, beta, agreements, field = (
            np.array(part, np.float64) for part in zip(*rows, strict=True)
        )
        parameters = Parameters(np.maximum(weights, EMPTY), means, stds)
        density = self.problem.target.log_posterior(parameters)
        return Steps(weights, means, stds, density, beta=beta, agreements=agreements, field=field)

    def _sweep(self, seen: NDArray[np.uint32]) -> None:
        self.problem.sweeps.sweep(
            self.labels, self._shares(), self.beta,
            keys=self.keys, number=self.number, table=self.table, seen=seen,
        )  # fmt: skip
        self.number += 1

    def _shares(self) -> Array:
        shares = class_shares(self.problem.target, self.means, self.stds)
        weighted: Array = shares * np.exp(self.logits - self.logits.max())
        return weighted

    def statistics(self) -> Array:
        """Pixels of each class but the last, and the agreements S(z): (n_classes,)."""
        sweeps = self.problem.sweeps
        sizes = sweeps.count(self.labels).sum(axis=0)
        return np.array([*sizes[:-1], sweeps.agreements(self.labels)], np.float64)

    def _step(self) -> tuple[Any, ...]:
        """Draw classes and beta given the labels; what they are now."""
        problem = self.problem
        counts = problem.sweeps.count(self.labels)
        self._draw_classes(counts)
        agreements = problem.sweeps.agreements(self.labels)
        sizes = counts.sum(axis=0)
        if not self.free:
            pass
        elif problem.external is not None:
            self._draw_field(np.array([*sizes[:-1], agreements], np.float64))
        elif problem.normalizer is not None:
            self.beta = problem.normalizer.draw_beta(agreements, self.beta, rng=self.rng)
        elif problem.pseudo is not None:
            likelihood, states = problem.pseudo
            together = joined_levels(len(counts))
            by_state = problem.sweeps.count_states(self.labels, states, together)
            shares = join_shares(class_shares(problem.target, self.means, self.stds), counts.sum(axis=1))
            self.beta = likelihood.draw_beta(by_state, shares, self.beta, rng=self.rng)
        most = problem.sweeps.lattice.n_pairs
        share = agreements / most if most else 1.0
        weights = np.exp(log_weights(self.theta[None])[0])
        return sizes / sizes.sum(), self.means.copy(), self.stds.copy(), self.beta, share, weights

    @property
    def theta(self) -> Array:
        """Logs of the prior's weights over the last one's, and beta: (n_classes,)."""
        return np.append(self.logits[:-1] - self.logits[-1], self.beta)

    def move_to(self, theta: Array) -> None:
        """Take the prior's weights and beta from theta."""
        self.logits, self.beta = np.append(theta[:-1], 0.0), float(theta[-1])

    def _draw_field(self, statistics: Array) -> None:
        problem = self.problem
        assert problem.external is not None
        concentration = problem.target.priors.weights.parameters[0]
        highest = highest_beta(problem.sweeps.lattice, problem.n_classes)
        self.move_to(problem.external.draw(
            self.theta, statistics, concentration,
            fixed_beta=problem.beta is not None, highest=highest, rng=self.rng,
        ))  # fmt: skip

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


def first_state(problem: Problem, start: Beginning, *, seed: int, number: int) -> FieldState:
    """Where a chain begins, its labels unlike those of the next chains."""
    return FieldState(
        number=0,
        n_seen=0,
        beta=start.beta,
        generator=state_of(generator(seed, Stream.FIELD, number)),
        means=start.parameters.means,
        stds=start.parameters.stds,
        logits=start.logits,
        labels=_first_labels(problem, start, STARTS[number % len(STARTS)], seed=seed, number=number),
    )


def _first_labels(problem: Problem, start: Beginning, how: str, *, seed: int, number: int) -> Planes:
    """Labels far apart from chain to chain: the likely ones, random ones, all of the largest class."""
    sweeps, shape = problem.sweeps, problem.sweeps.lattice.shape
    if how == "one class":
        return sweeps.lay_out(np.full(shape, start.parameters.weights.argmax(), np.uint8))
    if how == "random":
        rng = generator(seed, Stream.FIELD_START, number)
        return sweeps.lay_out(rng.integers(0, problem.n_classes, shape, dtype=np.uint8))
    shares = class_shares(problem.target, start.parameters.means, start.parameters.stds)
    labels: Planes = shares.argmax(axis=1).astype(np.uint8)[sweeps.codes]
    labels[sweeps.lay_out(np.zeros(shape, np.uint8)) == OUTSIDE] = OUTSIDE
    return labels
