"""The commands that fit a mixture to data without painting it, and that go on with a fit."""

from typing import Annotated

import typer

from . import options as o

FIT_HELP = """
Fit a Gaussian mixture to numbers or to a picture's intensities.

DATA is a table (.csv, .tsv, .txt), a row of values in .npy, or a picture. DIR/NAME gets posterior.nc and
summary.json. Of a table the only column of numbers is taken, or the one called value, values or intensity.

[bold]Examples[/bold]

  segmix fit cells.csv -o out --column area

  segmix fit data.csv -o out --prior lecture --seed 1

  segmix fit cells.png -o out -k 3 --sampler gibbs --draws 5000

  segmix fit stack.tif -o out --page 1 --preprocess background:25

  segmix fit data.csv -o out --draws 500 --exactly     just these draws, converged or not

[bold]Exit status[/bold]

  0 done, 1 an input can't be used, 2 usage, 3 all written but not converged, 130 interrupted
"""

CONTINUE_HELP = """
Go on with the chains of a posterior, as if they had never stopped.

POSTERIOR is the posterior.nc of a fit or a segmentation, or the checkpoint of a run that was killed. It holds
all that is needed; where labels hang together (--spatial) the picture's levels too. DIR/NAME gets
posterior.nc and summary.json, and where labels hang together all that segment writes. A checkpoint
DIR/NAME.checkpoint.nc that it went on from is removed once DIR/NAME is written.

[bold]Examples[/bold]

  segmix continue out/data/posterior.nc --draws 100000 -o more

  segmix continue out/data.checkpoint.nc --draws 50000 -o out

  segmix continue out/field/posterior.nc --keep-labels 100 -o more     with labels of the added draws
"""


def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", show_default=False, help="A table or a picture.")],
    output: o.Output,
    classes: o.Classes = 2,
    prior: o.Prior = "auto",
    quantization: o.Quantization = "auto",
    sampler: o.Sampler = o.SamplerName.independence,
    draws: o.Draws = 1000,
    tune: o.Tune = None,
    chains: o.Chains = 4,
    thin: o.Thin = 1,
    seed: o.Seed = None,
    until_converged: o.UntilConverged = True,
    doublings: o.Doublings = 3,
    no_jumps: Annotated[
        bool,
        typer.Option("--no-jumps", rich_help_panel=o.SAMPLING, help="Of gibbs: plain sweeps only."),
    ] = False,
    every: o.Every = None,
    allow_unconverged: o.AllowUnconverged = False,
    column: o.Column = None,
    preprocess: o.Preprocess = None,
    page: o.Page = None,
    limits: o.Limits = None,
    domain: o.Domain = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    overwrite: o.Overwrite = False,
    debug: o.Debug = False,
) -> None:
    """Fit a Gaussian mixture to numbers or to a picture's intensities."""
    from .console import Console
    from .failures import exit_on_failure

    console = Console(quiet=quiet)
    with exit_on_failure(console, source=data, debug=debug):
        from .fits import Output, Wish, run_fit

        wish = Wish(
            n_classes=classes,
            prior=prior,
            quantization=quantization,
            column=column,
            preprocess=tuple(preprocess or ()),
            page=page,
            limits=limits,
            domain=domain,
            max_pixels=max_pixels,
            sampler=sampler.value,
            draws=draws,
            tune=tune,
            chains=chains,
            thin=thin,
            seed=seed,
            until_converged=until_converged,
            jumps=not no_jumps,
            doublings=doublings,
        )
        place = Output(output, every, overwrite, as_json, allow_unconverged)
        status = run_fit(data, wish, place, console)
    raise typer.Exit(status)


def continue_(
    posterior: Annotated[
        str, typer.Argument(metavar="POSTERIOR", show_default=False, help="What fit or segment wrote.")
    ],
    output: o.Output,
    draws: Annotated[
        int, typer.Option(min=1, max=10_000_000, rich_help_panel=o.SAMPLING, help="More draws per chain.")
    ] = 1000,
    every: o.Every = None,
    foreground: o.Foreground = "bright",
    keep_labels: o.KeepLabels = None,
    allow_unconverged: o.AllowUnconverged = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    overwrite: o.Overwrite = False,
    debug: o.Debug = False,
) -> None:
    """Go on with the chains of a posterior, as if they had never stopped."""
    from .console import Console
    from .failures import exit_on_failure

    console = Console(quiet=quiet)
    with exit_on_failure(console, source=posterior, debug=debug):
        from .fits import Output, run_continue

        place = Output(output, every, overwrite, as_json, allow_unconverged)
        status = run_continue(posterior, draws, foreground, keep_labels, place, console)
    raise typer.Exit(status)
