"""What is asked of the Potts prior."""

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import OptionError, as_float, check_whole, shown
from .lattice import distances_of

MAX_BETA = 1e6  # where neighbors have long ceased to differ


@dataclass(frozen=True)
class PottsOptions:
    """How labels hang together.

    Parameters
    ----------
    beta : "infer", "pseudo" or float
        Inverse temperature: inferred under a flat prior, its normalizing constant included; by
        pseudo-likelihood, an approximation; or fixed, from 0 to 1e6.
    connectivity : int
        Neighbors, in scikit-image's sense: from 1 to the number of axes.
    spacing : "image", sequence of float, (2,) or (3,), or None
        Distance of neighbors along each axis, the largest at most 1000 times the least; a pair at distance d
        counts min(spacing) / d times. "image" takes the picture's own where it differs from axis to axis;
        None counts every pair once.
    weights : "infer" or "equal"
        Whether classes have weights of their own in the prior (an external field), as in a mixture, which is
        what they are at beta 0. At a beta where order sets in, and by pseudo-likelihood, they are equal.

    Numbers may be NumPy's, and become Python's.

    Raises
    ------
    OptionError
        If one is out of its range.
    """

    beta: Literal["infer", "pseudo"] | float = "infer"
    connectivity: int = 1
    spacing: Literal["image"] | tuple[float, ...] | None = "image"
    weights: Literal["infer", "equal"] = "infer"

    @property
    def distances(self) -> tuple[float, ...] | None:
        """The spacing in numbers; None where it is not told by these."""
        return self.spacing if isinstance(self.spacing, tuple) else None

    def __post_init__(self) -> None:
        if not isinstance(self.weights, str) or self.weights not in ("infer", "equal"):
            raise OptionError(f"weights must be 'infer' or 'equal', got {shown(self.weights)}; give one")
        object.__setattr__(self, "beta", _beta_of(self.beta))
        object.__setattr__(self, "connectivity", check_whole("connectivity", self.connectivity, 1, 3))
        if self.spacing is not None and not (isinstance(self.spacing, str) and self.spacing == "image"):
            object.__setattr__(self, "spacing", distances_of(self.spacing))


def _beta_of(beta: Any) -> str | float:
    if isinstance(beta, str) and beta in ("infer", "pseudo"):
        return str(beta)
    number = as_float(beta)
    if not 0 <= number <= MAX_BETA:
        raise OptionError(
            f"beta must be 'infer', 'pseudo' or a number from 0 to {MAX_BETA:g}, got {shown(beta)}; give one"
        )
    return number
