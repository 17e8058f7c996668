"""Point estimates: expectation-maximization, and the posterior's modes by Newton's method.

Both take their steps from the scores of the likelihood over levels. An EM step is a scaled gradient step
(Xu and Jordan 1996, Neural Computation 8, 129), which holds for intervals and points alike.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .density import Observed, Parameters, Target, pack, unpack

Array = NDArray[np.float64]

N_STARTS, N_KEPT = 16, 3  # times the number of classes squared: local maxima multiply with the classes
FIRST_STEPS, STEPS_PER_CLASS = 6, 12  # of EM: from all starts, and from those that are kept
START_LEVELS = 64
MAX_MODES = 4
NEGLIGIBLE = 20.0  # nats of evidence below the best mode


class Mode(NamedTuple):
    """A local maximum of the posterior in the coordinates of ``density.pack``.

    ``scales`` (d,) are the standard errors that the expected class sizes suggest; ``precision`` (d, d) is
    the negative Hessian in units of them, made positive definite.
    """

    point: Array
    log_density: float
    scales: Array
    precision: Array

    @property
    def log_evidence(self) -> float:
        """Laplace's approximation of the mode's share of the evidence, up to a common constant."""
        return self.log_density + float(
            np.log(self.scales).sum() - 0.5 * np.linalg.slogdet(self.precision)[1]
        )


def em_step(observed: Observed, parameters: Parameters) -> tuple[Array, Parameters]:
    """One EM step for a batch of parameters (n, n_classes); returns the log likelihood before it too."""
    from .kernels import scores

    weights, means, stds = (np.ascontiguousarray(part) for part in parameters)
    likelihood, sizes, by_mean, by_log_std = scores(observed.nodes, observed.counts, weights, means, stds)
    sizes = np.maximum(sizes, 1e-3)
    shift = stds**2 * by_mean / sizes
    variance = stds**2 * (1 + by_log_std / sizes) - shift**2
    low, high = observed.span
    floor = (high - low) / (np.sqrt(12) * 4096)
    moved = means + shift
    return likelihood, Parameters(
        sizes / sizes.sum(axis=1, keepdims=True),
        np.clip(moved, low - 2 * (high - low), high + 2 * (high - low)),
        np.clip(np.sqrt(np.maximum(variance, 0.0)), floor, 2 * (high - low)),
    )


def fit_em(
    observed: Observed,
    n_classes: int,
    *,
    n_steps: int = 1000,
    tolerance: float = 1e-8,
    rng: np.random.Generator,
) -> tuple[Parameters, float]:
    """Maximize the likelihood by EM from the best of many starts.

    Returns
    -------
    Parameters (n_classes,) in order of ascending mean, and their log likelihood.
    """
    likelihood, starts = em_step(observed, good_starts(observed, n_classes, rng=rng))
    best = Parameters(*(part[[int(likelihood.argmax())]] for part in starts))
    previous = -np.inf
    for _ in range(n_steps):
        likelihood, best = em_step(observed, best)
        if abs(likelihood[0] - previous) <= tolerance * observed.counts.sum():
            break
        previous = float(likelihood[0])
    order = np.argsort(best.means[0])
    return Parameters(*(part[0][order] for part in best)), previous


def good_starts(observed: Observed, n_classes: int, *, rng: np.random.Generator) -> Parameters:
    """The best of many starts after some EM steps on joined levels, which cost next to nothing, (n, K)."""
    coarse = coarsen(observed, START_LEVELS * max(1, n_classes // 2))
    starts = random_starts(coarse, n_classes, N_STARTS * n_classes**2, rng=rng)
    for n_steps in (FIRST_STEPS, STEPS_PER_CLASS * n_classes):
        for _ in range(n_steps):
            likelihood, starts = em_step(coarse, starts)
        best = np.argsort(-likelihood, kind="stable")[: N_KEPT * n_classes**2]
        starts = Parameters(*(part[best] for part in starts))
    return starts


def random_starts(observed: Observed, n_classes: int, n: int, *, rng: np.random.Generator) -> Parameters:
    """Moments of the intensities between random quantiles; the first start uses equal shares, (n, K)."""
    shares = rng.dirichlet(np.ones(n_classes), n)
    shares[0] = 1 / n_classes
    cuts = np.concatenate([np.zeros((n, 1)), np.cumsum(shares, axis=1)], axis=1)
    values, counts = _centers(observed), observed.counts
    reached = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    part = np.diff(np.minimum(cuts[:, 1:, None], reached[None, None]), axis=2) - np.diff(
        np.minimum(cuts[:, :-1, None], reached[None, None]), axis=2
    )
    sizes = np.maximum(part.sum(axis=2), 1e-12)
    means = (part * values).sum(axis=2) / sizes
    variance = (part * (values - means[..., None]) ** 2).sum(axis=2) / sizes
    low, high = observed.span
    floor = (high - low) / (8 * len(counts)) + (high - low) / 1000
    spread = np.arange(n_classes) * 1e-6 * (high - low)
    return Parameters(np.maximum(shares, 1e-3), means + spread, np.sqrt(variance + floor**2))


def _centers(observed: Observed) -> Array:
    """An intensity for each count; the finite edge of an open interval."""
    if not observed.binned:
        return observed.nodes
    lower, upper = observed.nodes[:-1], observed.nodes[1:]
    lower, upper = np.where(np.isinf(lower), upper, lower), np.where(np.isinf(upper), lower, upper)
    return np.nan_to_num((lower + upper) / 2, posinf=0.0, neginf=0.0)


def coarsen(observed: Observed, n_levels: int) -> Observed:
    """Join neighboring levels until at most ``n_levels`` of about equal width are left."""
    every = -(-len(observed.counts) // n_levels)
    if every == 1:
        return observed
    first = np.arange(0, len(observed.counts), every)
    counts = np.add.reduceat(observed.counts, first)
    if observed.binned:
        return Observed(np.append(observed.nodes[first], observed.nodes[-1]), counts, first)
    total = np.add.reduceat(observed.counts * observed.nodes, first)
    kept = counts > 0
    return Observed(total[kept] / counts[kept], counts[kept], first[kept])


def find_modes(target: Target, n_classes: int, *, rng: np.random.Generator) -> list[Mode]:
    """Climb from many EM starts to the distinct modes of the posterior, the one with most evidence first."""
    likelihood, starts = em_step(target.observed, good_starts(target.observed, n_classes, rng=rng))
    modes: list[Mode] = []
    for row in np.argsort(-likelihood, kind="stable"):
        order = np.argsort(starts.means[row])
        point = pack(Parameters(*(part[row][order] for part in starts)))
        if not _near(modes, point, 0.3) and np.isfinite(target.log_density(point[None])[0]):
            mode = climb(target, point)
            if not _near(modes, mode.point, 0.01):
                modes.append(mode)
        if len(modes) == MAX_MODES:
            break
    modes = modes or [climb(target, _inside(target, n_classes, rng))]
    modes.sort(key=lambda mode: -mode.log_evidence)
    return [mode for mode in modes if mode.log_evidence > modes[0].log_evidence - NEGLIGIBLE]


def _inside(target: Target, n_classes: int, rng: np.random.Generator) -> Array:
    """The best of many prior draws, for priors that rule out every EM start."""
    points = pack(Parameters(*target.priors.sample(2000, rng=rng)))
    best: Array = points[int(target.log_density(points).argmax())]
    return best


def _near(modes: list[Mode], point: Array, tolerance: float) -> bool:
    """Whether a mode has about the same weights, means and stds, relative to its stds."""
    weights, means, stds = unpack(point)
    for mode in modes:
        other = unpack(mode.point)
        distance = np.abs(means - other.means) / other.stds + np.abs(np.log(stds / other.stds))
        if max(distance.max(), np.abs(weights - other.weights).max()) < tolerance:
            return True
    return False


def climb(target: Target, point: Array, *, n_steps: int = 50) -> Mode:
    """Newton's method with step halving, on coordinates in units of their standard errors."""
    density = float(target.log_density(point[None])[0])
    for _ in range(n_steps):
        scales = standard_errors(target, point)
        gradient = target.gradient(point[None])[0] * scales
        step = np.linalg.solve(_precision(target, point, scales), gradient)
        sizes = 0.5 ** np.arange(12)[:, None]
        candidates = point + sizes * (step * scales)
        heights = target.log_density(candidates)
        best = int(heights.argmax())
        gain = float(heights[best]) - density
        if not gain > 0:
            break
        point, density = candidates[best], float(heights[best])
        if gain < 1e-4 and np.abs(step).max() < 0.1:
            break
    scales = standard_errors(target, point)
    return Mode(point, density, scales, _precision(target, point, scales))


def standard_errors(target: Target, point: Array) -> Array:
    """Standard errors of the coordinates if every pixel's class were known, at least one pixel a class."""
    weights, _, stds = unpack(point)
    sizes = weights * target.observed.counts.sum() + 1.0
    logits = np.sqrt(1 / sizes[:-1] + 1 / sizes[-1])
    return np.concatenate([logits, stds / np.sqrt(sizes), 1 / np.sqrt(2 * sizes)])


def _precision(target: Target, point: Array, scales: Array) -> Array:
    """Negative Hessian in units of ``scales``, by differences of the gradient, made positive definite."""
    step = 0.1
    offsets = step * np.diag(scales)
    slopes = target.gradient(np.concatenate([point + offsets, point - offsets])) * scales
    d = len(point)
    hessian = (slopes[:d] - slopes[d:]) / (2 * step)
    values, vectors = np.linalg.eigh(-(hessian + hessian.T) / 2)
    values = np.maximum(np.abs(values), 1e-3)
    precision: Array = np.einsum("ij,j,kj->ik", vectors, values, vectors)
    return precision
