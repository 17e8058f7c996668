"""The command that makes pictures with known truth."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import LARGEST_SEED, Debug

HELP = """
Make a picture, or a table of numbers, with known truth.

cells: bright cells on a dark field, 8 bits, clipped at both ends. cells16: the same on a 16-bit camera.
tissue: three interwoven classes. The truth, one label per pixel, is written beside it as NAME_truth.png.
potts: labels that hang together, under noise; three sizes make a volume, which is written as .npy, its truth
too. mixture: numbers from a Gaussian mixture, as a table with the columns value and label and the truth on
top.

[bold]Examples[/bold]

  segmix simulate cells -o cells.png --seed 1

  segmix simulate tissue -o tissue.tif --shape 1024,768

  segmix simulate potts --beta 1.0 --means 80,120,160 --stds 20,20,20 -o field.png

  segmix simulate potts --shape 8,64,64 --spacing 3,1,1 -o stack.npy

  segmix simulate mixture -n 500 --p 0.25 --means 100,200 --stds 20,20 --seed 5 -o data.csv
"""


class Kind(StrEnum):
    """The scenes to choose from."""

    cells = "cells"
    cells16 = "cells16"
    tissue = "tissue"
    potts = "potts"
    mixture = "mixture"


def simulate(
    kind: Annotated[
        Kind,
        typer.Argument(metavar="KIND", help="|".join(Kind), show_default=False),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write: .png (8 bits), .tif, .npy for a volume, or .csv for a mixture. Default: "
            "named after the kind.",
        ),
    ] = None,
    shape: Annotated[
        str, typer.Option(metavar="ROWS,COLS", help="Size in pixels; PLANES,ROWS,COLS of a volume (potts).")
    ] = "512,512",
    n: Annotated[int, typer.Option("-n", min=1, max=100_000_000, help="How many numbers (mixture).")] = 500,
    p: Annotated[
        str,
        typer.Option("--p", metavar="SHARES", help="Share of the first class, or of each (mixture)."),
    ] = "0.25",
    means: Annotated[str, typer.Option(metavar="M1,M2", help="Mean of each class.")] = "100,200",
    stds: Annotated[str, typer.Option(metavar="S1,S2", help="Sd of each class.")] = "20,20",
    beta: Annotated[float, typer.Option(min=0.0, help="How strongly labels hang together (potts).")] = 1.0,
    connectivity: Annotated[
        int, typer.Option(min=1, max=3, help="Neighbors: 1 for 4 (6), 2 for 8 (18) (potts).")
    ] = 1,
    spacing: Annotated[
        str,
        typer.Option(
            metavar="none|NUMBERS",
            help="Distances along each axis, such as 3,1,1; none for all alike (potts).",
        ),
    ] = "none",
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST_SEED, help="Same seed, same bytes. Default: drawn and told."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier files.")] = False,
    debug: Debug = False,
) -> None:
    """Make a picture, or a table of numbers, with known truth."""
    from segmix.errors import OptionError, printable

    from .console import Console
    from .failures import exit_on_failure
    from .parsing import draw_seed, parse_numbers, parse_shape, parse_shares, parse_spacing

    console = Console()
    target = Path(_name(kind, shape) if output is None else output)
    with exit_on_failure(console, source=str(target), debug=debug):
        if output == "":
            raise OptionError(
                "--output must name a file, got ''; leave it out, or give for example cells.png"
            )
        sides = parse_shape(shape, volumes=kind is Kind.potts)
        from .phantoms import Field, write_field, write_mixture, write_phantom

        key = draw_seed() if seed is None else seed
        classes = (parse_numbers("--means", means), parse_numbers("--stds", stds))
        if kind is Kind.mixture:
            written = write_mixture(target, n, parse_shares(p), *classes, seed=key, overwrite=overwrite)
        elif kind is Kind.potts:
            field = Field(sides, beta, connectivity, *classes, parse_spacing(spacing, of_image=False))
            written = write_field(target, field, seed=key, overwrite=overwrite)
        else:
            written = write_phantom(kind.value, target, shape=sides, seed=key, overwrite=overwrite)
        if seed is None:
            console.note(f"drew the seed {key}; --seed {key} gives the same again")
        for path in written:
            console.result(printable(str(path)))


def _name(kind: Kind, shape: str) -> str:
    """The file's name where none is given."""
    of_volume = kind is Kind.potts and shape.replace("x", ",").count(",") == 2
    suffix = {Kind.cells16: "tif", Kind.mixture: "csv"}.get(kind, "npy" if of_volume else "png")
    return f"{kind}.{suffix}"
