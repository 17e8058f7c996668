"""Time against the number of pixels: the fit, counting levels, and look-ups.

The fit is timed from levels to the judged posterior, which must not depend on the number of pixels. Counting
(to levels) and look-ups run on 8-bit pixels beside numpy's bincount, histogram and take, in gigabytes of
pixels a CPU second. Look-ups fill an array that exists; rows for a new one add its pages.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from measure import camera, interleave
from report import Figure, record

if TYPE_CHECKING:
    from segmix import Levels

SIDES = (256, 512, 1024, 2048, 4096, 8192)
REPEATS = 9
LEAST_SPEED = 2.5
MOST_GROWTH = 1.25
STREAM_SIDE = 4096


def fits() -> dict[str, Callable[[], object]]:
    """From levels to posterior, for each size; the smallest picture is every second pixel of camera."""
    import segmix
    from segmix.fitting import Data, sample
    from segmix.mixture.plan import Plan

    def fit(levels: "Levels") -> bool:
        plan = Plan("independence", 1000, None, 4, 1)
        return sample(Data(levels), n_classes=2, priors=segmix.Priors(), plan=plan).converged

    pictures = {side: camera(side // 512) if side >= 512 else camera()[::2, ::2] for side in SIDES}
    every = {side: segmix.count_levels(segmix.as_image(picture)) for side, picture in pictures.items()}
    return {f"fit, {side} x {side}": partial(fit, levels) for side, levels in every.items()}


def passes() -> dict[str, Callable[[], object]]:
    """Passes over all pixels: ours and numpy's."""
    import segmix
    from segmix.imaging.kernels import look_up

    pixels = camera(STREAM_SIDE // 512)
    image = segmix.as_image(pixels)
    levels = segmix.count_levels(image)
    flat, out = pixels.reshape(-1), np.empty(pixels.size, np.uint8)
    table = (np.arange(256) > 100).astype(np.uint8)
    return {
        "counting, segmix": lambda: segmix.count_levels(image),
        "counting, np.bincount": lambda: np.bincount(flat, minlength=256),
        "counting, np.histogram": lambda: np.histogram(flat, bins=256, range=(0, 256)),
        "look-up, segmix": lambda: look_up(flat, table, out),
        "look-up, np.take": lambda: np.take(table, flat, out=out, mode="clip"),
        "look-up into a new array, segmix": lambda: levels.paint(table, fill=0),
        "look-up into a new array, np.take": lambda: np.take(table, pixels),
    }


def main() -> None:
    """Measure and record."""
    fitted = interleave(fits(), repeats=REPEATS)
    streamed = interleave(passes(), repeats=REPEATS)
    speed = {name: STREAM_SIDE**2 / 1e9 / times.best_cpu for name, times in streamed.items()}
    rows = [
        {
            "what": name,
            "median CPU ms": 1e3 * times.cpu,
            "best CPU ms": 1e3 * times.best_cpu,
            "GB per CPU s (best)": speed.get(name, ""),
        }
        for name, times in (fitted | streamed).items()
    ]
    fit_cpu = [times.cpu for times in fitted.values()]
    growth = fit_cpu[-1] / fit_cpu[0]
    unit, count, look = "GB per CPU s", speed["counting, segmix"], speed["look-up, segmix"]
    record(
        __file__,
        "Time against the number of pixels",
        [
            Figure(
                f"fit, {SIDES[-1]} x {SIDES[-1]} over {SIDES[0]} x {SIDES[0]}", growth, "times", MOST_GROWTH
            ),
            Figure("counting levels", count, unit, LEAST_SPEED, at_least=True),
            Figure("counting, over np.bincount", count / speed["counting, np.bincount"], "times"),
            Figure("counting, over np.histogram", count / speed["counting, np.histogram"], "times"),
            Figure("look-ups", look, unit, LEAST_SPEED, at_least=True),
            Figure("look-ups, over np.take", look / speed["look-up, np.take"], "times"),
        ],
        rows,
        note=f"Counting and look-ups on {STREAM_SIDE} x {STREAM_SIDE} 8-bit pixels, best of {REPEATS} runs.",
    )


if __name__ == "__main__":
    main()
