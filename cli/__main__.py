"""The door of the command: signals are caught from here on, also while the rest is being imported."""

import os
import sys

INTERRUPTED = 130  # what a shell has for a program that Ctrl-C ended

try:
    from .interruptions import interruptions
except KeyboardInterrupt:
    os._exit(INTERRUPTED)  # nothing is begun


def main() -> None:
    """Run the command on the arguments of the process and leave with its exit status."""
    status = INTERRUPTED
    try:
        interruptions.install()
        from .main import run

        status = run(sys.argv[1:])
    except BaseException as error:
        if interruptions.number is None and not isinstance(error, KeyboardInterrupt):
            raise
    finally:
        interruptions.settle()
    if interruptions.number is not None:
        # Everything temporary is gone by now; threads that still sample must not hold up the end.
        os._exit(128 + interruptions.number)
    sys.exit(status)


if __name__ == "__main__":
    main()
