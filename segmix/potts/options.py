"""What is asked of the Potts prior."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import OptionError


@dataclass(frozen=True)
class PottsOptions:
    """How labels hang together.

    Parameters
    ----------
    beta : "infer", "pseudo" or float
        Inverse temperature: inferred under a flat prior, its normalizing constant included; by
        pseudo-likelihood, an approximation; or fixed.
    connectivity : int
        Neighbors, in scikit-image's sense.
    spacing : "image", tuple of float or None
        Distance of neighbors along each axis; a pair at distance d counts min(spacing) / d times. "image"
        takes the picture's own where it differs from axis to axis; None counts every pair once.
    weights : "infer" or "equal"
        Whether classes have weights of their own in the prior (an external field), as in a mixture, which is
        what they are at beta 0. At a beta where order sets in, and by pseudo-likelihood, they are equal.
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
        if isinstance(self.beta, str):
            known = self.beta in ("infer", "pseudo")
        else:
            known = not isinstance(self.beta, bool) and 0 <= float(self.beta) < np.inf
        if self.weights not in ("infer", "equal"):
            raise OptionError(f"weights must be 'infer' or 'equal', got {self.weights!r}; give one")
        if not known:
            raise OptionError(
                f"beta must be 'infer', 'pseudo' or a number of at least 0, got {self.beta!r}; give one"
            )
