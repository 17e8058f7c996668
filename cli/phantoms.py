"""Writing a simulated picture or table and its truth."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from segmix.errors import OptionError
from segmix.imaging.files import write_png, write_tiff
from segmix.outputs import staged_file
from segmix.samples import simulate_mixture
from segmix.simulate import simulate_phantom
from segmix.tables import write_samples
from segmix.targets import check_file


def write_phantom(
    kind: str, target: Path, *, shape: tuple[int, int], seed: int, overwrite: bool
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
    if target.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise OptionError(f"--output must end in .png or .tif, got {str(target)!r}; rename it")
    truth = target.with_name(f"{target.stem}_truth.png")
    for path in (target, truth):
        check_file(path, overwrite=overwrite)
    phantom = simulate_phantom(kind, shape=shape, rng=np.random.default_rng(seed))
    is_new = not target.exists()
    with ExitStack() as undo:
        with staged_file(truth, overwrite=overwrite) as labels:
            with staged_file(target, overwrite=overwrite) as picture:
                write_png(labels, phantom.truth)
                if target.suffix.lower() == ".png":
                    write_png(picture, phantom.pixels)
                else:
                    write_tiff(picture, phantom.pixels, axes="YX")
            if is_new:
                undo.callback(target.unlink, missing_ok=True)
        undo.pop_all()
    return target, truth


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
