"""What segmix raises when the input, an option or a target cannot be used.

Every message names the thing, the rule, what came and the remedy. Any other exception is a bug.
"""

from numbers import Integral
from typing import Any


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


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number in a range as int; raise OptionError for any other, also True and False."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not (least <= value and (most is None or value <= most)):
        upward = "upward" if most is None else f"to {most}"
        raise OptionError(f"{name} must be a whole number from {least} {upward}, got {value!r}; give one")
    return int(value)
