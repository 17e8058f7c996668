"""The samplers agree with each other, and with PyMC's NUTS on the same model.

NUTS's numbers are stored in reference/nuts.json, made by benchmarks/nuts_reference.py.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmix import Priors
from segmix.fitting import Data, sample
from segmix.imaging.image import Image
from segmix.imaging.levels import Levels, Quantization, count_levels
from segmix.mixture.distributions import HalfNormal
from segmix.mixture.plan import Plan, Sampler
from segmix.posterior import Posterior

from .monte_carlo import Estimates, compare, estimate, names, stack

STORED = Path(__file__).parent / "reference" / "nuts.json"
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "nuts_reference.py"
CASES: dict[str, Any] = json.loads(STORED.read_text())["cases"]
DRAWS = 6_000


def levels_of(name: str, quantization: Quantization | str = "as recorded") -> Levels:
    """Levels of a case, from pixels made of its counts."""
    data = CASES[name]["data"]
    pixels = np.repeat(data["values"], data["counts"])[None]
    step = data["step"] if quantization == "as recorded" else quantization
    return count_levels(Image(pixels, limits=tuple(data["limits"])), quantization=step)


def draw(name: str, sampler: Sampler, levels: Levels, priors: Priors) -> Posterior:
    """Four chains of six thousand draws."""
    n_classes = sum(key.startswith("means") for key in CASES[name]["posterior"])
    return sample(
        Data(levels), n_classes=n_classes, priors=priors, plan=Plan(sampler, DRAWS, None, 4, seed=5)
    )


@cache
def ours(name: str, sampler: Sampler) -> Estimates:
    """Our estimates for a case."""
    posterior = draw(name, sampler, levels_of(name), Priors.from_dict(CASES[name]["priors"]))
    assert posterior.sampler == sampler
    assert posterior.converged
    return estimate(stack(posterior))


def nuts(case: dict[str, Any], like: Estimates) -> Estimates:
    """NUTS's estimates, whose errors are taken to go together as ours do."""
    n_classes = sum(key.startswith("means") for key in case["posterior"])
    rows = [case["posterior"][name] for name in names(n_classes)]
    values = [row["mean"] for row in rows] + [np.log(row["sd"]) for row in rows]
    errors = [row["mcse_mean"] for row in rows] + [row["mcse_log_sd"] for row in rows]
    return Estimates(np.array(values), np.array(errors), like.correlation)


def test_reference_covers_one_to_three_classes_binned_and_plain_and_has_converged() -> None:
    kinds = {(name[:2], case["data"]["step"] is not None) for name, case in CASES.items()}
    assert kinds == {(k, binned) for k in ("k1", "k2", "k3") for binned in (True, False)}
    assert any(case["data"]["open_ends"][0] for case in CASES.values())
    for case in CASES.values():
        assert case["sampler"]["divergences"] == 0
        assert all(row["r_hat"] < 1.01 and row["ess"] > 400 for row in case["posterior"].values())


@pytest.mark.parametrize("name", CASES)
def test_levels_are_those_of_the_reference(name: str) -> None:
    levels, data = levels_of(name), CASES[name]["data"]
    assert levels.values.tolist() == data["values"]
    assert levels.counts.tolist() == data["counts"]
    assert levels.open_ends == tuple(data["open_ends"])
    assert levels.step == (data["step"] or 0)


@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
@pytest.mark.parametrize("name", CASES)
def test_sampler_agrees_with_nuts(name: str, sampler: Sampler) -> None:
    mine = ours(name, sampler)
    comparison = compare(mine, nuts(CASES[name], mine))
    assert comparison.agrees, comparison


@pytest.mark.parametrize("name", CASES)
def test_samplers_agree_with_each_other(name: str) -> None:
    comparison = compare(ours(name, "independence"), ours(name, "gibbs"))
    assert comparison.agrees, comparison


def more_pixels(name: str) -> tuple[Levels, Priors]:
    """Every level counted 1.1 times: intervals 5 % too narrow."""
    levels = levels_of(name)
    more = replace(levels, counts=np.rint(1.1 * levels.counts).astype(np.int64))
    return more, Priors.from_dict(CASES[name]["priors"])


def plain_density(name: str) -> tuple[Levels, Priors]:
    """The density at the level instead of the mass of its interval."""
    return levels_of(name, None), Priors.from_dict(CASES[name]["priors"])


def narrow_prior(name: str) -> tuple[Levels, Priors]:
    """Standard deviations half as large a priori."""
    return levels_of(name), replace(Priors.from_dict(CASES[name]["priors"]), stds=HalfNormal(1.0))


@pytest.mark.parametrize("sampler", ["independence", "gibbs"])
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("k1-binned", more_pixels),
        ("k1-binned", plain_density),
        ("k1-plain", narrow_prior),
        ("k2-binned", plain_density),
    ],
)
def test_a_wrong_model_does_not_agree(
    name: str, fault: Callable[[str], tuple[Levels, Priors]], sampler: Sampler
) -> None:
    mine = estimate(stack(draw(name, sampler, *fault(name))))
    assert not compare(mine, nuts(CASES[name], mine)).agrees


@pytest.mark.slow
def test_nuts_run_anew_agrees_with_the_stored_numbers(tmp_path: Path) -> None:
    target = tmp_path / "nuts.json"
    command = [sys.executable, SCRIPT, "k2-binned", "--draws", "2000", "--seed", "77", "-o", target]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    fresh, stored = json.loads(target.read_text())["cases"]["k2-binned"], CASES["k2-binned"]
    assert fresh["data"] == stored["data"]
    assert fresh["priors"] == stored["priors"]
    like = ours("k2-binned", "independence")
    comparison = compare(nuts(fresh, like), nuts(stored, like))
    assert comparison.agrees, comparison
