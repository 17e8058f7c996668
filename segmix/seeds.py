"""What may be given as rng."""

import numpy as np

from .errors import OptionError, check_whole

Rng = int | np.random.SeedSequence | np.random.Generator | None


def generator_of(rng: Rng) -> np.random.Generator:
    """Return a Generator: the one given, or a new one from a seed, a SeedSequence or the system.

    Raises
    ------
    OptionError
        If ``rng`` is none of these.
    """
    check_rng(rng)
    return np.random.default_rng(rng)


def check_rng(rng: object) -> None:
    """Raise OptionError unless ``rng`` is a seed from 0 to 2**128 - 1, SeedSequence, Generator or None."""
    if rng is None or isinstance(rng, np.random.SeedSequence | np.random.Generator):
        return
    if not isinstance(rng, int | np.integer) or isinstance(rng, bool):
        raise OptionError(
            f"rng must be a seed, SeedSequence, Generator or None, got {type(rng).__name__}; give a number"
        )
    check_whole("rng", rng, 0, (1 << 128) - 1)
