"""Reading data, of whatever kind, into the levels that a fit works on."""

import os
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError, OptionError
from .imaging.arrays import as_numbers
from .imaging.guard import kind_of, open_regular, shown
from .imaging.image import Image
from .imaging.levels import Levels, Quantization, count_levels
from .imaging.plain import read_npy_row
from .imaging.reading import AS_IT_IS, Reading, options_of, plain_width
from .mixture.plan import check_classes
from .mixture.threads import in_background
from .samples import Samples, Truth, as_samples, count_samples
from .tables import TABLES, read_samples


class Data(NamedTuple):
    """What a fit works on: levels, where they come from, and the truth where it is known.

    ``options`` say how the data were read, ready for JSON. ``offset`` is what levels, and so means,
    are counted from.
    """

    levels: Levels
    source: str = "array"
    column: str | None = None
    truth: Truth | None = None
    notes: tuple[str, ...] = ()
    options: Mapping[str, Any] = {}
    offset: int | float = 0.0


def load(
    data: Image | Samples | ArrayLike | str | os.PathLike[str],
    *,
    n_classes: int,
    quantization: Quantization = "auto",
    preprocess: Sequence[str] | str | None = (),
    column: str | int | None = None,
    reading: Reading = AS_IT_IS,
) -> Data:
    """Read data and count its levels; steps and ``reading`` are of images, and only tables have columns."""
    rows = _as_row(data, column)
    if rows is None:
        original = reading.open(data)  # type: ignore[arg-type]
        image = preprocessed(original, preprocess)
        levels = count_levels(image, quantization=quantization)
        check_classes(levels, n_classes, image.source)
        options = options_of(original, image, quantization, levels)
        return Data(
            levels, image.source, notes=(*image.notes, *levels.notes), options=options, offset=image.offset
        )
    if preprocess:
        raise OptionError(f"preprocess is for images, {rows.source} is a row of values; leave it out")
    reading.refuse(rows.source)
    levels = count_samples(rows, quantization=quantization)
    check_classes(levels, n_classes, rows.source, unit="value")
    options = {"quantization": plain_width(quantization)}
    return Data(levels, rows.source, rows.column, rows.truth, rows.notes, options)


def _as_row(data: Any, column: str | int | None) -> Samples | None:
    """The data as one row of values; None for an image."""
    is_path = isinstance(data, str | os.PathLike)
    if is_path and Path(os.fsdecode(data)).suffix.lower() in TABLES:
        return read_samples(data, column=column)
    if column is not None:
        raise OptionError(
            f"column (--column) is for tables ({', '.join(TABLES)}), got {column!r}; leave it out"
        )
    if isinstance(data, Samples):
        return data
    if isinstance(data, Image):
        return None
    if is_path:
        return _row_of_npy(data)
    array = as_numbers(data, "array: data")
    return as_samples(data if np.ma.isMaskedArray(data) else array) if array.ndim == 1 else None


def _row_of_npy(path: str | os.PathLike[str]) -> Samples | None:
    """The values of a .npy file with one axis; None for all other files, whose reader says what is wrong."""
    try:
        with open_regular(path) as file:
            row = read_npy_row(file) if kind_of(file) == "NPY" else None
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None
    except (OSError, ValueError):
        return None
    return None if row is None else as_samples(row, source=os.fsdecode(path))


def preprocessed(image: Image, steps: Sequence[str] | str | None) -> Image:
    """Apply preprocessing steps, so that Ctrl-C is heard meanwhile."""
    if steps is None or (isinstance(steps, Sized) and not len(steps)):
        return image
    from .imaging.preprocess import preprocess

    return in_background(preprocess, image, steps)
