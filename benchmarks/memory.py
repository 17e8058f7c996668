"""Peak memory of segmenting an 8-bit picture, a pixel, above the picture and the results that are kept.

Labels that hang together: the same with 2 chains, a chain; few draws, as their number costs nothing a pixel.

In a fresh process with everything loaded and the kernels compiled (a small picture first), the picture in
memory: the peak from then on, less what labels (1 byte), mask (1), probabilities (8) and entropy (4) keep.
Beside it scikit-learn's GaussianMixture(2), fit and predict, less its labels; and the whole command, by the
difference of its peaks on two sizes.
"""

import json
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from command_line import segmix_command
from measure import camera, run_process
from numpy.typing import NDArray
from report import Figure, record

SIDE, SIDE_SCIKIT_LEARN = 4096, 2048
SIDES_COMMAND = (4096, 6144)
LIMIT_BYTES = 6.0
CHAINS, LIMIT_CHAIN = 2, 12.0
KEPT_BY_COMMAND = 1 + 1 + 1 + 8 + 4  # picture, labels, mask, probabilities, entropy


def segment(pixels: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """All per-pixel results for K = 2."""
    import segmix

    result = segmix.segment(pixels, rng=1)
    return [result.labels, result.mask, result.probabilities, result.entropy]


def segment_labels(pixels: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """Labels and probabilities."""
    import segmix

    result = segmix.segment(pixels, rng=1)
    return [result.labels, result.probabilities]


def segment_spatial(pixels: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """Labels and probabilities where labels hang together."""
    import segmix

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", segmix.ConvergenceWarning)
        result = segmix.segment(pixels, spatial=True, chains=CHAINS, draws=8, tune=0, rng=1)
    return [result.labels, result.probabilities]


def fit_scikit_learn(pixels: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """Labels by scikit-learn."""
    from sklearn.mixture import GaussianMixture

    column = pixels.reshape(-1, 1).astype(np.float64)
    return [GaussianMixture(2, random_state=0).fit(column).predict(column)]


CONTENDERS: dict[str, tuple[int, Callable[[NDArray[np.uint8]], list[NDArray[Any]]]]] = {
    "segmix, all results": (SIDE, segment),
    "segmix, labels and probabilities": (SIDE, segment_labels),
    "segmix, labels that hang together, 2 chains": (SIDE, segment_spatial),
    "scikit-learn": (SIDE_SCIKIT_LEARN, fit_scikit_learn),
}


def child(name: str) -> None:
    """Print the bytes a pixel that the peak lies above the start, and that the results keep."""
    side, function = CONTENDERS[name]
    pixels = camera(side // 512)
    function(pixels[:512, :512].copy())
    forget_peak()
    before = peak()
    results = function(pixels)
    rise = peak() - before
    print(json.dumps([rise / pixels.size, sum(part.nbytes for part in results) / pixels.size]))


def forget_peak() -> None:
    """Let the peak start from what is in use now (Linux); elsewhere the peak so far stands."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def peak() -> int:
    """Return the largest resident size so far in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(name: str) -> dict[str, Any]:
    """Run one contender in a fresh process."""
    finished = run_process([sys.executable, __file__, "--child", name])
    rise, kept = json.loads(finished.stdout.splitlines()[-1])
    return row(name, CONTENDERS[name][0], rise, kept)


def row(name: str, side: int, rise: float, kept: float) -> dict[str, Any]:
    """One row of the table."""
    return {
        "what": name,
        "size": f"{side} x {side}",
        "peak, bytes a pixel": rise,
        "kept, bytes a pixel": kept,
        "above, bytes a pixel": rise - kept,
    }


def measure_command() -> dict[str, Any]:
    """Peaks of `segmix segment` on two sizes; their difference a pixel leaves out what is loaded anyway."""
    from segmix.imaging.files import write_png

    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES_COMMAND:
            picture = Path(folder) / f"camera{side}.png"
            write_png(picture, camera(side // 512))
            command = [*segmix_command(), "segment", str(picture), "-o", folder, "--seed", "1"]
            peaks.append(run_process(command).peak)
    rise = (peaks[1] - peaks[0]) / (SIDES_COMMAND[1] ** 2 - SIDES_COMMAND[0] ** 2)
    return row("segmix segment, the whole command", SIDES_COMMAND[1], rise, KEPT_BY_COMMAND)


def main() -> None:
    """Measure and record."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
        return
    rows = [measure(name) for name in CONTENDERS] + [measure_command()]
    above = {row["what"]: row["above, bytes a pixel"] for row in rows}
    unit, spatial = "bytes a pixel", above["segmix, labels that hang together, 2 chains"]
    record(
        __file__,
        "Peak memory above the picture and the results kept, K = 2",
        [
            Figure("segment and all results", above["segmix, all results"], unit, LIMIT_BYTES),
            Figure("labels that hang together, a chain", spatial / CHAINS, unit, LIMIT_CHAIN),
            Figure("scikit-learn, fit and predict", above["scikit-learn"], unit),
            Figure("the whole command", above["segmix segment, the whole command"], unit, LIMIT_BYTES),
        ],
        rows,
        note=(
            "The command keeps picture, labels, mask, probabilities and entropy until all are written; what "
            "it writes (pictures, compressed bytes) counts as above."
        ),
    )


if __name__ == "__main__":
    main()
