"""How preprocessing steps are written: their names, arguments and one form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from segmix.errors import OptionError

USAGE: dict[str, tuple[str, tuple[type[float], ...], tuple[float, ...] | None]] = {
    "gaussian": ("gaussian:SIGMA", (float,), None),
    "median": ("median:RADIUS", (int,), None),
    "nlm": ("nlm or nlm:H", (float,), (0.8,)),
    "tv": ("tv:WEIGHT", (float,), None),
    "background": ("background:RADIUS", (int,), None),
    "tophat": ("tophat:RADIUS", (int,), None),
    "equalize": ("equalize", (), ()),
    "rescale": ("rescale:LOW,HIGH", (float, float), None),
    "crop": ("crop:TOP,LEFT,HEIGHT,WIDTH", (int, int, int, int), None),
}
"""Of each step: how it is written, the types of its arguments, and their defaults, None if there are none."""


def as_steps(steps: object) -> list[str]:
    """Return one step or several as a list."""
    several = isinstance(steps, Iterable) and not isinstance(steps, str)
    listed: list[Any] = list(steps) if several else [steps]  # type: ignore[call-overload]
    for step in listed:
        if not isinstance(step, str):
            raise OptionError(f"preprocessing step must be a text, got {step!r}; write 'gaussian:1.5', say")
    return listed


def parse_step(step: str) -> tuple[str, tuple[float, ...]]:
    """Split a step into its name and its numbers, with defaults filled in.

    Raises
    ------
    OptionError
        If the name is unknown, or the arguments are too few, too many or not finite.
    """
    name, _, text = step.strip().partition(":")
    if name not in USAGE:
        known = ", ".join(usage for usage, _, _ in USAGE.values())
        raise OptionError(f"preprocessing step must be one of {known}, got {step!r}")
    usage, kinds, defaults = USAGE[name]
    words = text.split(",") if text.strip() else []
    try:
        arguments = tuple(kind(word) for kind, word in zip(kinds, words, strict=True)) if words else defaults
        if arguments is not None and all(math.isfinite(argument) for argument in arguments):
            return name, arguments
    except (ValueError, OverflowError):
        pass
    raise OptionError(f"preprocessing step must be written {usage}, got {step!r}")


def canonical(name: str, arguments: Sequence[float]) -> str:
    """Write a step in the one form in which it is recorded."""
    return ":".join([name, ",".join(f"{argument:.12g}" for argument in arguments)]).rstrip(":")
