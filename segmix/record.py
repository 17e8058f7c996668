"""What a segmentation says in numbers: for JSON, and for a person to read."""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .areas import Area, Estimate
from .diagnostics import ParameterSummary
from .imaging.image import Image
from .imaging.levels import Levels
from .mixture.density import log_table, observe
from .mixture.judgment import PARAMETERS
from .mixture.plan import Plan
from .posterior import Posterior
from .shapes import Shapes

Array = NDArray[np.float64]

SCHEMA = 1
MIN_DISTANCE = 1.0  # of neighboring means in root-mean-square stds; below, the sum of both has one peak
MIN_PIXELS, MIN_SHARE = 10, 1e-3
MIN_EXCESS = 0.1  # of agreeing neighbor pairs over chance, for labels to hang together
MIN_LABEL_DRAWS = 33  # the range of n independent draws holds (n - 1) / (n + 1), 94 % from here on
_BAND_DRAWS = 200
_SMOOTHING = ("gaussian", "median", "nlm", "tv")
_LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "pillow", "tifffile")


def summarize_segmentation(
    images: tuple[Image, Image],
    levels: Levels,
    posterior: Posterior,
    areas: Sequence[Area],
    foreground: tuple[int, ...],
    shapes: Shapes | None = None,
) -> dict[str, Any]:
    """Collect image (original and preprocessed), model, classes, verdict, versions; finite numbers only."""
    known = _describe_posterior(posterior)
    known["model"]["foreground"] = list(foreground)
    classes = [
        row | {"area_pixels": area.pixels._asdict(), "area_fraction": area.fraction._asdict()}
        for row, area in zip(known["classes"], areas, strict=True)
    ]
    cautions = find_cautions(posterior, areas, images[1].steps, shapes)
    image = {"image": _describe_image(*images, levels)}
    known |= {"shapes": shapes.to_dict()} if shapes else {}
    return _as_finite(image | known | {"classes": classes, "cautions": cautions})


def summarize_posterior(posterior: Posterior, plan: Plan | None = None) -> dict[str, Any]:
    """Collect data, model, classes, verdict, versions, options, and the truth if known; finite numbers only.

    ``plan`` is what was asked of the sampler.
    """
    data: dict[str, Any] = {"source": posterior.source}
    if posterior.column is not None:
        data["column"] = posterior.column
    data |= {"levels": len(posterior.values), "values": int(posterior.counts.sum())}
    known: dict[str, Any] = {"truth": posterior.truth._asdict()} if posterior.truth is not None else {}
    known["cautions"] = caution_fit(posterior)
    known["options"] = (asdict(plan) if plan else {}) | dict(posterior.options)
    return _as_finite({"data": data} | _describe_posterior(posterior) | known)


def caution_fit(posterior: Posterior) -> list[str]:
    """Say where classes of an image's fit overlap, and where intervals are too narrow; nothing of rows."""
    return find_cautions(posterior, (), _steps_of(posterior)) if "preprocess" in posterior.options else []


def _steps_of(posterior: Posterior) -> Sequence[str]:
    """The preprocessing of the picture that was fitted."""
    return tuple(map(str, posterior.options.get("preprocess", ())))


def _describe_posterior(posterior: Posterior) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "model": {
            "n_classes": posterior.n_classes,
            "quantization": posterior.step or None,
            "open_ends": list(posterior.open_ends),
            "priors": posterior.priors,
        },
        "sampling": {
            "sampler": posterior.sampler,
            "seed": posterior.seed,
            "chains": posterior.n_chains,
            "draws": posterior.n_draws,
            "tune": posterior.tune,
            "thinned": posterior.thinned,
            "acceptance": posterior.acceptance,
            "pareto_k": posterior.pareto_k,
            "notes": list(posterior.notes),
        },
        **_describe_coupling(posterior),
        "classes": [_describe_class(posterior, k) for k in range(posterior.n_classes)],
        "verdict": {"converged": posterior.converged, "reasons": list(posterior.verdict.reasons)},
        "versions": {"segmix": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
    }


def _as_finite(record: dict[str, Any]) -> dict[str, Any]:
    finite: dict[str, Any] = _finite(record)
    return finite


def _describe_image(original: Image, image: Image, levels: Levels) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(original.pixels).data)
    return {
        "source": image.source,
        "shape": list(image.shape),
        "type": original.stored,
        "sha256": digest.hexdigest(),
        "levels": levels.n_levels,
        "pixels_counted": levels.n_pixels,
        "pixels_left_out": image.n_pixels - levels.n_pixels,
        "clipped_low": int(levels.counts[0]) if levels.open_ends[0] else 0,
        "clipped_high": int(levels.counts[-1]) if levels.open_ends[1] else 0,
        "notes": [*image.notes, *levels.cautions],
        "preprocess": list(image.steps),
    }


def _describe_class(posterior: Posterior, k: int) -> dict[str, Any]:
    summary = posterior.summary()
    known = {name: summary.get(f"{name}[{k}]") for name in PARAMETERS}
    return {"label": k, **{name[:-1]: row._asdict() for name, row in known.items() if row is not None}}


def _loose_labels(posterior: Posterior) -> list[str]:
    """Say where labels with a Potts prior agree hardly more than by chance; its equal shares then bias."""
    if posterior.steps.agreements is None or posterior.steps.field is not None or posterior.n_classes == 1:
        return []
    share = float(posterior.steps.agreements.mean())
    chance = float((posterior.weights.mean(axis=(0, 1)) ** 2).sum())
    if share > chance + MIN_EXCESS:
        return []
    return [
        f"labels hardly hang together: {share:.0%} of neighbor pairs agree, {chance:.0%} would by chance; "
        "a spatial prior with equal weights bends the classes toward equal shares, so infer weights "
        "(--weights infer), or leave it out"
    ]


def _describe_coupling(posterior: Posterior) -> dict[str, Any]:
    """Beta and the share of neighbor pairs that agree, of labels that hang together; else nothing."""
    if posterior.steps.beta is None:
        return {}
    rows = posterior.summary()
    found: dict[str, Any] = {name: rows[name]._asdict() for name in ("beta", "agreements") if name in rows}
    field = [row._asdict() for name, row in rows.items() if name.startswith("field[")]
    return {"coupling": found | ({"field": field} if field else {})}


def find_cautions(
    posterior: Posterior, areas: Sequence[Area], steps: Sequence[str], shapes: Shapes | None = None
) -> list[str]:
    """Say where classes overlap or have hardly any pixels, and where intervals are too narrow."""
    means, stds = posterior.means.mean(axis=(0, 1)), posterior.stds.mean(axis=(0, 1))
    distances = np.diff(means) / np.sqrt((stds[1:] ** 2 + stds[:-1] ** 2) / 2)
    cautions = [
        f"classes {k} and {k + 1} overlap: their means are {distance:.2f} standard deviations apart, less "
        f"than {MIN_DISTANCE:g}; try fewer classes"
        for k, distance in enumerate(distances.tolist())
        if distance < MIN_DISTANCE and posterior.steps.beta is None  # neighbors tell them apart
    ]
    cautions += [
        f"class {area.label} is small: about {area.pixels.mean:.0f} pixels ({area.fraction.mean:.2%}); "
        "it may stand for a few odd pixels only"
        for area in areas
        if area.pixels.mean < MIN_PIXELS or area.fraction.mean < MIN_SHARE
    ]
    cautions += _loose_labels(posterior)
    if shapes is not None and shapes.n_draws < MIN_LABEL_DRAWS:
        few = f"few label draws, {shapes.n_draws} and not {MIN_LABEL_DRAWS}; keep more"
        cautions.append(f"intervals of components and boundaries rest on {few}")
    smoothing = [step for step in steps if step.partition(":")[0] in _SMOOTHING]
    return cautions + [
        f"intervals are too narrow: {step} makes neighboring pixels alike, and the model takes them for "
        "independent; trust the intervals of the picture as it came"
        for step in smoothing[:1]
    ]


def _finite(value: Any) -> Any:
    """Replace what JSON cannot hold: NaN and infinities become null."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def to_json(record: dict[str, Any], *, one_line: bool = False) -> str:
    """Write a record as JSON: two spaces deep, or in one line of ASCII; NaN and infinities become null."""
    layout: dict[str, Any] = {} if one_line else {"indent": 2, "ensure_ascii": False}
    return json.dumps(_finite(record), allow_nan=False, **layout)


def format_table(
    posterior: Posterior, areas: Sequence[Area], foreground: tuple[int, ...], shapes: Shapes | None = None
) -> str:
    """Lay out the classes with their 94 % intervals, the boundaries where known, and the verdict."""
    rows: list[tuple[str, ...]] = [(*_HEADER, "area (pixels)")]
    for area in areas:
        label, *cells = _row(posterior, area.label)
        mark = "*" if area.label in foreground else " "
        rows.append((label + mark, *cells, _rounded(area.pixels)))
    lines = [] if shapes is None else _shape_lines(shapes)
    if shapes is not None:
        counts = ("components", *(_rounded(row.number) for row in shapes.components))
        rows = [(*row, count) for row, count in zip(rows, counts, strict=True)]
    legend = "* foreground; brackets hold 94 % of the posterior"
    return "\n".join([*lay_out(rows), *lines, legend, *_verdict_lines(posterior)])


def _rounded(number: Estimate) -> str:
    return f"{number.mean:.0f} [{number.low:.0f}, {number.high:.0f}]"


def _shape_lines(shapes: Shapes) -> list[str]:
    """Boundaries between classes that touch, and how many draws they and the components rest on."""
    unit = "pixels" if shapes.spacing is None else "units of spacing"
    found = [row for row in shapes.boundaries if row.pairs.mean > 0]
    rows = [("boundary", "pairs", f"length ({unit})" if shapes.ndim == 2 else f"area ({unit}, squared)")]
    rows += [("{}-{}".format(*row.labels), _rounded(row.pairs), _interval(row.length)) for row in found]
    return [*(lay_out(rows) if found else []), f"components and boundaries: {shapes.n_draws} label draws"]


def format_parameters(posterior: Posterior) -> str:
    """Lay out the classes of a fit with their 94 % intervals, beside the truth where it is known."""
    truth = posterior.truth
    rows = [_HEADER, *(_row(posterior, k) for k in range(posterior.n_classes))]
    if truth is not None:
        order = np.argsort(truth.means)
        rows += [
            (f"truth {k}", f"{truth.means[i]:g}", f"{truth.stds[i]:g}", f"{truth.weights[i]:g}")
            for k, i in enumerate(order.tolist())
        ]
    steps = _steps_of(posterior)
    said = ["brackets hold 94 % of the posterior", *([f"after {', '.join(steps)}"] if steps else [])]
    return "\n".join([*lay_out(rows), *said, *_verdict_lines(posterior)])


_HEADER = ("class", "mean", "sd", "weight")


def _row(posterior: Posterior, k: int) -> tuple[str, ...]:
    summary = posterior.summary()
    weight = summary.get(f"weights[{k}]")
    parts = (_interval(summary[f"means[{k}]"]), _interval(summary[f"stds[{k}]"]))
    return (str(k), *parts, _interval(weight) if weight else "1")


def lay_out(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _interval(row: ParameterSummary | Estimate) -> str:
    """The mean and interval, to the digits that the interval resolves."""
    width = row.high - row.low
    digits = int(np.clip(2 - np.floor(np.log10(width)), 0, 9)) if width > 0 else 3
    largest = max(abs(row.low), abs(row.high))
    if largest >= 1e7 or largest < 1e-4:
        return f"{row.mean:.4g} [{row.low:.4g}, {row.high:.4g}]"
    return f"{row.mean:.{digits}f} [{row.low:.{digits}f}, {row.high:.{digits}f}]"


def _verdict_lines(posterior: Posterior) -> list[str]:
    summary = posterior.summary().values()
    figures = f"R-hat {max(row.r_hat for row in summary):.3f}, ESS {min(row.ess_bulk for row in summary):.0f}"
    sampler = (
        f"{posterior.sampler}, {posterior.n_chains} chains x {posterior.n_draws} draws, seed {posterior.seed}"
    )
    state = "converged" if posterior.converged else "NOT CONVERGED"
    lines = [*_coupling_lines(posterior), f"{state}: {figures} ({sampler})"]
    return lines + [f"  {reason}" for reason in (*posterior.verdict.reasons, *posterior.notes)]


def _coupling_lines(posterior: Posterior) -> list[str]:
    rows = posterior.summary()
    parts = [f"beta {_interval(rows['beta'])}"] if "beta" in rows else []
    if "agreements" in rows:
        parts.append(f"share of neighbor pairs that agree {_interval(rows['agreements'])}")
    return ["; ".join(parts)] if parts else []


def expected_counts(posterior: Posterior, levels: Levels) -> tuple[Array, Array]:
    """Pixels that the mixture expects at each level.

    Returns
    -------
    total : (n, n_levels)
        Of 200 evenly spaced draws, or of all if there are fewer.
    classes : (n_classes, n_levels)
        The mean of each class's part. Without intervals, density times the smallest gap between levels.
    """
    observed = observe(levels)
    width = 1.0 if observed.binned else float(np.diff(levels.values).min()) if levels.n_levels > 1 else 1.0
    total, classes = [], np.zeros((posterior.n_classes, levels.n_levels))
    for weights, means, stds in zip(*posterior.pooled(_BAND_DRAWS), strict=True):
        part = weights[:, None] * np.exp(log_table(observed, means, stds)[:, observed.columns])
        total.append(part.sum(axis=0))
        classes += part
    size = levels.n_pixels * width
    return np.stack(total) * size, classes * (size / len(total))
