"""Numbers are printed to the digits that their uncertainty resolves."""

from typing import NamedTuple

import numpy as np
import pytest

import segmix
from segmix.comparison import compare, format_comparison
from segmix.fitting import load
from segmix.numbers import format_of, with_interval
from segmix.text import format_parameters


class Row(NamedTuple):
    mean: float
    sd: float
    low: float
    high: float


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (Row(62.05512, 0.07, 61.9212, 62.1942), "62.055 [61.921, 62.194]"),
        (Row(1e9 + 0.25, 0.1, 1e9 + 0.05, 1e9 + 0.45), "1000000000.250 [1000000000.050, 1000000000.450]"),
        (Row(-2.5e8, 2.0, -2.5e8 - 4, -2.5e8 + 4), "-250000000.00 [-250000004.00, -249999996.00]"),
        (Row(4e12, 1e9, 3.998e12, 4.002e12), "4.00000e+12 [3.99800e+12, 4.00200e+12]"),
        (Row(2e-6, 1e-8, 1.98e-6, 2.02e-6), "2.0000e-06 [1.9800e-06, 2.0200e-06]"),
        (Row(0.0, 0.0, 0.0, 0.0), "0.000 [0.000, 0.000]"),
        (Row(255.0, 0.0, 255.0, 255.0), "255.000 [255.000, 255.000]"),
        (Row(300.0, 100.0, 100.0, 500.0), "300 [100, 500]"),
        (Row(float("nan"), 0.0, float("nan"), 1.0), "nan [nan, 1.000]"),
    ],
)
def test_a_mean_with_its_interval(row: Row, shown: str) -> None:
    assert with_interval(row) == shown


def test_no_digit_is_made_up() -> None:
    """A double has 15 digits; those behind would be noise."""
    assert format_of([1e15 + 1], [1e-3]) == ".15e"
    assert format_of([123.0], [1e-30]) == ".13f"


def cells(table: str, name: str) -> list[list[float]]:
    """The numbers of a column, by its place under the header."""
    lines = table.splitlines()
    begin = lines[0].index(name)
    texts = [line[begin:].split("  ")[0] for line in lines[1:3]]
    return [[float(word.strip("[],")) for word in text.split()] for text in texts]


def test_classes_on_a_large_offset_are_told_apart() -> None:
    values = segmix.simulate_mixture(400, (0.4, 0.6), (0.0, 5.0), (0.8, 0.8), rng=1).values + 1e9
    posterior = segmix.fit(values, draws=200, until_converged=False, rng=1)
    for name, part in (("mean", "means"), ("sd", "stds")):
        column = cells(format_parameters(posterior), name)
        for k, shown in enumerate(column):
            row = posterior.summary()[f"{part}[{k}]"]
            np.testing.assert_allclose(shown, [row.mean, row.low, row.high], rtol=0, atol=row.sd / 10)
    rows = compare(load(values, n_classes=2), methods=("em", "independence"), draws=100)
    lines = format_comparison(rows, load(values, n_classes=2)).splitlines()[1:]
    for line, found in zip(lines, rows, strict=False):
        shown = float(line.split()[1].strip(","))
        assert shown == pytest.approx(found.parameters.means[0], rel=0, abs=0.05)


def test_the_cells_of_a_column_are_alike() -> None:
    values = segmix.simulate_mixture(2000, (0.02, 0.98), (0.0, 5.0), (2.0, 0.1), rng=1)
    table = format_parameters(segmix.fit(values, draws=200, until_converged=False, rng=1))
    words = [word.strip("[],") for line in table.splitlines()[1:3] for word in line.split()[1:4]]
    assert len({len(word.partition(".")[2]) for word in words}) == 1
