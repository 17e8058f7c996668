"""The record of figures: beside their targets, with the machine, as JSON and as Markdown."""

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "pymc",
    "nutpie",
    "dipy",
    "antspyx",
    "PyMaxflow",
)


@dataclass(frozen=True)
class Figure:
    """One number beside its target; ``at_least`` says on which side it is met. No target: for comparison."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def describe_machine() -> dict[str, Any]:
    """Cores, memory, processor, system and versions; nothing that tells whose machine it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
        "versions": {"python": platform.python_version()} | _versions(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def record(
    script: str, title: str, figures: Sequence[Figure], rows: Sequence[Mapping[str, Any]], *, note: str = ""
) -> None:
    """Print the figures and write them to results/NAME.json.

    Parameters
    ----------
    script : str
        The script's ``__file__``.
    title : str
        One line that says what was measured.
    figures : sequence of Figure
    rows : sequence of dict
        What else was measured, one table row each, all with the same keys.
    note : str
        What a reader must know to judge the figures.
    """
    name = Path(script).stem
    result = {
        "name": name,
        "title": title,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": describe_machine(),
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
        "rows": [dict(row) for row in rows],
        "note": note,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    sys.stdout.write(to_markdown(result))


def to_markdown(result: Mapping[str, Any]) -> str:
    """Return one script's figures and rows as Markdown."""
    lines = [f"## {result['title']}", ""]
    header = ("figure", "measured", "target", "")
    lines += _table(header, [_figure_cells(figure) for figure in result["figures"]])
    if result["rows"]:
        cells = [[_cell(value) for value in row.values()] for row in result["rows"]]
        lines += ["", *_table(tuple(result["rows"][0]), cells)]
    if result["note"]:
        lines += ["", result["note"]]
    machine = result["machine"]
    where = f"{machine['processor']}, load {machine['load']} at the end"
    return "\n".join([*lines, "", f"`python benchmarks/{result['name']}.py`, {result['date']}, {where}", ""])


def _figure_cells(figure: Mapping[str, Any]) -> list[str]:
    sign = ">=" if figure["at_least"] else "<="
    target = "" if figure["target"] is None else f"{sign} {_cell(figure['target'])} {figure['unit']}".rstrip()
    verdict = {None: "", True: "met", False: "missed"}[figure["met"]]
    return [figure["name"], f"{_cell(figure['value'])} {figure['unit']}".rstrip(), target, verdict]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _cell(value: object) -> str:
    """Numbers to three digits, thousands in full."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
