"""Pictures of a posterior, by name."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import record
from .errors import OptionError
from .imaging.levels import Levels
from .mixture.chains import Steps, Stream, generator
from .mixture.density import observe
from .mixture.judgment import PARAMETERS
from .mixture.plan import SPATIAL
from .mixture.priors import Priors
from .posterior import Posterior
from .samples import Truth
from .views.draws import Marginal, autocorrelation_figure, histogram_figure, trace_figure
from .views.plots import fit_figure
from .views.priors import prior_figure

Array = NDArray[np.float64]

MAX_EXACT = 64  # distinct exact values that are drawn one by one
MIN_BINS = 30
N_PRIOR = 20_000
MODELS = ("lecture", "marginal")


def plot(posterior: Posterior, kind: str, *, title: str = "", truth: Truth | None = None) -> bytes:
    """Draw a posterior.

    Parameters
    ----------
    posterior : Posterior
    kind : str
        "trace": every chain's way, its tune shaded; "autocorrelation", with ESS and MCSE; "histogram" of the
        marginals with their 94 % intervals; "fit": the data, the mixture and what it predicts; "prior": prior
        against posterior.
    title : str
    truth : Truth, optional
        Marked in histograms; by default the one that the posterior carries.

    Returns
    -------
    bytes
        A PNG file; the same posterior gives the same bytes.

    Raises
    ------
    OptionError
        If there is no such kind.
    """
    if kind not in FIGURES:
        raise OptionError(f"kind must be one of {', '.join(FIGURES)}, got {kind!r}; name one")
    return FIGURES[kind](posterior, title, posterior.truth if truth is None else truth)


def _trace(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    joined = {
        name: np.concatenate([_draws(part, name) for part in (posterior.warmup, posterior.steps)], axis=1)
        for name in _names(posterior)
    }
    return trace_figure(joined, posterior.tune, title=title)


def _names(posterior: Posterior) -> list[str]:
    """The numbers of the summary, means first, and what they have in common last."""
    return sorted(posterior.summary(), key=lambda name: ("msw".find(name[0]) % 4, name))


def _draws(steps: Steps, name: str) -> Array:
    """The draws of a number such as "means[0]", (n_chains, n)."""
    part, _, k = name.rstrip("]").partition("[")
    found: Array = getattr(steps, part)[:, :, int(k)] if k else getattr(steps, part)
    return found


def _autocorrelation(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    return autocorrelation_figure(_marginals(posterior, truth), title=title)


def _histogram(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    return histogram_figure(_marginals(posterior, truth), title=title)


def _prior(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    priors = Priors.from_dict(dict(posterior.priors))
    resolved = priors.resolve(observe(posterior.levels), posterior.n_classes)
    weights, means, stds = resolved.sample(N_PRIOR, rng=np.random.default_rng(0))
    drawn = {"means": means, "stds": stds} | ({} if posterior.sampler == SPATIAL else {"weights": weights})
    before = {f"{part}[{k}]": draws[:, k] for part, draws in drawn.items() for k in range(draws.shape[1])}
    known = {name: row for name, row in _marginals(posterior, truth).items() if name in before}
    return prior_figure(known, {name: before[name] for name in known}, title=title)


def _marginals(posterior: Posterior, truth: Truth | None) -> Mapping[str, Marginal]:
    """Every number of the summary with its draws, means first."""
    order = None if truth is None else np.argsort(truth.means)
    found = {}
    for name in _names(posterior):
        part, _, k = name.rstrip("]").partition("[")
        row, known = posterior.summary()[name], None
        if (
            truth is not None
            and order is not None
            and part in PARAMETERS
            and len(order) == posterior.n_classes
        ):
            known = float(getattr(truth, part)[order[int(k)]])
        found[name] = Marginal(
            _draws(posterior.steps, name), row.mean, row.low, row.high, row.ess_bulk, row.mcse_mean, known
        )
    return found


def _fit(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    levels = _visible(posterior.levels)
    total, classes = record.expected_counts(posterior, levels)
    return fit_figure(
        levels.values,
        levels.counts,
        levels.step,
        total,
        classes,
        title=title,
        clipped=levels.open_ends,
        unit="counts",
        cell="level" if levels.step == posterior.step else "bin",
        rng=generator(posterior.seed, Stream.PREDICTION),
    )


def _visible(levels: Levels) -> Levels:
    """Levels as they are, or many exact values gathered into 30 intervals or more (Freedman and Diaconis)."""
    if levels.step > 0 or levels.n_levels <= MAX_EXACT:
        return levels
    values = np.repeat(levels.values, np.minimum(levels.counts, 1000))
    edges = np.histogram_bin_edges(values, max(MIN_BINS, len(np.histogram_bin_edges(values, "fd")) - 1))
    place = np.clip(np.searchsorted(edges, levels.values, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, levels.counts, minlength=len(edges) - 1).astype(np.int64)
    used = np.flatnonzero(counts)
    centers, none = (edges[1:] + edges[:-1]) / 2, np.zeros(0, np.intp)
    step = float(edges[1] - edges[0])
    return Levels(centers[used], counts[used], step, (False, False), none, none, None)


FIGURES: dict[str, Callable[[Posterior, str, Truth | None], bytes]] = {
    "trace": _trace,
    "autocorrelation": _autocorrelation,
    "histogram": _histogram,
    "fit": _fit,
    "prior": _prior,
}


def graph(posterior: Posterior, suffix: str = ".dot", *, model: str | None = None) -> bytes:
    """Draw the model as a graph: DOT text, or PNG or SVG where graphviz is installed.

    Parameters
    ----------
    posterior : Posterior
    suffix : ".dot", ".gv", ".png" or ".svg"
    model : "lecture" or "marginal", optional
        With every value's assignment explicit, or with the assignments summed out. By default the former
        where the sampler drew assignments of values that stand for points.

    Raises
    ------
    OptionError
        If the suffix or the model is none of these, graphviz is missing, or the data are no points or too
        many for the lecture's model.
    """
    if suffix not in (".dot", ".gv", ".png", ".svg"):
        raise OptionError(f"a graph is written as .dot, .gv, .png or .svg, got {suffix!r}; rename it")
    if model not in (None, *MODELS):
        raise OptionError(f"model must be one of {', '.join(MODELS)}, got {model!r}; name one")
    program = shutil.which("dot")
    if program is None and suffix in (".png", ".svg"):
        raise OptionError(
            f"a graph as {suffix} needs graphviz, whose dot was not found; install it or write .dot"
        )
    text = _dot(posterior, model).encode()
    if program is None or suffix in (".dot", ".gv"):
        return text
    done = subprocess.run([program, f"-T{suffix[1:]}"], input=text, capture_output=True, check=True)
    return done.stdout


def _dot(posterior: Posterior, model: str | None) -> str:
    from .mixture import nuts

    observed = observe(posterior.levels)
    priors: Any = Priors.from_dict(dict(posterior.priors)).resolve(observed, posterior.n_classes)
    if posterior.sampler == SPATIAL:
        raise OptionError("the graph is of mixtures; a Potts field's labels all hang on their neighbors")
    if model is None:
        few = posterior.counts.sum() <= nuts.MAX_ASSIGNMENTS
        drawn = posterior.sampler in ("gibbs", "pymc-lecture") and not posterior.step and few
        model = "lecture" if drawn else "marginal"
    if model == "marginal":
        return nuts.model_graph(nuts.marginal_model(observed, priors))
    return nuts.model_graph(nuts.lecture_model(nuts.values_of(observed), priors))
