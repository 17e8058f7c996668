"""Numbers in text, to the digits that their uncertainty resolves."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

LARGE, SMALL = 1e7, 1e-4  # where numbers are written with a power of ten, unless that would hide digits
MOST = 15  # significant digits of a double that are always right


class Interval(Protocol):
    """A number with its uncertainty."""

    @property
    def mean(self) -> float:
        """Posterior mean."""

    @property
    def sd(self) -> float:
        """Posterior standard deviation."""

    @property
    def low(self) -> float:
        """Lower end of the central 94 % interval."""

    @property
    def high(self) -> float:
        """Upper end of the central 94 % interval."""


def format_of(values: Iterable[float], widths: Iterable[float]) -> str:
    """Return the format of numbers that are known to these widths: three digits of the smallest one.

    Examples
    --------
    >>> format_of([1e9, 1e9 + 3], [0.5]), format_of([0.25], [0.01]), format_of([3e12], [4e9])
    ('.3f', '.4f', '.5e')
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    known = [width for width in widths if math.isfinite(width) and width > 0]
    place = math.floor(math.log10(largest)) if largest > 0 else 0
    decimals = 2 - math.floor(math.log10(min(known))) if known else 3
    decimals = min(decimals, MOST - place)
    if SMALL <= largest < LARGE or not largest or (known and largest >= LARGE and decimals > 0):
        return f".{max(decimals, 0)}f"
    return f".{max(decimals + place, 3) if known else 3}e"


def format_column(rows: Sequence[Interval]) -> str:
    """Return the one format in which all of these show how they differ, and how wide they are."""
    ends = [end for row in rows for end in (row.mean, row.low, row.high)]
    return format_of(ends, [row.high - row.low or row.sd for row in rows])


def with_interval(row: Interval, form: str = "") -> str:
    """Return a mean with its interval, such as "62.055 [61.921, 62.194]", by default in its own format."""
    form = form or format_column([row])
    return f"{row.mean:{form}} [{row.low:{form}}, {row.high:{form}}]"
