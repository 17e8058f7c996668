"""What is asked of a sampler, and what data and memory can carry."""

from dataclasses import dataclass
from typing import Literal

from ..errors import InputError, OptionError, check_whole
from ..imaging.levels import Levels
from ..samples import MAX_CLASSES

Sampler = Literal["independence", "gibbs", "nuts", "pymc-lecture", "potts"]

RESUMABLE: tuple[Sampler, ...] = ("independence", "gibbs")
SAMPLERS: tuple[Sampler, ...] = (*RESUMABLE, "nuts", "pymc-lecture")
SPATIAL: Sampler = "potts"  # of pictures, asked for by ``spatial``
MAX_DRAWS = 10**7
DOUBLINGS, MAX_DOUBLINGS = 3, 20  # of a run that has not converged: as a rule, and the most one may ask for
MAX_NUMBERS = 2 * 10**7  # draws of all classes, some 200 bytes each on the way


@dataclass(frozen=True)
class Plan:
    """What was asked of the sampler.

    ``thin`` keeps every thin-th step. A run that has not converged is doubled, at most ``doublings`` times.
    Without ``until_converged`` just these draws are made by just this sampler, whatever the verdict. Without
    ``jumps`` Gibbs chains make plain sweeps.
    """

    sampler: Sampler
    draws: int
    tune: int | None
    chains: int
    seed: int
    thin: int = 1
    until_converged: bool = True
    jumps: bool = True
    doublings: int = DOUBLINGS

    def __post_init__(self) -> None:
        if self.sampler not in (*SAMPLERS, SPATIAL):
            raise OptionError(f"sampler must be one of {', '.join(SAMPLERS)}, got {self.sampler!r}; name one")
        object.__setattr__(self, "sampler", str(self.sampler))
        for name, least, most in (
            ("draws", 4, 10**7), ("chains", 1, 1000), ("tune", 0, 10**7), ("thin", 1, 10**6),
            ("doublings", 0, MAX_DOUBLINGS),
        ):  # fmt: skip
            value = getattr(self, name)
            if name == "tune" and value is None:
                continue
            object.__setattr__(self, name, check_whole(name, value, least, most))
        if not self.jumps and self.sampler != "gibbs":
            raise OptionError(f"jumps are of gibbs, got none for {self.sampler}; take gibbs or leave them")
        if self.chains * self.draws * self.thin > MAX_DRAWS:
            raise OptionError(
                f"chains times draws times thin must be at most {MAX_DRAWS}, "
                f"got {self.chains * self.draws * self.thin}; use fewer"
            )


def check_more(draws: int, *, held: int, each: int, thinned: int) -> int:
    """Return the number of draws; refuse it beyond what a posterior may hold, and what a run may make.

    Parameters
    ----------
    draws, held : int
        Of each chain, to come and there already.
    each : int
        Numbers that a draw of all chains has: chains times classes.
    thinned : int
        Of so many steps one is kept.
    """
    room = MAX_NUMBERS // each - held
    if room < 1:
        raise OptionError(
            f"a posterior must have at most {MAX_NUMBERS // each} draws a chain, this one has {held}; thin it"
        )
    return check_whole("draws", draws, 1, min(room, MAX_NUMBERS // (each * thinned)))


def check_classes(
    levels: Levels, n_classes: int, source: str = "array", *, unit: Literal["pixel", "value"] = "pixel"
) -> None:
    """Refuse a number of classes that the data, pixels or other values, cannot carry."""
    check_whole("n_classes", n_classes, 1, MAX_CLASSES)
    if levels.n_pixels < 3 * n_classes - 1:
        fewer = min((levels.n_pixels + 1) // 3, levels.n_levels)
        raise InputError(
            f"{source}: too few {unit}s for {n_classes} {'classes' if n_classes > 1 else 'class'}: at least "
            f"{3 * n_classes - 1} must count, got {levels.n_pixels}; give more"
            f"{f' or lower n_classes (-k {fewer})' if fewer else ''}"
        )
    if n_classes > 1 and levels.n_levels == 1:
        raise InputError(
            f"{source}: is constant (every {unit} is {levels.values[0]:g}), "
            f"so it has no {n_classes} classes; use one class (-k 1)"
        )
    if n_classes > levels.n_levels:
        kind = "intensities" if unit == "pixel" else "values"
        raise InputError(
            f"{source}: n_classes must be at most the number of distinct {kind} ({levels.n_levels}), "
            f"got {n_classes}; lower n_classes (-k {levels.n_levels})"
        )
