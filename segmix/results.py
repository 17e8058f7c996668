"""Labels and probabilities of saved results, and label pictures of any origin."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, OptionError, SegmixError, check_whole
from .imaging.guard import MAX_PIXELS, one_line, open_regular, shown
from .imaging.intensity import LUMINANCE
from .samples import MAX_CLASSES
from .targets import SUMMARY

UNLABELED = 255
MAX_SUMMARY = 1 << 24  # bytes


class Found(NamedTuple):
    """Labels (*shape), p(z = k) (n_classes, *shape) or None, the foreground's labels, where labels are."""

    labels: NDArray[Any]
    probabilities: NDArray[Any] | None
    foreground: tuple[int, ...]
    inside: NDArray[np.bool_]

    def with_probabilities(self, probabilities: NDArray[Any]) -> "Found":
        """The same with these; pixels without (NaN) have no label either."""
        if probabilities.dtype.kind != "f" or probabilities.shape[1:] != self.labels.shape:
            raise InputError(
                f"probabilities must be floats (n_classes, {', '.join(map(str, self.labels.shape))}), got "
                f"{probabilities.dtype} {probabilities.shape}; give p of every class"
            )
        with np.errstate(invalid="ignore"):
            total = probabilities.sum(axis=0)
            known = np.isfinite(total)
            right = (np.abs(total - 1) < 1e-3) & (probabilities.min(axis=0) >= 0)
        if not right[known].all():
            raise InputError(
                "probabilities must be 0 or more and sum to 1 in every pixel, got others; normalize them"
            )
        return self._replace(probabilities=probabilities, inside=self.inside & known)

    def as_mask(self) -> "Found":
        """The foreground against the rest, labels 1 and 0."""
        if not self.foreground:
            raise OptionError(
                "mask (--mask) is of a segmentation or a folder of results, whose foreground is known; leave "
                "it out"
            )
        chosen = list(self.foreground)
        if self.probabilities is None:
            return Found(np.isin(self.labels, chosen).astype(np.uint8), None, (1,), self.inside)
        p = self.probabilities[chosen].sum(axis=0)
        return Found((p > 0.5).astype(np.uint8), np.stack([1 - p, p]), (1,), self.inside)


def read_found(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Found:
    """Read a folder that segmix wrote, or a picture of labels, in which 255 is none unless all is 0 or 255.

    Raises
    ------
    InputError
        If the folder holds no results, or the picture no labels.
    """
    if not os.path.isdir(path):
        labels = unmasked(read_labels(path, max_pixels=max_pixels))
        return Found(labels, None, (), labels != UNLABELED)
    folder, facts = Path(path), _facts(path)
    n_planes = int(np.prod(facts.shape[:-2]))
    if n_planes * facts.shape[-2] * facts.shape[-1] > max_pixels:
        raise InputError(
            f"{shown(path)}: its {SUMMARY} claims {' x '.join(map(str, facts.shape))} pixels, above the "
            f"limit of {max_pixels}; allow more (max_pixels=, --max-pixels)"
        )
    name = "labels.png" if len(facts.shape) == 2 else "labels.tif"
    labels = _pages(folder / name, n_planes, facts.shape[-2:], "iu").reshape(facts.shape)
    pages = _pages(folder / "probabilities.tif", facts.n_classes * n_planes, facts.shape[-2:], "f")
    p = pages.reshape(facts.n_classes, *facts.shape)
    return Found(labels, None, facts.foreground, np.ones(facts.shape, bool)).with_probabilities(p)


class _Facts(NamedTuple):
    """What a folder's summary says of its picture."""

    shape: tuple[int, ...]
    n_classes: int
    foreground: tuple[int, ...]


def _facts(folder: str | os.PathLike[str]) -> _Facts:
    try:
        with open_regular(Path(folder, SUMMARY)) as file:
            summary = json.loads(file.read(MAX_SUMMARY))
        model, sides = summary["model"], list(summary["image"]["shape"])
        shape = tuple(check_whole("side", n, 1) for n in sides)
        n_classes = check_whole("n_classes", model["n_classes"], 1, MAX_CLASSES)
        foreground = tuple(check_whole("label", k, 0, n_classes - 1) for k in list(model["foreground"]))
        if len(shape) not in (2, 3) or len(set(foreground)) != len(foreground):
            raise ValueError("shape or foreground")
    except (SegmixError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{shown(folder)}: is no folder of a segmented picture's results ({SUMMARY}: {one_line(error)}); "
            "give one that segmix segment wrote"
        ) from None
    return _Facts(shape, n_classes, foreground)


def _pages(path: Path, n: int, shape: tuple[int, ...], kinds: str) -> NDArray[Any]:
    """All pages of a picture of this shape and one of these kinds of numbers, (n, rows, cols)."""
    from .imaging.files import read_image

    read = []
    for page in range(n) if n > 1 else [None]:
        image = read_image(path, page=page, max_pixels=max(1, int(np.prod(shape))), indexes=True)
        if image.shape != shape or image.pixels.dtype.kind not in kinds or LUMINANCE in image.notes:
            raise InputError(
                f"{shown(path)}: is not what {SUMMARY} beside it tells of; segment the picture anew"
            )
        read.append(image.pixels)
    return np.stack(read)


def read_labels(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Read a picture of whole numbers; of a palette picture the numbers of its colors.

    Raises
    ------
    InputError
        If it is a color picture, or of other numbers.
    """
    from .imaging.files import read_image

    try:
        image = read_image(path, max_pixels=max_pixels, indexes=True)
    except InputError as error:
        if "pages" in str(error):
            raise InputError(
                f"{shown(path)}: labels of several pages are not read from pictures; give the folder of "
                "results, or save the volume as .npy"
            ) from None
        raise
    if LUMINANCE in image.notes:
        raise InputError(
            f"{shown(path)}: labels must be numbers, got colors; save them gray, or as a PNG, GIF or BMP "
            "with a palette"
        )
    if image.pixels.dtype.kind not in "iub":
        raise InputError(
            f"{shown(path)}: labels must be whole numbers, got {image.pixels.dtype}; save them as such"
        )
    pixels = image.pixels
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def unmasked(labels: NDArray[Any]) -> NDArray[Any]:
    """A mask of 0 and 255 as classes 0 and 1; anything else as it is."""
    others = (labels != 0) & (labels != UNLABELED)
    is_mask = labels.size > 0 and labels.max() == UNLABELED and not others.any()
    return (labels == UNLABELED).astype(np.uint8) if is_mask else labels
