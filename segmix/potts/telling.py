"""Telling how far a search is, while no run could go on from there."""

import time
from collections.abc import Callable

from ..mixture.chains import Steps, join
from .running import FieldChains

SECONDS = 0.2  # between two moments that are told of

Told = Callable[[int], None]  # how many sweeps were made, by each chain and of fields of the prior


def seldom(told: Told | None, count: Callable[[], int]) -> Callable[[], None]:
    """What tells the count when it is called, but not more often than every moment."""
    if told is None:
        return lambda: None
    due = time.monotonic()

    def tell() -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + SECONDS
            told(count())

    return tell


def run_told(chains: FieldChains, n: int, tell: Callable[[], None]) -> Steps:
    """Make n steps of all chains, in pieces that are told of."""
    pieces = []
    for begun in range(0, n, chains.least):
        pieces.append(chains.run(min(chains.least, n - begun)))
        tell()
    return join(pieces)
