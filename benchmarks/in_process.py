"""Warm and in process: from the array to posterior, labels and probabilities.

8 bits (camera, 512 x 512, and the same repeated to 2048 x 2048) and 16 bits (a simulated field of cells, with
its levels merged to at most 4096), K = 2. Beside it the point estimate of scikit-learn's GaussianMixture(2),
fit and predict on the pixels, without probabilities.
"""

import os
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from measure import camera, interleave
from numpy.typing import NDArray
from report import Figure, record

REPEATS = {512: 15, 2048: 5}
LIMIT_MS = {512: 50.0, 2048: 80.0}
TIMES_AHEAD = {512: 5.0, 2048: 100.0}
LEAST_ESS = 1000.0


def segment(pixels: NDArray[Any], sizes: list[float]) -> None:
    """Array to posterior, labels and probabilities; appends the smallest bulk ESS."""
    import segmix

    result = segmix.segment(pixels, rng=len(sizes))
    labels, probabilities = result.labels, result.probabilities
    if labels.shape != pixels.shape or probabilities.shape != (2, *pixels.shape):
        raise RuntimeError("labels and probabilities must cover the picture")
    sizes.append(min(row.ess_bulk for row in result.posterior.summary().values()))


def fit_scikit_learn(pixels: NDArray[Any]) -> None:
    """Fit the mixture to the pixels, a point estimate, and predict their classes."""
    from sklearn.mixture import GaussianMixture

    column = pixels.reshape(-1, 1).astype(np.float64)
    GaussianMixture(2, random_state=0).fit(column).predict(column)


def cells(side: int) -> NDArray[np.uint16]:
    """Simulate a 16-bit picture."""
    import segmix

    phantom = segmix.simulate_phantom("cells16", shape=(side, side), rng=np.random.default_rng(1))
    pixels: NDArray[np.uint16] = phantom.pixels.astype(np.uint16)
    return pixels


def compare(side: int) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Time all at one size, in turn."""
    pictures: dict[str, NDArray[Any]] = {"8 bits": camera(side // 512), "16 bits": cells(side)}
    sizes: dict[str, list[float]] = {depth: [] for depth in pictures}
    contenders: dict[str, Callable[[], object]] = {
        f"segmix, {depth}": partial(segment, picture, sizes[depth]) for depth, picture in pictures.items()
    }
    contenders["scikit-learn, 8 bits"] = partial(fit_scikit_learn, pictures["8 bits"])
    times = interleave(contenders, repeats=REPEATS[side])
    rows = [
        {
            "what": name,
            "size": f"{side} x {side}",
            "median ms": 1e3 * row.wall,
            "best ms": 1e3 * row.best_wall,
            "median CPU ms": 1e3 * row.cpu,
            "smallest ESS": f"{min(sizes[name.split(', ')[1]]):.0f}" if name.startswith("segmix") else "none",
        }
        for name, row in times.items()
    ]
    ours, peer = times["segmix, 8 bits"], times["scikit-learn, 8 bits"]
    ess = statistics.median(sizes["8 bits"])
    ahead = TIMES_AHEAD[side]
    where = f"{side} x {side}, 8 bits"
    return [
        Figure(f"{where}: from array to probabilities", 1e3 * ours.wall, "ms", LIMIT_MS[side]),
        Figure(f"{where}: ahead of scikit-learn, wall", peer.wall / ours.wall, "times", ahead, True),
        Figure(f"{where}: ahead of scikit-learn, CPU", peer.cpu / ours.cpu, "times"),
        Figure(f"{where}: smallest bulk ESS", ess, "", LEAST_ESS, True),
    ], rows


def main() -> None:
    """Measure and record."""
    parts = [compare(side) for side in (512, 2048)]
    record(
        __file__,
        "In process and warm, from array to posterior, labels and probabilities",
        [figure for figures, _ in parts for figure in figures],
        [row for _, rows in parts for row in rows],
        note=f"Wall times are medians, on {os.cpu_count()} cores.",
    )


if __name__ == "__main__":
    main()
