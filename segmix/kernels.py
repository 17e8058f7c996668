"""The one way segmix compiles a loop.

Kernels take arrays and give arrays; they live in files named kernels.py, the only ones that import numba.
Compiled code is cached beside the source, else in the user's cache folder, else not at all, so that a
read-only install and a missing home folder both work.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])
# "contract" lets a product and a sum be one instruction; nothing else of fastmath is on, so that sums keep
# their order and the same input gives the same bits in every run.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def kernel(function: F) -> F:
    """Compile a function on its first call for each set of types, and cache the result on disk.

    ``nogil`` is on, so that chains run in threads.
    """
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        return numba.njit(**_OPTIONS)(function)


def inlined(function: F) -> F:
    """Compile a small function into the kernels that call it."""
    return numba.njit(forceinline=True, **_OPTIONS)(function)


class _Compilations(event.Listener):  # type: ignore[misc]
    announce: Callable[[], None] | None = None

    def on_start(self, event: object) -> None:
        if self.announce is not None:
            announce, self.announce = self.announce, None
            announce()

    def on_end(self, event: object) -> None:
        pass


_compilations = _Compilations()
event.register("numba:compile", _compilations)


def on_first_compilation(announce: Callable[[], None]) -> None:
    """Call ``announce`` once, when a kernel that is not in the cache starts to compile; replaces the last."""
    _compilations.announce = announce
