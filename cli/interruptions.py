"""Ctrl-C and requests to end, as one exception that is never lost."""

import signal
import sys
from types import FrameType


class Interruptions:
    """Remembers the signal that asked the command to stop.

    Python drops an exception that comes up in a callback or a destructor; the number stays, and `check`
    raises again at the next safe place.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._settled = False

    def install(self) -> None:
        """Turn SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt, unless the parent said to ignore them."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, self._repeat)
        sys.unraisablehook = self._unraisable

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came since the start."""
        if self.number is not None:
            raise KeyboardInterrupt

    def settle(self) -> None:
        """Hear no more signals, once nothing is left to be interrupted."""
        self._settled = True  # for what comes before the next lines are done
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self._settled:
            self.number = number
            self._repeat(number, frame)

    def _repeat(self, number: int, frame: FrameType | None) -> None:
        """Raise now, and again in a second in case the exception is lost (in a compiler's callback, say)."""
        if self._settled:
            return
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 1.0)
        raise KeyboardInterrupt

    def _unraisable(self, event: "sys.UnraisableHookArgs") -> None:
        if self.number is None:
            sys.__unraisablehook__(event)


interruptions = Interruptions()
