"""Run the benchmarks and write docs/benchmarks.md from their results.

``python benchmarks/run.py`` runs all; with names, as in ``python benchmarks/run.py memory scaling``, only
these, and the page takes the others from their last results. The exit status is 1 if a target is missed.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from report import RESULTS, to_markdown

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
SCRIPTS = (
    "posterior_speed", "in_process", "scaling", "command_line", "first_run", "memory", "lecture_speed",
    "potts_speed", "potts_peers", "potts_ladder", "potts_pseudo", "potts_bayes",
)  # fmt: skip

INTRODUCTION = """# Benchmarks

Written by `make bench` (`python benchmarks/run.py`); don't edit. What is compared ran in turn, in one run.
CPU seconds are of all threads and child processes; times are medians unless the line says otherwise.
"""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the page: machine, then every script's figures beside their targets."""
    machine = results[-1]["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    processors = sorted({result["machine"]["processor"] for result in results})
    dates = sorted({result["date"] for result in results})
    met = [figure["met"] for result in results for figure in result["figures"] if figure["met"] is not None]
    lines = [
        INTRODUCTION,
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}: {machine['cores']} cores "
        f"({' or '.join(processors)}), {machine['memory_gib']} GiB, {machine['system']}. {versions}.",
        "",
        f"{sum(met)} of {len(met)} targets met.",
        "",
        *[to_markdown(result) for result in results],
    ]
    return "\n".join(lines)


def main(names: Sequence[str]) -> int:
    """Run scripts, write the page, and return the exit status."""
    unknown = sorted(set(names) - set(SCRIPTS))
    if unknown:
        sys.stderr.write(f"no benchmark {unknown[0]!r}; known are {', '.join(SCRIPTS)}\n")
        return 2
    for name in names or SCRIPTS:
        sys.stdout.write(f"-- {name}\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True)
    files = [RESULTS / f"{name}.json" for name in SCRIPTS]
    results = [json.loads(file.read_text("utf-8")) for file in files if file.exists()]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(results).rstrip() + "\n", "utf-8")
    return int(any(figure["met"] is False for result in results for figure in result["figures"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
