"""What segmix raises when the input, an option or a target cannot be used.

Every message names the thing, the rule, what came and the remedy. Any other exception is a bug.
"""

import math
from numbers import Integral, Real
from typing import Any

_MOST_SHOWN = 60  # letters of a value in a message


class SegmixError(Exception):
    """Something the user gave cannot be used; the message says what and what to do."""


class InputError(SegmixError):
    """A picture, an array or a saved posterior cannot be used."""


class OutputError(SegmixError):
    """A target cannot be written."""


class UnreadyError(OutputError):
    """A run on its way has nothing yet that could be kept; so many ``sweeps`` it has made."""

    def __init__(self, message: str, sweeps: int) -> None:
        super().__init__(message)
        self.sweeps = sweeps


class OptionError(SegmixError, ValueError):
    """An option is outside its range."""


class ConvergenceWarning(UserWarning):
    """The draws do not support the answer; the message gives the reasons."""


def printable(text: str) -> str:
    r"""Return text in one line without control characters, which could move the cursor or forge a line.

    Examples
    --------
    >>> printable("two\nlines")
    'two\\nlines'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: Any) -> str:
    """Return what stands for a value in a message: in one line, cut where it is long."""
    try:
        text = printable(repr(value))
    except ValueError:  # a whole number of more digits than Python writes
        return f"a {type(value).__name__} of too many digits"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def as_float(value: Any) -> float:
    """Return a real number as float, infinite beyond its range; NaN for all else, also True and False.

    Examples
    --------
    >>> as_float(10**400), as_float("1"), as_float(True)
    (inf, nan, nan)
    """
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # of NumPy, arrays without axes included
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf * (1 if abs(value) == value else -1)


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number in a range as int; raise OptionError for any other, also True and False."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not (least <= value and (most is None or value <= most)):
        upward = "upward" if most is None else f"to {most}"
        raise OptionError(
            f"{name} must be a whole number from {least} {upward}, got {shown(value)}; give one"
        )
    return int(value)
