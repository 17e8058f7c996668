"""What a segmentation says in numbers, ready for JSON."""

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
from .areas import Area
from .cautions import caution_fit, find_cautions
from .imaging.image import Image
from .imaging.levels import Levels
from .imaging.reading import REBUILT
from .mixture.density import log_table, observe
from .mixture.judgment import PARAMETERS
from .mixture.plan import Plan
from .posterior import Posterior
from .shapes import Shapes

Array = NDArray[np.float64]

SCHEMA = 1
_BAND_DRAWS = 200
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
    stored: dict[str, Any] = {}
    if REBUILT not in original.notes:
        digest = hashlib.sha256(np.ascontiguousarray(original.pixels).data)
        stored = {"type": original.stored, "sha256": digest.hexdigest()}
    return {
        "source": image.source,
        "shape": list(image.shape),
        **stored,
        "levels": levels.n_levels,
        "pixels_counted": levels.n_pixels,
        "pixels_left_out": image.n_pixels - levels.n_pixels,
        "clipped_low": int(levels.counts[0]) if levels.open_ends[0] else 0,
        "clipped_high": int(levels.counts[-1]) if levels.open_ends[1] else 0,
        "notes": list(image.notes),
        "preprocess": list(image.steps),
    }


def _describe_class(posterior: Posterior, k: int) -> dict[str, Any]:
    summary = posterior.summary()
    known = {name: summary.get(f"{name}[{k}]") for name in PARAMETERS}
    return {"label": k, **{name[:-1]: row._asdict() for name, row in known.items() if row is not None}}


def _describe_coupling(posterior: Posterior) -> dict[str, Any]:
    """Beta and the share of neighbor pairs that agree, of labels that hang together; else nothing."""
    if posterior.steps.beta is None:
        return {}
    rows = posterior.summary()
    found: dict[str, Any] = {name: rows[name]._asdict() for name in ("beta", "agreements") if name in rows}
    field = [row._asdict() for name, row in rows.items() if name.startswith("field[")]
    return {"coupling": found | ({"field": field} if field else {})}


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
