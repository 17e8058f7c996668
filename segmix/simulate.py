"""Pictures with known truth: what a microscope would record of a scene that we made.

A phantom is a scene (which class each pixel belongs to), the light that the classes send, and a detector that
counts photons, adds noise, rounds and clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import OptionError
from .seeds import Rng, generator_of

SIDE_LIMITS = (64, 8192)
PIXELS_PER_CELL = 3600
TISSUE_MEANS = (62.0, 116.0, 176.0)
TISSUE_STDS = (11.0, 15.0, 12.0)
DUCT_SIZE = 12.5
LUMEN_SHARE, WALL_SHARE = 0.15, 0.27


@dataclass(frozen=True, eq=False)
class Phantom:
    """A simulated picture and the truth behind it.

    Attributes
    ----------
    pixels : ndarray, (rows, cols), uint8 or uint16
        What the detector recorded.
    truth : ndarray of uint8, (rows, cols)
        The class of each pixel, 0..n_classes-1, by ascending mean.
    n_classes : int
        Number of classes in the scene.
    description : str
        One sentence on scene and detector.
    means, stds : tuple of float, (n_classes,)
        Mean and standard deviation of the intensity of each class, in levels, before rounding and clipping.
        "tissue": the parameters of the Gaussian that each class was drawn from. "cells", "cells16": the
        moments of this very scene, because cells differ in brightness and their class is not Gaussian.
    weights : tuple of float, (n_classes,)
        Fraction of the pixels in each class, as counted in `truth`.
    """

    pixels: NDArray[np.unsignedinteger[Any]]
    truth: NDArray[np.uint8]
    n_classes: int
    description: str
    means: tuple[float, ...]
    stds: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class _Detector:
    """A camera: gain * Poisson(exposure * light) + Normal(offset, read_noise), rounded and clipped."""

    exposure: float
    gain: float
    offset: float
    read_noise: float
    dtype: type[np.unsignedinteger[Any]]

    def record(self, light: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the noisy intensity in levels, (rows, cols) float64, not yet rounded or clipped."""
        photons = rng.poisson(self.exposure * light).astype(np.float64)
        return self.gain * photons + rng.normal(self.offset, self.read_noise, light.shape)


# Both cameras see light 1 (the background) to about 14 (the brightest cells).
_DETECTORS = {
    "cells": _Detector(exposure=9.0, gain=2.4, offset=-9.0, read_noise=4.5, dtype=np.uint8),
    "cells16": _Detector(exposure=220.0, gain=6.0, offset=400.0, read_noise=25.0, dtype=np.uint16),
}


def simulate_phantom(kind: str, *, shape: tuple[int, int] = (512, 512), rng: Rng = None) -> Phantom:
    """Simulate a picture of known truth.

    Parameters
    ----------
    kind : {"cells", "cells16", "tissue"}
        "cells": bright cells on a dark field as an 8-bit camera records them, clipped at both ends.
        "cells16": the same scene (of the same seed, the same cells) on a 16-bit camera that collects more
        photons and clips nothing. "tissue": dark lumens, gray stroma and bright walls of ducts, each class
        exactly Gaussian, in 8 bits.
    shape : tuple of int, (rows, cols)
        Size of the picture in pixels, each side from 64 to 8192.
    rng : Generator, SeedSequence, seed or None
        Source of all randomness; the same seed gives the same bytes.

    Returns
    -------
    Phantom
        The picture, its truth, and the parameters behind it.

    Raises
    ------
    OptionError
        If `kind` is unknown or `shape` is not two whole numbers in range.

    Notes
    -----
    A cell is an ellipse with a slightly wavy outline; `truth` is 1 where it covers more than half of a pixel,
    before the blur of the optics. A detector of gain g, offset o and read noise r records
    ``round(g * Poisson(photons) + Normal(o, r))``, clipped to its range (Janesick, Photon Transfer, SPIE
    Press 2007).

    Examples
    --------
    >>> phantom = simulate_phantom("tissue", shape=(64, 64), rng=np.random.default_rng(1))
    >>> phantom.pixels.shape, phantom.pixels.dtype.name, phantom.n_classes
    ((64, 64), 'uint8', 3)
    """
    if kind not in _KINDS:
        raise OptionError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}; choose one of these")
    return _KINDS[kind](kind, _checked_shape(shape), generator_of(rng))


def _checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    low, high = SIDE_LIMITS
    sides = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    whole = all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or not all(low <= side <= high for side in sides):
        raise OptionError(
            f"shape must be two whole numbers (rows, cols) from {low} to {high}, got {shape!r}; "
            "give for example (512, 512)"
        )
    return int(sides[0]), int(sides[1])


def _cells(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Phantom:
    detector = _DETECTORS[kind]
    light, truth = _cell_scene(shape, rng)
    intensity = detector.record(light, rng)
    top = int(np.iinfo(detector.dtype).max)
    classes = [intensity[truth == k] for k in (0, 1)]
    return Phantom(
        pixels=np.clip(np.rint(intensity), 0, top).astype(detector.dtype),
        truth=truth,
        n_classes=2,
        description=f"fluorescent cells on a dark field, {8 * np.dtype(detector.dtype).itemsize}-bit camera",
        means=tuple(float(values.mean()) if values.size else np.nan for values in classes),
        stds=tuple(float(values.std()) if values.size else np.nan for values in classes),
        weights=_fractions(truth, 2),
    )


def _cell_scene(
    shape: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return the light that reaches the camera (background 1) and the truth before the optics' blur."""
    from scipy import ndimage

    light = np.zeros(shape)
    covered = np.zeros(shape)
    rows, cols = shape
    for _ in range(max(1, round(rows * cols / PIXELS_PER_CELL))):
        _add_cell(light, covered, rng)
    light *= np.clip(1 + 0.13 * _smooth_noise(shape, rng, 2.2), 0.4, None)
    blurred = ndimage.gaussian_filter(light, 1.4, mode="nearest")
    return 1 + blurred, (covered > 0.5).astype(np.uint8)


def _add_cell(light: NDArray[np.float64], covered: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Paint one cell of random shape and brightness in place, where it overlaps others little if at all."""
    radius = float(np.clip(rng.lognormal(np.log(14.5), 0.2), 8, 24))
    brightness = float(np.clip(rng.lognormal(np.log(6.0), 0.38), 2.6, 14))
    aspect, angle = rng.uniform(1.05, 1.6), rng.uniform(0, np.pi)
    waves, phases = rng.normal(0, (0.045, 0.02)), rng.uniform(0, 2 * np.pi, 2)
    for center in rng.uniform(-10, np.add(light.shape, 10), (20, 2)):
        window, down, right = _window(center, 1.6 * radius, light.shape)
        turned = (right + 1j * down) * np.exp(-1j * angle)
        along, across = turned.real, turned.imag
        theta = np.arctan2(across * aspect, along)
        outline = 1 + waves[0] * np.cos(2 * theta + phases[0]) + waves[1] * np.cos(3 * theta + phases[1])
        distance = np.hypot(along / np.sqrt(aspect), across * np.sqrt(aspect)) / (radius * outline)
        share = np.clip(0.5 + radius * (1 - distance), 0, 1)
        inside = share > 0.5
        if (inside & (covered[window] > 0.5)).sum() <= 0.05 * inside.sum():
            profile = brightness * (1.08 - 0.35 * distance**2)
            light[window] = np.maximum(light[window], share * profile)
            covered[window] = np.maximum(covered[window], share)
            return


def _window(
    center: NDArray[np.float64], reach: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], NDArray[np.float64], NDArray[np.float64]]:
    """Return the part of the picture within reach of a center, each pixel's way down from it and right."""
    starts = np.clip(np.floor(center - reach), 0, shape).astype(int)
    stops = np.clip(np.ceil(center + reach) + 1, 0, shape).astype(int)
    window = (slice(starts[0], stops[0]), slice(starts[1], stops[1]))
    down, right = np.ogrid[window]
    return window, down - center[0], right - center[1]


def _tissue(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Phantom:
    truth = _tissue_scene(shape, rng)
    means, stds = np.asarray(TISSUE_MEANS), np.asarray(TISSUE_STDS)
    intensity = rng.normal(means[truth], stds[truth])
    return Phantom(
        pixels=np.clip(np.rint(intensity), 0, 255).astype(np.uint8),
        truth=truth,
        n_classes=3,
        description="dark lumens, gray stroma and bright walls of ducts, each Gaussian, 8 bits",
        means=TISSUE_MEANS,
        stds=TISSUE_STDS,
        weights=_fractions(truth, 3),
    )


def _tissue_scene(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return ducts, cut from a Gaussian random field: dark lumens 0, bright walls 2, gray stroma 1."""
    coarse = _smooth_noise(shape, rng, DUCT_SIZE, 2 * DUCT_SIZE)
    fine = _smooth_noise(shape, rng, 0.4 * DUCT_SIZE)
    field = coarse + 0.14 * fine
    outer, inner = np.quantile(field, [1 - LUMEN_SHARE - WALL_SHARE, 1 - LUMEN_SHARE])
    return np.select([field > inner, field > outer], [0, 2], default=1).astype(np.uint8)


def _smooth_noise(
    shape: tuple[int, int], rng: np.random.Generator, low: float, high: float | None = None
) -> NDArray[np.float64]:
    """Return a Gaussian random field of mean 0 and variance 1.

    White noise, blurred by `low` pixels; what a blur by `high` pixels leaves is taken away, so that the
    structures are of about one size.
    """
    from scipy import ndimage

    white = rng.normal(size=shape)
    field = ndimage.gaussian_filter(white, low, mode="wrap")
    if high is not None:
        field -= ndimage.gaussian_filter(white, high, mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float64)


def _fractions(truth: NDArray[np.uint8], n_classes: int) -> tuple[float, ...]:
    return tuple(float(n) / truth.size for n in np.bincount(truth.ravel(), minlength=n_classes))


_KINDS: dict[str, Callable[[str, tuple[int, int], np.random.Generator], Phantom]] = {
    "cells": _cells,
    "cells16": _cells,
    "tissue": _tissue,
}
KINDS: tuple[str, ...] = tuple(_KINDS)
