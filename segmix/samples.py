"""Numbers without a picture: simulated from a mixture, or read from a table."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, OptionError, check_whole
from .imaging.guard import open_regular, shown
from .imaging.image import Image, is_exact
from .imaging.levels import Levels, Quantization, count_levels

Array = NDArray[np.float64]

MAX_BYTES = 1 << 30
TABLES = (".csv", ".tsv", ".txt")
TRUTH = "# segmix mixture "


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
    """

    values: Array
    labels: NDArray[np.uint8] | None = None
    truth: Truth | None = None
    source: str = "array"


def simulate_mixture(
    n: int,
    weights: Sequence[float],
    means: Sequence[float],
    stds: Sequence[float],
    rng: np.random.Generator | int | None = None,
) -> Samples:
    """Draw from a Gaussian mixture: z ~ Categorical(w), y ~ Normal(mu_z, sigma_z).

    Parameters
    ----------
    n : int
        How many, from 1 to 10**8.
    weights, means, stds : sequence of float, (n_classes,)
        Weights are positive and sum to 1, stds positive.
    rng : Generator or seed, optional

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
    truth = _checked_truth(weights, means, stds)
    rng = np.random.default_rng(rng)
    labels = rng.choice(len(truth.weights), n, p=truth.weights).astype(np.uint8)
    normal = stats.norm(np.array(truth.means)[labels], np.array(truth.stds)[labels])
    return Samples(normal.rvs(random_state=rng), labels, truth)


def _checked_truth(weights: Iterable[float], means: Iterable[float], stds: Iterable[float]) -> Truth:
    try:
        truth = Truth(*(tuple(float(x) for x in part) for part in (weights, means, stds)))
    except (TypeError, ValueError):
        raise OptionError(
            "weights, means and stds must be numbers, one a class; give for example (1, 2)"
        ) from None
    if not 1 <= len(truth.weights) == len(truth.means) == len(truth.stds) <= 16:
        raise OptionError(
            f"weights, means and stds must have one number a class each, 1 to 16 of them, got "
            f"{len(truth.weights)}, {len(truth.means)} and {len(truth.stds)}; add what is missing"
        )
    numbers = np.array(truth)
    if not np.isfinite(numbers).all() or (numbers[[0, 2]] <= 0).any() or abs(numbers[0].sum() - 1) > 1e-9:
        raise OptionError(
            f"weights must be positive and sum to 1, stds be positive, and all finite, got {tuple(truth)}; "
            "correct them"
        )
    return truth


def as_samples(values: ArrayLike, *, source: str = "array") -> Samples:
    """Check scalar data (n,) and wrap it.

    Raises
    ------
    InputError
        If the values are not finite numbers in one row.
    """
    try:
        given = np.asarray(values)
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{source}: data must be numbers; convert them first") from None
    if not is_exact(given):
        raise InputError(
            f"{source}: data must be within +-2**44 where they are integers, got {given.min()} to "
            f"{given.max()}; take an offset off first"
        )
    if array.ndim != 1 or not array.size:
        raise InputError(
            f"{source}: data must be one row of values, got shape {array.shape}; flatten or fill it"
        )
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        raise InputError(
            f"{source}: data must be finite, value {wrong[0] + 1} of {array.size} is {array[wrong[0]]:g}"
            f"{f' and {len(wrong) - 1} others are not' if len(wrong) > 1 else ''}; leave it out"
        )
    return Samples(array.copy(), source=source)


def read_samples(path: str | os.PathLike[str]) -> Samples:
    """Read a table (.csv, .tsv or .txt): its column named "value", or else its first; # begins a comment.

    The truth that ``write_samples`` put into the first line comes back.

    Raises
    ------
    InputError
        If the file cannot be used; the message names the line.
    """
    source = os.fsdecode(os.fspath(path))
    try:
        with open_regular(path) as file:
            text = file.read(MAX_BYTES).decode("utf-8-sig")
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}".replace("picture", "table")) from None
    except UnicodeDecodeError:
        raise InputError(f"{shown(path)}: is no text in UTF-8; save the table as CSV") from None
    lines = text.splitlines()
    values = as_samples(_column(shown(path), lines), source=shown(path)).values
    return Samples(values, None, _truth_in(lines), source)


def _column(path: str, lines: Sequence[str]) -> list[float]:
    """The numbers of the column "value", or of the first."""
    numbered = [(i + 1, line) for i, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InputError(f"{path}: holds no values; give a table with one value a line")
    delimiter = next((mark for mark in "\t;," if mark in numbered[0][1]), ",")
    rows = list(csv.reader((line for _, line in numbered), delimiter=delimiter))
    column, first = 0, 0
    if not _is_number(rows[0][0]):
        names = [name.strip().lower() for name in rows[0]]
        column, first = (names.index("value") if "value" in names else 0), 1
    values = []
    for (line, _), row in zip(numbered[first:], rows[first:], strict=True):
        if len(row) <= column or not _is_number(row[column]):
            found = row[column].strip() if len(row) > column else "nothing"
            raise InputError(
                f"{path}: line {line} holds {found!r} and not a number; mend or delete that line"
            )
        values.append(float(row[column]))
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _truth_in(lines: Sequence[str]) -> Truth | None:
    if not lines or not lines[0].startswith(TRUTH):
        return None
    try:
        return _checked_truth(**json.loads(lines[0].removeprefix(TRUTH)))
    except (ValueError, TypeError):
        return None


def write_samples(path: str | os.PathLike[str], samples: Samples) -> None:
    """Write a table with the columns value and label, the truth in its first line; floats lose no digit."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        if samples.truth is not None:
            file.write(TRUTH + json.dumps(samples.truth._asdict()) + "\n")
        labels = samples.labels
        file.write("value\n" if labels is None else "value,label\n")
        for i, value in enumerate(samples.values.tolist()):
            file.write(f"{value!r}\n" if labels is None else f"{value!r},{labels[i]}\n")


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
