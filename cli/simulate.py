"""The command that makes pictures with known truth."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import LARGEST_SEED, Debug

HELP = """
Make a picture with known truth.

cells: bright cells on a dark field, 8 bits, clipped at both ends. cells16: the same on a 16-bit camera.
tissue: three interwoven classes. The truth, one label per pixel, is written beside it as NAME_truth.png.

[bold]Examples[/bold]

  segmix simulate cells -o cells.png --seed 1

  segmix simulate tissue -o tissue.tif --shape 1024,768
"""


class Kind(StrEnum):
    """The scenes to choose from."""

    cells = "cells"
    cells16 = "cells16"
    tissue = "tissue"


def simulate(
    kind: Annotated[
        Kind, typer.Argument(metavar="KIND", help="cells, cells16 or tissue.", show_default=False)
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Picture to write, .png (8 bits) or .tif. Default: named after the kind.",
        ),
    ] = None,
    shape: Annotated[str, typer.Option(metavar="ROWS,COLS", help="Size in pixels.")] = "512,512",
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST_SEED, help="Same seed, same bytes. Default: drawn and told."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier files.")] = False,
    debug: Debug = False,
) -> None:
    """Make a picture with known truth."""
    from segmix.errors import printable

    from .console import Console
    from .failures import exit_on_failure
    from .parsing import draw_seed, parse_shape

    console = Console()
    target = Path(output or (f"{kind}.tif" if kind is Kind.cells16 else f"{kind}.png"))
    with exit_on_failure(console, source=str(target), debug=debug):
        sides = parse_shape(shape)
        from .phantoms import write_phantom

        key = draw_seed() if seed is None else seed
        paths = write_phantom(kind.value, target, shape=sides, seed=key, overwrite=overwrite)
        if seed is None:
            console.note(f"drew the seed {key}; --seed {key} gives the same again")
        for path in paths:
            console.result(printable(str(path)))
