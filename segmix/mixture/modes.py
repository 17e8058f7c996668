"""Point estimates: the maximum of the likelihood by EM, and the posterior's modes by Newton's method."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from .density import Observed, Parameters, Target, pack, unpack
from .em import em_step
from .starts import good_starts

Array = NDArray[np.float64]

MAX_MODES = 12
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
    modes = [mode for mode in modes if np.isfinite(mode.log_evidence)]
    if not modes:
        raise OptionError(
            f"the prior rules out the data (intensities {target.observed.span[0]:g} to "
            f"{target.observed.span[1]:g}), or holds numbers too large to compute with; widen it"
        )
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
