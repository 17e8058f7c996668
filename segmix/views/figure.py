"""What all figures have in common: colors, lines, and matplotlib left as the user has it."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patheffects import AbstractPathEffect

TITLE_LENGTH = 72
WIDTH, ROW = 10.0, 2.4  # inches of 100 pixels
INK, FILL, RIM, GRAY = "#222222", "#dde1e7", "#a3abb5", "#68717d"
_SILENCE = logging.NullHandler()  # without a handler, its warnings on folders and fonts go to stderr
DASHES: tuple[Any, ...] = ("solid", (0, (6, 2)), (0, (1.6, 1.4)), (0, (7, 1.8, 1.6, 1.8)))
_LOOK: dict[Any, Any] = {
    "font.size": 11,
    "axes.edgecolor": RIM,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eceef1",
    "xtick.color": RIM,
    "ytick.color": RIM,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.6,
}


@contextmanager
def matplotlib_of_ours() -> Iterator[None]:
    """Give matplotlib its own defaults and keep it silent, whatever the user's settings or home folder."""
    logging.getLogger("matplotlib").addHandler(_SILENCE)
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK)
        yield


def title_of(text: str) -> str:
    """Return the text in one line of characters that the font has, the middle left out of a long one."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans:bold")).get_charmap()
    line = "".join(c if c.isprintable() and ord(c) in known else "?" for c in text)
    half = TITLE_LENGTH // 2 - 3
    return line if len(line) <= TITLE_LENGTH else f"{line[:half]} ... {line[-half:]}"


def rim() -> list[AbstractPathEffect]:
    """Return the effect that sets a light line off from a light ground."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=3.1, foreground=GRAY), Normal()]


def panels(
    title: str, n_rows: int, n_columns: int, *, hint: str, height: float = 0.0
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a title, a hint how to read it, and rows of axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = height or n_rows * ROW + 0.9
    figure = Figure(figsize=(WIDTH, height), dpi=100)
    FigureCanvasAgg(figure)
    figure.text(
        0.075, 1 - 0.32 / height, title_of(title), size=13, weight="bold", color=INK, parse_math=False
    )
    figure.text(0.075, 1 - 0.58 / height, hint, size=10, color=GRAY)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    figure.subplots_adjust(
        left=0.075, right=0.965, top=1 - 0.95 / height, bottom=0.55 / height,
        hspace=0.62, wspace=0.22,
    )  # fmt: skip
    return figure, [list(line) for line in grid]


def panel_of_each(title: str, names: Sequence[str], *, hint: str) -> tuple[Figure, list[Axes]]:
    """A panel for every name, one row for each kind of parameter, at most four in a row."""
    if not names:
        raise OptionError("there must be a number to draw, got none; pass the marginals")
    kinds = list(dict.fromkeys(name.partition("[")[0] for name in names))
    rows_of = {kind: [name for name in names if name.partition("[")[0] == kind] for kind in kinds}
    largest = max(map(len, rows_of.values()))
    columns = min(largest, 4)
    places: list[tuple[int, int]] = []
    row = 0
    for kind in kinds:
        own = rows_of[kind]
        places += [(row + i // columns, i % columns) for i in range(len(own))]
        row += -(-len(own) // columns)
    figure, rows = panels(title, row, columns, hint=hint)
    used = set(places)
    for r, line in enumerate(rows):
        for c, axes in enumerate(line):
            axes.set_visible((r, c) in used)
    return figure, [rows[r][c] for r, c in places]


def to_png(figure: Figure) -> bytes:
    """Return a PNG file's bytes, the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
