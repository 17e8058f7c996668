"""The short path from a picture to its segmentation."""

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cautions import steps_of
from .errors import ConvergenceWarning, InputError, OptionError, check_whole
from .fitting import checked, sample, sample_spatial, seed_of
from .imaging.image import Image, as_image
from .imaging.levels import Quantization, count_levels
from .imaging.reading import REBUILT, options_of
from .loading import Data, preprocessed
from .mixture.chains import Watch
from .mixture.plan import DOUBLINGS, SPATIAL, Plan, Sampler, check_classes
from .mixture.priors import Priors
from .posterior import Posterior
from .potts.fields import Fields
from .potts.keeping import check_keeping
from .potts.options import PottsOptions
from .seeds import Rng
from .segmentation import Segmentation

Foreground = Literal["bright", "dark"] | int | Sequence[int]


def segment(
    image: Image | ArrayLike | str | os.PathLike[str],
    *,
    n_classes: int = 2,
    foreground: Foreground = "bright",
    priors: Priors | None = None,
    sampler: Sampler = "independence",
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    thin: int = 1,
    quantization: Quantization = "auto",
    preprocess: Sequence[str] | str | None = (),
    domain: ArrayLike | None = None,
    spatial: bool | PottsOptions = False,
    keep_labels: int | None = None,
    until_converged: bool = True,
    doublings: int = DOUBLINGS,
    watch: Watch[Posterior] | None = None,
    rng: Rng = None,
) -> Segmentation:
    """Segment a picture by the Gaussian mixture of its intensities, and say how sure that is.

    Parameters
    ----------
    image : Image, array (rows, cols) or (planes, rows, cols), or path
        Bool, integer or float intensities. NaN and infinite pixels are left out.
    n_classes : int
        K, from 1 to 16.
    foreground : "bright", "dark", int or sequence of int
        The classes of the mask: the brightest, the darkest, or these labels.
    priors : Priors, optional
        Default: weakly informative and scaled to the data.
    sampler : "independence", "gibbs", "nuts" or "pymc-lecture"
    draws, tune, chains, thin : int
        Draws kept and steps thrown away a chain, chains, and of how many steps one is kept.
    quantization : "auto", float or None
        Width of the interval that a recorded level stands for; None for the plain normal density.
    preprocess : sequence of str, or str
        Steps such as "gaussian:1.5" or "background:25"; see ``segmix.imaging.preprocess``.
    domain : bool array of the image's shape, optional
        The pixels that count.
    spatial : bool or PottsOptions
        Whether labels of neighbors hang together (a Potts prior), how strongly inferred from this picture.
    keep_labels : int, optional
        With ``spatial``, how many draws of the labels to keep, evenly spaced over the draws of all chains,
        for ``Segmentation.components`` and ``boundaries``. A byte a pixel each, 2 GiB at most in all.
    until_converged : bool
        Whether a run that has not converged is doubled. If not, just these draws are made, and no other
        sampler takes over.
    doublings : int
        How often it is doubled at most, from 0 to 20.
    watch : callable, optional
        Is told every moment how many draws are made, of how many, and given what returns the posterior so
        far; where labels hang together also during the tune, with 0 draws. While the constant of their
        weights is searched for there is none yet, and OutputError is raised in its place.
    rng : int, SeedSequence, Generator or None
        The same seed gives the same result, whatever the number of threads; None draws a seed, kept as
        ``result.posterior.seed``.

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        If the picture cannot be used, as with ``spatial`` where no two pixels that count are neighbors.
    OptionError
        If an option is out of its range.

    Warns
    -----
    ConvergenceWarning
        If the draws do not support the answer.

    Examples
    --------
    >>> import numpy as np, segmix
    >>> truth = np.arange(4096).reshape(64, 64) % 64 > 40
    >>> noise = np.random.default_rng(1).normal(0, 20, truth.shape)
    >>> result = segmix.segment(np.clip(np.rint(60 + 120 * truth + noise), 0, 255).astype(np.uint8), rng=1)
    >>> int((result.mask != truth).sum()), result.posterior.converged
    (9, True)
    """
    potts = _checked_spatial(spatial, sampler, keep_labels)
    seed = seed_of(rng)
    plan = Plan(
        SPATIAL if potts else sampler, draws, tune, chains, seed, thin, until_converged, doublings=doublings
    )
    priors = checked(priors)
    original = as_image(image, domain=domain)
    processed = preprocessed(original, preprocess)
    levels = count_levels(processed, quantization=quantization)
    check_classes(levels, n_classes, original.source)
    n_classes = int(n_classes)
    labels = foreground_labels(foreground, n_classes)
    reading = options_of(original, processed, quantization, levels)
    keep_labels = None if keep_labels is None else int(keep_labels)
    reading |= {} if keep_labels is None else {"keep_labels": keep_labels}
    data = Data(levels, original.source, options=reading, offset=processed.offset)
    pixels, drawn = None, None
    if potts:
        if keep_labels is not None:
            check_keeping(keep_labels, n_pixels=processed.n_pixels, n_draws=chains * draws)
        potts = replace(potts, spacing=_spacing_of(processed, potts))
        posterior, pixels, drawn = sample_spatial(
            data,
            n_classes=n_classes,
            priors=priors,
            options=potts,
            plan=plan,
            keep_labels=keep_labels,
            watch=watch,
        )
    else:
        posterior = sample(data, n_classes=n_classes, priors=priors, plan=plan, watch=watch)
    if not posterior.converged:
        reasons = "; ".join(posterior.verdict.reasons)
        warnings.warn(
            f"{original.source}: the draws have not converged: {reasons}", ConvergenceWarning, stacklevel=2
        )
    asked = asdict(plan) | reading
    asked |= {"spatial": asdict(potts) if potts else None, "keep_labels": keep_labels}
    return Segmentation(original, processed, levels, posterior, labels, asked, pixels, drawn)


def _checked_spatial(
    spatial: bool | PottsOptions, sampler: Sampler, keep_labels: int | None
) -> PottsOptions | None:
    if isinstance(spatial, PottsOptions) or spatial is True:
        if sampler != "independence":
            raise OptionError(f"spatial has a sampler of its own, got {sampler!r}; leave it out")
        if keep_labels is not None:
            check_whole("keep_labels", keep_labels, 1)
        return spatial if isinstance(spatial, PottsOptions) else PottsOptions()
    if spatial is not False:
        raise OptionError(f"spatial must be True, False or PottsOptions, got {spatial!r}")
    if keep_labels is not None:
        raise OptionError(
            f"keep_labels is of labels that hang together, got {keep_labels!r}; add spatial=True, or leave "
            "it out"
        )
    return None


def _spacing_of(image: Image, options: PottsOptions) -> tuple[float, ...] | None:
    """The distances of neighbors: as given, or the image's where they differ from axis to axis."""
    if options.spacing != "image":
        return options.spacing
    spacing = image.spacing
    return None if spacing is None or len(set(spacing)) == 1 else tuple(spacing)


def segmentation_of(
    posterior: Posterior, *, foreground: tuple[int, ...], label_draws: NDArray[np.uint8] | None = None
) -> Segmentation:
    """What the posterior of labels that hang together says of its picture, the pixels at their levels.

    ``label_draws`` are those that were kept of the last draws, if any.

    Raises
    ------
    InputError
        If there are too few draws for probabilities of the pixels.
    """
    held, levels = posterior.state, posterior.levels
    if not isinstance(held, Fields):
        raise InputError(f"{posterior.source}: the posterior holds no picture; segment it anew")
    pixels = levels.values[levels.codes]
    if (pixels == np.clip(np.rint(pixels), 0, 65535)).all():
        pixels = pixels.astype(np.uint8 if pixels.max() <= 255 else np.uint16)
    known, notes = posterior.options, [REBUILT]
    if known.get("keep_labels") is not None and label_draws is None:
        notes.append("label draws were kept but are not carried on; there are no components and boundaries")
    image = Image(
        pixels,
        "ZYX"[-pixels.ndim :],
        held.options.distances,
        held.domain,
        posterior.source,
        limits=tuple(known.get("limits", (None, None))),
        notes=tuple(notes),
        steps=steps_of(posterior),
        offset=known.get("offset", 0.0),
    )
    asked = dict(known) | {"spatial": asdict(held.options)}
    if label_draws is None and "keep_labels" in asked:
        asked["keep_labels"] = None
    return Segmentation(image, image, levels, posterior, foreground, asked, held.probabilities(), label_draws)


def foreground_labels(foreground: Foreground, n_classes: int) -> tuple[int, ...]:
    """Return the labels of the mask, ascending."""
    if isinstance(foreground, str):
        if foreground not in ("bright", "dark"):
            raise OptionError(f"foreground must be 'bright', 'dark' or labels, got {foreground!r}; name one")
        return (n_classes - 1,) if foreground == "bright" else (0,)
    labels = tuple(foreground) if isinstance(foreground, Iterable) else (foreground,)
    if not labels:
        raise OptionError(f"foreground must name a label, got {foreground!r}; use 'bright' or 'dark'")
    return tuple(sorted({check_whole("label in foreground", k, 0, n_classes - 1) for k in labels}))
