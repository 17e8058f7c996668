"""From levels to a judged posterior: modes, chains, verdict, and more draws where it asks for them."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import diagnostics
from ..errors import InputError, OptionError, check_whole
from ..imaging.levels import Levels
from ..posterior import Posterior
from . import gibbs, independence
from .density import Target, observe, unpack
from .modes import find_modes
from .priors import Priors

Array = NDArray[np.float64]
Sampler = Literal["independence", "gibbs"]

SAMPLERS: tuple[Sampler, ...] = ("independence", "gibbs")
MAX_CLASSES = 16
TUNE = {"independence": 50, "gibbs": 500}
MAX_DRAWS = 10**7
MAX_NUMBERS = 2 * 10**7  # draws of all classes, some 200 bytes each on the way
HOPELESS_R_HAT = 1.5  # after a first doubling: more of the same will not do
EXTENSIONS = 3  # a run that has not converged is doubled at most so often


@dataclass(frozen=True)
class Plan:
    """What was asked of the sampler."""

    sampler: Sampler
    draws: int
    tune: int | None
    chains: int
    seed: int

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise OptionError(f"sampler must be {' or '.join(SAMPLERS)}, got {self.sampler!r}; name one")
        for name, least, most in (("draws", 4, 10**7), ("chains", 1, 1000), ("tune", 0, 10**7)):
            value = getattr(self, name)
            if name == "tune" and value is None:
                continue
            check_whole(name, value, least, most)
        if self.chains * self.draws > MAX_DRAWS:
            raise OptionError(
                f"chains times draws must be at most {MAX_DRAWS}, got {self.chains * self.draws}; use fewer"
            )


class Chains(Protocol):
    """Chains that can be run piece by piece."""

    quality: tuple[float | None, float | None]

    def run(self, n: int) -> tuple[Array, Array]:
        """Make n steps of every chain; points (n_chains, n, d) and their log density (n_chains, n)."""


def sample(levels: Levels, *, n_classes: int, priors: Priors, plan: Plan, source: str = "array") -> Posterior:
    """Sample the posterior of the mixture.

    A run whose verdict is bad is doubled up to three times. Where the independence sampler's weights have a
    heavy tail (Pareto k above 0.7), ``gibbs`` takes over and the posterior says so.

    Parameters
    ----------
    levels : Levels
    n_classes : int
        K, from 1 to 16 and at most the number of levels.
    priors : Priors
    plan : Plan
    source : str
        What messages call the data.

    Returns
    -------
    Posterior

    Raises
    ------
    InputError
        If the data cannot carry so many classes.
    OptionError
        If an option is out of its range.
    """
    check_classes(levels, n_classes, source)
    if plan.chains * plan.draws * n_classes > MAX_NUMBERS:
        raise OptionError(
            f"chains times draws times n_classes must be at most {MAX_NUMBERS}, got "
            f"{plan.chains * plan.draws * n_classes}; use fewer draws"
        )
    observed = observe(levels)
    target = Target(observed, priors.resolve(observed, n_classes))
    streams = np.random.SeedSequence(plan.seed).spawn(2 * plan.chains + 1)
    start, *rngs = [np.random.default_rng(stream) for stream in streams]
    proposal = independence.around_modes(find_modes(target, n_classes, rng=start))
    proposal = independence.with_exchanges(proposal, n_classes)
    proposal, _ = independence.adapt(target, proposal, rng=start)
    notes: list[str] = []
    if plan.sampler == "independence":
        chains = independence.IndependenceChains(target, proposal, rngs[: plan.chains])
        posterior = _extend(levels, target, plan, "independence", chains, notes)
        if posterior.converged:
            return posterior
        notes.append(f"gibbs took over from independence: {'; '.join(posterior.verdict.reasons)}")
    followers = gibbs.GibbsChains(target, proposal, rngs[plan.chains :])
    return _extend(levels, target, plan, "gibbs", followers, notes)


def check_classes(levels: Levels, n_classes: int, source: str = "array") -> None:
    """Refuse a number of classes that the data cannot carry."""
    check_whole("n_classes", n_classes, 1, MAX_CLASSES)
    if levels.n_pixels < 3 * n_classes - 1:
        several = n_classes > 1
        raise InputError(
            f"{source}: too few pixels for {n_classes} {'classes' if several else 'class'}: at least "
            f"{3 * n_classes - 1} must count, got {levels.n_pixels}; take a larger image"
            f"{' or lower n_classes' if several else ''}"
        )
    if n_classes > 1 and levels.n_levels == 1:
        raise InputError(
            f"{source}: the image is constant (every pixel is {levels.values[0]:g}), "
            f"so it has no {n_classes} classes; use one class (-k 1)"
        )
    if n_classes > levels.n_levels:
        raise InputError(
            f"{source}: n_classes must be at most the number of distinct intensities ({levels.n_levels}), "
            f"got {n_classes}; lower n_classes (-k {levels.n_levels})"
        )


def _extend(
    levels: Levels, target: Target, plan: Plan, sampler: Sampler, chains: Chains, notes: list[str]
) -> Posterior:
    """Run, judge, and while the verdict is bad throw all away as tune and run twice as long."""
    tune = TUNE[sampler] if plan.tune is None else plan.tune
    draws = plan.draws
    if tune:
        chains.run(tune)
    for extension in range(EXTENSIONS + 1):
        more = [f"extended to {draws} draws a chain"] if extension else []
        posterior = _posterior(levels, target, plan, sampler, chains, (draws, tune), notes + more)
        hopeless = extension and max(row.r_hat for row in posterior.summary().values()) > HOPELESS_R_HAT
        if posterior.converged or hopeless or (posterior.pareto_k or 0.0) > diagnostics.MAX_PARETO_K:
            break
        if 2 * draws * plan.chains * posterior.n_classes > MAX_NUMBERS:
            break
        tune += draws
        draws *= 2
    return posterior


def _posterior(
    levels: Levels,
    target: Target,
    plan: Plan,
    sampler: Sampler,
    chains: Chains,
    size: tuple[int, int],
    notes: list[str],
) -> Posterior:
    points, density = chains.run(size[0])
    weights, means, stds = unpack(points)
    jacobian = np.log(weights).sum(axis=2) + np.log(stds).sum(axis=2)
    return Posterior(
        weights, means, stds, density - jacobian,
        levels.values, levels.counts, levels.step, levels.open_ends, target.priors.to_dict(),
        sampler, plan.seed, size[1], *chains.quality, notes=tuple(notes),
    )  # fmt: skip
