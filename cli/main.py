"""The command's table of contents."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .compare import HELP as COMPARE
from .compare import compare
from .console import Console, let_go, prepare_streams
from .fit import CONTINUE_HELP, FIT_HELP, continue_, fit
from .info import HELP as INFO
from .info import info
from .lecture import HELP as LECTURE
from .lecture import lecture
from .plot import HELP as PLOT
from .plot import plot
from .score import HELP as SCORE
from .score import score
from .segment import HELP as SEGMENT
from .segment import segment
from .simulate import HELP as SIMULATE
from .simulate import simulate

OVERVIEW = """
Segment images by the mixture of intensities they are made of, with an error bar on every number.

[bold]Examples[/bold]

  segmix segment cells.png -o out          two classes, the bright one in front

  segmix segment "scans/*.tif" -o out -k 3  a whole folder, three classes

  segmix info cells.png                    what is in the file, and which options suit it

  segmix simulate cells -o cells.png       a picture with known truth

  segmix fit data.csv -o out               the mixture of a column of numbers
"""

app = typer.Typer(
    name="segmix",
    help=OVERVIEW,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(help=SEGMENT)(segment)
app.command(help=FIT_HELP)(fit)
app.command("continue", help=CONTINUE_HELP)(continue_)
app.command(help=COMPARE)(compare)
app.command(help=INFO)(info)
app.command(help=LECTURE)(lecture)
app.command(help=PLOT)(plot)
app.command(help=SCORE)(score)
app.command(help=SIMULATE)(simulate)


def _version(wanted: bool) -> None:
    if wanted:
        from segmix import __version__

        typer.echo(f"segmix {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
        raise typer.Exit(2)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status: 0 done, 1 bad input, 2 usage, 3 not converged.

    Parameters
    ----------
    arguments : sequence of str
        What follows `segmix` on the command line.
    """
    prepare_streams()
    try:
        status = app(list(arguments), prog_name="segmix", standalone_mode=False)
    except Exception as error:
        if hasattr(error, "format_message"):  # Typer's usage errors, and only they, have it
            Console().error(_usage(error))
            return 2
        return _failure(error)
    return int(status or 0)


def _failure(error: Exception) -> int:
    """Tell what went wrong outside of any command's own care: a help page that can't be written, or a bug."""
    from .failures import FAILED, tell

    if isinstance(error, OSError):
        let_go(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return 0  # nobody reads the help any more
    tell(error, source="segmix", console=Console(), debug="SEGMIX_DEBUG" in os.environ)
    return FAILED


def _usage(error: Any) -> str:
    """Return a usage error in one line, with the command whose help explains it."""
    message = " ".join(error.format_message().split()).rstrip(".") + _came(error)
    command = error.ctx.command_path if getattr(error, "ctx", None) else "segmix"
    return f"{message}; see {command} --help"


def _came(error: Any) -> str:
    """Return what was given, where Typer's message does not say it."""
    found = getattr(error.__cause__, "errors", None)  # of Typer's validator
    given = found()[0].get("input") if found else None
    return "" if given is None or repr(given) in error.format_message() else f", got {given!r}"
