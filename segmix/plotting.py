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
from .mixture.density import observe
from .mixture.priors import Priors
from .mixture.sampling import PARAMETERS
from .posterior import Posterior
from .samples import Truth
from .views.draws import Marginal, autocorrelation_figure, histogram_figure, trace_figure
from .views.plots import fit_figure

Array = NDArray[np.float64]

MAX_EXACT = 64  # distinct exact values that are drawn one by one
MIN_BINS = 30
N_PRIOR = 20_000


def plot(posterior: Posterior, kind: str, *, title: str = "", truth: Truth | None = None) -> bytes:
    """Draw a posterior.

    Parameters
    ----------
    posterior : Posterior
    kind : str
        "trace": every chain's way, its tune shaded; "autocorrelation", with ESS and MCSE; "histogram" of the
        marginals with their 94 % intervals; "fit": the data under the mixture; "prior": prior against
        posterior.
    title : str
    truth : Truth, optional
        Marked in histograms.

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
    return FIGURES[kind](posterior, title, truth)


def _trace(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    joined = {
        name: np.concatenate([getattr(posterior.warmup, name), getattr(posterior.steps, name)], axis=1)
        for name in sorted(PARAMETERS)
    }
    return trace_figure(joined, posterior.tune, title=title)


def _autocorrelation(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    return autocorrelation_figure(_marginals(posterior, truth), title=title)


def _histogram(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    return histogram_figure(_marginals(posterior, truth), title=title)


def _prior(posterior: Posterior, title: str, truth: Truth | None) -> bytes:
    priors = Priors.from_dict(dict(posterior.priors))
    resolved = priors.resolve(observe(posterior.levels), posterior.n_classes)
    weights, means, stds = resolved.sample(N_PRIOR, rng=np.random.default_rng(0))
    drawn = {"weights": weights, "means": means, "stds": stds}
    marginals = _marginals(posterior, truth)
    before = {
        name: drawn[name.partition("[")[0]][:, int(name.partition("[")[2].rstrip("]"))] for name in marginals
    }
    return histogram_figure(marginals, title=title, prior=before)


def _marginals(posterior: Posterior, truth: Truth | None) -> Mapping[str, Marginal]:
    """Every number of the summary with its draws, means first."""
    order = None if truth is None else np.argsort(truth.means)
    found = {}
    for name in sorted(posterior.summary()):
        part, k = name.rstrip("]").split("[")
        row, known = posterior.summary()[name], None
        if truth is not None and order is not None and len(order) == posterior.n_classes:
            known = float(getattr(truth, part)[order[int(k)]])
        draws = getattr(posterior, part)[:, :, int(k)]
        found[name] = Marginal(draws, row.mean, row.low, row.high, row.ess_bulk, row.mcse_mean, known)
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
        unit="values",
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


def graph(posterior: Posterior, suffix: str = ".dot") -> bytes:
    """Draw the model that PyMC would sample as a graph: DOT text, or PNG or SVG where graphviz is installed.

    Raises
    ------
    OptionError
        If the suffix is none of .dot, .gv, .png and .svg, or graphviz is missing.
    """
    if suffix not in (".dot", ".gv", ".png", ".svg"):
        raise OptionError(f"a graph is written as .dot, .gv, .png or .svg, got {suffix!r}; rename it")
    program = shutil.which("dot")
    if program is None and suffix in (".png", ".svg"):
        raise OptionError(
            f"a graph as {suffix} needs graphviz, whose dot was not found; install it or write .dot"
        )
    text = _dot(posterior).encode()
    if program is None or suffix in (".dot", ".gv"):
        return text
    done = subprocess.run([program, f"-T{suffix[1:]}"], input=text, capture_output=True, check=True)
    return done.stdout


def _dot(posterior: Posterior) -> str:
    from .mixture import nuts

    observed = observe(posterior.levels)
    priors: Any = Priors.from_dict(dict(posterior.priors)).resolve(observed, posterior.n_classes)
    if posterior.sampler == "pymc-lecture":
        values = np.repeat(posterior.values, posterior.counts)
        return nuts.model_graph(nuts.lecture_model(values, priors))
    return nuts.model_graph(nuts.marginal_model(observed, priors))
