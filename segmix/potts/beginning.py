"""Where chains of a field begin: at the classes of the picture as it came or smoothed, whichever fit better.

Where noise hides the classes the mixture of single pixels says little of them, and chains that begin there
stay far from the posterior for long. Means over neighborhoods tell classes apart, if labels hang together.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..mixture.chains import Stream, generator
from ..mixture.density import Observed, Parameters, unpack
from ..mixture.modes import find_modes, fit_em
from ..mixture.priors import ResolvedPriors
from ..mixture.starts import centers_of
from .chains import FIRST_BETA, Beginning, Problem
from .lattice import Lattice
from .normalizer import ordering_beta
from .pilot import Pilot

Array = NDArray[np.float64]

WIDTHS = (1.0, 2.0, 4.0)  # sds of the Gaussian filter, in pixels
N_BINS, N_STEPS = 256, 200  # of the smoothed picture's histogram, and of EM on it
LEAST = 10  # pixels of a class
MAX_PIXELS = 1 << 19  # of a larger picture every second or third pixel, and so on, is taken


def find_beginning(problem: Problem, *, seed: int) -> Beginning:
    """The classes and beta with the highest p(y | z) p(z) p(means, stds), p(z) by pseudo-likelihood.

    Labels z are the mixture's, whose classes are the mixture's own, and those of smoothed pictures, whose
    classes are the moments of their pixels. Beta, where it is inferred, is at most where order sets in: from
    there labels still move.
    """
    rng, n_classes = generator(seed, Stream.MODES), problem.n_classes
    mixture = unpack(find_modes(problem.target, n_classes, rng=rng)[0].point)
    beta, best_fit = problem.beta, -np.inf
    best = Beginning(mixture, FIRST_BETA if beta is None else beta)
    if n_classes == 1:
        return best
    lattice, picture, inside = _thinned(problem)
    critical, pilot = ordering_beta(lattice, n_classes), Pilot(lattice, n_classes, rng=rng)
    for is_mixture, labels in _labelings(picture, inside, mixture, rng):
        found = _moments(picture[inside], labels[inside], n_classes)
        if found is None:
            continue
        theta = np.append(np.zeros(n_classes - 1), beta or 0.0)
        theta = pilot.mode(labels, theta, fixed_beta=beta is not None)
        fit = pilot.log_likelihood(labels, theta) - float(found.weights @ np.log(found.stds))
        classes = mixture if is_mixture else found
        fit = inside.sum() * fit + _log_prior(problem.target.priors, classes)
        if fit > best_fit:
            best = Beginning(classes, min(float(theta[-1]), critical) if beta is None else beta)
            best_fit = fit
    return best


def _log_prior(priors: ResolvedPriors, classes: Parameters) -> float:
    """Of means and stds, weights being whatever they are."""
    equal = np.full((1, len(classes.means)), 1 / len(classes.means))
    return float(priors.log_density(equal, classes.means[None], classes.stds[None])[0])


def _thinned(problem: Problem) -> tuple[Lattice, Array, NDArray[np.bool_]]:
    """Pixels in equal steps along each axis, on a lattice of their own; which of them count."""
    lattice, observed = problem.sweeps.lattice, problem.target.observed
    step = int(np.ceil((np.prod(lattice.shape) / MAX_PIXELS) ** (1 / lattice.ndim)))
    chosen = (slice(None, None, step),) * lattice.ndim
    codes = lattice.join(problem.sweeps.codes)[chosen]
    domain = None if lattice.domain is None else lattice.domain[chosen]
    inside = np.ones(codes.shape, bool) if domain is None else domain
    fewer = replace(lattice, shape=codes.shape, domain=domain)
    return fewer, centers_of(observed)[observed.columns][codes], inside


def _labelings(
    picture: Array, inside: NDArray[np.bool_], mixture: Parameters, rng: np.random.Generator
) -> Iterator[tuple[bool, NDArray[np.uint8]]]:
    """Labels by the mixture, and by that of means over neighborhoods of several widths."""
    from scipy.ndimage import gaussian_filter

    yield True, _classify(picture, mixture)
    for width in WIDTHS:
        share = gaussian_filter(inside.astype(np.float64), width)
        smooth = gaussian_filter(np.where(inside, picture, 0.0), width) / np.maximum(share, 1e-9)
        counts, edges = np.histogram(smooth[inside], N_BINS)
        if counts.max() < counts.sum():
            bins = Observed(edges, counts.astype(np.float64), np.arange(N_BINS))
            yield False, _classify(smooth, fit_em(bins, len(mixture.means), n_steps=N_STEPS, rng=rng)[0])


def _classify(picture: Array, classes: Parameters) -> NDArray[np.uint8]:
    """The most probable class of every pixel, a stranger to the others."""
    best, highest = np.zeros(picture.shape, np.uint8), np.full(picture.shape, -np.inf)
    for k, (weight, mean, std) in enumerate(zip(*classes, strict=True)):
        density = np.log(weight / std) - ((picture - mean) / std) ** 2 / 2
        best[density > highest] = k
        highest = np.maximum(highest, density)
    return best


def _moments(values: Array, labels: NDArray[np.uint8], n_classes: int) -> Parameters | None:
    """Shares, means and stds of each class's pixels; None unless means ascend and no class is tiny."""
    sizes = np.bincount(labels, minlength=n_classes).astype(np.float64)
    if sizes.min() < LEAST:
        return None
    means = np.bincount(labels, values, n_classes) / sizes
    variances = np.bincount(labels, (values - means[labels]) ** 2, n_classes) / sizes
    if (np.diff(means) <= 0).any() or variances.min() <= 0:
        return None
    return Parameters(sizes / sizes.sum(), means, np.sqrt(variances))
