"""The options of `segmix segment`, as types with their names, ranges and help."""

from enum import StrEnum
from typing import Annotated

import typer

MODEL, SAMPLING, READING, OUTPUT = "Model", "Sampling", "Reading", "Output"
LARGEST_SEED = 2**63 - 1
MAX_PIXELS = 64_000_000  # the library's, which --help must not load


class WeightsName(StrEnum):
    """What is asked of the weights of a Potts prior."""

    equal = "equal"
    infer = "infer"


class SamplerName(StrEnum):
    """The samplers to choose from."""

    independence = "independence"
    gibbs = "gibbs"
    nuts = "nuts"
    lecture = "pymc-lecture"


Images = Annotated[
    list[str],
    typer.Argument(metavar="IMAGE", show_default=False, help="Pictures, folders or quoted patterns."),
]

# Model

Classes = Annotated[
    int,
    typer.Option("-k", "-n", "--classes", min=1, max=16, rich_help_panel=MODEL, help="Number of classes."),
]
Foreground = Annotated[
    str,
    typer.Option(
        metavar="bright|dark|LABELS",
        rich_help_panel=MODEL,
        help="What the mask shows: the brightest class, the darkest, or labels such as 1,2.",
    ),
]
Prior = Annotated[
    str,
    typer.Option(
        metavar="auto|lecture|FILE.toml",
        rich_help_panel=MODEL,
        # a bracket that is no markup is escaped
        help=r"Priors scaled to the image, those of the lecture, or your own: tables \[means], \[stds] and "
        r"\[weights], each with a family and its numbers; see docs/priors.md.",
    ),
]
Quantization = Annotated[
    str,
    typer.Option(
        metavar="auto|none|STEP",
        rich_help_panel=MODEL,
        help="Spacing of the recorded intensities; none for the plain density.",
    ),
]
Limits = Annotated[
    str | None,
    typer.Option(
        metavar="LOW,HIGH",
        rich_help_panel=MODEL,
        help="Intensities at which the detector saturates, none for no such end. Default: those of the type.",
    ),
]

Spatial = Annotated[
    bool,
    typer.Option(
        "--spatial", rich_help_panel=MODEL, help="Let labels of neighbors hang together (a Potts prior)."
    ),
]
Beta = Annotated[
    str,
    typer.Option(
        metavar="infer|pseudo|NUMBER",
        rich_help_panel=MODEL,
        help="With --spatial, how strongly: inferred, by pseudo-likelihood, or this inverse temperature.",
    ),
]
Connectivity = Annotated[
    int,
    typer.Option(
        min=1, max=3, rich_help_panel=MODEL, help="With --spatial, neighbors: 1 for 4 (6), 2 for 8 (18)."
    ),
]
Weights = Annotated[
    WeightsName,
    typer.Option(
        rich_help_panel=MODEL,
        help="With --spatial, whether classes have weights of their own in the prior, or equal ones.",
    ),
]
KeepLabels = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=MODEL,
        help="With --spatial, keep so many draws of the labels, for intervals of components and boundaries.",
    ),
]

Spacing = Annotated[
    str,
    typer.Option(
        metavar="image|none|NUMBERS",
        rich_help_panel=MODEL,
        help="With --spatial, distances along each axis: the image's, all alike, or such as 3,1,1.",
    ),
]

# Sampling

Sampler = Annotated[
    SamplerName,
    typer.Option(rich_help_panel=SAMPLING, help="How to draw; the last two by PyMC, in a minute or so."),
]
Draws = Annotated[
    int, typer.Option(min=4, max=1_000_000, rich_help_panel=SAMPLING, help="Draws kept per chain.")
]
Tune = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=1_000_000,
        rich_help_panel=SAMPLING,
        help="Draws left out first. Default: as the sampler needs.",
    ),
]
Thin = Annotated[
    int, typer.Option(min=1, max=1_000_000, rich_help_panel=SAMPLING, help="Keep one of so many steps.")
]
Chains = Annotated[int, typer.Option(min=1, max=64, rich_help_panel=SAMPLING, help="Number of chains.")]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=LARGEST_SEED,
        metavar="INT",
        rich_help_panel=SAMPLING,
        help="Same seed, same bytes. Default: drawn and told.",
    ),
]
UntilConverged = Annotated[
    bool,
    typer.Option(
        "--until-converged/--exactly",
        rich_help_panel=SAMPLING,
        help="Double a run that has not converged, or make just these draws.",
    ),
]
Doublings = Annotated[
    int, typer.Option(min=0, max=20, rich_help_panel=SAMPLING, help="How often a run is doubled at most.")
]
Every = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        metavar="SECONDS",
        rich_help_panel=SAMPLING,
        help="Write DIR/NAME.checkpoint.nc so often, for segmix continue to start from.",
    ),
]
AllowUnconverged = Annotated[
    bool,
    typer.Option("--allow-unconverged", rich_help_panel=SAMPLING, help="Exit with 0 where it would be 3."),
]

# Reading

Preprocess = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STEP",
        rich_help_panel=READING,
        help="A step before the fit: gaussian:1.5, median:2, nlm, tv:0.1, background:25, tophat:25, "
        "equalize, rescale:1,99 or crop:TOP,LEFT,HEIGHT,WIDTH. May be given again.",
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|NUMBER",
        rich_help_panel=READING,
        help="Which column of a table, by its name or its number from 1. Default: the only one, or value.",
    ),
]
Page = Annotated[
    int | None,
    typer.Option(min=0, rich_help_panel=READING, help="Which page of a file with several, from 0."),
]
Domain = Annotated[
    str | None,
    typer.Option(metavar="FILE", rich_help_panel=READING, help="A picture whose nonzero pixels count."),
]
MaxPixels = Annotated[int, typer.Option(min=1, rich_help_panel=READING, help="Refuse larger pictures.")]

# Output

Output = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="DIR", rich_help_panel=OUTPUT, help="Where each image gets a folder."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print one JSON object per image.")
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print no tables, notes or progress.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", rich_help_panel=OUTPUT, help="Replace earlier results.")
]
Debug = Annotated[
    bool, typer.Option("--debug", envvar="SEGMIX_DEBUG", help="Show the traceback of every error.")
]
