"""Point estimates: the maximum of the likelihood by EM, and the posterior's modes by Newton's method."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from .density import Likelihood, Observed, Parameters, Target, pack, unpack
from .em import em_step
from .starts import good_starts

Array = NDArray[np.float64]

MAX_MODES = 12
N_INSIDE = 4
START_WIDTH = 2.0  # standard errors around a mode in which PyMC's chains start
NEGLIGIBLE = 20.0  # nats of evidence below the best mode
AT_PEAK = 0.001  # standard errors, by the Newton decrement
# Least eigenvalues of a precision: of a likelihood, which no prior bends, and of a posterior.
RIDGE, WIDEST = 1e-6, 1e-3


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
    """Maximize the likelihood by EM from the best of many starts, and by Newton's method from its end.

    EM alone stops short where the likelihood is flat: its steps become small long before the peak.

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
    peak = climb(Likelihood(observed, n_classes), pack(Parameters(*(part[0] for part in best))))
    found = unpack(peak.point)
    order = np.argsort(found.means)
    return Parameters(*(part[order] for part in found)), peak.log_density


def find_modes(target: Target, n_classes: int, *, rng: np.random.Generator) -> list[Mode]:
    """Climb from many EM starts to the distinct modes of the posterior, the one with most evidence first."""
    likelihood, starts = em_step(target.observed, good_starts(target.observed, n_classes, rng=rng))
    modes: list[Mode] = []
    for row in np.argsort(-likelihood, kind="stable"):
        order = np.argsort(starts.means[row])
        point = _confined(target, pack(Parameters(*(part[row][order] for part in starts))))
        if not _near(modes, point, 0.3) and np.isfinite(target.log_density(point[None])[0]):
            mode = climb(target, point)
            if not _near(modes, mode.point, 0.01):
                modes.append(mode)
        if len(modes) == MAX_MODES:
            break
    modes = modes or [climb(target, point) for point in _inside(target, n_classes, rng)]
    modes = [mode for mode in modes if np.isfinite(mode.log_evidence)]
    if not modes:
        raise OptionError(
            f"the prior rules out the data (intensities {target.observed.span[0]:g} to "
            f"{target.observed.span[1]:g}), or holds numbers too large to compute with; widen it"
        )
    modes.sort(key=lambda mode: -mode.log_evidence)
    return [mode for mode in modes if mode.log_evidence >= modes[0].log_evidence - NEGLIGIBLE]


def points_around(
    target: Target, modes: Sequence[Mode], n: int, *, width: float, rng: np.random.Generator
) -> Parameters:
    """Points within ``width`` standard errors around the modes in turn, in support, (n, n_classes) each."""
    points = []
    for i in range(n):
        mode = modes[i % len(modes)]
        found = mode.point + rng.uniform(-width, width, (100, len(mode.point))) * mode.scales
        points.append([*found[np.isfinite(target.log_density(found))], mode.point][0])
    return unpack(np.stack(points))


def start_points(
    target: Target, modes: Sequence[Mode], chains: int, rng: np.random.Generator
) -> list[dict[str, Array]]:
    """Points around the modes in turn, as PyMC takes them.

    PyMC's own jitter, of 1 on the unconstrained scale, ends in other modes on pictures (R-hat 1.83).
    """
    parameters = points_around(target, modes, chains, width=START_WIDTH, rng=rng)
    return [
        {"weights": w, "means": m, "stds": s, "variances": s**2} for w, m, s in zip(*parameters, strict=True)
    ]


def _inside(target: Target, n_classes: int, rng: np.random.Generator) -> list[Array]:
    """The best of many prior draws, for priors that rule out every EM start."""
    points = pack(Parameters(*target.priors.sample(2000, rng=rng)))
    return list(points[np.argsort(-target.log_density(points), kind="stable")[:N_INSIDE]])


def _confined(target: Target, point: Array) -> Array:
    """The nearest point that the prior's bounds allow, its means still ascending."""
    low, high = target.bounds
    moved = np.clip(point, low, high)
    means = slice((len(point) - 2) // 3, 2 * (len(point) + 1) // 3 - 1)
    if (np.diff(moved[means]) <= 0).any():
        first, last = target.observed.span
        rising = np.maximum.accumulate(moved[means]) + 1e-6 * (last - first) * np.arange(len(moved[means]))
        moved[means] = np.minimum(rising, high[means])
    return moved


def _near(modes: list[Mode], point: Array, tolerance: float) -> bool:
    """Whether a mode has about the same weights, means and stds, relative to its stds."""
    weights, means, stds = unpack(point)
    for mode in modes:
        other = unpack(mode.point)
        distance = np.abs(means - other.means) / other.stds + np.abs(np.log(stds / other.stds))
        if max(distance.max(), np.abs(weights - other.weights).max()) < tolerance:
            return True
    return False


@np.errstate(over="ignore", invalid="ignore")
def climb(target: Target | Likelihood, point: Array, *, n_steps: int = 50) -> Mode:
    """Newton's method with step halving, on coordinates in units of their standard errors.

    It ends a thousandth of a standard error from the peak, by the Newton decrement sqrt(g' P^-1 g), g the
    gradient and P the precision (Boyd and Vandenberghe 2004, Convex Optimization, section 9.5.1), or where
    no step rises.

    A coordinate at a bound of the prior stays there while the density rises beyond; along it the posterior
    then falls like an exponential, whose rate stands for its precision.
    """
    low, high = target.bounds
    least = RIDGE if isinstance(target, Likelihood) else WIDEST
    density = float(target.log_density(point[None])[0])
    for _ in range(n_steps):
        scales = standard_errors(target, point)
        gradient, precision = _slope_and_precision(target, point, scales, least)
        if not (np.isfinite(precision).all() and np.isfinite(gradient).all()):
            break  # its evidence is not finite either
        step = np.linalg.solve(precision, gradient)
        if gradient @ step < AT_PEAK**2:
            break
        sizes = 0.5 ** np.arange(12)[:, None]
        candidates = np.clip(point + sizes * (step * scales), low, high)
        heights = target.log_density(candidates)
        best = int(heights.argmax())
        gain = float(heights[best]) - density
        if not gain > 0:
            break
        point, density = candidates[best], float(heights[best])
    scales = standard_errors(target, point)
    return Mode(point, density, scales, _slope_and_precision(target, point, scales, least)[1])


def _slope_and_precision(
    target: Target | Likelihood, point: Array, scales: Array, least: float
) -> tuple[Array, Array]:
    """Gradient and precision in units of ``scales``; 0 and the squared rate where a bound holds the point."""
    low, high = target.bounds
    gradient: Array = target.gradient(point[None])[0] * scales
    precision = _precision(target, point, scales, least)
    held = ((point <= low) & (gradient < 0)) | ((point >= high) & (gradient > 0))
    if held.any():
        precision[held], precision[:, held] = 0.0, 0.0
        precision[held, held] = np.maximum(gradient[held] ** 2, 1.0)
        gradient[held] = 0.0
    return gradient, precision


def standard_errors(target: Target | Likelihood, point: Array) -> Array:
    """Standard errors of the coordinates if every pixel's class were known, at least one pixel a class."""
    weights, _, stds = unpack(point)
    sizes = weights * target.observed.counts.sum() + 1.0
    logits = np.sqrt(1 / sizes[:-1] + 1 / sizes[-1])
    return np.concatenate([logits, stds / np.sqrt(sizes), 1 / np.sqrt(2 * sizes)])


def _precision(target: Target | Likelihood, point: Array, scales: Array, least: float) -> Array:
    """Negative Hessian in units of ``scales``, by differences of the gradient, made positive definite."""
    step = 0.1
    offsets = step * np.diag(scales)
    slopes = target.gradient(np.concatenate([point + offsets, point - offsets])) * scales
    d = len(point)
    hessian = (slopes[:d] - slopes[d:]) / (2 * step)
    if not np.isfinite(hessian).all():
        return np.full((d, d), np.nan)
    values, vectors = np.linalg.eigh(-(hessian + hessian.T) / 2)
    values = np.maximum(np.abs(values), least)
    precision: Array = np.einsum("ij,j,kj->ik", vectors, values, vectors)
    return precision
