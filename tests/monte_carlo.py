"""How far apart estimates from draws may lie, and how often intervals may miss the truth, by chance."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom, chi2, norm

from segmix.diagnostics import effective_sample_size
from segmix.mixture.judgment import PARAMETERS
from segmix.posterior import Posterior

Array = NDArray[np.float64]

MAX_Z = 4.5  # 7e-6 two-sided: some 400 comparisons exceed it once in 400 runs
BAND = 1e-4  # the chance that a mean square of z lies outside its band, on either side together
N_BATCHES = 50
N_RANKS = 99
PROBABILITY = 0.94
MIN_P = 1e-3  # for all p-values of one simulation together


class Estimates(NamedTuple):
    """Posterior means and log sds of q numbers, (2 q,), with Monte Carlo errors and their correlation."""

    values: Array
    errors: Array
    correlation: Array


class Comparison(NamedTuple):
    """z of every estimate, and the band in which their mean square lies but for one time in ten thousand."""

    z: Array
    band: tuple[float, float]

    @property
    def agrees(self) -> bool:
        """Whether no z is large and the mean square is in its band."""
        low, high = self.band
        return bool(np.abs(self.z).max() < MAX_Z and low < (self.z**2).mean() < high)


def stack(posterior: Posterior) -> Array:
    """Draws of all parameters, (chain, draw, number), in the order of ``names``."""
    parts = PARAMETERS if posterior.n_classes > 1 else PARAMETERS[1:]
    return np.concatenate([getattr(posterior, part) for part in parts], axis=2)


def names(n_classes: int) -> list[str]:
    """What ``stack`` holds, as ``Posterior.summary`` calls it."""
    parts = PARAMETERS if n_classes > 1 else PARAMETERS[1:]
    return [f"{part}[{k}]" for part in parts for k in range(n_classes)]


def estimate(draws: Array) -> Estimates:
    """Estimate means and log sds from draws (chain, draw, q).

    The error of a mean is sd / sqrt(ESS); log sd is, to first order, the mean of (x - mean)^2 / (2 variance),
    whose error is found in the same way. Errors go together as the means of batches do.
    """
    center, variance = draws.mean(axis=(0, 1)), draws.var(axis=(0, 1))
    parts = np.concatenate([draws, (draws - center) ** 2 / (2 * variance)], axis=2)
    ess = np.array([effective_sample_size(part) for part in np.moveaxis(parts, 2, 0)])
    length = draws.shape[1] // N_BATCHES
    batches = parts[:, : length * N_BATCHES].reshape(-1, length, parts.shape[2]).mean(axis=1)
    correlation = np.corrcoef(batches, rowvar=False)
    return Estimates(
        np.append(center, np.log(variance) / 2), parts.std(axis=(0, 1)) / np.sqrt(ess), correlation
    )


def exactly(means: Array, stds: Array) -> Estimates:
    """Means and sds (q,) that are known without error."""
    q = 2 * len(means)
    return Estimates(np.append(means, np.log(stds)), np.zeros(q), np.eye(q))


def compare(one: Estimates, other: Estimates) -> Comparison:
    """Compare estimates of the same numbers.

    The sum of squares of z with correlation R is distributed as sum_i lambda_i chi^2_1, lambda the
    eigenvalues of R: as chi^2 with q degrees of freedom if R is the unit matrix, and wider else.
    """
    total = np.hypot(one.errors, other.errors)
    shares = [estimates.errors / total for estimates in (one, other)]
    correlation = sum(np.outer(s, s) * e.correlation for s, e in zip(shares, (one, other), strict=True))
    eigenvalues = np.maximum(np.linalg.eigvalsh(correlation), 0.0)
    squares = np.random.default_rng(0).standard_normal((200_000, len(total))) ** 2 @ eigenvalues / len(total)
    low, high = np.quantile(squares, (BAND / 2, 1 - BAND / 2))
    return Comparison((one.values - other.values) / total, (float(low), float(high)))


def rank(draws: Array, truth: float, *, rng: np.random.Generator) -> int:
    """Rank of the truth among 99 of the draws, evenly spaced; ties are broken at random."""
    flat = draws.reshape(-1)
    chosen = flat[np.linspace(0, len(flat) - 1, N_RANKS).astype(int)]
    return int((chosen < truth).sum() + rng.integers(0, (chosen == truth).sum() + 1))


def check_calibration(hits: NDArray[np.bool_], ranks: NDArray[np.int64], ess: float) -> dict[str, float]:
    """Give p-values for intervals and ranks of replications whose truth came from the prior.

    Parameters
    ----------
    hits : (replications, q) bool
        Whether the central 94 % interval held the truth. The chance is 0.94 for endless draws, and
        0.94 (n - 1) / (n + 1) for n independent ones, as n - 1 gaps of n + 1 lie between the extremes.
    ranks : (replications, q) int
        From ``rank``, uniform on 0..99.
    ess : float
        How many independent draws the intervals stand on, at least.

    Returns
    -------
    dict
        Two-sided p-values, the smallest of the q numbers times q, of coverage (binomial), and of the mean and
        the mean square of the ranks' normal scores, which show bias and wrong width far sooner.
    """
    n, q = hits.shape
    covered = hits.sum(axis=0)
    below = binom.cdf(covered, n, PROBABILITY * (ess - 1) / (ess + 1))
    above = binom.sf(covered - 1, n, PROBABILITY)
    scores = ndtri((ranks + 0.5) / (N_RANKS + 1))
    unit = np.mean(ndtri((np.arange(N_RANKS + 1) + 0.5) / (N_RANKS + 1)) ** 2)
    bias = norm.sf(np.abs(scores.sum(axis=0)) / np.sqrt(n * unit))
    squares = (scores**2).sum(axis=0) / unit
    width = np.minimum(chi2.cdf(squares, n), chi2.sf(squares, n))
    tails = {"coverage": np.minimum(below, above), "bias": bias, "width": width}
    return {key: float(min(1.0, 2 * q * tail.min())) for key, tail in tails.items()}


def is_calibrated(p_values: dict[str, float]) -> bool:
    """Whether all p-values are credible, for a thousandth of all simulations to fail by chance."""
    return min(p_values.values()) > MIN_P / len(p_values)
