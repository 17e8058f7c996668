"""Where chains of a field begin: at the classes that best tell the levels of neighbor pairs.

Where noise hides the classes the mixture of single pixels says little of them, and chains that begin there
stay far from the posterior for long. Pairs tell more, if labels hang together.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..mixture.chains import Stream, generator
from ..mixture.density import Observed, Parameters, unpack
from ..mixture.modes import find_modes, fit_em
from ..mixture.priors import ResolvedPriors
from ..mixture.starts import centers_of
from .chains import FIRST_BETA, Beginning, Problem
from .lattice import some_of
from .normalizer import ordering_beta
from .pairs import Fit, count_pairs, fit_pairs

Array = NDArray[np.float64]

WIDTHS = (1.0, 2.0, 4.0)  # sds of the Gaussian filter, in pixels
N_BINS, N_STEPS = 256, 200  # of the smoothed picture's histogram, and of EM on it
LEAST = 10  # pixels of a class
ABOUT = 5.0  # nats: fits no worse than this may be the better ones
MAX_PIXELS = 1 << 19  # of a larger picture every second or third pixel, and so on, is taken


def find_beginning(problem: Problem, *, seed: int) -> Beginning:
    """The classes that best tell the levels of neighbor pairs (see ``pairs``), found from several starts.

    These are the mixture's classes, and the moments of what smoothed pictures are told apart into. Of fits
    about as good that with the classes furthest apart is taken, from where labels find the others soonest.
    Beta, where it is inferred, is at most where order sets in: from there labels still move.
    """
    rng, n_classes, beta = generator(seed, Stream.MODES), problem.n_classes, problem.beta
    mixture = unpack(find_modes(problem.target, n_classes, rng=rng)[0].point)
    best = Beginning(mixture, FIRST_BETA if beta is None else beta, np.zeros(n_classes))
    if n_classes == 1:
        return best
    lattice = problem.sweeps.lattice
    fit = _best_fit(problem, mixture, rng)
    if fit is None:
        return best
    critical = ordering_beta(lattice, n_classes)
    beta = min(fit.beta(), critical) if beta is None else beta
    if beta >= critical:
        return Beginning(fit.classes, beta, np.zeros(n_classes))
    return Beginning(fit.classes, beta, fit.logits(float(lattice.couplings.sum()), beta))


def _best_fit(problem: Problem, mixture: Parameters, rng: np.random.Generator) -> Fit | None:
    """Of fits about as good as the best the one with classes furthest apart; None if there is none."""
    lattice = problem.sweeps.lattice
    pairs = count_pairs(lattice, lattice.join(problem.sweeps.codes), problem.target.observed)
    if not pairs.counts.any():
        return None
    fits = [fit_pairs(pairs, classes) for classes in _starts(problem, mixture, rng)]
    fits = [fit for fit in fits if _is_possible(problem.target.priors, fit.classes)]
    highest = max((fit.log_likelihood for fit in fits), default=0.0)
    good = [fit for fit in fits if fit.log_likelihood > highest - ABOUT]
    return max(good, key=lambda fit: fit.gap, default=None)


def _is_possible(priors: ResolvedPriors, classes: Parameters) -> bool:
    """Whether means ascend and the prior allows them and the stds; weights are whatever they are."""
    equal = np.full((1, len(classes.means)), 1 / len(classes.means))
    density = priors.log_density(equal, classes.means[None], classes.stds[None])[0]
    return bool(np.isfinite(density) and (np.diff(classes.means) > 0).all())


def _starts(problem: Problem, mixture: Parameters, rng: np.random.Generator) -> Iterator[Parameters]:
    """The mixture's classes, and those of smoothed pictures."""
    yield mixture
    picture, inside = _thinned(problem)
    for labels in _labelings(picture, inside, len(mixture.means), rng):
        found = _moments(picture[inside], labels[inside], len(mixture.means))
        if found is not None:
            yield found


def _thinned(problem: Problem) -> tuple[Array, NDArray[np.bool_]]:
    """Pixels in equal steps along each axis; which of them count."""
    lattice, observed = problem.sweeps.lattice, problem.target.observed
    chosen = some_of(lattice.shape, MAX_PIXELS)
    codes = lattice.join(problem.sweeps.codes)[chosen]
    domain = None if lattice.domain is None else lattice.domain[chosen]
    inside = np.ones(codes.shape, bool) if domain is None else domain
    return centers_of(observed)[observed.columns][codes], inside


def _labelings(
    picture: Array, inside: NDArray[np.bool_], n_classes: int, rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Labels by the mixtures of means over neighborhoods of several widths."""
    from scipy.ndimage import gaussian_filter

    for width in WIDTHS:
        share = gaussian_filter(inside.astype(np.float64), width)
        smooth = gaussian_filter(np.where(inside, picture, 0.0), width) / np.maximum(share, 1e-9)
        counts, edges = np.histogram(smooth[inside], N_BINS)
        if counts.max() < counts.sum():
            bins = Observed(edges, counts.astype(np.float64), np.arange(N_BINS))
            yield _classify(smooth, fit_em(bins, n_classes, n_steps=N_STEPS, rng=rng)[0])


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
