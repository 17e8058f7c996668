"""What a picture holds, in numbers and in words."""

import shlex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmix import Image, Levels, count_levels, read_image
from segmix.errors import InputError, printable
from segmix.imaging.image import summed
from segmix.mixture.plan import check_classes

SPIKE = 8.0
"""How many times its neighbors an end level must hold to look saturated."""


def describe(path: str, *, page: int | None, max_pixels: int) -> dict[str, Any]:
    """Return what `segmix info` prints, as JSON takes it.

    Parameters
    ----------
    path, page, max_pixels
        As in `segmix.read_image`.

    Returns
    -------
    dict
        ``input``, ``shape``, ``axes``, ``type``, ``pixels``; ``not_counted``, pixels that are not finite or
        outside the domain; ``levels`` and ``step`` on which a fit would work (0 for values on no grid);
        ``range``; ``saturation`` at the ``low`` and ``high`` end (``at``, ``pixels``, ``fraction``, or None
        where the detector is not known to have that end); ``notes``; ``suggestion``, a command line, None
        where there are too few pixels for any. ``type`` is that of the file; intensities may have another.
    """
    image = read_image(path, page=page, max_pixels=max_pixels)
    levels = count_levels(image)
    counted = _counted(image)
    return {
        "input": path,
        "shape": list(image.shape),
        "axes": image.axes,
        "type": image.stored,
        "pixels": image.n_pixels,
        "not_counted": image.n_pixels - counted.size,
        "levels": levels.n_levels,
        "step": levels.step,
        "range": [float(counted.min()), float(counted.max())],
        "saturation": {
            end: _saturation(image.limits[k], counted, k) for k, end in enumerate(("low", "high"))
        },
        "notes": [*image.notes, *levels.cautions],
        "suggestion": suggest(image, levels, page=page),
    }


def suggest(image: Image, levels: Levels, *, page: int | None) -> str | None:
    """Return a command line that suits the picture, None if its pixels are too few for a class.

    One class for a constant or tiny picture, else two; the dark class in front where the bright one covers
    more than half of the picture; an end as a limit where its level holds many times what its neighbors hold.
    """
    n_classes = _most_classes(levels)
    if not n_classes:
        return None
    name = image.source if not image.source.startswith("-") else f"./{image.source}"
    words = ["segmix", "segment", shlex.quote(name), "-o", "out", "-k", str(n_classes)]
    if _bright_fraction(levels) > 0.5:
        words += ["--foreground", "dark"]
    if page is not None:
        words += ["--page", str(page)]
    limits = [_limit(image, levels, end) for end in (0, 1)]
    if limits != list(image.limits):
        words += ["--limits", ",".join(_end_text(limit, image.offset) for limit in limits)]
    return " ".join(words)


def to_text(record: dict[str, Any]) -> str:
    """Return the description as a table for people."""
    unit = "rows x cols" if len(record["shape"]) == 2 else "planes x rows x cols"
    rows = [
        ("size", f"{' x '.join(map(str, record['shape']))} ({unit})"),
        ("type", record["type"]),
        ("levels", f"{record['levels']}" + (f", step {record['step']:g}" if record["step"] else "")),
        ("range", f"{record['range'][0]:.6g} to {record['range'][1]:.6g}"),
        *((f"{end} end", _saturation_text(found)) for end, found in record["saturation"].items()),
        *(("note", note) for note in record["notes"]),
        ("try", record["suggestion"] or "a larger picture or domain: its pixels are too few for a class"),
    ]
    return "\n".join(
        [printable(record["input"]), *(f"  {name:<10}{printable(value)}" for name, value in rows)]
    )


def _most_classes(levels: Levels) -> int:
    """Return how many classes the pixels can carry, two at most."""
    for n_classes in (2, 1):
        try:
            check_classes(levels, n_classes)
        except InputError:
            continue
        return n_classes
    return 0


def _counted(image: Image) -> NDArray[Any]:
    """Return the intensities that count: finite, and in the domain."""
    if image.domain is None and image.pixels.dtype.kind != "f":
        return image.pixels
    counts = np.isfinite(image.pixels)
    return image.pixels[counts if image.domain is None else counts & image.domain]


def _saturation(limit: float | None, counted: NDArray[Any], end: int) -> dict[str, float] | None:
    """Return how many pixels lie at the detector's low (0) or high (1) end."""
    if limit is None:
        return None
    pixels = int(np.count_nonzero(counted >= limit if end else counted <= limit))
    return {"at": float(limit), "pixels": pixels, "fraction": pixels / counted.size}


def _saturation_text(found: dict[str, float] | None) -> str:
    if found is None:
        return "open"
    unit = "pixel" if found["pixels"] == 1 else "pixels"
    return f"{found['pixels']} {unit} at {found['at']:g} ({100 * found['fraction']:.3g} %)"


def _limit(image: Image, levels: Levels, end: int) -> float | None:
    """Return the end as the picture states it, or the extreme intensity where a spike stands on it.

    A value far from all others is no spike at which a detector saturates.
    """
    counts = levels.counts[::-1] if end else levels.counts
    if len(counts) < 9 or counts[0] < SPIKE * counts[1:9].max() or counts[0] < levels.n_pixels / 1000:
        return image.limits[end]
    counted = _counted(image)
    extreme = float(counted.max() if end else counted.min())
    return image.limits[end] if extreme in [value for value, _ in levels.lone] else extreme


def _end_text(limit: float | None, offset: int | float) -> str:
    """Write an end as --limits takes it, in the units of the file."""
    if limit is None:
        return "none"
    return str(summed(limit, offset)) if offset else f"{limit:.10g}"


def _bright_fraction(levels: Levels) -> float:
    """Fraction of pixels above the threshold of Otsu (1979), lone values apart; 0 for a single level."""
    if levels.n_levels == 1:
        return 0.0
    lone = [value > levels.values[levels.n_levels // 2] for value, _ in levels.lone]
    inner = slice(int(False in lone), levels.n_levels - (True in lone))
    values, shares = levels.values[inner], levels.counts[inner] / levels.counts[inner].sum()
    above = 1 - np.cumsum(shares)[:-1]
    total = shares @ values
    mean_below: NDArray[np.float64] = np.cumsum(shares * values)[:-1]
    between = (total * (1 - above) - mean_below) ** 2 / (above * (1 - above))
    return float(above[between.argmax()])
