"""A ladder of noise: pixel error and Brier score on real shapes, beside what else cuts a picture in two.

Shapes: scikit-image's coins (a cleaned threshold), its horse, and its blobs. Normal noise, classes apart by
0.5 to 3 of its sds, 8 bits; 3 seeds each. Peers at a usual strength of smoothing, and at the one of several
that is best by the truth, which nobody has in practice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from report import Figure, record
from spatial_peers import WAYS, mixture

STEPS = (0.5, 1.0, 2.0, 3.0)
SEEDS = (1, 2, 3)
MIDDLE, SD = 128.0, 20.0
OURS, PSEUDO = "segmix", "segmix, beta by pseudo-likelihood"
BEST = ", best by the truth"

NOTE = """\
Means over shapes and seeds, in percent. The Brier score is the mean of (p - truth)^2, for labels the error
itself. *Usual*: sigma 1 for Otsu, coupling 1.5 for the graph cut on GaussianMixture's classes, beta 0.5 for
DIPY, smoothing 0.3 for Atropos. *Best by the truth*: the setting with the smallest score on each picture."""


class Score(NamedTuple):
    """Pixel error and Brier score, in percent."""

    error: float
    brier: float


def shapes() -> dict[str, NDArray[np.bool_]]:
    """Three foregrounds of real or made objects."""
    from scipy.ndimage import binary_fill_holes
    from skimage import data, measure, morphology

    coins = binary_fill_holes(data.coins()[12:212] > 110)
    coins = morphology.opening(np.asarray(coins), morphology.disk(4))
    parts = measure.label(coins)
    coins &= parts != parts[0, 60]  # a lit corner of the table, no coin
    blobs = data.binary_blobs(192, blob_size_fraction=0.1, volume_fraction=0.3, rng=1)
    return {"coins": coins, "horse": ~data.horse(), "blobs": blobs}


def picture(shape: NDArray[np.bool_], step: float, seed: int) -> NDArray[np.uint8]:
    """The shape under noise."""
    noise = np.random.default_rng([seed, round(10 * step)]).normal(0, 1, shape.shape)
    return np.clip(np.rint(MIDDLE + SD * (step * (shape - 0.5) + noise)), 0, 255).astype(np.uint8)


def segment(pixels: NDArray[np.uint8], beta: Any = "infer") -> NDArray[np.float64]:
    """segmix with labels that hang together: p(z = 1) of every pixel."""
    import warnings

    import segmix

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", segmix.ConvergenceWarning)
        result = segmix.segment(pixels, spatial=segmix.PottsOptions(beta=beta), chains=2, rng=1)
    return result.probabilities[1].astype(np.float64)


def score(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> Score:
    """Of one picture; what is no number counts as 0.5."""
    known = np.nan_to_num(probability, nan=0.5)
    wrong = (known > 0.5) != truth
    return Score(100 * float(wrong.mean()), 100 * float(((known - truth) ** 2).mean()))


def scores_of(pixels: NDArray[np.uint8], truth: NDArray[np.bool_]) -> Iterator[tuple[str, Score]]:
    """Every way's scores on one picture."""
    alone: Mapping[str, Callable[[], NDArray[np.float64]]] = {
        OURS: lambda: segment(pixels),
        PSEUDO: lambda: segment(pixels, "pseudo"),
        "scikit-learn's mixture": lambda: mixture(pixels),
    }
    for name, way in alone.items():
        yield name, score(way(), truth)
    for name, peer in WAYS.items():
        tried = {value: score(peer.function(pixels, value), truth) for value in peer.grid}
        yield name, tried[peer.usual]
        yield name + BEST, Score(*(min(column) for column in zip(*tried.values(), strict=True)))


def climb() -> dict[str, dict[float, Score]]:
    """Mean scores of every way at every step."""
    found: dict[str, dict[float, list[Score]]] = defaultdict(lambda: defaultdict(list))
    for shape in shapes().values():
        for step in STEPS:
            for seed in SEEDS:
                for name, each in scores_of(picture(shape, step, seed), shape):
                    found[name][step].append(each)
    return {
        name: {step: Score(*np.mean(rows, axis=0).tolist()) for step, rows in steps.items()}
        for name, steps in found.items()
    }


def figures_of(found: Mapping[str, Mapping[float, Score]]) -> Iterator[Figure]:
    """How far the best peer is behind, at a usual setting and at the best."""
    peers = [name for name in found if not name.startswith(OURS)]
    for ours, step, (place, what) in product((OURS, PSEUDO), STEPS, enumerate(("error", "Brier score"))):
        for usual in (True, False):
            rivals = {name: found[name][step][place] for name in peers if name.endswith(BEST) != usual}
            first = min(rivals, key=rivals.__getitem__)
            name = f"{step:g} sds: {what} of the best peer ({first}) over that of {ours}"
            ratio = rivals[first] / found[ours][step][place]
            yield Figure(name, ratio, "times", 1.0 if usual else None, at_least=True)


def main() -> None:
    """Measure and record."""
    found = climb()
    rows = [
        {"what": name}
        | {
            f"{what}, {step:g} sds": steps[step][i]
            for i, what in enumerate(("error", "Brier"))
            for step in STEPS
        }
        for name, steps in found.items()
    ]
    record(__file__, "Error on shapes under noise", list(figures_of(found)), rows, note=NOTE)


if __name__ == "__main__":
    main()
