"""Which draws and chains a selection names, and how many draws must be left."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import OptionError

MIN_DRAWS = 4  # of a chain, for a summary


def draws_of(n_draws: int, draw: object) -> tuple[int, int, int]:
    """First, last and step of a slice of so many draws, which leaves enough of them; None is all.

    Raises
    ------
    OptionError
        If ``draw`` is no slice, goes backward, or leaves too few draws.
    """
    try:
        given: Any = slice(None) if draw is None else draw
        first, last, every = given.indices(n_draws)
        left = len(range(first, last, every)) if every > 0 else 0
    except (AttributeError, TypeError, ValueError):
        first, last, every, left = 0, 0, 1, -1
    if left < min(MIN_DRAWS, n_draws):
        raise OptionError(
            f"draw must be a slice that goes forward and leaves at least {MIN_DRAWS} of {n_draws} draws, "
            f"got {draw!r}; give for example slice({n_draws // 2}, None)"
        )
    return first, last, every


def chains_of(n_chains: int, chain: object) -> NDArray[np.intp]:
    """Return the numbers of the chains that are meant, at least one, each once; None is all.

    Raises
    ------
    OptionError
        If there is no such chain, or one is named twice.
    """
    try:
        given: Any = slice(None) if chain is None else chain
        chains = np.atleast_1d(np.arange(n_chains)[given])
    except (IndexError, TypeError, ValueError):
        chains = np.empty(0, np.intp)
    if not len(chains) or chains.ndim > 1:
        raise OptionError(
            f"chain must name chains from 0 to {n_chains - 1}, got {chain!r}; give for example 0"
        )
    if len(set(chains.tolist())) < len(chains):
        raise OptionError(f"chain must name each chain once, got {chain!r}; a copy is no new chain")
    return chains
