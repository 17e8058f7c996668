"""From the text of an option to the value that the library takes."""

import secrets
from collections.abc import Sequence
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, Any

from segmix.errors import OptionError, SegmixError, printable

if TYPE_CHECKING:
    from segmix import Priors


def parse_foreground(text: str, *, n_classes: int) -> str | tuple[int, ...]:
    """Return "bright", "dark", or ascending distinct labels from 0 to n_classes - 1."""
    if text in ("bright", "dark"):
        return text
    try:
        labels = sorted({int(part) for part in text.split(",")})
    except ValueError:
        labels = [-1]
    if labels[0] < 0 or labels[-1] >= n_classes:
        raise OptionError(
            f"--foreground must be bright, dark, or labels from 0 to {n_classes - 1} separated by commas, "
            f"got {text!r}; labels ascend with the mean intensity"
        )
    return tuple(labels)


def parse_quantization(text: str) -> str | float | None:
    """Return "auto", None for the plain density, or a positive step."""
    if text == "auto":
        return text
    if text == "none":
        return None
    step = _number(text)
    if not step > 0:
        raise OptionError(f"--quantization must be auto, none or a positive number, got {text!r}; give auto")
    return step


def parse_limits(text: str) -> tuple[float | None, float | None]:
    """Return the saturated ends (low, high), None for an end that is open."""
    ends = [None if part.strip() == "none" else _exact(part) for part in text.split(",")]
    low, high = ends if len(ends) == 2 else (nan, nan)
    if isnan(low or 0) or isnan(high or 0) or (low is not None and high is not None and low >= high):
        raise OptionError(
            f"--limits must be LOW,HIGH with LOW below HIGH, or none for an end, got {text!r}; "
            "give for example 0,4095 or none,4095"
        )
    return low, high


def parse_steps(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the preprocessing steps if each is one that segmix knows."""
    if texts:
        from segmix.imaging.steps import parse_step

        for text in texts:
            parse_step(text)
    return tuple(texts)


def parse_prior(text: str) -> "Priors | None":
    """Return the priors of the lecture, those of a TOML file, or None for priors scaled to each image."""
    if text == "auto":
        return None
    from segmix import Priors

    if text == "lecture":
        return Priors.lecture()
    try:
        return Priors.from_toml(text)
    except SegmixError as error:
        raise type(error)(f"--prior: {error}") from error


def parse_shape(text: str, *, volumes: bool = False) -> tuple[int, ...]:
    """Return (rows, cols) in pixels, or (planes, rows, cols) where there may be volumes."""
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    known = len(parts) == 2 or (volumes and len(parts) == 3)
    if not known or not all(part.isdecimal() and len(part) < 10 for part in parts):
        sizes = "ROWS,COLS or PLANES,ROWS,COLS" if volumes else "ROWS,COLS"
        raise OptionError(f"--shape must be {sizes}, got {printable(text)!r:.60}; give for example 512,512")
    return tuple(map(int, parts))


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    """Return finite numbers, one a class."""
    numbers = tuple(_number(part) for part in text.split(","))
    if any(isnan(number) for number in numbers):
        raise OptionError(f"{option} must be numbers separated by commas, got {text!r}; give for example 1,2")
    return numbers


def parse_shares(text: str) -> tuple[float, ...]:
    """Return the share of every class; one number stands for the first of two."""
    shares = parse_numbers("--p", text)
    if len(shares) > 1 or shares[0] == 1:
        return shares
    if not 0 < shares[0] < 1:
        raise OptionError(f"--p must be a share above 0 and at most 1, got {text!r}; give for example 0.25")
    return shares[0], 1 - shares[0]


def draw_seed() -> int:
    """Return a seed that is short enough to be typed."""
    return secrets.randbelow(2**32)


def _exact(text: str) -> int | float:
    """Return a finite number, or NaN for any other text; whole ones that float64 can't hold as int."""
    value = _number(text)
    try:
        return value if abs(value) < 2**53 or isnan(value) else int(text)
    except ValueError:
        return value


def _number(text: str) -> float:
    """Return a finite number, or NaN for any other text."""
    try:
        value = float(text)
    except ValueError:
        return nan
    return value if isfinite(value) else nan


def parse_spatial(
    spatial: bool, beta: str, connectivity: int, spacing: str, weights: Any, keep_labels: int | None
) -> Any:
    """Return what `segmix.segment` takes as ``spatial``."""
    if not spatial:
        options = (
            ("--beta", beta != "infer"),
            ("--connectivity", connectivity != 1),
            ("--spacing", spacing != "image"),
            ("--weights", weights != "infer"),
            ("--keep-labels", keep_labels is not None),
        )
        for given in (name for name, is_given in options if is_given):
            raise OptionError(f"{given} is of labels that hang together; add --spatial, or leave it out")
        return False
    from segmix import PottsOptions

    try:
        asked: Any = beta if beta in ("infer", "pseudo") else float(beta)
    except ValueError:
        raise OptionError(f"--beta must be infer, pseudo or a number of at least 0, got {beta!r}") from None
    return PottsOptions(asked, connectivity, parse_spacing(spacing), weights)


def parse_spacing(text: str, *, of_image: bool = True) -> Any:
    """Return "image", None for neighbors that are all alike, or the distance along each axis."""
    if text == "none" or (of_image and text == "image"):
        return None if text == "none" else text
    distances = tuple(_number(part) for part in text.split(","))
    if len(distances) not in (2, 3) or not all(distance > 0 for distance in distances):
        raise OptionError(
            f"--spacing must be {'image, ' if of_image else ''}none, or positive distances along each axis, "
            f"got {text!r}; "
            "give for example 3,1,1"
        )
    return distances
