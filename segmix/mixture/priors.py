"""What is believed of weights, means and standard deviations before the image is seen.

The prior is on ordered classes: p(w, mu, sigma) is the product of the three families, restricted to
mu_1 < ... < mu_K. Where all classes have one prior, that is the unordered prior with its draws sorted.
"""

import os
import tomllib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OptionError
from ..imaging.guard import open_regular
from .density import Observed
from .distributions import (
    FAMILIES,
    Dirichlet,
    Family,
    InverseGamma,
    Normal,
    Numbers,
    ScaledNormal,
    Uniform,
)

Array = NDArray[np.float64]
_FOR_MEANS = ("normal", "uniform", "scaled-normal")
_FOR_STDS = ("uniform", "half-normal", "inverse-gamma")
MAX_ROUNDS = 1000
MAX_TOML = 1 << 20  # bytes
_ALLOWED = {"means": _FOR_MEANS, "stds": _FOR_STDS, "weights": ("dirichlet",)}


@dataclass(frozen=True)
class Priors:
    """Priors of the means, standard deviations and weights; what is None is scaled to the data.

    Parameters
    ----------
    means : Normal, Uniform or ScaledNormal (by the class's own sd), optional
        Default: Normal(midrange, range) of the intensities.
    stds : Uniform, HalfNormal or InverseGamma (on the variance), optional
        Default: Uniform(0, range / 2); without quantization from a floor of 1/4096 of the range, since the
        density of a class on one level has no bound.
    weights : Dirichlet, optional
        Default: Dirichlet(1, ..., 1).

    Examples
    --------
    >>> from segmix import Normal, Priors
    >>> Priors(means=Normal((20, 180), 15)).means
    Normal(mean=(20.0, 180.0), std=15.0)
    """

    means: Family | None = None
    stds: Family | None = None
    weights: Family | None = None

    def __post_init__(self) -> None:
        for part, allowed in _ALLOWED.items():
            family = getattr(self, part)
            if family is not None and not isinstance(family, Family):
                raise OptionError(f"prior of {part} must be {_either(allowed)}, got {family!r}; see Priors")
            if family is not None and family.name not in allowed:
                raise OptionError(
                    f"prior of {part} must be {_either(allowed)}, got {family.name}; take one of these"
                )
        if isinstance(self.stds, Uniform) and np.min(self.stds.low) < 0:
            raise OptionError(f"prior of stds: low must not be negative, got {self.stds.low}; give 0")

    @classmethod
    def lecture(cls) -> "Priors":
        """The lecture's: centers Normal((110, 210), 10), stds Uniform(0, 100), share Uniform(0, 1)."""
        return cls(Normal((110.0, 210.0), 10.0), Uniform(0.0, 100.0), Dirichlet(1.0))

    @classmethod
    def conjugate(cls, mean: Numbers, size: Numbers, shape: Numbers, scale: Numbers) -> "Priors":
        """The normal-inverse-gamma prior, and Dirichlet(1, ..., 1) on the weights.

        sigma_k^2 ~ InverseGamma(shape, scale), mu_k given sigma_k ~ Normal(mean, sigma_k / sqrt(size)).

        >>> from segmix import Priors
        >>> Priors.conjugate(mean=(100, 200), size=1, shape=3, scale=800).means
        ScaledNormal(mean=(100.0, 200.0), size=1.0)
        """
        return cls(ScaledNormal(mean, size), InverseGamma(shape, scale), Dirichlet(1.0))

    @classmethod
    def from_dict(cls, parts: dict[str, Any], *, source: str = "priors") -> "Priors":
        """Build priors from {"means": {"family": "normal", "mean": 0, "std": 1}, "stds": ..., ...}."""
        if not isinstance(parts, dict):
            raise OptionError(f"{source} must be a table of means, stds and weights, got {parts!r}")
        unknown = sorted(set(parts) - set(_ALLOWED))
        if unknown:
            raise OptionError(f"{source}: unknown key {unknown[0]!r}; known are means, stds, weights")
        return cls(**{part: _family(f"{source}: {part}", part, given) for part, given in parts.items()})

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> "Priors":
        r"""Read priors from a TOML file with the tables [means], [stds] and [weights], each optional.

        >>> import pathlib, tempfile, segmix
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "prior.toml"
        >>> _ = path.write_text('[means]\nfamily = "normal"\nmean = [20, 180]\nstd = 15')
        >>> segmix.Priors.from_toml(path).means
        Normal(mean=(20.0, 180.0), std=15.0)
        """
        try:
            with open_regular(path) as file:
                parts = tomllib.loads(file.read(MAX_TOML).decode("utf-8"))
        except InputError as error:
            raise InputError(f"{path}: {error}".replace("picture", "prior")) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise OptionError(f"{path}: the prior file is not TOML ({error}); mend that line") from None
        return cls.from_dict(parts, source=str(path))

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Return the parts that are set, ready for JSON and for ``from_dict``."""
        return {part: getattr(self, part).to_dict() for part in _ALLOWED if getattr(self, part) is not None}

    def resolve(self, observed: Observed, n_classes: int) -> "ResolvedPriors":
        """Turn the priors into absolute numbers for this data, one a class."""
        low, high = observed.span
        spread = high - low
        floor = 0.0 if observed.binned else spread / 4096
        means = self.means or Normal((low + high) / 2, spread)
        stds = self.stds or Uniform(floor, max(spread / 2, 2 * floor))
        parts = (means, stds, self.weights or Dirichlet(1.0))
        resolved = ResolvedPriors(*(part.expand(n_classes) for part in parts))
        _check_order(resolved.means)
        return resolved


@dataclass(frozen=True)
class ResolvedPriors:
    """Priors in absolute numbers, one a class, restricted to ascending means."""

    means: Family
    stds: Family
    weights: Family

    @property
    def exchangeable(self) -> bool:
        """Whether all classes have the same prior."""
        return self.means.exchangeable and self.stds.exchangeable and self.weights.exchangeable

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Return the three parts, ready for JSON and for ``Priors.from_dict``."""
        return Priors(self.means, self.stds, self.weights).to_dict()

    def log_density(self, weights: Array, means: Array, stds: Array) -> Array:
        """Log prior, up to the constant of the restriction, of parameters (..., n_classes); shape (...)."""
        with np.errstate(divide="ignore"):
            total = (
                self.weights.log_density(weights)
                + self.means.log_density_given(means, stds)
                + self.stds.log_density(stds)
            )
        return np.where((np.diff(means, axis=-1) > 0).all(axis=-1), total, -np.inf)

    def sample(self, n: int, *, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Draw n weights, means and stds, each (n, n_classes), means ascending."""
        kept: list[tuple[Array, Array, Array]] = []
        rounds = 0
        while sum(len(draws[0]) for draws in kept) < n:
            rounds += 1
            if rounds > MAX_ROUNDS:
                raise OptionError(
                    "prior of means must let them ascend from class to class, but too few of "
                    f"{n * MAX_ROUNDS} draws did; order the classes by intensity"
                )
            weights, stds = self.weights.sample((n,), rng), self.stds.sample((n,), rng)
            draws = [weights, self.means.sample_given(stds, rng), stds]
            if self.exchangeable:
                order = np.argsort(draws[1], axis=1)
                draws = [np.take_along_axis(part, order, axis=1) for part in draws]
            ascending = (np.diff(draws[1], axis=1) > 0).all(axis=1)
            kept.append(tuple(part[ascending] for part in draws))  # type: ignore[arg-type]
        weights, means, stds = (np.concatenate(parts)[:n] for parts in zip(*kept, strict=True))
        return weights, means, stds


def check_proper(observed: Observed, priors: ResolvedPriors, source: str) -> None:
    """Refuse the plain density where a class may shrink to a value and no posterior exists.

    A class that holds nothing but m equal values has the marginal likelihood sigma^(1 - m), whose integral
    from 0 has no end for m of 2 or more. Where its mean has a prior of width sigma / sqrt(size), it is
    sigma^(-m) for values at that prior's center, and falls like exp(-c / sigma^2) for all others. One class
    holds all values, so that they must be one value. Intervals bound the likelihood, and an inverse-gamma
    prior falls faster than any power of sigma rises. Nor does a class shrink to a value that its mean cannot
    come to.
    """
    shrinking = priors.stds.support[0] <= 0
    if observed.binned or priors.stds.name == "inverse-gamma" or not shrinking.any():
        return
    if len(shrinking) == 1 and len(observed.nodes) > 1:
        return
    scaled = priors.means.name == "scaled-normal"
    held = np.flatnonzero(_may_hold_a_class(observed, priors.means, shrinking))
    if not len(held):
        return
    value, times = observed.nodes[held[0]], int(observed.counts[held[0]])
    what = "a value at the center of the prior of means" if scaled else "tied values"
    raise OptionError(
        f"{source}: without quantization {what} ({value:g} occurs {times} time{'s' if times > 1 else ''}) "
        f"need{'s' if scaled else ''} a prior of stds that keeps from 0, got {priors.stds.name} from 0; give "
        "a quantization, a uniform prior with a positive low, or inverse-gamma"
    )


def _may_hold_a_class(observed: Observed, means: Family, shrinking: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Values (n_counts,) that one of the classes that may shrink (n_classes,) can shrink to.

    As means ascend, the range of a uniform prior ends where that of a class before it begins or of one after
    it ends.
    """
    if means.name == "scaled-normal":
        return np.isin(observed.nodes, means.parameters[0][shrinking])
    low, high = means.support
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]
    values = observed.nodes[:, None]
    within = ((low <= values) & (values <= high))[:, shrinking]
    held: NDArray[np.bool_] = within.any(axis=1) & (observed.counts > 1)
    return held


def _either(names: tuple[str, ...]) -> str:
    """Join names as "a, b or c"."""
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _check_order(means: Family) -> None:
    """Refuse uniform priors under which no means ascend."""
    low, high = means.parameters
    if means.name == "uniform" and not (np.maximum.accumulate(low) < high).all():
        raise OptionError(
            f"prior of means must let them ascend from class to class, got low {low.tolist()} and high "
            f"{high.tolist()}; order the classes by intensity"
        )


def _family(source: str, part: str, given: object) -> Family:
    if not isinstance(given, dict) or given.get("family") not in list(FAMILIES):
        raise OptionError(
            f"{source} must be a table with family = one of {', '.join(_ALLOWED[part])}, got {given!r}"
        )
    family = FAMILIES[given["family"]]
    numbers = {key: value for key, value in given.items() if key != "family"}
    known = [name for name in family.__dataclass_fields__ if name not in ("name", "positive")]
    wrong = sorted(set(numbers) ^ set(known))
    if wrong:
        problem = "unknown" if wrong[0] in numbers else "missing"
        raise OptionError(f"{source}: {problem} key {wrong[0]!r}; {family.name} takes {', '.join(known)}")
    try:
        return family(**{key: tuple(v) if isinstance(v, list) else v for key, v in numbers.items()})
    except (TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise OptionError(f"{source}: {error}") from None
        raise OptionError(f"{source}: {family.name} takes numbers, got {numbers}") from None
