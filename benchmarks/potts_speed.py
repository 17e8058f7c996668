"""Site updates a CPU second of the hidden Potts sampler: labels alone, and with classes and beta.

Pictures of blocks under noise, free boundaries, 4 neighbors (6 in three dimensions). bayesImageS's figures
were measured on a machine of this kind at 512 x 512: 11.8 and 9.7 million for K = 2 and 3.
"""

import statistics
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from measure import timed
from numpy.typing import NDArray
from report import Figure, record

from segmix import PottsOptions, Priors
from segmix.imaging.image import as_image
from segmix.imaging.levels import count_levels
from segmix.potts.beginning import find_beginning
from segmix.potts.chains import FieldChain, class_shares, pose
from segmix.potts.external import ExternalField, fit_constant

NOTE = """\
Medians of 7 runs. The joint sampler draws labels, means, sds, beta and, up to K = 3, the prior's weights, and
adds up the pixels' probabilities in every fourth sweep. bayesImageS (R), which does the like, was measured at
7 to 12 million.
Tried for more, K = 2, of 0.62 ns a pixel: the generator takes 0.18, look-ups 0.17, neighbors 0.1, the rest
is comparing and storing. Vector gathers (vpgatherdd on 32-bit tables) make 6,600 M look-ups a second, single
loads 5,800 M: 3 % of a sweep, not taken. To keep counts up to date by the labels that change (15 % of a noisy
picture in a sweep, 12 ns each) is slower than to count anew."""
REPEATS = 7
SHARE = 0.6  # of the 8-bit target that wide types and volumes must reach


class Case(NamedTuple):
    """A picture's size, classes and type, and the targets in million updates a CPU second."""

    shape: tuple[int, ...]
    n_classes: int
    dtype: Any
    levels: int
    labels: float | None
    joint: float | None


CASES = {
    "2048 x 2048, K = 2": Case((2048, 2048), 2, np.uint8, 256, 550.0, 400.0),
    "2048 x 2048, K = 3": Case((2048, 2048), 3, np.uint8, 256, 220.0, 150.0),
    "2048 x 2048, K = 8": Case((2048, 2048), 8, np.uint8, 256, 60.0, None),
    "2048 x 2048, 4,000 levels, K = 2": Case((2048, 2048), 2, np.uint16, 4000, SHARE * 550, SHARE * 400),
    "2048 x 2048, 4,000 levels, K = 3": Case((2048, 2048), 3, np.uint16, 4000, SHARE * 220, SHARE * 150),
    "256 x 256 x 256, K = 2": Case((256, 256, 256), 2, np.uint8, 256, SHARE * 550, SHARE * 400),
    "256 x 256 x 256, K = 3": Case((256, 256, 256), 3, np.uint8, 256, SHARE * 220, SHARE * 150),
}


def picture(case: Case) -> NDArray[Any]:
    """Blocks of 8 pixels with a class each, under noise."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, case.n_classes, [-(-n // 8) for n in case.shape])
    for axis in range(len(case.shape)):
        labels = labels.repeat(8, axis)
    labels = labels[tuple(slice(n) for n in case.shape)]
    top = case.levels - 1
    exact = top * (0.15 + 0.7 * labels / (case.n_classes - 1)) + rng.normal(0, 0.12 * top, labels.shape)
    return np.clip(np.rint(exact), 0, top).astype(case.dtype)


def some_constant(problem: Any) -> ExternalField:
    """A constant of weights of the right form and cost, of numbers made up; its search is not timed here."""
    lattice, d = problem.sweeps.lattice, problem.n_classes
    rng = np.random.default_rng(1)
    anchors = np.append(np.zeros(d - 1), 0.5) + 0.1 * rng.standard_normal((4 * d, d))
    center = np.append(np.full(d - 1, lattice.n_pixels / d), lattice.n_pairs / 2)
    fields = [rng.normal(center, np.sqrt(center), (40, d)) for _ in anchors]
    return fit_constant(
        anchors, fields, 1e-3 * np.eye(d), n_pixels=float(lattice.n_pixels), n_pairs=lattice.n_pairs
    )


def chain_of(case: Case, number: int = 0, problem: Any = None) -> FieldChain:
    """A chain that has settled a little; beta is inferred where the table has the kind of lattice."""
    if problem is None:
        levels = count_levels(as_image(picture(case)))
        options = PottsOptions(beta="infer" if case.n_classes < 4 else 0.8)
        problem = pose(levels, n_classes=case.n_classes, priors=Priors(), options=options, seed=1)
        if case.n_classes < 4:
            problem = problem._replace(external=some_constant(problem))
    chain = FieldChain(problem, find_beginning(problem, seed=1), seed=1, number=number)
    chain.watch_pixels()
    chain.run(4)
    return chain


def measure(name: str, case: Case) -> tuple[list[Figure], dict[str, Any]]:
    """Rates of one case."""
    chain, pixels = chain_of(case), float(np.prod(case.shape))
    sweeps = chain.problem.sweeps
    shares = class_shares(chain.problem.target, chain.means, chain.stds)

    numbers = count()

    def sweep() -> None:
        sweeps.sweep(
            chain.labels, shares, chain.beta, keys=chain.keys, number=next(numbers), table=chain.table
        )

    labels = statistics.median(timed(sweep)[0].cpu for _ in range(REPEATS))
    joint = statistics.median(timed(lambda: chain.run(4))[0].cpu for _ in range(REPEATS)) / 4
    rates = pixels / labels / 1e6, pixels / joint / 1e6
    figures = [
        Figure(f"{name}: {what}", rate, "M updates per CPU s", target, at_least=True)
        for what, rate, target in zip(("labels", "joint"), rates, case[4:], strict=True)
    ]
    how = "by table" if chain.table is not None else "general"
    return figures, {"what": name, "kernel": how, "labels, M/s": rates[0], "joint, M/s": rates[1]}


def two_chains() -> Figure:
    """How much more two chains do on two cores than one does on one."""
    case = CASES["2048 x 2048, K = 2"]
    first = chain_of(case)
    chains = [first, chain_of(case, 1, first.problem)]
    alone = statistics.median(timed(lambda: first.run(8))[0].wall for _ in range(REPEATS))
    with ThreadPoolExecutor(2) as pool:
        both = statistics.median(
            timed(lambda: list(pool.map(lambda chain: chain.run(8), chains)))[0].wall for _ in range(REPEATS)
        )
    return Figure("two chains on two cores, over one", 2 * alone / both, "times", 1.7, at_least=True)


def main() -> None:
    """Measure and record."""
    figures, rows = [], []
    for name, case in CASES.items():
        found, row = measure(name, case)
        figures += [figure for figure in found if figure.target is not None]
        rows.append(row)
    record(__file__, "Labels that hang together", [*figures, two_chains()], rows, note=NOTE)


if __name__ == "__main__":
    main()
