"""The default of hidden Potts pictures, weights and beta inferred: intervals at their nominal rate.

Weights and classes come from the prior of the fit, beta from below where order sets in, labels from long runs
of Gibbs sweeps; see ``monte_carlo.check_calibration`` for the p-values. Beta's prior reaches beyond what is
simulated, which its posterior, far narrower, hardly sees.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from segmix import Dirichlet, InverseGamma, Normal, Priors, segment
from segmix.potts import external
from segmix.potts.lattice import Lattice
from segmix.potts.philox import keys_of
from segmix.potts.sweeps import Sweeps

from .monte_carlo import check_calibration, is_calibrated, rank

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::segmix.errors.ConvergenceWarning"),  # a few in a hundred
]

Array = NDArray[np.float64]

SHAPE, N = (48, 52), 102
HIGHEST = {2: 0.6, 3: 0.7}  # of beta; three quarters of where order sets in
CONCENTRATION = 12.0
GAP, SPREAD = 12.0, 0.75  # of the means, in levels
SEPARATIONS = (2.0, 3.0, 4.0)  # distance of neighboring means in sds
SWEEPS = 600
ESS = 200


class Picture(NamedTuple):
    """Pixels, the numbers that they were made from (weights, beta, means), and the priors."""

    pixels: NDArray[np.uint8]
    truth: Array
    priors: Priors


def simulate(n_classes: int, number: int) -> Picture:
    rng = np.random.default_rng([number, n_classes])
    weights = rng.dirichlet(np.full(n_classes, CONCENTRATION))
    beta = float(rng.uniform(0, HIGHEST[n_classes]))
    sweeps = Sweeps(Lattice(SHAPE), np.zeros(SHAPE, np.uint8), 1, n_classes)
    planes = sweeps.lay_out(rng.integers(0, n_classes, SHAPE, dtype=np.uint8))
    table, keys = sweeps.prepare(), keys_of(number, 3)
    for sweep in range(SWEEPS):
        sweeps.sweep(planes, weights[None], beta, keys=keys, number=sweep, table=table)
    labels = sweeps.lattice.join(planes)
    centers = GAP * (np.arange(n_classes) - (n_classes - 1) / 2) + 128
    variance = 49 * (GAP / SEPARATIONS[number % len(SEPARATIONS)]) ** 2
    means = rng.normal(centers, SPREAD)
    stds = np.sqrt(variance / rng.gamma(50.0, 1.0, n_classes))
    pixels = np.clip(np.rint(rng.normal(means[labels], stds[labels])), 0, 255).astype(np.uint8)
    priors = Priors(Normal(tuple(centers), SPREAD), InverseGamma(50.0, variance), Dirichlet(CONCENTRATION))
    return Picture(pixels, np.concatenate([weights, [beta], means]), priors)


def replicate(n_classes: int, n: int, draws: int = 1000) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether intervals held the truth, and its ranks, (n, q) each."""
    rows, rng = [], np.random.default_rng(0)
    for number in range(n):
        picture = simulate(n_classes, number)
        steps = segment(
            picture.pixels, n_classes=n_classes, spatial=True, priors=picture.priors, draws=draws,
            chains=2, rng=number,
        ).posterior.steps  # fmt: skip
        assert steps.field is not None, number
        assert steps.beta is not None
        drawn: Any = np.concatenate([steps.field, steps.beta[..., None], steps.means], axis=2)
        low, high = np.quantile(drawn, (0.03, 0.97), axis=(0, 1))
        ranks = [rank(drawn[..., q], x, rng=rng) for q, x in enumerate(picture.truth)]
        rows.append(((low <= picture.truth) & (picture.truth <= high), ranks))
    hits, ranks = zip(*rows, strict=True)
    return np.array(hits), np.array(ranks)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_intervals_cover(n_classes: int) -> None:
    hits, ranks = replicate(n_classes, N)
    p_values = check_calibration(hits, ranks, ESS)
    assert is_calibrated(p_values), (p_values, hits.mean(axis=0))


def test_a_constant_to_first_order_does_not_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: without its polynomial log C is that of strangers, about."""
    first = external.ExternalField.log_constant

    def rough(self: Any, thetas: Array) -> Array:
        flat = external.ExternalField(**{**self.__dict__, "coefficients": 0 * self.coefficients})
        return first(flat, thetas)

    monkeypatch.setattr(external.ExternalField, "log_constant", rough)
    hits, ranks = replicate(2, 30, draws=300)
    p_values = check_calibration(hits, ranks, ESS)
    assert not is_calibrated(p_values), p_values
