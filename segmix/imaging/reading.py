"""How a picture is read, which of its pixels count, and what of that a record keeps."""

import os
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError, OptionError
from .guard import MAX_PIXELS
from .image import Domain, Image, Limits, as_image, counted_limits
from .levels import Levels, Quantization


class Reading(NamedTuple):
    """What is asked of a picture's file; None and the default stand for nothing."""

    page: int | None = None
    limits: Limits | None = None
    domain: Domain | None = None
    max_pixels: int = MAX_PIXELS

    def open(self, data: Image | ArrayLike | str | os.PathLike[str]) -> Image:
        """Return the picture of a path, or what is there already, with these limits and this domain."""
        if isinstance(data, str | os.PathLike):
            from .files import read_image

            data = read_image(data, page=self.page, max_pixels=self.max_pixels)
        image = as_image(data, domain=self.domain)
        if self.limits is None:
            return image
        return replace(image, limits=counted_limits(self.limits, image.offset))

    def refuse(self, source: str) -> None:
        """Raise OptionError if anything is asked that a row of values has not."""
        asked = [name for name in ("page", "limits", "domain") if getattr(self, name) is not None]
        asked += ["max_pixels"] if self.max_pixels != MAX_PIXELS else []
        if asked:
            option = asked[0].replace("_", "-")
            raise OptionError(
                f"{asked[0]} (--{option}) is for images, {source} is a row of values; leave it out"
            )


AS_IT_IS = Reading()

REBUILT = "the picture is rebuilt from the levels of its posterior"
"""A note on an image whose pixels, their type and their digest need not be those of the file."""


def read_domain(path: str, *, max_pixels: int = MAX_PIXELS) -> Domain:
    """Return True where the picture is not zero; a palette's colors say nothing of its indexes."""
    from .files import read_image

    image = read_image(path, max_pixels=max_pixels)
    if any(note.startswith("palette") for note in image.notes):
        raise InputError(f"{path}: a domain must be gray (0 leaves out), got a palette; use mask.png, say")
    domain: Domain = image.pixels != 0
    return domain


def options_of(
    original: Image, processed: Image, quantization: Quantization, levels: Levels
) -> dict[str, Any]:
    """What repeats the reading of a picture, ready for JSON."""
    domain = original.domain
    known: dict[str, Any] = {"offset": original.offset} if original.offset else {}
    known |= {"cautions": list(levels.cautions)} if levels.cautions else {}
    return known | {
        "quantization": plain_width(quantization),
        "page": original.page,
        "preprocess": list(processed.steps),
        "limits": list(original.limits),
        "domain_sha256": None if domain is None else sha256(np.ascontiguousarray(domain).data).hexdigest(),
    }


def plain_width(quantization: Quantization) -> Quantization:
    """The width of an interval as Python's own number."""
    return quantization if quantization is None or isinstance(quantization, str) else float(quantization)
