"""CPU seconds of a full posterior of labels that hang together, beside the peers' point estimates.

One simulated scene of cells, 1024 x 1024, its two classes under normal noise (2 sds apart), 8 bits. segmix: 2
chains with beta inferred and the pixels' probabilities, which must be converged by its verdict. DIPY's
TissueClassifierHMRF and ANTs' Atropos (antspyx) on the same picture, all in this process and warm.
"""

import warnings
from functools import partial

import numpy as np
from measure import Times, interleave
from numpy.typing import NDArray
from report import Figure, record
from spatial_peers import WAYS, atropos, dipy

SIDE, REPEATS = 1024, 3
APART, SD = 2.0, 25.0
NOTE = """\
Best of 3 in turn. segmix draws 2 x 1000 (2 x 300 before them are thrown away) and doubles what has not
converged; *500 draws* asks for 2 x 500, which must be converged too. ESS and R-hat are the worst of all
parameters, agreements included. The peers give a most probable labeling and probabilities at a strength of
smoothing that is given to them."""


def picture(side: int = SIDE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cells under noise, and which pixels they are."""
    import segmix

    truth = segmix.simulate_phantom("cells", shape=(side, side), rng=np.random.default_rng(1)).truth
    noise = np.random.default_rng(2).normal(0, SD, truth.shape)
    pixels = np.clip(np.rint(128 + APART * SD * (truth - 0.5) + noise), 0, 255).astype(np.uint8)
    return pixels, truth


def sample(pixels: NDArray[np.uint8], found: list[tuple[int, float, float]], *, draws: int) -> None:
    """The posterior and the pixels' probabilities; appends draws a chain, smallest ESS, largest R-hat."""
    import segmix

    with warnings.catch_warnings():
        warnings.simplefilter("error", segmix.ConvergenceWarning)
        result = segmix.segment(pixels, spatial=True, chains=2, draws=draws, rng=1)
    rows = result.posterior.summary().values()
    if result.probabilities.shape != (2, *pixels.shape):
        raise RuntimeError("probabilities must cover the picture")
    ess, r_hat = min(row.ess_bulk for row in rows), max(row.r_hat for row in rows)
    found.append((result.posterior.means.shape[1], ess, r_hat))


def main() -> None:
    """Measure and record."""
    pixels, _ = picture()
    found: dict[str, list[tuple[int, float, float]]] = {"segmix": [], "segmix, 500 draws": []}
    contenders = {
        "segmix": partial(sample, pixels, found["segmix"], draws=1000),
        "segmix, 500 draws": partial(sample, pixels, found["segmix, 500 draws"], draws=500),
        "Atropos": partial(atropos, pixels, WAYS["Atropos"].usual),
        "DIPY": partial(dipy, pixels, WAYS["DIPY"].usual),
    }
    times = interleave(contenders, repeats=REPEATS)
    rows = [_row(name, row, found.get(name)) for name, row in times.items()]
    figures = [Figure("segmix, full posterior", times["segmix"].best_cpu, "CPU s")]
    for name in ("Atropos", "DIPY"):
        ratio = times[name].best_cpu / times["segmix"].best_cpu
        figures.append(Figure(f"{name}, over segmix by default", ratio, "times"))
        ratio = times[name].best_cpu / times["segmix, 500 draws"].best_cpu
        figures.append(Figure(f"{name}, over segmix with 500 draws", ratio, "times", 1.0, at_least=True))
    record(__file__, "A full posterior beside point estimates, 1024 x 1024, K = 2", figures, rows, note=NOTE)


def _row(name: str, times: Times, found: list[tuple[int, float, float]] | None) -> dict[str, object]:
    draws, ess, r_hat = found[-1] if found else ("none", "", "")
    return {
        "what": name,
        "best CPU s": times.best_cpu,
        "median CPU s": times.cpu,
        "draws a chain": draws,
        "smallest ESS": f"{ess:.0f}" if found else "",
        "largest R-hat": f"{r_hat:.3f}" if found else "",
    }


if __name__ == "__main__":
    main()
