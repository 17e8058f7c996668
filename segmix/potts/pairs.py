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
from .lattice import Lattice, facing, some_of

Array = NDArray[np.float64]

N_BINS = 40  # of equal width, and as many of equal counts: their edges together
N_STEPS, NEAR = 1000, 1e-8  # of EM, and the gain a pair that ends it
MAX_PAIRS = 1 << 20  # along each offset; of larger pictures a part
SMALL = 1e-9


class Pairs(NamedTuple):
    """How many neighbor pairs have which two values, in bins.

    The bins' mean values, the variances within them and their widths (n,), and the counts (n, n), symmetric.
    """

    values: Array
    within: Array
    widths: Array
    counts: Array


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

    def beta(self) -> float:
        """Beta of a lattice without loops with such pairs: the mean of log(p_kk p_ll / p_kl^2) / 2."""
        logs = np.log(np.maximum(self.shares, SMALL))
        own = np.diag(logs)
        odds = (own[:, None] + own - 2 * logs) / 2
        return max(0.0, float(odds[np.triu_indices(len(own), 1)].mean()))

    def logits(self, n_neighbors: float, beta: float) -> Array:
        """Log weights of the prior (n_classes,) that give such classes on a lattice without loops.

        There p_kl is in proportion to m_k m_l exp(beta [k = l]), and w_k to m_k / (sum_l m_l exp(beta [k =
        l]))^(n_neighbors - 1) (Bethe 1935). Loops make pairs alike with less of beta, so that it is rough.
        """
        own = np.log(np.maximum(np.diag(self.shares), SMALL)) / 2
        messages = np.exp(own - own.max())
        near = messages.sum() + (np.exp(beta) - 1) * messages
        weights = np.log(messages) - (n_neighbors - 1) * np.log(near)
        weights -= weights.max()
        return np.asarray(weights)


def count_pairs(lattice: Lattice, codes: NDArray[np.integer], observed: Observed) -> Pairs:
    """Count the neighbor pairs of a picture of levels (*shape) by their binned values."""
    centers = centers_of(observed)[observed.columns]
    bin_of = bin_levels(centers, observed.counts[observed.columns])
    n = int(bin_of.max()) + 1
    counts = np.zeros(n * n)
    some = some_of(lattice.shape, MAX_PAIRS)
    for offset in lattice.offsets[::2]:
        one, other = facing(offset), facing(offset, -1)
        first, second = bin_of[codes[one][some]], bin_of[codes[other][some]]
        if lattice.domain is not None:
            both = lattice.domain[one][some] & lattice.domain[other][some]
            first, second = first[both], second[both]
        counts += np.bincount((first * n + second).ravel(), minlength=n * n)
    square = counts.reshape(n, n)
    return Pairs(*_describe(bin_of, centers, observed.counts[observed.columns]), (square + square.T) / 2)


def bin_levels(centers: Array, counts: Array) -> NDArray[np.intp]:
    """Which bin each level is in, (n_levels,), in ascending order.

    Equal widths alone would put all classes into one bin where a few values lie far out, and equal counts
    alone a rare class and others.
    """
    order = np.argsort(centers, kind="stable")
    sizes = counts[order]
    by_count = ((np.cumsum(sizes) - sizes) * N_BINS / sizes.sum()).astype(np.intp)
    span = max(float(np.ptp(centers)), np.finfo(float).tiny)
    by_width = np.minimum(((centers[order] - centers.min()) / span * N_BINS).astype(np.intp), N_BINS - 1)
    bins = np.empty(len(centers), np.intp)
    bins[order] = np.cumsum(np.diff(by_count + by_width, prepend=0) > 0) - (by_count[0] + by_width[0] > 0)
    return bins


def _describe(bin_of: NDArray[np.intp], centers: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Mean values, variances and widths of the bins; a bin of one level is as wide as most gaps."""
    sizes = np.bincount(bin_of, counts)
    values = np.bincount(bin_of, counts * centers) / sizes
    within = np.bincount(bin_of, counts * (centers - values[bin_of]) ** 2) / sizes
    low, high = np.full(len(sizes), np.inf), np.full(len(sizes), -np.inf)
    np.minimum.at(low, bin_of, centers)
    np.maximum.at(high, bin_of, centers)
    gaps = np.diff(np.unique(centers))
    return values, within, high - low + (float(np.median(gaps)) if gaps.size else 1.0)


def fit_pairs(pairs: Pairs, classes: Parameters) -> Fit:
    """Climb by EM from classes whose pixels half hang together.

    No class becomes narrower than half a bin where it is.
    """
    weights, means, stds = classes
    shares = (np.outer(weights, weights) + np.diag(weights)) / 2
    total, previous, log_likelihood = pairs.counts.sum(), -np.inf, -np.inf
    for _ in range(N_STEPS):
        logs = -0.5 * ((pairs.values[:, None] - means) / stds) ** 2 - np.log(stds)
        top = logs.max(axis=1)
        density = np.exp(logs - top[:, None])
        both = np.maximum(density @ shares @ density.T, np.finfo(float).tiny)
        log_likelihood = float((pairs.counts * np.log(both)).sum() + 2 * pairs.counts.sum(axis=1) @ top)
        if log_likelihood - previous < NEAR * total:
            break
        previous, ratio = log_likelihood, pairs.counts / both
        own = density * (ratio @ density @ shares)
        shares = shares * (density.T @ ratio @ density) / total
        sizes = np.maximum(own.sum(axis=0), SMALL * total)
        means = pairs.values @ own / sizes
        squares = (((pairs.values[:, None] - means) ** 2 + pairs.within[:, None]) * own).sum(axis=0) / sizes
        stds = np.sqrt(np.maximum(squares, (np.interp(means, pairs.values, pairs.widths) / 2) ** 2))
    return Fit(Parameters(shares.sum(axis=1), means, stds), shares, log_likelihood)
