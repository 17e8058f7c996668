"""Classes from the levels of neighbor pairs: a mixture of two pixels at a time, fitted by EM.

log L = sum over neighbor pairs of log sum_kl p_kl f_k(y_i) f_l(y_j), p_kl the share of pairs of classes k and
l: a composite likelihood (Lindsay 1988, Contemporary Mathematics 80, 221), with its maximum near the truth
whatever coupling made the labels, also none. It tells classes apart that hide in the histogram of single
pixels but hang together, and of strangers it tells no more than that does.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..mixture.density import Observed, Parameters
from ..mixture.starts import centers_of
from .lattice import Lattice, facing

Array = NDArray[np.float64]

MAX_BINS = 64
N_STEPS, NEAR = 1000, 1e-8  # of EM, and the gain a pair that ends it
MAX_PAIRS = 1 << 20  # along each offset; of larger pictures a part
SMALL = 1e-9


class Pairs(NamedTuple):
    """How many neighbor pairs have which two values: (n,) and (n, n), symmetric; the width of a bin."""

    values: Array
    counts: Array
    width: float


class Fit(NamedTuple):
    """Classes, the shares p_kl of pairs (n_classes, n_classes), and the log likelihood."""

    classes: Parameters
    shares: Array
    log_likelihood: float

    @property
    def gap(self) -> float:
        """The least distance of two means next to each other, in units of their mean std."""
        means, stds = self.classes.means, self.classes.stds
        return float((2 * np.diff(means) / (stds[1:] + stds[:-1])).min())

    def field(self, n_neighbors: float, highest_beta: float) -> tuple[Array, float]:
        """Log weights of the prior (n_classes,) and beta that give such pairs on a lattice without loops.

        There p_kl is in proportion to m_k m_l exp(beta [k = l]), and w_k to m_k / (sum_l m_l exp(beta [k =
        l]))^(n_neighbors - 1) (Bethe 1935). Loops make pairs alike with less of beta: it is too high, and
        where it would be beyond ``highest_beta``, weights are equal.
        """
        logs = np.log(np.maximum(self.shares, SMALL))
        own = np.diag(logs)
        odds = (own[:, None] + own - 2 * logs) / 2
        beta = max(0.0, float(odds[np.triu_indices(len(own), 1)].mean()))
        if beta >= highest_beta:
            return np.zeros(len(own)), highest_beta
        messages = np.exp((own - own.max()) / 2)
        near = messages.sum() + (np.exp(beta) - 1) * messages
        weights = np.log(messages) - (n_neighbors - 1) * np.log(near)
        return weights - weights.max(), beta


def count_pairs(lattice: Lattice, codes: NDArray[np.integer], observed: Observed) -> Pairs:
    """Count the neighbor pairs of a picture of levels (*shape) by value, in bins of as many levels each."""
    centers = centers_of(observed)[observed.columns]
    levels = np.rint((centers - centers.min()) / max(_least_gap(centers), SMALL)).astype(np.intp)
    wide = 1 + int(levels.max()) // MAX_BINS
    bin_of = levels // wide
    n, gap = int(bin_of.max()) + 1, np.ptp(centers) / max(int(levels.max()), 1)
    counts = np.zeros(n * n)
    step = int(np.ceil((codes.size / MAX_PAIRS) ** (1 / codes.ndim)))
    some = (slice(None, None, step),) * codes.ndim
    for offset in lattice.offsets[::2]:
        one, other = facing(offset), facing(offset, -1)
        first, second = bin_of[codes[one][some]], bin_of[codes[other][some]]
        if lattice.domain is not None:
            both = lattice.domain[one][some] & lattice.domain[other][some]
            first, second = first[both], second[both]
        counts += np.bincount((first * n + second).ravel(), minlength=n * n)
    square = counts.reshape(n, n)
    values = centers.min() + gap * (wide * np.arange(n) + (wide - 1) / 2)
    return Pairs(values, (square + square.T) / 2, float(gap * wide))


def _least_gap(centers: Array) -> float:
    gaps = np.diff(np.unique(centers))
    return float(gaps.min()) if gaps.size else 1.0


def fit_pairs(pairs: Pairs, classes: Parameters) -> Fit:
    """Climb by EM from classes whose pixels half hang together."""
    weights, means, stds = classes
    shares = (np.outer(weights, weights) + np.diag(weights)) / 2
    total, previous = pairs.counts.sum(), -np.inf
    for _ in range(N_STEPS):
        density = np.exp(-0.5 * ((pairs.values[:, None] - means) / stds) ** 2) / stds + 1e-300
        both = np.einsum("ak,kl,bl->ab", density, shares, density, optimize=True)
        log_likelihood = float((pairs.counts * np.log(both)).sum())
        ratio = pairs.counts / both
        shares = shares * np.einsum("ak,ab,bl->kl", density, ratio, density, optimize=True) / total
        own = density * np.einsum("ab,bl,kl->ak", ratio, density, shares, optimize=True)
        if log_likelihood - previous < NEAR * total:
            break
        previous = log_likelihood
        sizes = np.maximum(own.sum(axis=0), SMALL * total)
        means = pairs.values @ own / sizes
        squares = ((pairs.values[:, None] - means) ** 2 * own).sum(axis=0) / sizes
        stds = np.sqrt(np.maximum(squares, pairs.width**2 / 4))
    return Fit(Parameters(shares.sum(axis=1), means, stds), shares, log_likelihood)
