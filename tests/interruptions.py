"""What Ctrl-C leaves of a command that writes checkpoints."""

import os
import signal
import subprocess
from pathlib import Path

from segmix import Posterior


def interrupt(process: "subprocess.Popen[str]", checkpoint: Path, *, timeout: float) -> None:
    """Send Ctrl-C: exit status 130, one line that names the checkpoint, and nothing else in its folder."""
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=timeout)[1]
    assert process.returncode == 130
    part = Posterior.load(checkpoint)
    assert error == (
        f"segmix: warning: interrupted; {checkpoint} holds {part.n_draws} draws a chain, "
        "segmix continue goes on with them\n"
    )
    assert os.listdir(checkpoint.parent) == [checkpoint.name]
