"""A segmented picture: labels, probabilities, their uncertainty, and the posterior they come from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import record, text
from .areas import Area, draw_areas, summarize_areas
from .cautions import find_cautions
from .errors import OptionError
from .extending import extend_keeping
from .imaging.image import Image
from .imaging.levels import Levels
from .mixture.chains import Stream, Watch, generator
from .mixture.density import Parameters, class_probabilities, observe
from .netcdf import write_posterior
from .outputs import staged_folder
from .pictures import entropy_of, html_figure, labels_of, level_shades, middle_plane, shades_of
from .posterior import Posterior
from .potts.fields import Fields
from .shapes import Boundary, Components, Shapes, find_boundaries, find_components
from .targets import SUMMARY

Array = NDArray[np.float64]

_AREAS_STREAM = 1 << 20  # no chain's stream has this number


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What the posterior of an image's mixture says of every pixel.

    Pixels outside the domain (or not finite) have label 0, mask False, and NaN probabilities and entropy.

    Attributes
    ----------
    original, image : Image
        The picture as it came, and after preprocessing (the same one where there was none).
    levels : Levels
    posterior : Posterior
    foreground : tuple of int
        The labels of the mask.
    options : mapping
        What was asked for, ready for JSON; with the picture it repeats the run.
    pixel_probabilities : (n_classes, *shape) float32 or None
        Where labels hang together, p(z = k | y) of every pixel; else a pixel's level tells it.
    label_draws : (n, *shape) uint8 or None
        Draws of the labels, 255 outside the domain, where they were kept (``keep_labels``). The i-th is of
        draw d of chain c, (c, d) = divmod((2 i + 1) m // (2 n), n_draws) with m draws of all chains; after
        ``extend(keep_labels=)`` all of these numbers are of the added part.
    """

    original: Image
    image: Image
    levels: Levels
    posterior: Posterior
    foreground: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    pixel_probabilities: NDArray[np.float32] | None = None
    label_draws: NDArray[np.uint8] | None = None

    @property
    def n_classes(self) -> int:
        """The number of classes K."""
        return self.posterior.n_classes

    @cached_property
    def table(self) -> Array:
        """p(z = k | v), averaged over all draws, for each class and level: (n_classes, n_levels)."""
        parts = self.posterior.pooled()
        moved = np.append(True, (np.diff(parts[1], axis=0) != 0).any(axis=1))
        times = np.diff(np.append(np.flatnonzero(moved), len(moved))).astype(np.float64)
        distinct = Parameters(*(part[moved] for part in parts))
        return class_probabilities(observe(self.levels), distinct, times=times)

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """The most probable class of every pixel, 0..K-1 in order of ascending mean; uint8."""
        if self.pixel_probabilities is not None:
            return labels_of(self.pixel_probabilities)
        return self.levels.paint(self.table.argmax(axis=0).astype(np.uint8), fill=0)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Where the foreground classes together have more than half of the probability; bool."""
        chosen = list(self.foreground)
        if self.pixel_probabilities is not None:
            return np.asarray(self.pixel_probabilities[chosen].sum(axis=0) > 0.5)
        return self.levels.paint(self.table[chosen].sum(axis=0) > 0.5, fill=False)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """p(z = k | y) of every class and pixel: float32, (n_classes, *shape), in [0, 1]."""
        if self.pixel_probabilities is not None:
            return self.pixel_probabilities
        return self.levels.paint(self.table.astype(np.float32), fill=np.nan)

    @cached_property
    def entropy(self) -> NDArray[np.float32]:
        """Entropy of every pixel's class in bits, -sum_k p_k log2 p_k: float32, in [0, log2 K]."""
        if self.pixel_probabilities is not None:
            return entropy_of(self.pixel_probabilities)
        return self.levels.paint(self._level_entropy.astype(np.float32), fill=np.nan)

    @property
    def _level_entropy(self) -> Array:
        return entropy_of(self.table)

    def extend(
        self, draws: int, *, keep_labels: int | None = None, watch: Watch[Posterior] | None = None
    ) -> "Segmentation":
        """Go on with the chains where they stand; see ``Posterior.extend``.

        ``keep_labels`` label draws, evenly spaced over the added draws of all chains, take the place of those
        kept before; by default these stay.

        Returns
        -------
        Segmentation
            Of all draws, its pixels' probabilities included, bit for bit those of one longer run. What was
            added is listed in ``options["extended"]``; ``options["labels_after"]`` draws a chain came before
            the part that label draws are of.
        """
        labels, options = self.label_draws, dict(self.options)
        if keep_labels is None:
            posterior = self.posterior.extend(draws, watch=watch)
        else:
            posterior, labels = extend_keeping(self.posterior, draws, keep_labels, watch)
            options |= {"keep_labels": len(labels), "labels_after": self.posterior.n_draws}
        options["extended"] = [*options.get("extended", ()), int(draws)]
        pixels = posterior.state.probabilities() if isinstance(posterior.state, Fields) else None
        longer = replace(self, posterior=posterior, options=options)
        return replace(longer, pixel_probabilities=pixels, label_draws=labels)

    def areas(self) -> list[Area]:
        """Pixels and fraction of each class with posterior mean, sd and central 94 % interval.

        They come from draws of the labels, so that both the parameters and, given these, the labels are
        uncertain. The same seed gives the same areas.
        """
        return self._areas

    @cached_property
    def _areas(self) -> list[Area]:
        if self.pixel_probabilities is not None:
            fractions = self.posterior.pooled()[0]  # of the labels of every draw
            return summarize_areas(np.rint(fractions * self.levels.n_pixels).astype(np.int64))
        rng = np.random.default_rng(np.random.SeedSequence(self.posterior.seed, spawn_key=(_AREAS_STREAM,)))
        draws = draw_areas(self.posterior, self.levels, rng=rng)
        return summarize_areas(draws, self.table @ self.levels.counts.astype(np.float64))

    def components(self, *, min_pixels: int = 1) -> list[Components]:
        """Count the connected components of each class, with posterior mean, sd and central 94 % interval.

        Neighbors are those of the fit; pieces of fewer pixels than ``min_pixels`` do not count.

        Raises
        ------
        OptionError
            If no label draws were kept (``segment(..., spatial=True, keep_labels=100)``).
        """
        draws, connectivity, _ = self._kept("components")
        return find_components(draws, self.n_classes, connectivity=connectivity, min_pixels=min_pixels)

    def boundaries(self) -> list[Boundary]:
        """Measure the boundary of every two classes, with posterior mean, sd and central 94 % interval.

        Neighbor pairs of both classes, and the length (of a volume the area) by the Cauchy-Crofton formula,
        in units of the spacing if there is one, else in pixels. Edges of picture and domain don't count.

        Raises
        ------
        OptionError
            If no label draws were kept (``segment(..., spatial=True, keep_labels=100)``).
        """
        draws, connectivity, spacing = self._kept("boundaries")
        return find_boundaries(draws, self.n_classes, connectivity=connectivity, spacing=spacing)

    def _kept(self, name: str) -> tuple[NDArray[np.uint8], int, tuple[float, ...] | None]:
        """The label draws, and the connectivity and spacing of their neighbors."""
        if self.label_draws is None:
            raise OptionError(
                f"{name} needs draws of labels that hang together, and none were kept; segment with "
                "spatial=True, keep_labels=100, say (--spatial --keep-labels 100)"
            )
        asked = self.options["spatial"]
        return self.label_draws, asked["connectivity"], self.image.spacing or asked["spacing"]

    @cached_property
    def _shapes(self) -> Shapes | None:
        if self.label_draws is None:
            return None
        draws, _, spacing = self._kept("shapes")
        return Shapes(len(draws), draws[0].ndim, spacing, self.components(), self.boundaries())

    def summary(self) -> dict[str, Any]:
        """Everything but the pictures, ready for JSON: image, classes with intervals, verdict, versions."""
        images = (self.original, self.image)
        numbers = record.summarize_segmentation(
            images, self.levels, self.posterior, self.areas(), self.foreground, self._shapes
        )
        return numbers | {"options": dict(self.options)}

    @property
    def cautions(self) -> list[str]:
        """Where classes overlap or have hardly any pixels, and where intervals are too narrow."""
        return find_cautions(self.posterior, self.areas(), self.image.steps, self._shapes)

    def table_text(self) -> str:
        """The classes with their intervals and the verdict, as lines of text."""
        return text.format_table(self.posterior, self.areas(), self.foreground, self._shapes)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a folder with all results, whole or not at all.

        labels.png (a palette picture whose indexes are the labels), mask.png (0 and 255), probabilities.tif
        (float32, classes x rows x cols), entropy.png, overlay.png, fit.png, posterior.nc and summary.json.
        For a volume labels and mask are TIFF files, and the pictures show the middle plane. Label draws that
        were kept go to label_draws.tif (uint8, draws x rows x cols, compressed).

        Raises
        ------
        OutputError
            If the folder stands already and ``overwrite`` is False, or cannot be written.
        """
        with staged_folder(folder, overwrite=overwrite, keep=[self.original.source]) as temporary:
            self._write(temporary)

    def _write(self, folder: Path) -> None:
        from .imaging.files import write_png, write_tiff
        from .views.render import palette

        # The overlay needs the most memory on the way, so it comes before the probabilities are there.
        write_png(folder / "overlay.png", self.overlay())
        (folder / "fit.png").write_bytes(self.fit_figure())
        if self.image.pixels.ndim == 2:
            write_png(folder / "labels.png", self.labels, palette=palette(self.n_classes))
            write_png(folder / "mask.png", self.mask)
        else:
            write_tiff(folder / "labels.tif", self.labels, axes=self.image.axes)
            write_tiff(folder / "mask.tif", self.mask.view(np.uint8) * np.uint8(255), axes=self.image.axes)
        index, colors = self._entropy_picture()
        write_png(folder / "entropy.png", middle_plane(index), palette=colors)
        write_tiff(folder / "probabilities.tif", self.probabilities, axes="C" + self.image.axes)
        if self.label_draws is not None:
            axes = "I" + self.image.axes
            write_tiff(folder / "label_draws.tif", self.label_draws, axes=axes, compress=True)
        write_posterior(folder / "posterior.nc", self.posterior)
        files = sorted([*os.listdir(folder), SUMMARY])
        (folder / SUMMARY).write_text(
            record.to_json(self.summary() | {"files": files}) + "\n", "utf-8", "backslashreplace"
        )

    def overlay(self) -> NDArray[np.uint8]:
        """The picture in gray, as it came unless cropped, with the foreground's contours: RGB uint8."""
        from .views.render import overlay

        domain = None if self.image.domain is None else middle_plane(self.image.domain)
        shown = self.original if self.original.shape == self.image.shape else self.image
        return overlay(
            middle_plane(shown.pixels),
            middle_plane(self.labels),
            self.n_classes,
            foreground=self.foreground,
            domain=domain,
        )

    def _entropy_picture(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The entropy as indexes into colors, one byte a pixel."""
        if self.pixel_probabilities is not None:
            return shades_of(self.entropy, self.n_classes)
        index, colors = level_shades(self._level_entropy, self.n_classes)
        return self.levels.paint(index[:-1].astype(np.uint8), fill=index[-1]), colors

    def fit_figure(self) -> bytes:
        """The histogram, and the mixture with 94 % of its posterior and of new counts, as PNG bytes."""
        from .views.plots import fit_figure

        total, classes = record.expected_counts(self.posterior, self.levels)
        title = f"{os.path.basename(self.image.source)}: {self.n_classes} classes"
        return fit_figure(
            self.levels.values, self.levels.counts, self.levels.step, total, classes,
            title=title, clipped=self.levels.open_ends, rng=generator(self.posterior.seed, Stream.PREDICTION),
        )  # fmt: skip

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.image.shape))
        state = "converged" if self.posterior.converged else "not converged"
        return f"<Segmentation of {self.image.source!r}, {size}, {self.n_classes} classes, {state}>"

    def _repr_html_(self) -> str:
        """The overlay, at most 512 pixels wide, above the table."""
        return html_figure(self.overlay(), str(self.image.source), self.table_text())
