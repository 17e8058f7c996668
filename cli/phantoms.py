"""Writing a simulated picture or table and its truth."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmix.errors import OptionError
from segmix.imaging.files import write_png, write_tiff
from segmix.outputs import staged_file
from segmix.potts.simulation import simulate_potts
from segmix.samples import simulate_mixture
from segmix.simulate import SIDE_LIMITS, simulate_phantom
from segmix.tables import write_samples
from segmix.targets import check_file


def write_phantom(
    kind: str, target: Path, *, shape: tuple[int, ...], seed: int, overwrite: bool
) -> tuple[Path, ...]:
    """Simulate a picture and write it with its truth, both or none.

    Parameters
    ----------
    kind, shape
        As in `segmix.simulate_phantom`.
    target : Path
        Where the picture goes; .png or .tif. The truth goes to ``NAME_truth.png`` beside it.
    seed : int
        The same seed gives the same bytes.
    overwrite : bool
        Whether earlier files may be replaced.

    Returns
    -------
    (Path, Path)
        The picture and the truth.
    """
    _check_suffix(target)
    rows, cols = shape
    phantom = simulate_phantom(kind, shape=(rows, cols), rng=np.random.default_rng(seed))
    return _write(target, phantom.pixels, phantom.truth, overwrite=overwrite)


class Field(NamedTuple):
    """What `segmix simulate potts` makes: the lattice, its coupling, and what the classes look like."""

    shape: tuple[int, ...]
    beta: float
    connectivity: int
    means: tuple[float, ...]
    stds: tuple[float, ...]
    spacing: tuple[float, ...] | None = None


def write_field(target: Path, field: Field, *, seed: int, overwrite: bool) -> tuple[Path, ...]:
    """Draw labels from the Potts prior and an 8-bit picture or volume of them, and write both or none."""
    _check_suffix(target, ndim=len(field.shape))
    _check_field(field)
    rng = np.random.default_rng(seed)
    truth = simulate_potts(
        field.shape,
        beta=field.beta,
        n_classes=len(field.means),
        connectivity=field.connectivity,
        spacing=field.spacing,
        rng=rng,
    )
    exact = rng.normal(np.take(field.means, truth), np.take(field.stds, truth))
    pixels = np.clip(np.rint(exact), 0, 255).astype(np.uint8)
    return _write(target, pixels, truth, overwrite=overwrite)


def _check_field(field: Field) -> None:
    """Refuse what is too large, and classes that are none."""
    most = SIDE_LIMITS[1]
    if not all(1 <= side <= most for side in field.shape):
        sides = ",".join(map(str, field.shape))
        raise OptionError(f"--shape must have sides from 1 to {most}, got {sides}; give for example 512,512")
    if len(field.means) != len(field.stds):
        raise OptionError(
            f"--means and --stds must have one number a class each, got {len(field.means)} and "
            f"{len(field.stds)}; add what is missing"
        )
    if min(field.stds) < 0:
        stds = ",".join(f"{std:g}" for std in field.stds)
        raise OptionError(f"--stds must be at least 0, got {stds}; give for example 20,20")


def _check_suffix(target: Path, *, ndim: int = 2) -> None:
    if ndim == 3:
        if target.suffix.lower() != ".npy":
            raise OptionError(
                f"--output must end in .npy for a volume, got {str(target)!r}; rename it, or give "
                "--shape two sizes"
            )
    elif target.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise OptionError(f"--output must end in .png or .tif, got {str(target)!r}; rename it")


def _write(
    target: Path, pixels: NDArray[Any], labels: NDArray[np.uint8], *, overwrite: bool
) -> tuple[Path, ...]:
    """Write a picture or a volume, and its truth beside it, both or none."""
    truth = target.with_name(f"{target.stem}_truth{'.png' if labels.ndim == 2 else target.suffix}")
    for path in (target, truth):
        check_file(path, overwrite=overwrite)
    is_new = not target.exists()
    with ExitStack() as undo:
        with staged_file(truth, overwrite=overwrite) as beside:
            with staged_file(target, overwrite=overwrite) as picture:
                _write_array(beside, labels, truth.suffix.lower())
                _write_array(picture, pixels, target.suffix.lower())
            if is_new:
                undo.callback(target.unlink, missing_ok=True)
        undo.pop_all()
    return target, truth


def _write_array(path: Path, array: NDArray[Any], suffix: str) -> None:
    """Write as the suffix says, whatever the path's own."""
    if suffix == ".png":
        write_png(path, array)
    elif suffix == ".npy":
        with path.open("wb") as file:
            np.save(file, array)
    else:
        write_tiff(path, array, axes="YX")


def write_mixture(
    target: Path,
    n: int,
    weights: tuple[float, ...],
    means: tuple[float, ...],
    stds: tuple[float, ...],
    *,
    seed: int,
    overwrite: bool,
) -> tuple[Path, ...]:
    """Simulate numbers from a mixture and write them as a table; see `segmix.simulate_mixture`."""
    if target.suffix.lower() not in (".csv", ".txt"):
        raise OptionError(f"--output must end in .csv or .txt, got {str(target)!r}; rename it")
    check_file(target, overwrite=overwrite)
    samples = simulate_mixture(n, weights, means, stds, rng=np.random.default_rng(seed))
    with staged_file(target, overwrite=overwrite) as table:
        write_samples(table, samples)
    return (target,)
