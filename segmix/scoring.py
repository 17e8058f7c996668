"""Scoring a segmentation against a known truth: which pixels count, which label is which class."""

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metrics
from .errors import InputError, OptionError
from .imaging.arrays import as_numbers
from .imaging.guard import MAX_PIXELS
from .imaging.image import check_domain
from .results import UNLABELED, Found, read_found, read_labels, unmasked
from .samples import MAX_CLASSES
from .segmentation import Segmentation

Ignore = int | Literal["auto"] | None
Source = str | os.PathLike[str]


class Score(NamedTuple):
    """What ``score`` returns.

    n_pixels : int
        How many pixels count.
    matching : tuple of int
        The true class that each label stands for.
    accuracy, adjusted_rand : float
    iou, dice, boundary_f : tuple of float
        Of each true class; the last is NaN of a class without a boundary.
    variation_of_information : (float, float)
        What labels split and what they merge, in bits.
    brier, log_loss : float or None
        None without probabilities.
    calibration : metrics.Calibration or None
    """

    n_pixels: int
    matching: tuple[int, ...]
    accuracy: float
    iou: tuple[float, ...]
    dice: tuple[float, ...]
    boundary_f: tuple[float, ...]
    adjusted_rand: float
    variation_of_information: tuple[float, float]
    brier: float | None = None
    log_loss: float | None = None
    calibration: metrics.Calibration | None = None

    @property
    def n_classes(self) -> int:
        """The number of classes, of truth and labels together."""
        return len(self.iou)

    def to_dict(self) -> dict[str, Any]:
        """All numbers ready for JSON; what is no number is None."""

        def plain(values: Sequence[float] | NDArray[Any]) -> list[float | None]:
            return [float(value) if np.isfinite(value) else None for value in values]

        known: dict[str, Any] = self._asdict() | {"matching": list(self.matching)}
        for name in ("iou", "dice", "boundary_f", "variation_of_information"):
            known[name] = plain(known[name])
        if self.calibration is not None:
            curve = self.calibration
            known["calibration"] = {
                "error": curve.error,
                "stated": plain(curve.stated),
                "observed": plain(curve.observed),
                "counts": curve.counts.tolist(),
            }
        return known


def score(
    found: Segmentation | ArrayLike | Source,
    truth: ArrayLike | Source,
    *,
    probabilities: ArrayLike | None = None,
    domain: ArrayLike | None = None,
    foreground: int | None = None,
    mask: bool = False,
    match: bool = True,
    ignore: Ignore = "auto",
    tolerance: float | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Score:
    """Score a segmentation against the truth: metrics of labels, and of probabilities where there are some.

    Parameters
    ----------
    found : Segmentation, array of int or bool, or path
        What was found; a path is a folder of results or a picture of labels, of which 255 is none.
    truth : array of int or bool, or path
        The true classes, numbered from 0. A picture of 0 and 255 alone is a mask, of classes 0 and 1.
    probabilities : array (n_classes, *shape), optional
        p(z = label) of every pixel, NaN where there is none. Segmentations and folders have their own.
    domain : array of bool, optional
        Which pixels count, beside those that have a truth and a label.
    foreground : int, optional
        The true class whose best label is matched first; with ``mask`` the one that the mask shows, 1 if it
        is not named.
    mask : bool
        Whether the foreground's mask is scored, unmatched, and not the labels; of segmentations and folders.
    match : bool
        Whether labels are matched to classes (see ``metrics.match_labels``), or are the classes.
    ignore : int, None or "auto"
        The number in the truth that does not count; "auto" is 255, but in a mask of 0 and 255 none.
    tolerance : float, optional
        Pixels within which boundaries meet; see ``metrics.boundary_f``.
    max_pixels : int
        The largest picture that is read.

    Raises
    ------
    InputError
        If shapes differ, no pixel counts, or numbers are no classes.
    OptionError
        If an option is out of its range.

    Examples
    --------
    >>> from segmix import score, segment, simulate_phantom
    >>> phantom = simulate_phantom("cells", rng=1)
    >>> result = segment(phantom.pixels, rng=1)
    >>> score(result, phantom.truth).accuracy > 0.9
    True
    """
    if not match and foreground is not None:
        raise OptionError(
            "foreground (--foreground) is of the matching; leave out it or match=False (--no-match)"
        )
    known = _found(found, probabilities, mask=mask, max_pixels=max_pixels)
    true, inside = _truth(truth, ignore, max_pixels)
    if known.labels.shape != true.shape:
        raise InputError(
            f"labels must have the truth's shape {true.shape}, got {known.labels.shape}; crop or resize one"
        )
    inside &= known.inside
    if domain is not None:
        domain = np.ma.filled(domain, False) if np.ma.isMaskedArray(domain) else np.asarray(domain)
        check_domain(domain, true.shape)
        inside &= domain
    if not inside.any():
        raise InputError("no pixel has both a truth and a label; check the truth and the domain")
    if mask:  # whose classes are known
        true, foreground, match = _as_two(true, inside, foreground), None, False
    return _score(known, true, inside, foreground=foreground, match=match, tolerance=tolerance)


def _as_two(true: NDArray[Any], inside: NDArray[np.bool_], foreground: int | None) -> NDArray[Any]:
    """The truth for a mask: one of its classes against the rest, where it has more than two."""
    if foreground is None and true[inside].max() > 1:
        raise OptionError(
            f"mask (--mask) has two classes and the truth {true[inside].max() + 1}; name the one that the "
            "mask shows (foreground=, --foreground)"
        )
    is_shown: NDArray[np.bool_] = true == (1 if foreground is None else foreground)
    return is_shown.astype(np.uint8)


def _found(found: Any, probabilities: ArrayLike | None, *, mask: bool, max_pixels: int) -> Found:
    """Labels, probabilities and where there are any, from whatever was given."""
    if isinstance(found, Segmentation):
        everywhere = np.ones(found.labels.shape, bool)
        known = Found(found.labels, None, found.foreground, everywhere)
        known = known.with_probabilities(found.probabilities)
    elif isinstance(found, str | os.PathLike):
        known = read_found(found, max_pixels=max_pixels)
    else:
        labels = unmasked(_whole("labels", found))
        inside = labels != UNLABELED
        if np.ma.isMaskedArray(found):
            inside &= ~np.ma.getmaskarray(found)
        known = Found(labels, None, (), inside)
    if probabilities is not None:
        known = known.with_probabilities(np.asarray(probabilities))
    return known.as_mask() if mask else known


def _truth(truth: Any, ignore: Ignore, max_pixels: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The true classes, and which pixels have one."""
    is_known = ignore == "auto" if isinstance(ignore, str) else isinstance(ignore, Integral | None)
    if not is_known or isinstance(ignore, bool):
        raise OptionError(f'ignore must be "auto", None or a whole number, got {ignore!r}; give one')
    if isinstance(truth, str | os.PathLike):
        stored = read_labels(truth, max_pixels=max_pixels)
    else:
        stored = _whole("truth", truth)
    none: Any = ignore
    classes = stored if none == UNLABELED else unmasked(stored)
    inside = classes != UNLABELED if none == "auto" else np.ones(stored.shape, bool)
    if isinstance(ignore, Integral):
        inside = stored != none
    return classes, np.asarray(inside & ~np.ma.getmaskarray(truth)) if np.ma.isMaskedArray(truth) else inside


def _whole(name: str, values: Any) -> NDArray[Any]:
    array = as_numbers(values, name)
    if array.dtype.kind not in "iub":
        raise InputError(
            f"{name} must be whole numbers or bool, got {array.dtype}; give labels (argmax of probabilities)"
        )
    return array.astype(np.uint8) if array.dtype == bool else array


def _score(
    known: Found,
    true: NDArray[Any],
    inside: NDArray[np.bool_],
    *,
    foreground: int | None,
    match: bool,
    tolerance: float | None,
) -> Score:
    n_classes = _count_classes(true[inside], known, inside)
    table = metrics.contingency(true[inside], known.labels[inside], n_classes)
    matching = metrics.match_labels(table, foreground=foreground) if match else np.arange(n_classes)
    matched = np.zeros_like(table)
    matched[:, matching] = table
    labels = matching[np.where(inside, known.labels, 0)]
    result = Score(
        n_pixels=int(inside.sum()),
        matching=tuple(matching.tolist()),
        accuracy=metrics.accuracy(matched),
        iou=tuple(metrics.iou(matched).tolist()),
        dice=tuple(metrics.dice(matched).tolist()),
        boundary_f=tuple(
            metrics.boundary_f(true, labels, n_classes, domain=inside, tolerance=tolerance).tolist()
        ),
        adjusted_rand=metrics.adjusted_rand(matched),
        variation_of_information=metrics.variation_of_information(matched),
    )
    if known.probabilities is None:
        return result
    order = np.argsort(matching)  # the label of each class
    return _with_probabilities(result, true[inside], known.probabilities[:, inside], order)


def _with_probabilities(result: Score, true: NDArray[Any], p: NDArray[Any], order: NDArray[np.intp]) -> Score:
    """The same with the metrics of probabilities (n_labels, n), classes that no label stands for having 0."""
    missing = np.zeros((len(order) - len(p), p.shape[1]), p.dtype)
    if len(missing) or (order != np.arange(len(order))).any():
        p = np.concatenate([p, missing])[order]
    return result._replace(
        brier=metrics.brier(true, p),
        log_loss=metrics.log_loss(true, p),
        calibration=metrics.calibration(true, p),
    )


def _count_classes(true: NDArray[Any], known: Found, inside: NDArray[np.bool_]) -> int:
    """How many classes truth and labels have together."""
    highest = {"truth": int(true.max()), "labels": int(known.labels[inside].max())}
    if known.probabilities is not None:
        highest["probabilities"] = len(known.probabilities) - 1
    for name, most in highest.items():
        if most >= MAX_CLASSES:
            raise InputError(
                f"{name} must be of classes 0 to {MAX_CLASSES - 1}, got numbers up to {most}; give labels, "
                "and name the number that is no class (ignore=, --ignore)"
            )
    return max(1, *highest.values()) + 1
