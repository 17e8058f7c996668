"""What a user waits for at the command line, beside the script that a user would write instead.

`segmix segment` of a 4-megapixel 8-bit PNG (camera repeated to 2048 x 2048), K = 2, all outputs written,
beside a script that reads it with scikit-image, applies Otsu's threshold and writes the mask; `segmix --help`
beside a bare Typer program's. Every run is a fresh interpreter; kernels are cached and files in memory.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure import Times, Timing, camera, run_process, summarize
from report import Figure, record

REPEATS = 9
TIMES_SCRIPT, EXTRA_SECONDS = 3.0, 1.5
TIMES_HELLO = 2.0
FORBIDDEN = ("pymc", "arviz", "pytensor", "pandas", "xarray")

OTSU = """
import sys
from skimage.filters import threshold_otsu
from skimage.io import imread, imsave

image = imread(sys.argv[1])
imsave(sys.argv[2], ((image > threshold_otsu(image)) * 255).astype("uint8"), check_contrast=False)
"""
HELLO = """
import typer

app = typer.Typer()

@app.command()
def hello(name: str) -> None:
    \"\"\"Say hello.\"\"\"
    print(f"Hello {name}")

app()
"""


def commands(folder: Path) -> dict[str, list[str]]:
    """Write picture and scripts into a folder; return what to run."""
    from segmix.imaging.files import write_png

    picture, mask = folder / "camera.png", folder / "mask.png"
    otsu, hello = folder / "otsu.py", folder / "hello.py"
    write_png(picture, camera(4))
    otsu.write_text(OTSU, "utf-8")
    hello.write_text(HELLO, "utf-8")
    segment = [*segmix_command(), "segment", str(picture), "-o", str(folder / "out"), "--seed", "1"]
    return {
        "segmix segment, all outputs": [*segment, "--overwrite"],
        "script: imread, threshold_otsu, imsave": [sys.executable, str(otsu), str(picture), str(mask)],
        "segmix --help": [*segmix_command(), "--help"],
        "bare Typer hello --help": [sys.executable, str(hello), "--help"],
    }


def segmix_command() -> list[str]:
    """The installed script of this environment."""
    return [str(Path(sys.executable).with_name("segmix"))]


def compare(every: Mapping[str, Sequence[str]], *, repeats: int) -> dict[str, Times]:
    """Run all in turn, each in a fresh interpreter, after one round that does not count."""
    timings: dict[str, list[Timing]] = {name: [] for name in every}
    for turn in range(-1, repeats):
        for name, command in every.items():
            timing = run_process(command).timing
            if turn >= 0:
                timings[name].append(timing)
    return {name: summarize(rows) for name, rows in timings.items()}


def imported(command: Sequence[str]) -> tuple[set[str], list[tuple[int, str]]]:
    """Return the packages that a run of ``segmix`` imports, and each one's microseconds, longest first."""
    arguments = [sys.executable, "-X", "importtime", "-m", "segmix_cli", *command[1:]]
    spent: dict[str, int] = {}
    for line in run_process(arguments).stderr.splitlines():
        if line.startswith("import time:") and "|" in line and "self [us]" not in line:
            own, _, module = line.removeprefix("import time:").split("|")
            package = module.strip().partition(".")[0]
            spent[package] = spent.get(package, 0) + int(own)
    return set(spent), sorted(((own, name) for name, own in spent.items()), reverse=True)


def main() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as name:
        every = commands(Path(name))
        times = compare(every, repeats=REPEATS)
        packages, longest = imported(every["segmix segment, all outputs"])
        packages |= imported(every["segmix --help"])[0]
    ours, script, our_help, hello = (row.wall for row in times.values())
    heavy = sorted(packages.intersection(FORBIDDEN))
    slowest = ", ".join(f"{package} {own / 1e3:.0f} ms" for own, package in longest[:8])
    record(
        __file__,
        "At the command line",
        [
            Figure("segmix segment, wall", ours, "s", TIMES_SCRIPT * script + EXTRA_SECONDS),
            Figure("the script, wall", script, "s"),
            Figure("segmix --help over a bare Typer program, wall", our_help / hello, "times", TIMES_HELLO),
            Figure("imports of " + ", ".join(FORBIDDEN), float(len(heavy)), "", 0.0),
        ],
        [
            {"what": name, "median wall s": row.wall, "best wall s": row.best_wall, "median CPU s": row.cpu}
            for name, row in times.items()
        ],
        note=(
            f"The target of the first line is {TIMES_SCRIPT:g} times the script plus {EXTRA_SECONDS} s. "
            f"`segmix segment` imports, by `python -X importtime`: {slowest}."
        ),
    )


if __name__ == "__main__":
    main()
