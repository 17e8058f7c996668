"""How well labels and probabilities agree with a known truth.

Truth and labels are arrays of whole numbers of one shape, classes 0 to K - 1; which pixels count is settled
before (see ``scoring.score``). Metrics of labels follow from the contingency table n_tl, the pixels of true
class t that have label l.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, OptionError, as_float, check_whole

Array = NDArray[np.float64]
Labels = NDArray[Any]

N_BINS = 15  # of the calibration curve
TOLERANCE = 0.0075  # of the picture's diagonal, within which boundaries meet
LEAST = float(np.finfo(np.float32).eps)  # probability, for the log loss


class Calibration(NamedTuple):
    """Stated probabilities beside what came true, in bins of equal width; (n_bins,) each.

    Mean stated probability and share of hits of the pixels of a bin (NaN of an empty one), and their number.
    """

    stated: Array
    observed: Array
    counts: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error, sum_b n_b / n |stated_b - observed_b| (Naeini 2015, AAAI, 2901)."""
        gaps = np.nan_to_num(np.abs(self.stated - self.observed))
        return float(gaps @ self.counts / self.counts.sum())


def contingency(truth: Labels, labels: Labels, n_classes: int) -> NDArray[np.int64]:
    """Count the pixels of each true class and label, (n_classes, n_classes).

    Raises
    ------
    InputError
        If the shapes differ, an array holds no pixel, or a number is not one of 0 to n_classes - 1.
    """
    truth, labels = _classes("truth", truth, n_classes), _classes("labels", labels, n_classes)
    if truth.shape != labels.shape:
        raise InputError(
            f"labels must have the truth's shape {truth.shape}, got {labels.shape}; crop or resize one"
        )
    code = truth.astype(np.intp).ravel() * n_classes + labels.astype(np.intp).ravel()
    table: NDArray[np.int64] = np.bincount(code, minlength=n_classes**2).reshape(n_classes, n_classes)
    return table


def _classes(name: str, values: Labels, n_classes: int) -> Labels:
    values = np.asarray(values)
    values = values.astype(np.uint8) if values.dtype == bool else values
    if values.dtype.kind not in "iu" or values.size == 0:
        raise InputError(
            f"{name} must be whole numbers, at least one, got {values.size} of {values.dtype}; give labels"
        )
    if values.min() < 0 or values.max() >= n_classes:
        raise InputError(
            f"{name} must be 0 to {n_classes - 1}, got {values.min()} to {values.max()}; number the classes "
            "from 0, or name the number that is none (ignore=, --ignore)"
        )
    return values


def iou(table: NDArray[np.int64]) -> Array:
    """Intersection over union of each class, n_kk / (n_k. + n_.k - n_kk), (n_classes,); 1 where it is absent.

    Jaccard 1912, New Phytologist 11, 37.
    """
    both, either = np.diag(table), table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def dice(table: NDArray[np.int64]) -> Array:
    """Dice's coefficient of each class, 2 n_kk / (n_k. + n_.k), (n_classes,); 1 where it is absent.

    Dice 1945, Ecology 26, 297.
    """
    overlap = iou(table)
    return np.asarray(2 * overlap / (1 + overlap))


def accuracy(table: NDArray[np.int64]) -> float:
    """The share of pixels with their true class."""
    return float(np.trace(table) / table.sum())


def adjusted_rand(table: NDArray[np.int64]) -> float:
    """Adjusted Rand index: 1 for the same parts, about 0 for chance, whatever the parts are called.

    (pairs - expected) / (mean of both partitions' pairs - expected); Hubert and Arabie 1985, Journal of
    Classification 2, 193.
    """
    pairs, rows, cols = (
        float((n * (n - 1.0) / 2).sum()) for n in (table, table.sum(axis=1), table.sum(axis=0))
    )
    n = float(table.sum())
    expected = rows * cols / max(n * (n - 1) / 2, 1.0)
    most = (rows + cols) / 2
    return 1.0 if most == expected else (pairs - expected) / (most - expected)


def variation_of_information(table: NDArray[np.int64]) -> tuple[float, float]:
    """H(labels | truth) and H(truth | labels) in bits: what labels split, and what they merge; the sum is VI.

    Meila 2007, Journal of Multivariate Analysis 98, 873.
    """
    share = table / table.sum()
    joint, true, found = (_entropy(p) for p in (share, share.sum(axis=1), share.sum(axis=0)))
    return max(0.0, joint - true), max(0.0, joint - found)


def _entropy(p: Array) -> float:
    known = p[p > 0]
    return float(-(known * np.log2(known)).sum())


def match_labels(table: NDArray[np.int64], *, foreground: int | None = None) -> NDArray[np.intp]:
    """The class that each label stands for, (n_classes,): the permutation with the most pixels right.

    With a ``foreground`` the label of largest IoU with that class stands for it, if the class is there, and
    the others are matched among themselves. ``table`` is (n_classes, n_classes), see ``contingency``.

    Raises
    ------
    OptionError
        If ``foreground`` is no class.
    """
    from scipy.optimize import linear_sum_assignment

    n = len(table)
    classes, labels = np.arange(n), np.arange(n)
    matching = np.zeros(n, np.intp)
    if foreground is not None:
        check_whole("foreground", foreground, 0, n - 1)
    if foreground is not None and table[foreground].any():
        either = table[foreground].sum() + table.sum(axis=0) - table[foreground]
        best = int((table[foreground] / np.maximum(either, 1)).argmax())
        matching[best] = foreground
        classes, labels = np.delete(classes, foreground), np.delete(labels, best)
    rows, cols = linear_sum_assignment(table[np.ix_(classes, labels)], maximize=True)
    matching[labels[cols]] = classes[rows]
    return matching


def boundary_f(
    truth: Labels,
    labels: Labels,
    n_classes: int,
    *,
    domain: Labels | None = None,
    tolerance: float | None = None,
) -> Array:
    """F measure of each class's boundary, (n_classes,); NaN of a class that has none in either picture.

    Precision is the share of its boundary pixels within ``tolerance`` (in pixels; default 0.75 % of the
    picture's diagonal, at least 1) of the true boundary, recall the reverse, F = 2 P R / (P + R) (Csurka,
    Larlus and Perronnin 2013, BMVC). Edges of the picture and of the domain are no boundary.
    """
    inside = np.ones(np.shape(truth), bool) if domain is None else np.asarray(domain, bool)
    if tolerance is None:
        tolerance = max(1.0, TOLERANCE * float(np.linalg.norm(np.shape(truth))))
    if not 0 <= as_float(tolerance) < np.inf:
        raise OptionError(f"tolerance must be 0 pixels or more, got {tolerance!r}; give for example 2")
    scores = np.full(n_classes, np.nan)
    for k in range(n_classes):
        true, found = (_boundary(np.asarray(z) == k, inside) for z in (truth, labels))
        if true.any() or found.any():
            precision, recall = _near(found, true, tolerance), _near(true, found, tolerance)
            scores[k] = 2 * precision * recall / max(precision + recall, 1e-300)
    return scores


def _boundary(mask: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the mask with a face neighbor inside that is not of it."""
    from scipy.ndimage import binary_dilation

    edge: NDArray[np.bool_] = mask & inside & binary_dilation(~mask & inside)
    return edge


def _near(some: NDArray[np.bool_], others: NDArray[np.bool_], tolerance: float) -> float:
    """The share of some pixels that lie within the tolerance of others."""
    from scipy.ndimage import distance_transform_edt

    if not (some.any() and others.any()):
        return 0.0
    return float((distance_transform_edt(~others)[some] <= tolerance).mean())


def brier(truth: Labels, probabilities: Array) -> float:
    """Half the mean over pixels of sum_k (p_k - [z = k])^2, from 0 to 1; of two classes (p - z)^2.

    ``probabilities`` are (n_classes, n), truth (n,). Brier 1950, Monthly Weather Review 78, 1.
    """
    own = _of_truth(truth, probabilities)
    squares = np.einsum("kn,kn->n", probabilities, probabilities)
    return float((squares - 2 * own + 1).mean(dtype=np.float64) / 2)


def log_loss(truth: Labels, probabilities: Array) -> float:
    """Mean of -log p of the true class, in nats; no p counts as less than 1.2e-7, what float32 resolves."""
    return float(-np.log(np.maximum(_of_truth(truth, probabilities), LEAST)).mean(dtype=np.float64))


def _of_truth(truth: Labels, probabilities: Array) -> Array:
    own: Array = np.take_along_axis(probabilities, np.asarray(truth, np.intp)[None], axis=0)[0]
    return own


def calibration(truth: Labels, probabilities: Array, *, n_bins: int = N_BINS) -> Calibration:
    """Compare stated probabilities (n_classes, n) with what came true.

    Of two classes the probability of class 1 and whether it was true; of more the highest probability and
    whether that class was.
    """
    check_whole("n_bins", n_bins, 1)
    truth = np.asarray(truth)
    if len(probabilities) == 2:
        p, hit = probabilities[1], truth == 1
    else:
        p, hit = probabilities.max(axis=0), probabilities.argmax(axis=0) == truth
    where = np.minimum((p * n_bins).astype(np.intp), n_bins - 1)
    counts = np.bincount(where, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        stated, observed = (np.bincount(where, x, n_bins) / counts for x in (p, hit.astype(np.float64)))
    return Calibration(stated, observed, counts)
