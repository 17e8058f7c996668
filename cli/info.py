"""The command that tells what is in a picture."""

from typing import Annotated

import typer

from .options import MAX_PIXELS, Debug, MaxPixels, Page

HELP = """
Tell what segmix reads from a picture, and which options suit it.

[bold]Examples[/bold]

  segmix info cells.png

  segmix info stack.tif --page 3 --json
"""


def info(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A picture.", show_default=False)],
    page: Page = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: Debug = False,
) -> None:
    """Tell what segmix reads from a picture, and which options suit it."""
    from .console import Console
    from .failures import exit_on_failure

    console = Console()
    with exit_on_failure(console, source=image, debug=debug):
        from segmix.record import to_json

        from .description import describe, to_text
        from .inputs import check_input

        check_input(image)
        console.announce_compilation()
        record = describe(image, page=page, max_pixels=max_pixels)
        console.result(to_json(record, one_line=True) if as_json else to_text(record))
