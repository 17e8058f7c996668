"""The door of the command: signals are caught from here on, also while the rest is being imported."""

import os
import sys

from .interruptions import interruptions


def main() -> None:
    """Run the command on the arguments of the process and leave with its exit status."""
    interruptions.install()
    status = 130
    try:
        from .main import run

        status = run(sys.argv[1:])
    except BaseException:
        if interruptions.number is None:
            raise
    finally:
        interruptions.settle()
    if interruptions.number is not None:
        # Everything temporary is gone by now; threads that still sample must not hold up the end.
        os._exit(128 + interruptions.number)
    sys.exit(status)


if __name__ == "__main__":
    main()
