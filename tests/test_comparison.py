"""k-means, EM, MAP and the samplers side by side."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segmix_cli.main import run

from segmix import InverseGamma, Priors, simulate_mixture
from segmix.comparison import compare, format_comparison
from segmix.errors import OptionError
from segmix.fitting import Data, load, sample
from segmix.mixture import nuts
from segmix.mixture.density import Parameters, Target, observe
from segmix.mixture.kmeans import fit_kmeans
from segmix.mixture.modes import find_modes
from segmix.mixture.plan import Plan
from segmix.posterior import Posterior
from segmix.samples import as_samples, count_samples

LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))


def test_kmeans_is_the_best_of_all_intervals() -> None:
    """In one dimension the optimal classes are intervals, which few values let us enumerate."""
    values = np.round(np.random.default_rng(3).normal(size=24) * 10)
    levels = count_samples(as_samples(values), quantization=None)
    _, squares = fit_kmeans(observe(levels), levels.values, 3, rng=np.random.default_rng(1))
    ordered = np.sort(values)
    best = min(
        sum(((part - part.mean()) ** 2).sum() for part in np.split(ordered, cuts))
        for cuts in itertools.combinations(range(1, 24), 2)
    )
    assert squares == pytest.approx(best)


def test_kmeans_describes_its_classes() -> None:
    values = np.array([1.0, 1.0, 3.0, 10.0, 12.0])
    levels = count_samples(as_samples(values), quantization=None)
    found, _ = fit_kmeans(observe(levels), levels.values, 2, rng=np.random.default_rng(1))
    np.testing.assert_allclose(found.weights, [0.6, 0.4])
    np.testing.assert_allclose(found.means, [5 / 3, 11])
    np.testing.assert_allclose(found.stds, [values[:3].std(), 1])


def test_every_method_but_pymcs_is_called_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(data: Data, *, plan: Plan, **options: Any) -> Posterior:
        calls.append(plan.sampler)
        return sample(data, plan=replace(plan, sampler="gibbs"), **options)

    monkeypatch.setattr("segmix.comparison.sample", counted)
    compare(simulate_mixture(100, *LECTURE, rng=5), methods=("independence", "gibbs", "nuts"), draws=20)
    assert calls == ["independence"] * 2 + ["gibbs"] * 2 + ["nuts"]


def test_methods_agree_where_they_should() -> None:
    samples = simulate_mixture(500, *LECTURE, rng=5)
    data = load(samples, n_classes=2)
    methods = ("kmeans", "em", "map", "independence", "gibbs")
    rows = {row.method: row for row in compare(data, priors=Priors.lecture(), methods=methods, seed=1)}
    likelihoods = {name: row.log_likelihood for name, row in rows.items()}
    assert max(likelihoods, key=lambda name: likelihoods[name]) == "em"
    exact, chain = rows["independence"], rows["gibbs"]
    assert exact.errors is not None
    for name, i in (("map", 1), ("em", 1), ("gibbs", 1)):
        assert (np.abs(rows[name].parameters[i] - exact.parameters[i]) < exact.errors[i]).all()
    assert chain.converged
    assert chain.ess_per_second is not None
    table = format_comparison(list(rows.values()), data)
    assert [line.split()[0] for line in table.splitlines()] == ["method", *methods, "truth", "+-"]


@pytest.mark.filterwarnings("ignore")  # PyMC's and ArviZ's own, on import
@pytest.mark.parametrize(
    ("n_classes", "priors"),
    [(1, Priors()), (2, Priors()), (2, Priors(stds=InverseGamma(30.0, 20_000.0)))],
    ids=["one class", "two", "inverse gamma"],
)
def test_map_is_the_maximum_that_pymc_finds(n_classes: int, priors: Priors) -> None:
    data = load(simulate_mixture(300, *LECTURE, rng=5), n_classes=n_classes)
    (row,) = compare(data, n_classes=n_classes, priors=priors, methods=("map",))
    observed = observe(data.levels)
    target = Target(observed, priors.resolve(observed, n_classes))
    theirs = nuts.find_map(target, find_modes(target, n_classes, rng=np.random.default_rng(0))[0])
    for ours, other in zip(row.parameters, theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-4)
    both = Parameters(*(np.stack(pair) for pair in zip(row.parameters, theirs, strict=True)))
    ours, other = target.log_posterior(both)
    assert ours >= other - 1e-6


def test_a_row_is_of_its_method_alone_and_says_if_it_failed() -> None:
    """Where independence fails on five values, gibbs would take over, and both rows be the same."""
    data = load(np.array([0, 0, 1, 1, 1], np.uint8), n_classes=2)
    exact, chain = compare(data, methods=("independence", "gibbs"), seed=1)
    assert not np.array_equal(exact.parameters.means, chain.parameters.means)
    assert exact.converged is False
    assert any("Pareto k" in reason or "acceptance" in reason for reason in exact.reasons)
    lines = format_comparison([exact, chain], data).splitlines()
    assert lines[0].endswith("verdict")
    assert lines[1].endswith("not converged")
    assert lines[-2 if chain.reasons else -1].startswith("independence has not converged: ")


def test_a_class_that_shrank_to_a_value_is_named() -> None:
    values = np.append(np.random.default_rng(2).normal(0, 1, 40), 60.0)
    data = load(values, n_classes=2, quantization=None)
    rows = compare(data, methods=("kmeans", "em"), seed=1)
    assert [row.log_likelihood for row in rows] == [None, None]
    assert rows[0].reasons == ("class 1 shrank to 60, where the likelihood has no bound",)
    text = format_comparison(rows, data)
    assert text.count("no bound ") == 2
    assert "kmeans collapsed: class 1 shrank to 60" in text


def test_an_unknown_method() -> None:
    with pytest.raises(OptionError, match=r"methods must be of kmeans, .* got 'magic'"):
        compare(load([1.0, 2.0, 3.0, 4.0, 9.0], n_classes=2), methods=("magic",))


def test_the_command_prints_one_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["simulate", "mixture", "-n", "100", "--seed", "5", "-o", "data.csv"])
    capsys.readouterr()
    arguments = ["compare", "data.csv", "--methods", "kmeans,em", "--seed", "1"]
    assert run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["method", "kmeans", "em", "truth", "+-"]
    assert run([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in record["methods"]] == ["kmeans", "em"]
    assert record["truth"]["means"] == [100, 200]
    assert run(["compare", "data.csv", "--methods", "magic"]) == 2
    assert run(["compare", "none.csv"]) == 1
