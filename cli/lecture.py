"""The command that replays the lecture."""

from typing import Annotated

import typer

from .options import LARGEST_SEED, Debug

HELP = """
Replay the lecture that segmix grew from, with its figures, in a minute or two.

Two processes made 500 numbers. DIR gets the data, draws from the prior, the model's graph, 500 draws that
have not converged, the same chains 100,000 draws later, histograms before and after, autocorrelations, what
bad guesses cost, and the same model on a picture with the class of each pixel; summary.json holds the
numbers, those of k-means, EM and the MAP too.

[bold]Examples[/bold]

  segmix lecture -o lecture
"""


def lecture(
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", show_default=False, help="Folder to make.")
    ],
    draws: Annotated[int, typer.Option(min=1000, max=1_000_000, help="Of the continuation.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Same seed, same bytes.")] = 5,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print no progress.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")] = False,
    debug: Debug = False,
) -> None:
    """Replay the lecture, with its figures."""
    from .console import Console
    from .failures import exit_on_failure

    console = Console(quiet=quiet)
    with exit_on_failure(console, source=output or "--output", debug=debug):
        from .inputs import check_folder

        check_folder(output)
        from segmix.lecture import describe, save_replay

        console.announce_compilation()
        found = save_replay(output, draws=draws, seed=seed, overwrite=overwrite, show=console.note)
        if not quiet:
            console.result(describe(found))
