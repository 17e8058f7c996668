"""What the user sees: results on stdout, everything else on stderr."""

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress


class Show(Protocol):
    """Tells a bar where the work is."""

    def __call__(self, name: str, done: int | None = None, of: int | None = None, detail: str = "") -> None:
        """Begin the next thing, or say how many of its parts are done."""


def prepare_streams() -> None:
    """Make stdout and stderr take any text, and stand in for the streams that the caller closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, mode)  # noqa: SIM115
            atexit.register(stream.close)
            setattr(sys, name, stream)
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class Console:
    """Prints results, progress and messages, and keeps them out of each other's way.

    Parameters
    ----------
    quiet : bool
        Whether to leave out notes and progress; results, warnings and errors remain.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._progress: Progress | None = None

    def result(self, text: str) -> None:
        """Print lines of a result to stdout; raise OutputError if that can't be, as on a full disk."""
        self._print(text, sys.stdout)

    def note(self, message: str) -> None:
        """Tell what is good to know, unless quiet."""
        if not self.quiet:
            self._tell("note", message)

    def warning(self, message: str) -> None:
        """Tell what may spoil the result."""
        self._tell("warning", message)

    def error(self, message: str) -> None:
        """Tell what went wrong and what to do."""
        self._tell("error", message)

    def announce_compilation(self) -> None:
        """Note when a kernel has to be compiled, which takes seconds; later runs find it cached."""
        from segmix.kernels import on_first_compilation

        on_first_compilation(
            lambda: self.note("compiling, for some seconds (a first run, or no cache that can be written)")
        )

    @property
    def shows_progress(self) -> bool:
        """Whether somebody looks at a terminal that can show a bar."""
        return not (self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") in ("dumb", "unknown"))

    @contextmanager
    def progress(self, total: int) -> Iterator["Show"]:
        """Show a bar while the block runs, if stderr is a terminal; yield what tells it the next name.

        ``show(name)`` begins the next of the ``total`` things, ``show(name, done, of, detail)`` says how many
        parts of it are done, of how many by now, and what else there is to say.
        """
        if not self.shows_progress:
            yield lambda name, done=None, of=None, detail="": None
            return
        from segmix.errors import printable

        self._progress = progress = _bar()
        task, begun = progress.add_task("", total=total, detail=""), count()

        def show(name: str, done: int | None = None, of: int | None = None, detail: str = "") -> None:
            place, end = (next(begun), total) if done is None else (done, of)
            progress.update(task, completed=place, total=end, description=printable(name), detail=detail)

        try:
            with progress:
                yield show
        finally:
            self._progress = None

    def _tell(self, kind: str, message: str) -> None:
        from segmix.errors import printable

        self._print(f"segmix: {kind}: {printable(message)}", sys.stderr)

    def _print(self, text: str, stream: TextIO) -> None:
        if self._progress is None:
            _write(text, stream)
            return
        self._progress.stop()
        _write(text, stream)
        self._progress.start()


def _bar() -> "Progress":
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    return Progress(
        *columns,
        Remaining(compact=True),
        TextColumn("{task.fields[detail]}", markup=False),
        console=RichConsole(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _write(text: str, stream: TextIO) -> None:
    """Write lines; where nobody reads them any more, or messages can't be written, go on in silence."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError as error:
        let_go(stream)
        if isinstance(error, BrokenPipeError) or stream is sys.stderr:
            return
        from segmix.errors import OutputError

        raise OutputError(
            f"{stream.name}: can't be written ({error.strerror}); direct it elsewhere"
        ) from error


def let_go(stream: TextIO) -> None:
    """Send what is left in a stream's buffer nowhere, or the interpreter would complain at its end."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
