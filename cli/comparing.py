"""Reading data, comparing methods, printing."""

from typing import Any

from segmix.comparison import Row, check_methods, compare, format_comparison
from segmix.fitting import checked
from segmix.loading import Data, load
from segmix.record import to_json

from .console import Console
from .inputs import check_input, read_options
from .parsing import draw_seed, parse_prior, parse_quantization, parse_steps


def run_compare(
    path: str,
    *,
    n_classes: int,
    prior: str,
    quantization: str,
    methods: tuple[str, ...],
    draws: int,
    seed: int | None,
    column: str | None,
    preprocess: tuple[str, ...],
    reading: tuple[int | None, str | None, str | None, int],
    as_json: bool,
    console: Console,
) -> int:
    """Compare methods on a file and print the table; returns the seed."""
    check_input(path)
    key = draw_seed() if seed is None else seed
    width: Any = parse_quantization(quantization)
    priors, steps = checked(parse_prior(prior)), parse_steps(preprocess)
    methods = check_methods(methods)
    console.announce_compilation()
    asked = read_options(*reading)
    data = load(path, n_classes=n_classes, quantization=width, preprocess=steps, column=column, reading=asked)
    for note in data.notes:
        console.note(f"{path}: {note}")
    for caution in data.levels.cautions if data.options.get("preprocess") is not None else ():
        console.warning(f"{path}: {caution}")
    rows = compare(data, n_classes=n_classes, priors=priors, methods=methods, draws=draws, seed=key)
    if as_json:
        console.result(to_json(_record(path, rows, data), one_line=True))
    else:
        console.result(format_comparison(rows, data))
    return key


def _record(path: str, rows: list[Row], data: Data) -> dict[str, Any]:
    def listed(parameters: Any) -> Any:
        return {name: part.tolist() for name, part in parameters._asdict().items()} if parameters else None

    return {
        "input": path,
        "methods": [
            row._asdict() | {"parameters": listed(row.parameters), "errors": listed(row.errors)}
            for row in rows
        ],
        "truth": data.truth._asdict() if data.truth else None,
    }
