"""Numbers without a picture: simulated from a mixture, checked, counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, OptionError, check_whole
from .imaging.arrays import as_numbers, is_exact
from .imaging.image import Image
from .imaging.levels import Levels, Quantization, count_levels
from .seeds import Rng, generator_of

Array = NDArray[np.float64]

MAX_CLASSES = 16


class Truth(NamedTuple):
    """What a simulated mixture was made of, each (n_classes,)."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Samples:
    """Scalar data.

    Attributes
    ----------
    values : (n,) float64, finite
    labels : (n,) uint8 or None
        The class that each value came from, where it is known.
    truth : Truth or None
        The mixture that they came from, where it is known.
    source : str
        The path as given, or "array".
    column : str or None
        The name of the table's column, or its number from 1.
    notes : tuple of str
        What reading had to decide, such as which column to take.

    Raises
    ------
    InputError
        If the values are not finite real numbers in one row.
    """

    values: Array
    labels: NDArray[np.uint8] | None = None
    truth: Truth | None = None
    source: str = "array"
    column: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", os.fsdecode(self.source))
        object.__setattr__(self, "values", _checked_row(self.values, self.source))


def simulate_mixture(
    n: int,
    weights: Sequence[float],
    means: Sequence[float],
    stds: Sequence[float],
    rng: Rng = None,
) -> Samples:
    """Draw from a Gaussian mixture: z ~ Categorical(w), y ~ Normal(mu_z, sigma_z).

    Parameters
    ----------
    n : int
        How many, from 1 to 10**8.
    weights, means, stds : sequence of float, (n_classes,)
        Weights are positive and sum to 1, stds positive.
    rng : Generator, SeedSequence, seed or None

    Raises
    ------
    OptionError
        If a parameter is out of its range.

    Examples
    --------
    >>> samples = simulate_mixture(500, (0.25, 0.75), (100, 200), (20, 20), rng=5)
    >>> samples.values.shape, int(samples.labels.sum())
    ((500,), 362)
    """
    from scipy import stats

    check_whole("n", n, 1, 10**8)
    truth = checked_truth(weights, means, stds)
    generator = generator_of(rng)
    labels = generator.choice(len(truth.weights), n, p=truth.weights).astype(np.uint8)
    normal = stats.norm(np.array(truth.means)[labels], np.array(truth.stds)[labels])
    return Samples(np.atleast_1d(normal.rvs(random_state=generator)), labels, truth)


def checked_truth(weights: Iterable[float], means: Iterable[float], stds: Iterable[float]) -> Truth:
    """Return a mixture's parameters if there can be such a mixture; raise OptionError otherwise."""
    try:
        truth = Truth(*(tuple(float(x) for x in part) for part in (weights, means, stds)))
    except (TypeError, ValueError):
        raise OptionError(
            "weights, means and stds must be numbers, one a class; give for example (1, 2)"
        ) from None
    if not 1 <= len(truth.weights) == len(truth.means) == len(truth.stds) <= MAX_CLASSES:
        raise OptionError(
            f"weights, means and stds must have one number a class each, 1 to {MAX_CLASSES} of them, "
            f"got {len(truth.weights)}, {len(truth.means)} and {len(truth.stds)}; add what is missing"
        )
    numbers = np.array(truth)
    if not np.isfinite(numbers).all() or (numbers[[0, 2]] <= 0).any() or abs(numbers[0].sum() - 1) > 1e-9:
        raise OptionError(
            f"weights must be positive and sum to 1, stds be positive, and all finite, got {tuple(truth)}; "
            "correct them"
        )
    return truth


def as_samples(values: ArrayLike, *, source: str = "array") -> Samples:
    """Check scalar data (n,) and wrap it; of a masked array what is masked is left out.

    Raises
    ------
    InputError
        If the values are not finite real numbers in one row.
    """
    return Samples(values, source=source)  # type: ignore[arg-type]  # it makes an array of them


def _checked_row(values: ArrayLike, source: str) -> Array:
    if np.ma.isMaskedArray(values) and np.ndim(values) == 1:
        values = values.compressed()
    given = as_numbers(values, f"{source}: data")
    if not is_exact(given):
        raise InputError(
            f"{source}: data must be within +-2**44 where they are integers, got {given.min()} to "
            f"{given.max()}; take an offset off first"
        )
    if given.ndim != 1 or not given.size:
        raise InputError(
            f"{source}: data must be one row of values, got shape {given.shape}; flatten or fill it"
        )
    with np.errstate(over="ignore"):
        array = given.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        raise InputError(
            f"{source}: data must be finite, value {wrong[0] + 1} of {array.size} is {array[wrong[0]]:g}"
            f"{f' and {len(wrong) - 1} others are not' if len(wrong) > 1 else ''}; leave it out"
        )
    return array


def count_samples(samples: Samples, *, quantization: Quantization = "auto") -> Levels:
    """Count the distinct values; by itself only what was visibly rounded stands for intervals.

    "auto" takes up to 4096 values that lie on no even grid for exact, and more on a grid of 4096 intervals.
    """
    row = Image(samples.values[None], source=samples.source)
    levels = count_levels(row, quantization=quantization)
    if quantization == "auto" and len(np.unique(samples.values)) != levels.n_levels:
        exact = count_levels(row, quantization=None)
        return exact if exact.n_levels <= 4096 else levels
    return levels
