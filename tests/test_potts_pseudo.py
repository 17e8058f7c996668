"""Beta by pseudo-likelihood errs as docs/spatial.md says, against exact posteriors of known labels."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmix.potts.lattice import Lattice

from . import exact_potts as exact
from . import naive_potts as naive
from .monte_carlo import MAX_Z

ROOT = Path(__file__).parents[1]
N_FIELDS = 100


@pytest.fixture(scope="module")
def pseudo() -> Iterator[Any]:
    """The benchmark of the page."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("potts_pseudo")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        for name in ("potts_pseudo", "report"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def judge(pseudo: Any) -> Any:
    return pseudo.Judge()


def documented() -> dict[float, list[list[float]]]:
    """Of each beta the cells of the page's table: a number, with its error where it has one."""
    lines = (ROOT / "docs/spatial.md").read_text("utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if re.match(r"\| [0-9]", line)]
    return {float(row[0]): [[float(x) for x in cell.split(" +- ")] for cell in row[1:]] for row in rows}


def distances(found: Any, known: list[list[float]]) -> np.ndarray:
    """Z of both biases, the sd ratio and both coverages between what is found and the page."""
    parts = (found.exact_bias, found.bias, found.ratio, 100 * found.exact_covers, 100 * found.covers)
    z = []
    for values, (number, *error) in zip(parts, known, strict=True):
        spread = np.sqrt(number * (100 - number)) if not error else values.std(ddof=1)
        own = error[0] if error else spread / 20  # of 400 fields
        z.append((values.mean() - number) / np.hypot(spread / np.sqrt(len(values)), own))
    return np.array(z)


@pytest.mark.parametrize("beta", [0.3, 0.6, 0.88, 1.1])
def test_it_errs_as_documented(pseudo: Any, judge: Any, beta: float) -> None:
    found = pseudo.measure(judge, beta, N_FIELDS, seed=2)
    assert np.abs(distances(found, documented()[beta])).max() < MAX_Z


@pytest.mark.parametrize("beta", [0.3, 0.88, 1.1])
def test_the_exact_posterior_does_not(pseudo: Any, judge: Any, beta: float) -> None:
    """Control: an sd ratio of 1, and that of another beta."""
    found = pseudo.measure(judge, beta, N_FIELDS, seed=2)
    as_exact = found._replace(ratio=np.ones(N_FIELDS), bias=found.exact_bias, covers=found.exact_covers)
    assert np.abs(distances(as_exact, documented()[beta])).max() > 2 * MAX_Z
    assert np.abs(distances(found, documented()[0.6])).max() > 2 * MAX_Z


def test_the_betas_of_the_page_are_those_measured(pseudo: Any) -> None:
    assert tuple(documented()) == pseudo.BETAS


@pytest.mark.parametrize("beta", [0.0, 0.6, 1.1])
def test_the_strip_is_exact(pseudo: Any, judge: Any, beta: float) -> None:
    """Its constant against the formula of Kac and Ward, its fields against their mean agreements."""
    found = judge.strip.forward(beta)[1]
    assert found == pytest.approx(exact.ising_constant(pseudo.SHAPE, beta), abs=1e-8)
    fields = judge.strip.draw(beta, N_FIELDS, rng=np.random.default_rng(1))
    drawn = np.array([naive.agreements(Lattice(pseudo.SHAPE), labels) for labels in fields])
    known = exact.slope(lambda at: exact.ising_constant(pseudo.SHAPE, at), beta)
    assert abs(drawn.mean() - known) < MAX_Z * drawn.std() / np.sqrt(N_FIELDS)
    assert abs(fields.mean() - 0.5) < MAX_Z * fields.mean(axis=(1, 2)).std() / np.sqrt(N_FIELDS)
