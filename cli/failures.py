"""From an exception to the one line that the user reads."""

import os
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from segmix.errors import ConvergenceWarning, OptionError, SegmixError, printable

from .console import Console
from .interruptions import interruptions

DONE, FAILED, USAGE, UNCONVERGED = range(4)  # the exit status


def explain(error: Exception, *, source: str) -> str:
    """Return what went wrong and what to do, with the file in front.

    Parameters
    ----------
    error : Exception
        A SegmixError, whose message stands as it is, or any other, which is a fault of segmix.
    source : str
        The file, as given.
    """
    if isinstance(error, SegmixError):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "there is not enough memory for it; close other programs, or crop the picture"
    elif isinstance(error, OSError):
        of = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        reason = error.strerror or error
        message = f"{of}can't be read or written ({reason}); check the disk and the permissions"
    else:
        message = (
            f"internal error ({type(error).__name__}: {error}); set SEGMIX_DEBUG=1 and report the traceback"
        )
    for name in (source, printable(source)):
        message = message.removeprefix(f"{name}: ")
    return f"{source}: {message}"


def tell(error: Exception, *, source: str, console: Console, debug: bool) -> None:
    """Print one line on what went wrong, after the traceback if asked for."""
    interruptions.check()
    if debug:
        traceback.print_exception(error)
    console.error(explain(error, source=source))


@contextmanager
def exit_on_failure(console: Console, *, source: str, debug: bool) -> Iterator[None]:
    """Leave with status 2 for a wrong option and 1 for anything else that goes wrong in the block.

    Warnings that are meant for users are told in one line each.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        tell_warnings(caught, source=source, console=console)
    except typer.Exit:
        raise
    except OptionError as error:
        if debug:
            traceback.print_exception(error)
        console.error(str(error))
        raise typer.Exit(USAGE) from error
    except Exception as error:
        tell(error, source=source, console=console, debug=debug)
        raise typer.Exit(FAILED) from error


def tell_warnings(caught: list[warnings.WarningMessage], *, source: str, console: Console) -> None:
    """Print each warning that is meant for users once; the verdict is told in its own words."""
    meant = [
        warning
        for warning in caught
        if issubclass(warning.category, UserWarning) and not issubclass(warning.category, ConvergenceWarning)
    ]
    for message in dict.fromkeys(str(warning.message) for warning in meant):
        console.warning(f"{source}: {message}")
