"""How many pixels are of each class, from the posterior of the labels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .imaging.levels import Levels
from .mixture.density import Parameters, class_probabilities, observe
from .posterior import Posterior

Array = NDArray[np.float64]

N_DRAWS = 1000


class Estimate(NamedTuple):
    """Posterior mean, standard deviation and central 94 % interval of one number."""

    mean: float
    sd: float
    low: float
    high: float


class Area(NamedTuple):
    """Pixels of one class, and their share of all pixels that count."""

    label: int
    pixels: Estimate
    fraction: Estimate


def draw_areas(posterior: Posterior, levels: Levels, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the pixels of each class from the posterior of the labels, (n, n_classes).

    For each of up to 1000 draws of the parameters, evenly spaced, the pixels of a level are split among the
    classes by one multinomial draw, so that both parameters and labels are uncertain.
    """
    observed = observe(levels)
    parts = posterior.pooled(N_DRAWS)
    areas = np.empty(parts[0].shape, np.int64)
    for row in range(len(areas)):
        table = class_probabilities(observed, Parameters(*(part[row : row + 1] for part in parts)))
        areas[row] = rng.multinomial(levels.counts, (table / table.sum(axis=0)).T).sum(axis=0)
    return areas


def summarize_areas(draws: NDArray[np.int64], means: Array | None = None) -> list[Area]:
    """Summarize draws of areas (n, n_classes); ``means`` (n_classes,) are their exact posterior means."""
    total = int(draws[0].sum())
    rows = []
    for k in range(draws.shape[1]):
        pixels = summarize_draws(draws[:, k])
        if means is not None:
            pixels = pixels._replace(mean=float(means[k]))
        rows.append(Area(k, pixels, Estimate(*(value / total for value in pixels))))
    return rows


def summarize_draws(draws: NDArray[np.int64] | Array) -> Estimate:
    """Summarize draws (n,) of one number; one draw has no sd, which is NaN then."""
    low, high = np.quantile(draws, (0.03, 0.97)).tolist()
    sd = float(draws.std(ddof=1)) if len(draws) > 1 else np.nan
    return Estimate(float(draws.mean()), sd, low, high)
