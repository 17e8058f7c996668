"""What a posterior and a segmentation say, laid out for a person to read."""

from collections.abc import Sequence

import numpy as np

from .areas import Area, Estimate
from .cautions import steps_of
from .diagnostics import format_worst
from .numbers import Interval, format_column, with_interval
from .posterior import Posterior
from .shapes import Shapes

_HEADER = ("class", "mean", "sd", "weight")


def format_table(
    posterior: Posterior, areas: Sequence[Area], foreground: tuple[int, ...], shapes: Shapes | None = None
) -> str:
    """Lay out the classes with their 94 % intervals, the boundaries where known, and the verdict."""
    rows: list[tuple[str, ...]] = [(*_HEADER, "area (pixels)")]
    for area, (label, *cells) in zip(areas, _rows(posterior), strict=True):
        mark = "*" if area.label in foreground else " "
        rows.append((label + mark, *cells, _rounded(area.pixels)))
    lines = [] if shapes is None else _shape_lines(shapes)
    if shapes is not None:
        counts = ("components", *(_rounded(row.number) for row in shapes.components))
        rows = [(*row, count) for row, count in zip(rows, counts, strict=True)]
    legend = "* foreground; brackets hold 94 % of the posterior"
    return "\n".join([*lay_out(rows), *lines, legend, *_verdict_lines(posterior)])


def _rounded(number: Estimate) -> str:
    return f"{number.mean:.0f} [{number.low:.0f}, {number.high:.0f}]"


def _shape_lines(shapes: Shapes) -> list[str]:
    """Boundaries between classes that touch, and how many draws they and the components rest on."""
    unit = "pixels" if shapes.spacing is None else "units of spacing"
    found = [row for row in shapes.boundaries if row.pairs.mean > 0]
    rows = [("boundary", "pairs", f"length ({unit})" if shapes.ndim == 2 else f"area ({unit}, squared)")]
    lengths = _column([row.length for row in found])
    rows += [
        ("{}-{}".format(*row.labels), _rounded(row.pairs), length)
        for row, length in zip(found, lengths, strict=True)
    ]
    return [*(lay_out(rows) if found else []), f"components and boundaries: {shapes.n_draws} label draws"]


def format_parameters(posterior: Posterior) -> str:
    """Lay out the classes of a fit with their 94 % intervals, beside the truth where it is known."""
    truth = posterior.truth
    rows = [_HEADER, *_rows(posterior)]
    if truth is not None:
        order = np.argsort(truth.means)
        rows += [
            (f"truth {k}", *(f"{part[i]:.12g}" for part in (truth.means, truth.stds, truth.weights)))
            for k, i in enumerate(order.tolist())
        ]
    steps = steps_of(posterior)
    said = ["brackets hold 94 % of the posterior", *([f"after {', '.join(steps)}"] if steps else [])]
    return "\n".join([*lay_out(rows), *said, *_verdict_lines(posterior)])


def _rows(posterior: Posterior) -> list[tuple[str, ...]]:
    """A row a class, the numbers of a column in one format."""
    summary, n_classes = posterior.summary(), posterior.n_classes
    labels = tuple(map(str, range(n_classes)))
    columns = [
        _column([summary[f"{name}[{k}]"] for k in range(n_classes)]) if f"{name}[0]" in summary else ["1"]
        for name in ("means", "stds", "weights")  # the weight of the only class is none to be estimated
    ]
    return list(zip(labels, *columns, strict=True))


def _column(rows: Sequence[Interval]) -> list[str]:
    form = format_column(rows)
    return [with_interval(row, form) for row in rows]


def lay_out(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _verdict_lines(posterior: Posterior) -> list[str]:
    figures = "R-hat {}, ESS {}".format(*format_worst(posterior.summary().values()))
    sampler = (
        f"{posterior.sampler}, {posterior.n_chains} chains x {posterior.n_draws} draws, seed {posterior.seed}"
    )
    state = "converged" if posterior.converged else "NOT CONVERGED"
    lines = [*_coupling_lines(posterior), f"{state}: {figures} ({sampler})"]
    return lines + [f"  {reason}" for reason in (*posterior.verdict.reasons, *posterior.notes)]


def _coupling_lines(posterior: Posterior) -> list[str]:
    rows = posterior.summary()
    parts = [f"beta {with_interval(rows['beta'])}"] if "beta" in rows else []
    if "agreements" in rows:
        parts.append(f"share of neighbor pairs that agree {with_interval(rows['agreements'])}")
    field = _column([row for name, row in rows.items() if name.startswith("field[")])
    weights = [f"the prior's weights of the classes: {', '.join(field)}"] if field else []
    return [*(["; ".join(parts)] if parts else []), *weights]
