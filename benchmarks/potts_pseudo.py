"""How far beta by pseudo-likelihood lies from its exact posterior, of labels that are known.

Fields of two classes on a strip of 60 x 8 pixels with four neighbors, whose rows have 256 states: a transfer
matrix gives C(beta), so the exact posterior under the flat prior, and draws fields of the prior themselves.
"""

from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from report import Figure, record

SHAPE, N_FIELDS = (60, 8), 400
BETAS = (0.3, 0.6, 0.88, 1.1)
N_GRID, LEVEL = 601, 0.94
NOTE = f"""\
{N_FIELDS} fields at each beta, drawn exactly. *Shift*: posterior mean by pseudo-likelihood less the exact
one, in exact sds, mean and root mean square over fields. *Sd ratio*: posterior sd by pseudo-likelihood over
the exact one. *Covers*: shares of central {LEVEL:.0%} intervals that hold the true beta, {LEVEL:.0%} of which
are due. Errors are those of means over fields."""

Array = NDArray[np.float64]


class Strip:
    """The prior on the strip, row by row."""

    def __init__(self) -> None:
        self.states = np.array(list(product((0, 1), repeat=SHAPE[1])), np.uint8)
        self.within = (self.states[:, 1:] == self.states[:, :-1]).sum(axis=1).astype(float)
        self.between = (self.states[:, None] == self.states[None]).sum(axis=2).astype(float)

    def forward(self, beta: float) -> tuple[Array, float]:
        """Sums over all rows above, (rows, 256), each row up to a factor, and log C(beta)."""
        own = np.exp(beta * (self.within - self.within.max()))
        step = np.exp(beta * (self.between - SHAPE[1]))
        rows, log_scale = [own / own.sum()], float(np.log(own.sum()))
        for _ in range(SHAPE[0] - 1):
            row = own * (rows[-1] @ step)
            log_scale += float(np.log(row.sum()))
            rows.append(row / row.sum())
        most = SHAPE[0] * self.within.max() + (SHAPE[0] - 1) * SHAPE[1]
        return np.array(rows), log_scale + beta * most

    def draw(self, beta: float, n: int, *, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Independent fields of the prior, (n, *SHAPE): the last row, then each given the one below."""
        forward, step = self.forward(beta)[0], np.exp(beta * (self.between - SHAPE[1]))
        rows = [rng.choice(len(self.states), n, p=forward[-1])]
        for r in range(SHAPE[0] - 2, -1, -1):
            ends = np.cumsum(forward[r][:, None] * step, axis=0)
            u = rng.random(n) * ends[-1, rows[-1]]
            rows.append((u >= ends[:, rows[-1]]).sum(axis=0))
        return self.states[np.stack(rows[::-1], axis=1)]


class Belief(NamedTuple):
    """Mean, sd and central interval of beta."""

    mean: float
    sd: float
    low: float
    high: float


def believe(grid: Array, log_density: Array) -> Belief:
    """Sum up a density on a grid."""
    p = np.exp(log_density - log_density.max())
    p /= p.sum()
    mean = float(p @ grid)
    low, high = np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], np.cumsum(p) - p / 2, grid)
    return Belief(mean, float(np.sqrt(p @ (grid - mean) ** 2)), float(low), float(high))


class Judge:
    """Both posteriors of beta of known labels, under the same flat prior."""

    def __init__(self) -> None:
        from segmix.potts.lattice import Lattice
        from segmix.potts.normalizer import highest_beta
        from segmix.potts.pseudo import PseudoLikelihood
        from segmix.potts.states import number_states

        self.strip, lattice = Strip(), Lattice(SHAPE)
        states = number_states(lattice, 2)
        assert states is not None
        self.states, highest = states, highest_beta(lattice, 2)
        self.grid = np.linspace(0, highest, N_GRID)
        self.lattice = lattice
        self.pseudo = PseudoLikelihood(states.agreements, highest)

    @cached_property
    def log_constants(self) -> Array:
        """log C on the grid."""
        return np.array([self.strip.forward(beta)[1] for beta in self.grid])

    def judge(self, labels: NDArray[np.uint8]) -> tuple[Belief, Belief]:
        """The exact posterior, and that by pseudo-likelihood."""
        from segmix.potts.sweeps import Sweeps

        sweeps = Sweeps(self.lattice, labels, 2, 2)  # whose levels are the labels
        planes = sweeps.lay_out(labels)
        exact = self.grid * sweeps.agreements(planes) - self.log_constants
        counts = sweeps.count_states(planes, self.states)
        pseudo = self.pseudo.log_density(self.grid, counts, np.eye(2))
        return believe(self.grid, exact), believe(self.grid, pseudo)


class Errors(NamedTuple):
    """Of beta by pseudo-likelihood against the exact posterior; see NOTE. Each (n_fields,)."""

    exact_bias: Array
    bias: Array
    shift: Array
    ratio: Array
    exact_covers: Array
    covers: Array


def measure(judge: Judge, beta: float, n: int, *, seed: int = 1) -> Errors:
    """Both posteriors of n fields at a beta."""
    fields = judge.strip.draw(beta, n, rng=np.random.default_rng([seed, round(1000 * beta)]))
    pairs = np.array([judge.judge(labels) for labels in fields])
    exact, pseudo = (Belief(*pairs[:, i].T) for i in (0, 1))
    covers = ((part.low <= beta) & (beta <= part.high) for part in (exact, pseudo))
    shift = (pseudo.mean - exact.mean) / exact.sd
    return Errors(exact.mean - beta, pseudo.mean - beta, shift, pseudo.sd / exact.sd, *covers)


def _told(values: Array) -> str:
    return f"{values.mean():.3f} +- {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


def main() -> None:
    """Measure and record."""
    judge, figures, rows = Judge(), [], []
    for beta in BETAS:
        found = measure(judge, beta, N_FIELDS)
        figures.append(Figure(f"beta {beta:g}: sd ratio", float(found.ratio.mean()), "times"))
        rows.append({
            "beta": beta,
            "exact mean - beta": _told(found.exact_bias),
            "pseudo mean - beta": _told(found.bias),
            "shift": f"{_told(found.shift)}, {np.sqrt((found.shift**2).mean()):.2f} rms",
            "sd ratio": _told(found.ratio),
            "exact covers, %": 100 * float(found.exact_covers.mean()),
            "pseudo covers, %": 100 * float(found.covers.mean()),
        })  # fmt: skip
    record(__file__, "Beta by pseudo-likelihood beside its exact posterior", figures, rows, note=NOTE)


if __name__ == "__main__":
    main()
