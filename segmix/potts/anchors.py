"""Where the constant of an external field has to be known: around the theta that a picture's labels ask for.

Where labels have no order of their own, theta with E[s | theta] = s(z) is found by Newton's method, means and
covariances coming from fields of the prior. Where beta would be critical or more there is none to be found:
the prior has a phase for each class, any lasting field would leave but one, and weights stay equal.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..mixture.chains import Steps, Stream, generator
from .chains import FieldChain
from .external import ExternalField, PriorFields, fit_constant, log_weights
from .normalizer import ordering_beta
from .pilot import Pilot
from .telling import Told, seldom

Array = NDArray[np.float64]

N_STEPS = 12  # of Newton's method, at most
TUNE = 10  # sweeps of the prior before fields count
FIELDS_A_CLASS = 30  # fields of a step of the search, times the classes
LONGEST_STEP = 0.25  # of beta; of a log weight four times as much
FEWEST_FIELDS, MOST_FIELDS = 40, 400  # at each anchor
N_UPDATES = 4_000_000  # of single pixels, that are worth more than the fewest fields
N_DRAWN = 6  # anchors that are draws of theta
END = 2.5  # sds of theta at which further anchors are
PILOT_EVERY = 5  # sweeps
MAX_MISFIT, MAX_NOISE = 0.1, 2.5  # sds of a statistic between fitted and simulated means; of the latter
EXCESS = 0.5  # of agreements over those by chance, beyond which labels at a large beta are ordered
REACH = 1.5  # of the first anchors, in widths of p(theta | z)
BELOW = 0.9  # of the critical beta, where a search begins at most
WIDER = 1.5  # times, where chains do not stay within that


class Asked(NamedTuple):
    """What the labels ask for: their statistics, the Dirichlet prior, and the bounds of beta.

    ``beta`` is None where beta is inferred; ``critical`` is where order sets in.
    """

    statistics: Array
    concentration: Array
    beta: float | None
    critical: float


def search(fields: PriorFields, theta: Array, asked: Asked) -> tuple[Array, Array] | None:
    """Theta at which the prior expects the statistics, and a factor of its covariance given the labels."""
    d = len(theta)
    for _ in range(N_STEPS):
        if theta[-1] >= asked.critical:
            return None
        drawn = fields.draw(theta, FIELDS_A_CLASS * d, tune=TUNE)
        spread = np.cov(drawn.T).reshape(d, d)
        weights = np.exp(log_weights(theta[None])[0])
        pull = asked.statistics - drawn.mean(axis=0)
        pull[:-1] += (asked.concentration - asked.concentration.sum() * weights)[:-1]
        precision = spread + 1e-9 * np.trace(spread) / d * np.eye(d) + np.eye(d)
        step = np.linalg.solve(precision, pull)
        if asked.beta is not None:
            step[:-1] = np.linalg.solve(precision[:-1, :-1], pull[:-1])
            step[-1] = 0.0
        longest = np.append(np.full(d - 1, 4 * LONGEST_STEP), LONGEST_STEP)
        step /= max(1.0, float((np.abs(step) / longest).max()))
        new = theta + step
        new[-1] = max(new[-1], 0.0)
        moved, theta = new - theta, new
        if moved @ precision @ moved < d:
            break
    return theta, np.linalg.cholesky(np.linalg.inv(precision))


def around(theta: Array, factor: Array, reach: float = REACH) -> Array:
    """The first anchors: theta, and both ways along each column of the factor, (2 d + 1, d)."""
    steps = reach * factor.T
    return _inside(np.concatenate([theta[None], theta + steps, theta - steps]))


def _inside(anchors: Array) -> Array:
    anchors[:, -1] = np.maximum(anchors[:, -1], 0.0)
    return anchors


class AnchorSearch:
    """Keeps the normalizing constant known where the chains are, until they stay there.

    Parameters
    ----------
    chains : list of FieldChain
        Their problem gets an ``external`` field, unless labels are ordered.
    run : callable
        Makes so many steps of all of them.
    seed : int
    told : callable, optional
        Is told every moment how many sweeps were made, by each chain and of fields of the prior.
    """

    def __init__(
        self,
        chains: list[FieldChain],
        run: Callable[[int], Steps],
        *,
        seed: int,
        told: Told | None = None,
    ) -> None:
        self.chains, self.run, self.seed = chains, run, seed
        problem = self.problem = chains[0].problem
        lattice, n_classes = problem.sweeps.lattice, problem.n_classes
        self.fields = PriorFields(lattice, n_classes, chains[0].labels.copy(), seed=[seed, Stream.ANCHORS])
        self.tell = self.fields.heard = seldom(told, lambda: chains[0].number + self.fields.number)
        self.critical = ordering_beta(lattice, n_classes)
        self.theta: Array | None = None
        self.reach = REACH
        self.is_settled = False

    def pilot(self, n: int) -> list[Steps]:
        """Make n steps in which weights and beta follow their pseudo-likelihood."""
        lattice, fixed = self.fields.sweeps.lattice, self.problem.beta is not None
        pilot = Pilot(lattice, self.problem.n_classes, rng=generator(self.seed, Stream.ANCHORS))
        pieces = []
        for begun in range(0, n, PILOT_EVERY):
            for chain in self.chains:
                chain.free = False
                chain.move_to(pilot.mode(lattice.join(chain.labels), chain.theta, fixed_beta=fixed))
            pieces.append(self.run(min(PILOT_EVERY, n - begun)))
        for chain in self.chains:
            chain.free = True
        return pieces

    def begin(self) -> None:
        """Find theta for the chains' labels as they are now, and give the chains the constant around it."""
        found = self._search()
        if found is None:
            return
        self._simulate(around(*found), found[1])
        for chain in self.chains:
            chain.move_to(found[0])

    def follow(self, steps: Steps) -> None:
        """Place anchors anew, where the last steps of the chains have been."""
        if self.theta is None:
            return
        thetas, external = thetas_of(steps), self.chains[0].problem.external
        assert external is not None
        near = np.quantile(external.distance(thetas), 0.9) < 1
        fits = external.misfit < MAX_MISFIT + MAX_NOISE / np.sqrt(self._n_fields())
        self.is_settled = bool(near and fits)
        if self.is_settled:
            return
        self.reach *= WIDER if fits else 1 / WIDER
        found = self._search()
        if found is not None:
            self._simulate(np.concatenate([around(*found, self.reach), spread_of(thetas)]), found[1])

    def end(self) -> None:
        """Leave weights equal where the constant is not known all over the chains' way."""
        if not self.is_settled:
            self._give_up("their normalizing constant was not found along the chains' way")

    def _simulate(self, anchors: Array, factor: Array) -> None:
        lattice = self.fields.sweeps.lattice
        drawn = [self.fields.draw(anchor, self._n_fields(), tune=TUNE) for anchor in anchors]
        self._set(fit_constant(
            anchors, drawn, factor, n_pixels=float(lattice.n_pixels), n_pairs=lattice.n_pairs
        ))  # fmt: skip

    def _n_fields(self) -> int:
        n_pixels = self.fields.sweeps.lattice.n_pixels
        return int(np.clip(N_UPDATES // n_pixels, FEWEST_FIELDS, MOST_FIELDS))

    def _give_up(self, reason: str) -> None:
        self.theta, self.is_settled = None, True
        self._set(None, reason)

    def _set(self, external: ExternalField | None, reason: str = "") -> None:
        for chain in self.chains:
            chain.problem = chain.problem._replace(external=external, equal=reason)
            if external is None:
                chain.logits = np.zeros_like(chain.logits)

    def _search(self) -> tuple[Array, Array] | None:
        """See ``search``; where labels are ordered nothing is found, and weights are left equal."""
        statistics, beta = np.mean([chain.statistics() for chain in self.chains], axis=0), self.problem.beta
        concentration, found = self.problem.target.priors.weights.parameters[0], None
        if self.theta is not None or not self._is_ordered(statistics):
            theta = np.mean([chain.theta for chain in self.chains], axis=0)
            theta[-1] = min(theta[-1], BELOW * self.critical) if beta is None else beta
            found = search(self.fields, theta, Asked(statistics, concentration, beta, self.critical))
        if found is None:
            self._give_up(f"labels are ordered (beta about {self.critical:.2g} or more)")
        else:
            self.theta = found[0]
        return found

    def _is_ordered(self, statistics: Array) -> bool:
        lattice = self.fields.sweeps.lattice
        shares = np.append(statistics[:-1], 0.0) / lattice.n_pixels
        shares[-1] = 1 - shares.sum()
        chance = float((shares**2).sum())
        excess = (statistics[-1] / max(lattice.n_pairs, 1.0) - chance) / max(1 - chance, 1e-9)
        return excess > EXCESS and min(chain.beta for chain in self.chains) > self.critical


def thetas_of(steps: Steps) -> Array:
    """Theta in the second half of all chains' steps, (n, n_classes)."""
    assert steps.field is not None
    assert steps.beta is not None
    later = slice(steps.beta.shape[1] // 2, None)
    logs = np.log(steps.field[:, later])
    thetas = np.concatenate([logs[..., :-1] - logs[..., -1:], steps.beta[:, later, None]], axis=2)
    pooled: Array = thetas.reshape(-1, thetas.shape[-1])
    return pooled


def spread_of(thetas: Array) -> Array:
    """Anchors over thetas (n, d): some of them, and both ends of each axis of their ellipsoid."""
    center, d = thetas.mean(axis=0), thetas.shape[1]
    values, axes = np.linalg.eigh(np.cov(thetas.T).reshape(d, d))
    ends = END * np.sqrt(np.maximum(values, 0.0))[:, None] * axes.T
    some = thetas[np.linspace(0, len(thetas) - 1, N_DRAWN).astype(np.intp)]
    return _inside(np.concatenate([center + ends, center - ends, some]))
