"""The same mixture by every method: what each finds, in what time, and how good it is."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import OptionError, check_whole
from .fitting import check_offset, checked, sample
from .imaging.image import Image
from .loading import Data, load
from .mixture.density import Parameters, Target, observe, unpack
from .mixture.kmeans import fit_kmeans
from .mixture.modes import find_modes, fit_em
from .mixture.plan import Plan, check_classes
from .mixture.priors import Priors
from .numbers import format_of
from .samples import Samples

Array = NDArray[np.float64]

Result = TypeVar("Result")

METHODS = ("kmeans", "em", "map", "independence", "gibbs", "nuts")


class Row(NamedTuple):
    """What one method found: parameters (n_classes,) each, and sds of them where it gives any.

    ``log_likelihood`` is at these parameters, for samplers the posterior means; ``ess_per_second`` is the
    smallest bulk ESS over the seconds of the whole call; ``reasons`` say why a sampler has not converged, or
    that a class shrank to one value, where the likelihood has no bound and is None.
    """

    method: str
    parameters: Parameters
    errors: Parameters | None
    log_likelihood: float | None
    seconds: float
    ess_per_second: float | None = None
    converged: bool | None = None
    reasons: tuple[str, ...] = ()


def compare(
    data: Data | Image | Samples | ArrayLike,
    *,
    n_classes: int = 2,
    priors: Priors | None = None,
    methods: str | Sequence[str] = METHODS,
    draws: int = 1000,
    seed: int = 0,
) -> list[Row]:
    """Fit by several methods, each called twice so that no compiling is timed (PyMC, which compiles, once).

    A sampler makes just these draws, and none takes over from it: its row says whether they have converged.

    Raises
    ------
    OptionError
        If a method is none of ``METHODS``, or another option is out of its range.
    InputError
        If the data cannot be used.
    """
    methods = check_methods(methods)
    priors, seed = checked(priors), check_whole("seed", seed, 0, (1 << 128) - 1)
    known = data if isinstance(data, Data) else load(data, n_classes=n_classes)
    check_offset(priors, known)
    check_classes(known.levels, n_classes, known.source)
    observed = observe(known.levels)
    target = Target(observed, priors.resolve(observed, int(n_classes)))
    return [_row(method, known, target, priors, draws, seed) for method in methods]


def check_methods(methods: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of methods, one or several; raise OptionError for others."""
    names = (methods,) if isinstance(methods, str) else tuple(methods)
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise OptionError(f"methods must be of {', '.join(METHODS)}, got {unknown[0]!r}; name others")
    return names


def _row(method: str, data: Data, target: Target, priors: Priors, draws: int, seed: int) -> Row:
    if method in POINTS:
        found, seconds = _timed(lambda: POINTS[method](data, target, np.random.default_rng(seed)))
        collapsed = _collapsed(target, found)
        likelihood = None if collapsed else _log_likelihood(target, found)
        return Row(method, found, None, likelihood, seconds, reasons=collapsed)
    n_classes = target.priors.means.parameters.shape[1]
    plan = Plan(method, draws, None, 4, seed, until_converged=False)  # type: ignore[arg-type]
    posterior, seconds = _timed(
        lambda: sample(data, n_classes=n_classes, priors=priors, plan=plan),
        twice=method != "nuts",
    )
    parts = posterior.pooled()
    means, errors = (Parameters(*(getattr(part, name)(axis=0) for part in parts)) for name in ("mean", "std"))
    least = min(row.ess_bulk for row in posterior.summary().values())
    likelihood = _log_likelihood(target, means)
    return Row(method, means, errors, likelihood, seconds, least / seconds, *posterior.verdict)


def _collapsed(target: Target, parameters: Parameters) -> tuple[str, ...]:
    """Say where a class shrank to a value, at which the plain density has no bound."""
    low, high = target.observed.span
    k = int(np.argmin(parameters.stds))
    if target.observed.binned or parameters.stds[k] >= (high - low) / 4096:
        return ()
    return (f"class {k} shrank to {parameters.means[k]:.6g}, where the likelihood has no bound",)


def _timed(function: Callable[[], Result], *, twice: bool = True) -> tuple[Result, float]:
    if twice:
        function()
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def _log_likelihood(target: Target, parameters: Parameters) -> float:
    """Log likelihood; of k-means' classes too, whose sds are those within the classes."""
    from .mixture.kernels import log_likelihood

    rows = (np.maximum(part, 1e-300)[None] if i != 1 else part[None] for i, part in enumerate(parameters))
    return float(log_likelihood(target.observed.nodes, target.observed.counts, *rows)[0])


def _kmeans(data: Data, target: Target, rng: np.random.Generator) -> Parameters:
    n_classes = target.priors.means.parameters.shape[1]
    return fit_kmeans(target.observed, data.levels.values, n_classes, rng=rng)[0]


def _em(data: Data, target: Target, rng: np.random.Generator) -> Parameters:
    return fit_em(target.observed, target.priors.means.parameters.shape[1], rng=rng)[0]


def _map(data: Data, target: Target, rng: np.random.Generator) -> Parameters:
    """A peak of the posterior density of weights, means and stds, by BFGS from the mode of most mass.

    Without quantization narrow spikes may be higher; they have no mass to speak of.
    """
    from scipy.optimize import minimize

    n_classes = target.priors.means.parameters.shape[1]
    mode = find_modes(target, n_classes, rng=rng)[0]

    def loss(offset: Array) -> float:
        return -float(target.log_posterior(unpack((mode.point + mode.scales * offset)[None]))[0])

    def slope(offset: Array) -> Array:
        point = mode.point + mode.scales * offset
        weights = unpack(point[None]).weights[0]
        jacobian = np.concatenate([1 - n_classes * weights[:-1], np.zeros(n_classes), np.ones(n_classes)])
        gradient: Array = -(target.gradient(point[None])[0] - jacobian) * mode.scales
        return gradient

    found = minimize(loss, np.zeros(len(mode.point)), jac=slope, method="BFGS")
    best = unpack((mode.point + mode.scales * found.x)[None])
    return Parameters(*(part[0] for part in best))


POINTS: dict[str, Callable[[Data, Target, np.random.Generator], Parameters]] = {
    "kmeans": _kmeans,
    "em": _em,
    "map": _map,
}


def format_comparison(rows: Sequence[Row], data: Data) -> str:
    """Lay out one line a method, and the truth where it is known."""
    from .text import lay_out

    header = ("method", "means", "sds", "weights", "log likelihood", "seconds", "ESS/s", "verdict")
    lines, forms = [header], [_format(rows, place) for place in range(3)]
    for row in rows:
        speed = "" if row.ess_per_second is None else f"{row.ess_per_second:,.0f}"
        verdict = {None: "", True: "converged", False: "not converged"}[row.converged]
        verdict = "collapsed" if row.reasons and row.converged is None else verdict
        weights, means, stds = (
            _numbers(part, _errors(row, i), forms[i]) for i, part in enumerate(row.parameters)
        )
        likelihood = "no bound" if row.log_likelihood is None else f"{row.log_likelihood:,.2f}"
        lines.append((row.method, means, stds, weights, likelihood, f"{row.seconds:.4g}", speed, verdict))
    if data.truth is not None:
        order = np.argsort(data.truth.means)
        known = [_numbers(np.array(part)[order], None, ".12g") for part in data.truth]
        lines.append(("truth", known[1], known[2], known[0], "", "", "", ""))
    said: dict[bool | None, str] = {None: "collapsed", False: "has not converged"}
    reasons = [f"{row.method} {said[row.converged]}: {'; '.join(row.reasons)}" for row in rows if row.reasons]
    notes = ["+- is the posterior's sd"]
    if any(row.method == "nuts" for row in rows):
        notes.append("the seconds of nuts include compiling")
    return "\n".join([*lay_out(lines), *notes, *reasons])


def _errors(row: Row, place: int) -> Array | None:
    return None if row.errors is None else row.errors[place]


def _format(rows: Sequence[Row], place: int) -> str:
    """The format of a column: of its errors, and where there are none of how far apart its numbers are."""
    values = [row.parameters[place] for row in rows]
    errors = [error for row in rows if row.errors for error in row.errors[place].tolist()]
    widths = [4 * error for error in errors] or [float(np.ptp(values)) / 100]
    return format_of(np.ravel(values).tolist(), widths)


def _numbers(values: Array, errors: Array | None, form: str) -> str:
    if errors is None:
        return ", ".join(f"{value:{form}}" for value in values)
    return ", ".join(f"{value:{form}} +- {error:.2g}" for value, error in zip(values, errors, strict=True))
