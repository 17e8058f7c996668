"""The command that scores a segmentation against a known truth."""

from typing import Annotated

import typer

from . import options as o

HELP = """
Score a segmentation against a known truth: IoU, Dice, boundary F, accuracy, adjusted Rand index and variation
of information; of results with probabilities also Brier score, log loss and calibration.

FOUND is a folder that segmix wrote, or a picture of labels (255 is none). TRUTH is a picture of the classes,
numbered from 0 (255 does not count), or a mask of 0 and 255. Labels are matched to classes so that most
pixels are right.

[bold]Examples[/bold]

  segmix score out/cells truth.png

  segmix score out/cells truth.png --foreground 1 --json

  segmix score otsu.png truth.png --domain roi.png
"""


def score(
    found: Annotated[
        str, typer.Argument(metavar="FOUND", show_default=False, help="A folder of results, or labels.")
    ],
    truth: Annotated[str, typer.Argument(metavar="TRUTH", show_default=False, help="The true classes.")],
    foreground: Annotated[
        int | None,
        typer.Option(
            min=0, max=15, metavar="CLASS", help="The true class matched first, or that the mask shows."
        ),
    ] = None,
    mask: Annotated[
        bool, typer.Option("--mask", help="Score the mask of a folder's foreground, not its labels.")
    ] = False,
    match: Annotated[
        bool, typer.Option("--match/--no-match", help="Match labels to classes, or take them as they are.")
    ] = True,
    ignore: Annotated[
        str,
        typer.Option(
            metavar="auto|none|NUMBER",
            help="What in the truth does not count; auto is 255, but none in a mask of 0 and 255.",
        ),
    ] = "auto",
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="PIXELS", help="Where boundaries meet. Default: 0.75 % of the picture's diagonal."
        ),
    ] = None,
    domain: o.Domain = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: o.Debug = False,
) -> None:
    """Score a segmentation against a known truth."""
    from .console import Console
    from .failures import exit_on_failure

    console = Console()
    with exit_on_failure(console, source=f"{found} against {truth}", debug=debug):
        from .scores import run_score

        run_score(
            found,
            truth,
            domain=domain,
            foreground=foreground,
            mask=mask,
            match=match,
            ignore=ignore,
            tolerance=tolerance,
            max_pixels=max_pixels,
            as_json=as_json,
            console=console,
        )
