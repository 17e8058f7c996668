"""The command that segments pictures."""

import typer

from . import options as o

HELP = """
Segment images, each into its own folder below the output folder.

IMAGE is a picture (PNG, JPEG, TIFF, BMP, GIF, WebP, PBM/PGM/PPM, npy), a folder, or a quoted pattern.
The folder gets labels, mask, probabilities, entropy, overlay, fit, posterior and summary.

[bold]Examples[/bold]

  segmix segment cells.png -o out

  segmix segment "scans/*.tif" -o out -k 3 --foreground 1,2 --seed 1

  segmix segment dim.png -o out --preprocess background:25 --preprocess gaussian:1

  segmix segment noisy.png -o out --spatial --keep-labels 100

  segmix segment stack.npy -o out --spatial --spacing 3,1,1 --doublings 6 --every 60

[bold]Exit status[/bold]

  0 done, 1 an input can't be used, 2 usage, 3 all written but not converged, 130 interrupted
"""


def segment(
    images: o.Images,
    output: o.Output,
    classes: o.Classes = 2,
    foreground: o.Foreground = "bright",
    prior: o.Prior = "auto",
    quantization: o.Quantization = "auto",
    limits: o.Limits = None,
    spatial: o.Spatial = False,
    beta: o.Beta = "infer",
    connectivity: o.Connectivity = 1,
    weights: o.Weights = o.WeightsName.infer,
    spacing: o.Spacing = "image",
    keep_labels: o.KeepLabels = None,
    sampler: o.Sampler = o.SamplerName.independence,
    draws: o.Draws = 1000,
    tune: o.Tune = None,
    chains: o.Chains = 4,
    thin: o.Thin = 1,
    seed: o.Seed = None,
    until_converged: o.UntilConverged = True,
    doublings: o.Doublings = 3,
    every: o.Every = None,
    allow_unconverged: o.AllowUnconverged = False,
    preprocess: o.Preprocess = None,
    page: o.Page = None,
    domain: o.Domain = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    overwrite: o.Overwrite = False,
    debug: o.Debug = False,
) -> None:
    """Segment images, each into its own folder below the output folder."""
    from .batch import Request, run_batch

    request = Request(
        images=tuple(images),
        output=output,
        n_classes=classes,
        foreground=foreground,
        prior=prior,
        quantization=quantization,
        limits=limits,
        spatial=spatial,
        beta=beta,
        connectivity=connectivity,
        weights=weights.value,
        spacing=spacing,
        keep_labels=keep_labels,
        sampler=sampler.value,
        draws=draws,
        tune=tune,
        chains=chains,
        thin=thin,
        seed=seed,
        until_converged=until_converged,
        doublings=doublings,
        every=every,
        allow_unconverged=allow_unconverged,
        preprocess=tuple(preprocess or ()),
        page=page,
        domain=domain,
        max_pixels=max_pixels,
        as_json=as_json,
        quiet=quiet,
        overwrite=overwrite,
        debug=debug,
    )
    raise typer.Exit(run_batch(request))
