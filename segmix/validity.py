"""Whether a file of a posterior is as it was written, and its numbers can be a posterior's."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .mixture.chains import Steps
from .mixture.plan import SAMPLERS, SPATIAL
from .mixture.priors import Priors
from .posterior import Posterior
from .potts.lattice import OUTSIDE

SEAL = b"segmix sha256 "

BY_CLASS = ("weights", "means", "stds", "field")


def seal_of(data: memoryview) -> bytes:
    """Return what is to stand behind the bytes, with their digest; HDF5 does not look beyond its own end."""
    return SEAL + hashlib.sha256(data).digest()


def check_seal(whole: bytes) -> bool:
    """Return whether a seal is there; raise ValueError if bytes changed, or came or went.

    What other programs wrote, or wrote again, has no seal, nor has what they cut it off from.
    """
    start = whole.rfind(SEAL)
    if start >= 0 and whole[start:] != seal_of(memoryview(whole)[:start]):
        raise ValueError("its checksum is wrong")
    return start >= 0


def check_posterior(posterior: Posterior) -> None:
    """Raise ValueError, which says what is wrong, unless these can be draws of a mixture of these levels."""
    values, counts = posterior.values, posterior.counts
    Priors.from_dict(dict(posterior.priors))
    for steps, least in ((posterior.steps, 1), (posterior.warmup, 0)):
        _check_steps(steps, least)
    same_size = posterior.warmup.means.shape[::2] == posterior.means.shape[::2]
    ascending = values.dtype == np.float64 and np.isfinite(values).all() and (np.diff(values) > 0).all()
    counted = counts.dtype == np.int64 and counts.shape == values.shape and (counts > 0).all()
    rules = {
        "warmup of other chains or classes": same_size,
        "levels that do not ascend": values.ndim == 1 and len(values) > 0 and ascending,
        "counts that are not positive": counted,
        "a step that is no width": 0 <= posterior.step < np.inf,
        "more or less than two ends": len(posterior.open_ends) == 2,
        "an unknown sampler": posterior.sampler in (*SAMPLERS, SPATIAL),
        "a seed or thinning out of range": posterior.seed >= 0 and posterior.thinned >= 1,
        "data without a name": isinstance(posterior.source, str),
        "a column without a name": isinstance(posterior.column, str | None),
    }
    _refuse(rules)


def _check_steps(steps: Steps, least: int) -> None:
    shape = steps.means.shape
    parts = {name: part for name, part in steps._asdict().items() if part is not None}
    rules = {
        "draws that are no numbers": all(part.dtype.kind in "fb" for part in parts.values()),
        "draws of several shapes": len(shape) == 3
        and all(part.shape == (shape if name in BY_CLASS else shape[:2]) for name, part in parts.items()),
        "no draws": min(shape, default=0) >= least,
    }
    _refuse(rules)
    rules = {
        "draws that are not finite": all(np.isfinite(part).all() for part in steps[:4]),
        "weights that are no shares": (np.abs(steps.weights.sum(axis=-1) - 1) < 1e-6).all()
        and (steps.weights >= 0).all(),
        "means that do not ascend": (np.diff(steps.means) >= 0).all(),
        "stds that are not positive": (steps.stds > 0).all(),
    }
    _refuse(rules)


def check_picture(posterior: Posterior, pixels: Mapping[str, Any]) -> None:
    """Raise ValueError unless these can be the pixels of a field: its levels, labels, and what was seen."""
    codes, labels = pixels["pixel_level"], pixels["pixel_label"]
    n, n_classes = len(posterior.values), posterior.n_classes
    seen = pixels.get("pixel_seen", np.zeros((0, *codes.shape), np.uint32))
    rules = {
        "levels of pixels of another type": codes.dtype in (np.uint8, np.uint16) and labels.dtype == np.uint8,
        "no picture": codes.ndim in (2, 3) and codes.size > 0,
        "labels of another picture": labels.shape == (posterior.n_chains, *codes.shape),
        "probabilities of another picture": seen.shape == (n_classes - 1, *codes.shape)
        and seen.dtype in (np.uint32, np.uint64),
    }
    _refuse(rules)
    inside = labels[0] != OUTSIDE
    counts = np.bincount(codes[inside], minlength=n)
    rules = {
        "a picture of other counts": len(counts) == n and (counts == posterior.counts).all(),
        "levels outside its domain": (codes[~inside] == 0).all(),
        "labels that are no classes": all(
            ((drawn < n_classes) == inside).all() and ((drawn == OUTSIDE) != inside).all() for drawn in labels
        ),
    }
    _refuse(rules)


def _refuse(rules: Mapping[str, Any]) -> None:
    for problem, holds in rules.items():
        if not holds:
            raise ValueError(f"it has {problem}")
