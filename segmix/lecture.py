"""The lecture, replayed: two processes, a chain that is cut off too soon, and what bad guesses cost."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .comparison import compare
from .fitting import fit
from .imaging.files import encode_png
from .imaging.image import Image
from .loading import load
from .mixture.density import Parameters, Target, observe
from .mixture.distributions import Dirichlet, Normal, Uniform
from .mixture.modes import find_modes
from .mixture.priors import Priors, ResolvedPriors
from .outputs import staged_folder
from .plotting import N_PRIOR, graph, plot
from .posterior import Posterior
from .record import summarize_posterior, to_json
from .samples import Samples, count_samples, simulate_mixture
from .segmentation import Segmentation
from .simulate import simulate_phantom
from .targets import SUMMARY
from .text import format_parameters, lay_out
from .views.draws import Marginal, histogram_figure
from .views.priors import sweep_figure
from .views.render import label_map
from .workflow import segment

Array = NDArray[np.float64]

TRUTH = ((0.25, 0.75), (100.0, 200.0), (50.0, 50.0))
N_VALUES, FIRST, MORE, EVERY = 500, 500, 100_000, 5
CENTERS = ((110.0, 210.0), (60.0, 250.0), (140.0, 160.0), (210.0, 310.0))
WIDTHS = (3.0, 10.0, 30.0, 100.0)
SWEEP = (250, 16_000)  # draws a chain of a first try, and of the last one


class Try(NamedTuple):
    """One prior of the sweep: draws a chain until the verdict was good, None for never; the means found."""

    centers: tuple[float, float]
    width: float
    draws: int | None
    means: tuple[float, float]


class Lecture(NamedTuple):
    """The numbers of the replay; every posterior is of the lecture's model on the same data.

    ``points`` holds what k-means, EM and PyMC's search for the MAP find.
    """

    data: Samples
    first: Posterior
    whole: Posterior
    later: Posterior
    tries: tuple[Try, ...]
    points: dict[str, Parameters]


def replay(
    folder: Path, *, seed: int = 5, draws: int = MORE, show: Callable[[str], None] = lambda name: None
) -> Lecture:
    """Make every figure of the lecture in a folder, and return the numbers.

    Parameters
    ----------
    folder : Path
        Stands already, and is filled with 1_data.png and so on.
    seed : int
    draws : int
        Of the continuation; the first half is burn-in.
    show : callable
        Is told what comes next.
    """
    data = replace(simulate_mixture(N_VALUES, *TRUTH, rng=seed), source="lecture")
    show("data, prior, graph and MAP")
    target = _target(data)
    points = _points(data, target, seed)
    first = _sample(data, Priors.lecture(), FIRST, seed)
    _write(folder, "1_data.png", plot(first, "fit", title="500 values, and the mixture of 500 draws"))
    _write(folder, "2_prior.png", _prior_figure(target.priors, seed))
    for suffix in (".dot", ".png") if shutil.which("dot") else (".dot",):
        _write(folder, f"3_model{suffix}", graph(first, suffix, model="lecture"))
    _write(folder, "4_trace_500.png", plot(first, "trace", title="500 draws"))
    show(f"{draws} more draws")
    whole = first.extend(draws)
    _write(folder, "5_trace_all.png", plot(whole, "trace", title=f"the same chains, {draws:,} draws later"))
    later = whole.sel(draw=slice(draws // 2, None)).thin(EVERY)
    _write(folder, "6_before.png", plot(first, "histogram", title="the first 500 draws", truth=data.truth))
    title = f"after {draws // 2:,} draws of burn-in, every {EVERY}th"
    _write(folder, "7_after.png", plot(later, "histogram", title=title, truth=data.truth))
    _write(folder, "8_autocorrelation.png", plot(whole, "autocorrelation", title="every draw"))
    _write(folder, "9_thinned.png", plot(later, "autocorrelation", title=f"every {EVERY}th draw"))
    show("bad guesses")
    tries = sweep(data, seed=seed)
    _write(folder, "10_bad_guesses.png", _sweep_picture(tries))
    show("a picture")
    picture = simulate_phantom("tissue", shape=(256, 256), rng=np.random.default_rng(seed))
    pixels = segment(Image(picture.pixels, source="a picture"), n_classes=3, rng=seed)
    _write(folder, "11_picture.png", pixels.fit_figure())
    _write(folder, "12_assignments.png", _assignment_picture(pixels))
    return Lecture(data, first, whole, later, tries, points)


def save_replay(
    folder: str | os.PathLike[str],
    *,
    seed: int = 5,
    draws: int = MORE,
    overwrite: bool = False,
    show: Callable[[str], None] = lambda name: None,
) -> Lecture:
    """Replay the lecture into a folder that appears whole or not at all, with its numbers in summary.json."""
    with staged_folder(folder, overwrite=overwrite) as temporary:
        found = replay(temporary, seed=seed, draws=draws, show=show)
        summary = summarize_posterior(found.later)
        summary["bad_guesses"] = [one._asdict() for one in found.tries]
        summary["point_estimates"] = {
            name: {
                key: [float(f"{x:.6g}") for x in part] for key, part in found.points[name]._asdict().items()
            }
            for name in found.points
        }
        summary["files"] = sorted([*os.listdir(temporary), SUMMARY])
        (temporary / SUMMARY).write_text(to_json(summary) + "\n", "utf-8")
    return found


def describe(lecture: Lecture) -> str:
    """Tell the lecture's story in numbers."""
    parts = (
        ("the first 500 draws", lecture.first),
        (f"{lecture.whole.n_draws:,} draws", lecture.whole),
        ("half of them thrown away, every fifth kept", lecture.later),
    )
    tables = [f"{name}\n{format_parameters(part)}" for name, part in parts]
    guesses = [("centers", "width", "draws", "means found")] + [
        (
            f"{one.centers[0]:g}, {one.centers[1]:g}",
            f"{one.width:g}",
            "never" if one.draws is None else f"{one.draws:,}",
            f"{one.means[0]:.1f}, {one.means[1]:.1f}",
        )
        for one in lecture.tries
    ]
    points = [("estimate", "means", "sds", "weights")] + [
        (name, *(", ".join(f"{x:.4g}" for x in part) for part in (found.means, found.stds, found.weights)))
        for name, found in lecture.points.items()
    ]
    tables.insert(0, "points\n" + "\n".join(lay_out(points)))
    return "\n\n".join([*tables, "guesses of the centers\n" + "\n".join(lay_out(guesses))])


def sweep(
    data: Samples,
    *,
    seed: int,
    centers: Sequence[tuple[float, float]] = CENTERS,
    widths: Sequence[float] = WIDTHS,
) -> tuple[Try, ...]:
    """How many draws of the lecture's scheme the verdict asks for, under better and worse guesses."""
    return tuple(_try(data, center, width, seed) for center in centers for width in widths)


def _sample(data: Samples, priors: Priors, draws: int, seed: int) -> Posterior:
    """The lecture's scheme, without jumps: every value's class, then the parameters, from the first draw."""
    return fit(
        data,
        priors=priors,
        sampler="gibbs",
        draws=draws,
        tune=0,
        until_converged=False,
        jumps=False,
        quantization=None,
        rng=seed,
    )


def _try(data: Samples, centers: tuple[float, float], width: float, seed: int) -> Try:
    priors = Priors(Normal(centers, width), Uniform(0.0, 100.0), Dirichlet(1.0))
    draws, most = SWEEP
    found = _sample(data, priors, draws, seed)
    while not found.converged and found.n_draws < most:
        found = found.extend(found.n_draws)
    low, high = found.means.mean(axis=(0, 1)).tolist()
    return Try(centers, width, found.n_draws if found.converged else None, (low, high))


def _target(data: Samples) -> Target:
    observed = observe(count_samples(data, quantization=None))
    return Target(observed, Priors.lecture().resolve(observed, 2))


def _points(data: Samples, target: Target, seed: int) -> dict[str, Parameters]:
    """The other ways: k-means, EM, and the MAP that PyMC finds from where EM ended."""
    from .mixture import nuts

    rows = compare(load(data, n_classes=2), priors=Priors.lecture(), methods=("kmeans", "em"), seed=seed)
    mode = find_modes(target, 2, rng=np.random.default_rng(seed))[0]
    return {row.method: row.parameters for row in rows} | {"map": nuts.find_map(target, mode)}


def _prior_figure(priors: ResolvedPriors, seed: int) -> bytes:
    """PyMC's draws from the prior alone."""
    from .mixture import nuts

    marginals = {}
    drawn = nuts.prior_draws(priors, N_PRIOR, seed=seed)._asdict()
    for name in ("means", "stds", "weights"):
        for k, values in enumerate(drawn[name].T):
            low, high = np.quantile(values, (0.03, 0.97))
            marginals[f"{name}[{k}]"] = Marginal(
                values[None], float(values.mean()), float(low), float(high), 0.0, 0.0
            )
    return histogram_figure(marginals, title="what the lecture believes before it sees a value")


def _assignment_picture(found: Segmentation) -> bytes:
    """The picture, and beside it every pixel in the color of the class it was most probably assigned to."""
    gray = np.repeat(found.image.pixels[..., None], 3, axis=2)
    return encode_png(np.concatenate([gray, label_map(found.labels, found.n_classes)], axis=1))


def _sweep_picture(tries: Sequence[Try]) -> bytes:
    rows = [f"{low:g}, {high:g}" for low, high in dict.fromkeys(found.centers for found in tries)]
    columns = [f"{width:g}" for width in dict.fromkeys(found.width for found in tries)]
    draws = np.array([found.draws or 0 for found in tries]).reshape(len(rows), len(columns))
    means = [f"{found.means[0]:.0f}, {found.means[1]:.0f}" for found in tries]
    return sweep_figure(draws, means, rows, columns, title="draws a chain until the verdict was good")


def _write(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
