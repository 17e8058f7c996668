"""The command that draws a posterior."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import Debug

HELP = """
Draw a posterior that segmix wrote.

trace: every chain's way, its tune shaded. autocorrelation: with ESS and MCSE. histogram: the marginals and
their intervals. fit: the data under the mixture. prior: prior against posterior. graph: the model (.dot, and
where graphviz is installed .png and .svg), as the lecture wrote it or with the assignments summed out.

[bold]Examples[/bold]

  segmix plot trace out/data/posterior.nc -o trace.png

  segmix plot graph out/data/posterior.nc --model lecture -o model.dot
"""


class Kind(StrEnum):
    """The figures to choose from."""

    trace = "trace"
    autocorrelation = "autocorrelation"
    histogram = "histogram"
    fit = "fit"
    graph = "graph"
    prior = "prior"


class Model(StrEnum):
    """The two ways to write the mixture."""

    lecture = "lecture"
    marginal = "marginal"


def plot(
    kind: Annotated[
        Kind, typer.Argument(metavar="KIND", show_default=False, help="|".join(kind.value for kind in Kind))
    ],
    posterior: Annotated[
        str, typer.Argument(metavar="POSTERIOR", show_default=False, help="What fit or segment wrote.")
    ],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Picture to write.")],
    model: Annotated[
        Model | None, typer.Option(help="Of graph: assignments explicit or summed out.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
    debug: Debug = False,
) -> None:
    """Draw a posterior that segmix wrote."""
    from segmix.errors import printable

    from .console import Console
    from .failures import exit_on_failure

    console = Console()
    with exit_on_failure(console, source=posterior, debug=debug):
        from segmix.outputs import staged_file

        from .inputs import check_input

        target = Path(output)
        _check(kind, output, model)
        check_input(posterior)
        data = _drawn(kind, posterior, target, model, overwrite=overwrite)
        with staged_file(target, overwrite=overwrite) as temporary:
            temporary.write_bytes(data)
        console.result(printable(str(target)))


def _check(kind: Kind, output: str, model: Model | None) -> None:
    from segmix.errors import OptionError

    if kind is not Kind.graph and Path(output).suffix.lower() != ".png":
        raise OptionError(f"--output must end in .png, got {output!r}; rename it")
    if model is not None and kind is not Kind.graph:
        raise OptionError(f"--model is of graph, got it for {kind.value}; leave it out")


def _drawn(kind: Kind, path: str, target: Path, model: Model | None, *, overwrite: bool) -> bytes:
    """The bytes of the target, which is looked at before the posterior is read."""
    from segmix.posterior import Posterior
    from segmix.targets import check_file

    check_file(target, overwrite=overwrite, keep=[path])
    found = Posterior.load(path)
    from segmix.plotting import graph
    from segmix.plotting import plot as draw

    if kind is Kind.graph:
        return graph(found, target.suffix.lower(), model=model and model.value)
    return draw(found, kind.value, title=f"{Path(path).resolve().parent.name}: {kind.value}")
