"""Scoring, printing."""

from os.path import isdir
from typing import Any

from segmix.errors import OptionError, printable
from segmix.record import to_json
from segmix.scoring import Score, score

from .console import Console
from .inputs import check_input, read_domain


def run_score(
    found: str,
    truth: str,
    *,
    domain: str | None,
    ignore: str,
    max_pixels: int,
    as_json: bool,
    console: Console,
    **options: Any,
) -> None:
    """Score ``found`` against ``truth`` and print; ``options`` are those of ``segmix.score``."""
    for path in (truth,) if isdir(found) else (found, truth):
        check_input(path)
    known = score(
        found,
        truth,
        domain=read_domain(domain, max_pixels=max_pixels),
        ignore=_parse_ignore(ignore),
        max_pixels=max_pixels,
        **options,
    )
    if as_json:
        console.result(to_json({"input": found, "truth": truth, **known.to_dict()}, one_line=True))
    else:
        console.result(f"{printable(found)} against {printable(truth)}\n{format_score(known)}")


def _parse_ignore(text: str) -> Any:
    """Return "auto", None or a whole number."""
    if text == "auto":
        return text
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"--ignore must be auto, none or a whole number, got {text!r}; give one") from None


def format_score(known: Score) -> str:
    """The metrics as lines of text."""
    labels = {k: label for label, k in enumerate(known.matching)}
    lines = ["class  label     IoU    Dice  boundary F"]
    lines += [
        f"{k:5d}  {labels[k]:5d}  {known.iou[k]:6.4f}  {known.dice[k]:6.4f}  {known.boundary_f[k]:10.4f}"
        for k in range(known.n_classes)
        if known.iou[k] < 1 or known.boundary_f[k] == known.boundary_f[k]  # a class that is there
    ]
    split, merged = known.variation_of_information
    lines += [
        f"accuracy {known.accuracy:.4f} over {known.n_pixels} pixels, adjusted Rand index "
        f"{known.adjusted_rand:.4f}",
        f"variation of information {split + merged:.4f} bits: {split:.4f} split, {merged:.4f} merged",
    ]
    if known.calibration is not None:
        lines.append(
            f"Brier score {known.brier:.4f}, log loss {known.log_loss:.4f} nats, calibration error "
            f"{known.calibration.error:.4f}"
        )
    return "\n".join(lines)
