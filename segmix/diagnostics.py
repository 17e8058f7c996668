"""How far the draws of a Markov chain can be trusted.

Rank-normalized split R-hat and effective sample sizes follow Vehtari, Gelman, Simpson, Carpenter and
Buerkner (2021), Bayesian Analysis 16, 667; the Pareto k of importance weights follows Vehtari, Simpson,
Gelman, Yao and Gabry (2024), JMLR 25, 72. A test holds them to ArviZ's values.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import OptionError

MAX_R_HAT = 1.01
MIN_ESS_PER_CHAIN = 100
MAX_PARETO_K = 0.7
TAILS = (0.05, 0.95)
LARGEST_SHOWN = 100.0  # R-hat; where chains hardly move its digits mean nothing
LEAST_DRAWS = 8  # of a chain, whose halves take four each for an effective sample size

Array = NDArray[np.float64]


class ParameterSummary(NamedTuple):
    """What the draws say of one number, and how well they say it.

    ``low`` and ``high`` bound the central interval of ``probability`` (0.94); ``mcse_mean`` is the Monte
    Carlo standard error of ``mean``.
    """

    mean: float
    sd: float
    low: float
    high: float
    mcse_mean: float
    ess_bulk: float
    ess_tail: float
    r_hat: float


class Verdict(NamedTuple):
    """Whether the draws have converged, and if not, why not."""

    converged: bool
    reasons: tuple[str, ...]


def summarize(draws: Array, *, probability: float = 0.94) -> ParameterSummary:
    """Summarize the draws of one number.

    Parameters
    ----------
    draws : (n_chains, n_draws) float64
    probability : float
        Of the central interval, in (0, 1).
    """
    if not 0 < probability < 1:
        raise OptionError(f"probability must be between 0 and 1, got {probability}")
    low, high, *tails = _quantiles(draws, (1 - probability) / 2, (1 + probability) / 2, *TAILS)
    halves = _split(draws)
    scores = _rank_normalize(halves)
    plain, bulk, *tail = _ess(np.stack([halves, scores, *_split_tails(draws, tails)]))
    sd = float(draws.std(ddof=1))
    return ParameterSummary(
        float(draws.mean()), sd, low, high, sd / float(np.sqrt(plain)), bulk, min(tail),
        max(_plain_r_hat(scores), _plain_r_hat(_rank_normalize(_fold(halves)))),
    )  # fmt: skip


def judge(
    parameters: Mapping[str, ParameterSummary],
    n_chains: int,
    *,
    pareto_k: float | None = None,
    n_diverging: int = 0,
) -> Verdict:
    """Say whether R-hat, effective sample sizes and (where importance weights exist) Pareto k are good.

    One divergence of a Hamiltonian sampler is too many: there are places that it does not reach.
    """
    reasons = []
    worst = max(parameters, key=lambda name: _nan_is_worst(parameters[name].r_hat))
    if not parameters[worst].r_hat < MAX_R_HAT:
        reasons.append(f"R-hat of {worst} is {format_r_hat(parameters[worst].r_hat)}, not below {MAX_R_HAT}")
    reasons += _short_of_ess(parameters, MIN_ESS_PER_CHAIN * n_chains)
    if pareto_k is not None and not pareto_k <= MAX_PARETO_K:
        reasons.append(f"Pareto k of the proposal's weights is {pareto_k:.2f}, not at most {MAX_PARETO_K}")
    if n_diverging:
        plural = "s" if n_diverging > 1 else ""
        reasons.append(f"{n_diverging} draw{plural} diverged, not 0; take independence or gibbs")
    return Verdict(not reasons, tuple(reasons))


def _short_of_ess(parameters: Mapping[str, ParameterSummary], needed: int) -> list[str]:
    """Say which effective sample sizes are too small, or that no draws tell them."""
    if any(np.isnan(row.ess_bulk) and np.isfinite(row.mean) for row in parameters.values()):
        return [f"there are too few draws to tell ESS, fewer than {LEAST_DRAWS} a chain; make more"]
    reasons = []
    for kind in ("ess_bulk", "ess_tail"):
        sizes = {name: getattr(row, kind) for name, row in parameters.items()}
        name = min(sizes, key=lambda name: -_nan_is_worst(-sizes[name]))
        if not sizes[name] >= needed:
            size = f"{sizes[name]:.0f}, not at least {needed}"
            reasons.append(f"{kind.removeprefix('ess_')} ESS of {name} is {size}")
    return reasons


def format_r_hat(r_hat: float) -> str:
    """Return R-hat with three decimals, or in words where these say nothing."""
    if np.isnan(r_hat):
        return "unknown"
    return f"above {LARGEST_SHOWN:g}" if r_hat > LARGEST_SHOWN else f"{r_hat:.3f}"


def format_worst(rows: Iterable[ParameterSummary]) -> tuple[str, str]:
    """Return the largest R-hat and the smallest bulk effective sample size of several numbers."""
    rows = list(rows)
    size = min((row.ess_bulk for row in rows), key=lambda size: -_nan_is_worst(-size))
    largest = max((row.r_hat for row in rows), key=_nan_is_worst)
    return format_r_hat(largest), "unknown" if np.isnan(size) else f"{size:.0f}"


def _nan_is_worst(value: float) -> float:
    return np.inf if np.isnan(value) else value


def r_hat(draws: Array) -> float:
    """Rank-normalized split R-hat, the larger of bulk and folded; draws (n_chains, n_draws)."""
    halves = _split(draws)
    return max(_plain_r_hat(_rank_normalize(halves)), _plain_r_hat(_rank_normalize(_fold(halves))))


def ess_bulk(draws: Array) -> float:
    """Effective sample size of the rank-normalized split chains; draws (n_chains, n_draws)."""
    return _ess(_rank_normalize(_split(draws))[None])[0]


def ess_tail(draws: Array) -> float:
    """Smaller effective sample size of the 5 % and the 95 % quantile; draws (n_chains, n_draws)."""
    return min(_ess(np.stack(_split_tails(draws, _quantiles(draws, *TAILS)))))


def effective_sample_size(draws: Array) -> float:
    """Effective sample size of the mean of split chains; draws (n_chains, n_draws)."""
    return _ess(_split(draws)[None])[0]


def _quantiles(draws: Array, *probabilities: float) -> list[float]:
    """Quantiles by linear interpolation, from one sort."""
    ordered = np.sort(draws, axis=None)
    place = np.asarray(probabilities) * (ordered.size - 1)
    below = place.astype(np.intp)
    above = np.minimum(below + 1, ordered.size - 1)
    quantiles: list[float] = (ordered[below] + (place - below) * (ordered[above] - ordered[below])).tolist()
    return quantiles


def _split(draws: NDArray[np.generic]) -> Array:
    """(n_chains, n_draws) -> (2 n_chains, n_draws // 2)."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]]).astype(np.float64)


def _split_tails(draws: Array, quantiles: list[float]) -> list[Array]:
    return [_split(draws <= quantile) for quantile in quantiles]


def _fold(draws: Array) -> Array:
    folded: Array = np.abs(draws - np.median(draws))
    return folded


def _rank_normalize(draws: Array) -> Array:
    """Replace each draw by the normal score of its (tie-averaged) rank among all."""
    from scipy.special import ndtri

    if not np.isfinite(draws).all():
        return np.full(draws.shape, np.nan)
    order = np.argsort(draws, axis=None)
    ordered = draws.reshape(-1)[order]
    new = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > 0)  # where a run of equal draws begins
    last = np.append(new[1:], draws.size)
    scores = np.empty(draws.size)
    scores[order] = np.repeat(ndtri(((new + last + 1) / 2 - 0.375) / (draws.size + 0.25)), last - new)
    return scores.reshape(draws.shape)


def _plain_r_hat(draws: Array) -> float:
    n = draws.shape[1]
    within = float(draws.var(axis=1, ddof=1).mean())
    between = n * float(draws.mean(axis=1).var(ddof=1))
    if within == 0:
        return np.nan if between == 0 else np.inf
    return float(np.sqrt((between / within + n - 1) / n))


def _ess(series: Array) -> list[float]:
    """Effective sample size of each of several series of chains (n_series, n_chains, n_draws)."""
    if series.shape[2] < 4:
        return [np.nan] * len(series)
    return [
        _ess_of_covariance(draws, covariance)
        for draws, covariance in zip(series, _mean_autocovariance(series), strict=True)
    ]


def _ess_of_covariance(draws: Array, covariance: Array) -> float:
    """Geyer's initial monotone sequence of the chains' combined autocorrelations."""
    n_chains, n = draws.shape
    if not np.isfinite(draws).all():
        return np.nan
    if np.ptp(draws) <= np.finfo(float).resolution * np.abs(draws).max():
        return float(draws.size)
    within = covariance[0] * n / (n - 1)
    total = covariance[0] + (draws.mean(axis=1).var(ddof=1) if n_chains > 1 else 0.0)
    rho = 1 - (within - covariance) / total
    rho[0] = 1.0
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(axis=1)[: (n - 2) // 2]
    negative = np.flatnonzero(pairs[1:] <= 0)
    last = int(negative[0]) + 1 if len(negative) else len(pairs) - 1
    monotone = np.minimum.accumulate(pairs[:last])
    tau = -1 + 2 * monotone.sum() + max(rho[2 * last], 0.0)
    return float(draws.size / max(tau, 1 / np.log10(draws.size)))


def _mean_autocovariance(series: Array) -> Array:
    """Autocovariance at every lag, averaged over chains: (n_series, n_draws)."""
    n = series.shape[2]
    padded = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(series - series.mean(axis=2, keepdims=True), padded, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    covariance: Array = np.fft.irfft(power, padded, axis=1)[:, :n] / n
    return covariance


def pareto_k(log_weights: Array) -> float:
    """Shape of the generalized Pareto tail of importance weights; below 0.7 the weights can be used.

    Parameters
    ----------
    log_weights : (n,) float64
        -inf for points outside the target's support.
    """
    n = len(log_weights)
    weights = np.sort(np.exp(log_weights - log_weights.max()))
    n_tail = int(np.ceil(min(n / 5, 3 * np.sqrt(n))))
    cutoff = weights[-n_tail - 1]
    tail = weights[-n_tail:][weights[-n_tail:] > cutoff] - cutoff
    return _generalized_pareto_shape(tail) if len(tail) > 4 else np.inf


def _generalized_pareto_shape(tail: Array) -> float:
    """Posterior mean of the shape (Zhang and Stephens 2009, Technometrics 51, 316); ``tail`` ascends."""
    n = len(tail)
    m = 30 + int(np.sqrt(n))
    quartile = tail[int(n / 4 + 0.5) - 1]
    b = (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile) + 1 / tail[-1]
    k = np.log1p(-b[:, None] * tail).mean(axis=1)
    fit = n * (np.log(-b / k) - k - 1)
    weight = np.exp(fit - fit.max())
    weight[weight < 10 * np.finfo(float).eps * weight.sum()] = 0.0
    shape = np.log1p(-(b * weight).sum() / weight.sum() * tail).mean()
    return float((n * shape + 5) / (n + 10))
