"""The command that fits by every method."""

from typing import Annotated

import typer

from . import options as o

HELP = """
Fit the same mixture by k-means, EM, MAP, independence, gibbs and nuts, and print one table.

DATA is what segmix fit takes. Seconds are those of a second call, free of compiling; of PyMC, of its one.
A sampler makes its own draws, none takes over, and its row says whether they have converged. Where the file
carries the truth, it is the last line.

[bold]Examples[/bold]

  segmix compare data.csv --prior lecture

  segmix compare cells.png -k 2 --methods kmeans,em,independence --json
"""


def compare(
    data: Annotated[str, typer.Argument(metavar="DATA", show_default=False, help="A table or a picture.")],
    classes: o.Classes = 2,
    prior: o.Prior = "auto",
    quantization: o.Quantization = "auto",
    methods: Annotated[
        str, typer.Option(metavar="NAMES", rich_help_panel=o.SAMPLING, help="Which, separated by commas.")
    ] = "kmeans,em,map,independence,gibbs,nuts",
    draws: o.Draws = 1000,
    seed: o.Seed = None,
    column: o.Column = None,
    preprocess: o.Preprocess = None,
    page: o.Page = None,
    limits: o.Limits = None,
    domain: o.Domain = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Fit the same mixture by every method, and print one table."""
    from .console import Console
    from .failures import exit_on_failure

    console = Console()
    with exit_on_failure(console, source=data, debug=debug):
        from .comparing import run_compare

        key = run_compare(
            data,
            n_classes=classes,
            prior=prior,
            quantization=quantization,
            methods=tuple(name.strip() for name in methods.split(",")),
            draws=draws,
            seed=seed,
            column=column,
            preprocess=tuple(preprocess or ()),
            reading=(page, limits, domain, max_pixels),
            as_json=as_json,
            console=console,
        )
        if seed is None:
            console.note(f"drew the seed {key}; --seed {key} gives the same estimates again")
