"""What all figures have in common: colors, lines, and matplotlib left as the user has it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.patheffects import AbstractPathEffect

TITLE_LENGTH = 72
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
