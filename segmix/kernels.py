"""The one way segmix compiles a loop, with exp, log and the normal tail for loops of vector code.

Kernels take arrays and give arrays; they live in files whose name ends in kernels.py, and only this one
imports numba. Compiled code is cached beside the source, else in the user's cache folder, else not at all, so
that a read-only install and a missing home folder both work.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.core import event
from numba.extending import intrinsic

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # Cody and Waite: ln 2 in two parts, the first with trailing zeros
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, kept in the low bits
_SQRT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)

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


@intrinsic
def _bits_to_float(typing_context, bits):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def _float_to_bits(typing_context, value):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@inlined
def fast_exp(x: float) -> float:
    """exp(x) for -708 < x < 709 within 2 units in the last place: 2^n times a Taylor polynomial."""
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _bits_to_float((_float_to_bits(shifted) + 1023) << 52)


@inlined
def fast_log(x: float) -> float:
    """log(x) for a positive normal x within 1 unit in the last place, by the series of fdlibm's e_log.c."""
    bits = _float_to_bits(x)
    exponent = (bits - _SQRT_HALF) >> 52
    f = _bits_to_float(bits - (exponent << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = 1.479819860511658591e-01
    r = r * z + 1.531383769920937332e-01
    r = r * z + 1.818357216161805012e-01
    r = r * z + 2.222219843214978396e-01
    r = r * z + 2.857142874366239149e-01
    r = r * z + 3.999999999940941908e-01
    r = r * z + 6.666666666666735130e-01
    half = 0.5 * f * f
    return exponent * _LN2_HIGH - ((half - (s * (half + r * z) + exponent * _LN2_LOW)) - f)


@inlined
def mills_ratio(x: float) -> float:
    """(1 - Phi(x)) / phi(x) for x >= 0 within 1.4e-15 relative.

    (1 + x) times the ratio is smooth in t = (x - 4) / (x + 4) on [-1, 1] (the mapping of Shepherd and
    Laframboise 1981, Math. Comp. 36, 249); the polynomial is its Chebyshev interpolant of degree 22,
    computed with 50 digits.
    """
    t = (x - 4.0) / (x + 4.0)
    p = -3.874300207686973e-09
    p = p * t + 3.975086281603316e-09
    p = p * t + 4.372207364651429e-08
    p = p * t - 2.0579230893245287e-08
    p = p * t - 2.7628944223830873e-07
    p = p * t - 3.782823803093328e-08
    p = p * t + 1.3805876779523012e-06
    p = p * t + 1.0505607515808403e-06
    p = p * t - 6.546928120500802e-06
    p = p * t - 8.6243130137115e-06
    p = p * t + 3.4156106940806135e-05
    p = p * t + 5.327390113799152e-05
    p = p * t - 0.00022021482490664187
    p = p * t - 0.0002367034604386502
    p = p * t + 0.001741848641757937
    p = p * t - 0.0007159506500420829
    p = p * t - 0.01253910360671188
    p = p * t + 0.044959129055799664
    p = p * t - 0.08070800967978549
    p = p * t + 0.07169048120225552
    p = p * t + 0.03509188023476339
    p = p * t - 0.2423996705218174
    p = p * t + 1.1832619145678034
    return p / (1.0 + x)
