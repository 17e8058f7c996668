"""How far the pixel error lies above the Bayes error, where the model holds.

Fields from the Potts prior by Swendsen-Wang, normal noise of one sd. segmix infers means, sds and beta; a
plain Gibbs sampler, written here and independent of segmix's, is given the true ones. The error that its
marginals promise is the Bayes error of the picture; both label the same pictures, so that chance mostly
cancels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from report import Figure, record

SIDE, SEEDS = 256, (1, 2, 3, 4)
SD = 20.0
SWEEPS, TUNE = 1200, 200
ABOVE = 1.02
NOTE = """\
Sums over 4 fields of 256 x 256. *True parameters*: the plain Gibbs sampler's labels, 1,000 sweeps after 200.
The ratio's error is that of the paired differences over fields. At beta 1 one class has 95 % of the pixels,
and the other is single pixels among them; 1 sd apart, two like classes that hardly hang together explain such
a picture nearly as well."""


class Case(NamedTuple):
    """Classes, inverse temperature, and how many sds neighboring classes lie apart."""

    n_classes: int
    beta: float
    apart: float


CASES = (
    Case(2, 0.8, 1.0),
    Case(2, 0.8, 2.0),
    Case(2, 1.0, 2.0),
    Case(2, 1.0, 1.0),
    Case(3, 0.95, 2.0),
    Case(4, 1.0, 2.0),
)


def simulate(case: Case, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]:
    """Labels, pixels (SIDE, SIDE), and the means of the classes."""
    import segmix

    shape = (SIDE, SIDE)
    truth = segmix.simulate_potts(shape, beta=case.beta, n_classes=case.n_classes, rng=seed)
    means = 128 + SD * case.apart * (np.arange(case.n_classes) - (case.n_classes - 1) / 2)
    noise = np.random.default_rng([seed, 1]).normal(0, SD, shape)
    return truth, np.clip(np.rint(means[truth] + noise), 0, 255).astype(np.uint8), means


def plain_gibbs(
    pixels: NDArray[np.uint8], means: NDArray[np.float64], beta: float, seed: int
) -> NDArray[np.float64]:
    """p(z_i = k | y) at known parameters, (n_classes, SIDE, SIDE): a chessboard's colors in turn."""
    rng, classes = np.random.default_rng([seed, 2]), np.arange(len(means))[:, None, None]
    log_density = -0.5 * ((pixels - means[:, None, None]) / SD) ** 2
    labels = np.pad(log_density.argmax(axis=0), 1, constant_values=-1)
    white = np.add.outer(np.arange(SIDE), np.arange(SIDE)) % 2
    total = np.zeros_like(log_density)
    for sweep in range(SWEEPS):
        for color in (0, 1):
            near = (labels[:-2, 1:-1], labels[2:, 1:-1], labels[1:-1, :-2], labels[1:-1, 2:])
            agreeing = sum((part == classes).astype(np.float64) for part in near)
            log_mass = log_density + beta * agreeing
            mass = np.exp(log_mass - log_mass.max(axis=0))
            mass /= mass.sum(axis=0)
            drawn = (rng.random(pixels.shape) > np.cumsum(mass, axis=0)[:-1]).sum(axis=0)
            inside = labels[1:-1, 1:-1]
            inside[white == color] = drawn[white == color]
            if sweep >= TUNE:
                total += mass * (white == color)
    return total / (SWEEPS - TUNE)


def compare(case: Case) -> tuple[Figure, dict[str, object]]:
    """Errors of segmix and of true parameters on the same fields."""
    import segmix

    ours, known, promised, n_bad = [], [], [], 0
    for seed in SEEDS:
        truth, pixels, means = simulate(case, seed)
        result = segmix.segment(pixels, n_classes=case.n_classes, spatial=True, chains=2, rng=seed)
        marginals = plain_gibbs(pixels, means, case.beta, seed)
        ours.append(float((result.labels != truth).mean()))
        known.append(float((marginals.argmax(axis=0) != truth).mean()))
        promised.append(float(1 - marginals.max(axis=0).mean()))
        n_bad += not result.posterior.converged
    name = f"K = {case.n_classes}, beta {case.beta:g}, {case.apart:g} sds apart"
    ratio = sum(ours) / sum(known)
    spread = np.std(np.subtract(ours, known), ddof=1) * np.sqrt(len(SEEDS)) / sum(known)
    row = {
        "fields": name,
        "segmix, %": 100 * np.mean(ours),
        "true parameters, %": 100 * np.mean(known),
        "promised by them, %": 100 * np.mean(promised),
        "ratio": f"{ratio:.4f} +- {spread:.4f}",
        "not converged": n_bad,
    }
    return Figure(f"{name}: error over the Bayes error", ratio, "times", ABOVE), row


def main() -> None:
    """Measure and record."""
    parts = [compare(case) for case in CASES]
    record(
        __file__,
        "Pixel error where the model holds, over the Bayes error",
        [figure for figure, _ in parts],
        [row for _, row in parts],
        note=NOTE,
    )


if __name__ == "__main__":
    main()
