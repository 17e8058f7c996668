"""Labels and probabilities of saved results, and label pictures of any origin."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, OptionError
from .imaging.guard import MAX_PIXELS, open_regular, shown
from .imaging.intensity import LUMINANCE
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
        known = np.isfinite(probabilities).all(axis=0)
        held = probabilities[:, known]
        if held.size and not (held.min() >= 0 and np.abs(held.sum(axis=0) - 1).max() < 1e-3):
            raise InputError(
                "probabilities must be 0 or more and sum to 1 in every pixel, got others; normalize them"
            )
        return self._replace(probabilities=probabilities, inside=self.inside & known)

    def as_mask(self) -> "Found":
        """The foreground against the rest, labels 1 and 0."""
        if not self.foreground:
            raise OptionError("mask is of a segmentation or a folder of results, whose foreground is known")
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
    folder = Path(path)
    summary = _summary(path)
    try:
        shape = tuple(int(n) for n in summary["image"]["shape"])
        n_classes, foreground = summary["model"]["n_classes"], tuple(summary["model"]["foreground"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{shown(path)}: its {SUMMARY} is not of a segmented picture ({error!r})") from None
    planes = 1 if len(shape) == 2 else shape[0]
    name = "labels.png" if len(shape) == 2 else "labels.tif"
    labels = _pages(folder / name, planes, max_pixels).reshape(shape)
    p = _pages(folder / "probabilities.tif", n_classes * planes, max_pixels).reshape(n_classes, *shape)
    return Found(labels, None, foreground, np.ones(shape, bool)).with_probabilities(p)


def _summary(folder: str | os.PathLike[str]) -> Any:
    try:
        with open_regular(Path(folder, SUMMARY)) as file:
            return json.loads(file.read(MAX_SUMMARY))
    except (InputError, ValueError) as error:
        raise InputError(
            f"{shown(folder)}: is no folder of results ({SUMMARY}: {error}); give that of a picture"
        ) from None


def _pages(path: Path, n: int, max_pixels: int) -> NDArray[Any]:
    """All pages of a picture, (n, rows, cols)."""
    from .imaging.files import read_image

    pages = range(n) if n > 1 else [None]
    read = [read_image(path, page=page, max_pixels=max_pixels, indexes=True).pixels for page in pages]
    return np.stack(read)


def read_labels(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Read a picture of whole numbers; of a palette picture the numbers of its colors.

    Raises
    ------
    InputError
        If it is a color picture, or of other numbers.
    """
    from .imaging.files import read_image

    image = read_image(path, max_pixels=max_pixels, indexes=True)
    if LUMINANCE in image.notes:
        raise InputError(f"{shown(path)}: labels must be numbers, got colors; save them gray or by a palette")
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
