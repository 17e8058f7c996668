"""The families that priors are made of.

Each is written for a whole row of classes: parameters are numbers or one number a class, and densities of
``x`` with shape (..., n_classes) come back with shape (...). All are normalized, so that posteriors under
different priors can be compared.
"""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError

Array = NDArray[np.float64]
Numbers = float | tuple[float, ...]

LARGEST = 1e120  # beyond any intensity, and float64 holds its square and the inverse


@dataclass(frozen=True)
class Family:
    """A distribution of one number a class, with parameters that are numbers or one number a class."""

    name: ClassVar[str]
    positive: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = _row(self.name, field.name, getattr(self, field.name))
            if value.ndim > 1 or not np.isfinite(value).all():
                raise OptionError(
                    f"{self.name} prior: {field.name} must be a finite number, or one a class, "
                    f"got {value.tolist()}"
                )
            if (abs(value) > LARGEST).any() or (field.name in self.positive and _near_zero(value)):
                raise OptionError(
                    f"{self.name} prior: {field.name} must be from {1 / LARGEST:g} to {LARGEST:g} in size, "
                    f"got {value.tolist()}; give one nearer to the data"
                )
            if field.name in self.positive and not (value > 0).all():
                raise OptionError(f"{self.name} prior: {field.name} must be positive, got {value.tolist()}")
            object.__setattr__(self, field.name, tuple(value.tolist()) if value.ndim else float(value))

    def expand(self, n_classes: int) -> "Family":
        """Give every parameter one number a class."""
        rows = {}
        for field in fields(self):
            value = np.atleast_1d(getattr(self, field.name))
            if len(value) not in (1, n_classes):
                raise OptionError(
                    f"{self.name} prior: {field.name} must be one number or {n_classes} (one a class), "
                    f"got {len(value)}"
                )
            rows[field.name] = tuple(np.broadcast_to(value, n_classes).tolist())
        return type(self)(**rows)

    @property
    def exchangeable(self) -> bool:
        """Whether every class has the same parameters."""
        return all(np.ptp(getattr(self, field.name)) == 0 for field in fields(self))

    @cached_property
    def parameters(self) -> Array:
        """(2, n_classes): the first and the second parameter, 0 where there is none."""
        rows = [np.asarray(getattr(self, field.name)) for field in fields(self)]
        return np.stack([rows[0], rows[1] if len(rows) > 1 else np.zeros_like(rows[0])])

    def to_dict(self) -> dict[str, object]:
        """Return the family's name and parameters, ready for JSON or TOML."""
        return {"family": self.name} | {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    def log_density(self, x: Array) -> Array:
        """Log density of x (..., n_classes), summed over the classes; -inf outside the support."""
        raise OptionError(f"{self.name} has no density of its own")

    def slope(self, x: Array) -> Array:
        """Derivative of the log density with respect to each x, inside the support."""
        raise OptionError(f"{self.name} has no density of its own")

    @property
    def support(self) -> tuple[Array, Array]:
        """Lowest and highest value of each class, (n_classes,) each."""
        n_classes = self.parameters.shape[1]
        return np.full(n_classes, -np.inf), np.full(n_classes, np.inf)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Draws of shape (*shape, n_classes)."""
        raise OptionError(f"{self.name} cannot be sampled")

    def log_density_given(self, x: Array, stds: Array) -> Array:
        """Log density of means x where the classes have these stds, both (..., n_classes)."""
        return self.log_density(x)

    def slopes_given(self, x: Array, stds: Array) -> tuple[Array, Array]:
        """Derivatives of ``log_density_given`` with respect to each x and to each log std."""
        return self.slope(x), np.zeros_like(x)

    def sample_given(self, stds: Array, rng: np.random.Generator) -> Array:
        """Draws of means where the classes have these stds (..., n_classes)."""
        return self.sample(stds.shape[:-1], rng)


def _near_zero(value: Array) -> bool:
    return bool(((value > 0) & (value < 1 / LARGEST)).any())


def _row(family: str, name: str, value: object) -> Array:
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise OptionError(
            f"{family} prior: {name} must be a finite number, or one a class, got {value!r}"
        ) from None


@dataclass(frozen=True)
class Normal(Family):
    """Normal with the given mean and standard deviation."""

    mean: Numbers
    std: Numbers
    name: ClassVar[str] = "normal"
    positive: ClassVar[tuple[str, ...]] = ("std",)

    def log_density(self, x: Array) -> Array:  # noqa: D102
        mean, std = self.parameters
        density: Array = (-0.5 * ((x - mean) / std) ** 2 - np.log(std * np.sqrt(2 * np.pi))).sum(axis=-1)
        return density

    def slope(self, x: Array) -> Array:  # noqa: D102
        mean, std = self.parameters
        slope: Array = (mean - x) / std**2
        return slope

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:  # noqa: D102
        mean, std = self.parameters
        return rng.normal(mean, std, (*shape, len(mean)))


@dataclass(frozen=True)
class ScaledNormal(Family):
    """Normal with the given mean and standard deviation sigma_k / sqrt(size), sigma_k the class's own.

    As if ``size`` pixels of the class had been seen before. With `InverseGamma` on the variances it is the
    normal-inverse-gamma prior, conjugate to the normal density (Gelman et al. 2013, Bayesian Data Analysis,
    section 3.3).
    """

    mean: Numbers
    size: Numbers
    name: ClassVar[str] = "scaled-normal"
    positive: ClassVar[tuple[str, ...]] = ("size",)

    def log_density_given(self, x: Array, stds: Array) -> Array:  # noqa: D102
        mean, size = self.parameters
        squares = size * ((x - mean) / stds) ** 2
        density: Array = (0.5 * np.log(size / (2 * np.pi)) - np.log(stds) - 0.5 * squares).sum(axis=-1)
        return density

    def slopes_given(self, x: Array, stds: Array) -> tuple[Array, Array]:  # noqa: D102
        mean, size = self.parameters
        return size * (mean - x) / stds**2, size * ((x - mean) / stds) ** 2 - 1.0

    def sample_given(self, stds: Array, rng: np.random.Generator) -> Array:  # noqa: D102
        mean, size = self.parameters
        draws: Array = rng.normal(mean, stds / np.sqrt(size))
        return draws


@dataclass(frozen=True)
class Uniform(Family):
    """Uniform between ``low`` and ``high``."""

    low: Numbers
    high: Numbers
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.all(np.asarray(self.low) < np.asarray(self.high)):
            raise OptionError(f"uniform prior: low must be below high, got {self.low} and {self.high}")

    def log_density(self, x: Array) -> Array:  # noqa: D102
        low, high = self.parameters
        inside = ((x >= low) & (x <= high)).all(axis=-1)
        return np.where(inside, -np.log(high - low).sum(), -np.inf)

    def slope(self, x: Array) -> Array:  # noqa: D102
        return np.zeros_like(x)

    @property
    def support(self) -> tuple[Array, Array]:  # noqa: D102
        low, high = self.parameters
        return low, high

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:  # noqa: D102
        low, high = self.parameters
        return rng.uniform(low, high, (*shape, len(low)))


@dataclass(frozen=True)
class HalfNormal(Family):
    """Absolute value of a Normal(0, std)."""

    std: Numbers
    name: ClassVar[str] = "half-normal"
    positive: ClassVar[tuple[str, ...]] = ("std",)

    def log_density(self, x: Array) -> Array:  # noqa: D102
        std = self.parameters[0]
        density = (-0.5 * (x / std) ** 2 + 0.5 * np.log(2 / np.pi) - np.log(std)).sum(axis=-1)
        return np.where((x >= 0).all(axis=-1), density, -np.inf)

    def slope(self, x: Array) -> Array:  # noqa: D102
        slope: Array = -x / self.parameters[0] ** 2
        return slope

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:  # noqa: D102
        std = self.parameters[0]
        draws: Array = np.abs(rng.normal(0.0, std, (*shape, len(std))))
        return draws


@dataclass(frozen=True)
class InverseGamma(Family):
    """Inverse gamma on the variance x^2, as a density of the standard deviation x.

    p(x) = 2 b^a / Gamma(a) x^(-2a - 1) exp(-b / x^2), with a the shape and b the scale.
    """

    shape: Numbers
    scale: Numbers
    name: ClassVar[str] = "inverse-gamma"
    positive: ClassVar[tuple[str, ...]] = ("shape", "scale")

    def log_density(self, x: Array) -> Array:  # noqa: D102
        from scipy.special import gammaln

        a, b = self.parameters
        safe = np.maximum(x, 1e-150)
        constant = np.log(2) + a * np.log(b) - gammaln(a)
        density = (constant - (2 * a + 1) * np.log(safe) - b / safe**2).sum(axis=-1)
        return np.where((x > 0).all(axis=-1), density, -np.inf)

    def slope(self, x: Array) -> Array:  # noqa: D102
        a, b = self.parameters
        slope: Array = -(2 * a + 1) / x + 2 * b / x**3
        return slope

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:  # noqa: D102
        a, b = self.parameters
        draws: Array = np.sqrt(b / rng.standard_gamma(np.broadcast_to(a, (*shape, len(a)))))
        return draws


@dataclass(frozen=True)
class Dirichlet(Family):
    """Dirichlet on the weights; for two classes Dirichlet((a, b)) is Beta(a, b) on the first."""

    concentration: Numbers
    name: ClassVar[str] = "dirichlet"
    positive: ClassVar[tuple[str, ...]] = ("concentration",)

    def log_density(self, x: Array) -> Array:  # noqa: D102
        from scipy.special import gammaln, xlogy

        a = self.parameters[0]
        density = xlogy(a - 1, np.maximum(x, 1e-300)).sum(axis=-1) + gammaln(a.sum()) - gammaln(a).sum()
        return np.where((x > 0).all(axis=-1), density, -np.inf)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:  # noqa: D102
        return rng.dirichlet(self.parameters[0], shape)


FAMILIES: dict[str, type[Family]] = {
    family.name: family for family in (Normal, ScaledNormal, Uniform, HalfNormal, InverseGamma, Dirichlet)
}
