"""The mixture written in PyMC: the same density, and in the slow tests the same posterior."""

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import ks_2samp

from segmix import Posterior, Priors, fit, simulate_mixture
from segmix.errors import OptionError, SegmixError
from segmix.mixture import nuts
from segmix.mixture.density import Observed, Parameters, Target, observe
from segmix.mixture.distributions import Dirichlet, HalfNormal, InverseGamma, Normal, Uniform
from segmix.mixture.modes import find_modes, start_points
from segmix.samples import as_samples, count_samples

from .monte_carlo import compare, estimate, stack

pytestmark = pytest.mark.filterwarnings("ignore")  # PyMC's and ArviZ's own, on import

CLOSE = 1e-5  # of log densities of tens of values, whose tails each side computes in its own way
MIN_P = 1e-4  # of all numbers together
LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))
PRIORS = [
    Priors.lecture(),
    Priors(Uniform(0.0, 300.0), HalfNormal(50.0), Dirichlet((2.0, 3.0))),
    Priors(Normal(150.0, 80.0), InverseGamma(3.0, 900.0), Dirichlet(1.0)),
    Priors.conjugate((100.0, 200.0), 0.5, 3.0, 900.0),
]
PRIOR_NAMES = ["lecture", "uniform", "inverse gamma", "conjugate"]


def target_of(values: np.ndarray, priors: Priors, step: float | None, n_classes: int = 2) -> Target:
    observed = observe(count_samples(as_samples(values), quantization=step))
    return Target(observed, priors.resolve(observed, n_classes))


def log_density(model: Any, parameters: Parameters) -> float:
    """PyMC's log density of weights, means, stds, without the Jacobians of its transforms."""
    given = {"weights": parameters.weights, "means": parameters.means, "stds": parameters.stds}
    given["variances"] = parameters.stds**2
    point = {}
    for variable in model.free_RVs:
        transform, value = model.rvs_to_transforms[variable], model.rvs_to_values[variable]
        raw = given[variable.name]
        moved = raw if transform is None else transform.forward(raw, *variable.owner.inputs).eval()
        point[value.name] = np.asarray(moved)
    return float(model.compile_logp(jacobian=False)(point))


@pytest.mark.parametrize("priors", PRIORS, ids=PRIOR_NAMES)
@pytest.mark.parametrize("step", [None, 5.0], ids=["plain", "binned"])
def test_the_marginal_model_is_our_density(priors: Priors, step: float | None) -> None:
    values = np.rint(simulate_mixture(60, *LECTURE, rng=1).values / 5) * 5
    target = target_of(values, priors, step)
    model = nuts.marginal_model(target.observed, target.priors)
    rng, apart = np.random.default_rng(2), []
    for _ in range(2):
        parameters = Parameters(
            rng.dirichlet([3, 5]), np.sort(rng.normal([105, 205], 9)), rng.uniform(9, 40, 2)
        )
        ours = target.log_posterior(Parameters(*(part[None] for part in parameters)))[0]
        of_variances = priors.stds is not None and priors.stds.name == "inverse-gamma"
        jacobian = np.log(2 * parameters.stds).sum() if of_variances else 0.0
        apart.append(log_density(model, parameters) + jacobian - ours)
    np.testing.assert_allclose(apart, 0, atol=CLOSE)


def test_clipped_ends_are_in_the_model() -> None:
    observed = Observed(np.array([-np.inf, 20.0, 30.0, np.inf]), np.array([5.0, 9.0, 2.0]), np.arange(3))
    target = Target(observed, PRIORS[1].resolve(observed, 2))
    parameters = Parameters(np.array([0.4, 0.6]), np.array([18.0, 26.0]), np.array([6.0, 4.0]))
    ours = target.log_posterior(Parameters(*(part[None] for part in parameters)))[0]
    theirs = log_density(nuts.marginal_model(observed, target.priors), parameters)
    assert theirs == pytest.approx(ours, abs=CLOSE)


def test_the_lectures_model_summed_over_assignments_is_the_marginal_one() -> None:
    values = np.array([80.0, 120.0, 190.0, 230.0])
    target = target_of(values, Priors.lecture(), None)
    model = nuts.lecture_model(values, target.priors)
    parameters = Parameters(np.array([0.3, 0.7]), np.array([104.0, 203.0]), np.array([20.0, 30.0]))
    point = {}
    for name, raw in zip(("weights", "means", "stds"), parameters, strict=True):
        variable = model.named_vars[name]
        transform, value = model.rvs_to_transforms[variable], model.rvs_to_values[variable]
        point[value.name] = transform.forward(raw, *variable.owner.inputs).eval()
    logp = model.compile_logp(jacobian=False)
    joint = [float(logp(point | {"assignment": np.array(z)})) for z in itertools.product((0, 1), repeat=4)]
    ours = target.log_posterior(Parameters(*(part[None] for part in parameters)))[0]
    assert logsumexp(joint) == pytest.approx(ours, abs=1e-8)


def test_the_graph_names_every_variable() -> None:
    target = target_of(simulate_mixture(9, *LECTURE, rng=1).values, Priors.lecture(), None)
    graph = nuts.model_graph(nuts.lecture_model(np.arange(9.0), target.priors))
    assert graph.startswith("digraph")
    for edge in ('"weights" -> "assignment"', '"assignment" -> "values"', '"means" -> "values"'):
        assert edge in graph


def smallest_p(theirs: Parameters, ours: Parameters) -> float:
    """The least p-value of Kolmogorov and Smirnov's test of every number, times how many there are."""
    pairs = [(one.T, other.T) for one, other in zip(theirs, ours, strict=True)]
    p = [ks_2samp(a, b).pvalue for one, other in pairs for a, b in zip(one, other, strict=True)]
    return min(p) * len(p)


@pytest.mark.parametrize("priors", PRIORS, ids=PRIOR_NAMES)
def test_prior_draws_are_those_of_our_priors(priors: Priors) -> None:
    target = target_of(np.arange(9.0), priors, None)
    theirs = nuts.prior_draws(target.priors, 4000, seed=1)
    assert len(theirs.means) > 1500
    assert smallest_p(theirs, target.priors.sample(4000, rng=np.random.default_rng(1))) > MIN_P


@pytest.mark.parametrize(
    "wrong",
    [
        Priors(Normal((110.0, 210.0), 12.0), Uniform(0.0, 100.0), Dirichlet(1.0)),
        Priors(Normal((110.0, 210.0), 10.0), Uniform(0.0, 110.0), Dirichlet(1.0)),
        Priors(Normal((110.0, 210.0), 10.0), Uniform(0.0, 100.0), Dirichlet(1.5)),
    ],
    ids=["means", "stds", "weights"],
)
def test_draws_of_a_wider_or_narrower_prior_are_told_apart(wrong: Priors) -> None:
    """The control: the centers are those of the lecture, the spreads are not."""
    right = target_of(np.arange(9.0), Priors.lecture(), None)
    theirs = nuts.prior_draws(right.priors, 4000, seed=1)
    ours = target_of(np.arange(9.0), wrong, None).priors.sample(4000, rng=np.random.default_rng(1))
    assert smallest_p(theirs, ours) < MIN_P


def test_chains_start_apart_but_near_the_mode() -> None:
    target = target_of(simulate_mixture(300, *LECTURE, rng=1).values, Priors.lecture(), None)
    mode = find_modes(target, 2, rng=np.random.default_rng(1))[0]
    points = start_points(target, [mode], 50, np.random.default_rng(2))
    means = np.array([point["means"] for point in points])
    width = mode.scales[1:3]
    assert (np.abs(means - mode.point[1:3]) <= 2 * width).all()
    assert (means.std(axis=0) > 0.8 * width).all()


def three_clumps() -> np.ndarray:
    """Values in which two classes are either way two clumps and one: PyMC's chains stay where they start."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(center, 4, 40) for center in (0, 100, 200)])


def test_chains_start_around_the_modes_in_turn() -> None:
    target = target_of(three_clumps(), Priors(), None)
    modes = find_modes(target, 2, rng=np.random.default_rng(1))[:2]
    points = start_points(target, modes, 5, np.random.default_rng(2))
    for chain, point in enumerate(points):
        mode = modes[chain % 2]
        assert (np.abs(point["means"] - mode.point[1:3]) <= 2 * mode.scales[1:3]).all()


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["nuts", "pymc-lecture"])
def test_a_second_mode_is_seen_and_the_tune_kept(sampler: Any) -> None:
    size: Any = {"draws": 150, "tune": 200, "thin": 2, "chains": 2}
    posterior = fit(three_clumps(), sampler=sampler, quantization=None, rng=1, **size)
    assert posterior.notes[1] == "from around 2 modes in turn"
    assert posterior.summary()["means[0]"].r_hat > 1.5
    assert posterior.warmup.means.shape == (2, 100, 2)
    assert (np.diff(posterior.warmup.means, axis=1) != 0).any()
    assert posterior.steps.diverging is not None
    assert posterior.steps.diverging.shape == (2, 150)
    assert f"{posterior.steps.diverging.sum()} divergences" in posterior.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["nuts", "pymc-lecture"])
def test_one_class(sampler: Any) -> None:
    posterior = fit(three_clumps(), n_classes=1, sampler=sampler, quantization=None, chains=2, rng=1)
    assert posterior.converged
    assert posterior.means.mean() == pytest.approx(three_clumps().mean(), abs=2)


def test_one_divergence_spoils_the_verdict_also_in_the_file_and_thinned(tmp_path: Path) -> None:
    good = fit(simulate_mixture(300, *LECTURE, rng=1), draws=1500, chains=2, rng=1)
    diverging = np.zeros((2, 1500), bool)
    none = replace(good, steps=good.steps._replace(diverging=diverging))
    assert none.converged
    diverging[1, 1200] = True  # a step that thinning leaves out
    one = replace(good, steps=good.steps._replace(diverging=diverging))
    one.save(tmp_path / "posterior.nc")
    for posterior in (one, one.thin(4), Posterior.load(tmp_path / "posterior.nc")):
        assert posterior.verdict.reasons == ("1 draw diverged, not 0; take independence or gibbs",)
        assert not posterior.converged
    assert good.steps.thin(4).diverging is None
    assert one.steps.thin(7).means.shape[1] == 1500 // 7


def test_what_the_lectures_model_cannot_take() -> None:
    with pytest.raises(OptionError, match="has no intervals; give quantization=None"):
        fit(np.arange(20) // 2 * 1.0, sampler="pymc-lecture", rng=1)
    with pytest.raises(OptionError, match="takes at most 100000 values"):
        nuts.lecture_model(np.zeros(100_001), target_of(np.arange(9.0), Priors.lecture(), None).priors)


@cache
def lecture(sd: float) -> tuple[Any, Posterior]:
    samples = simulate_mixture(500, (0.25, 0.75), (100, 200), (sd, sd), rng=5)
    return samples, fit(samples, priors=Priors.lecture(), sampler="gibbs", draws=20_000, rng=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sd", "sampler"),
    [
        *((20.0, sampler) for sampler in ("independence", "nuts", "pymc-lecture")),
        *((50.0, sampler) for sampler in ("independence", "nuts")),
    ],
)
def test_every_sampler_gives_the_lectures_posterior(sd: float, sampler: Any) -> None:
    """On hard data explicit assignments have an ESS of 22; test_enumeration has them on few values."""
    samples, reference = lecture(sd)
    draws = {"independence": 20_000, "nuts": 4000, "pymc-lecture": 1500}[sampler]
    options: Any = {"draws": draws, "chains": 2, "until_converged": False}  # so that gibbs takes over nothing
    posterior = fit(samples, priors=Priors.lecture(), sampler=sampler, rng=2, **options)
    assert posterior.sampler == sampler
    assert min(row.ess_bulk for row in posterior.summary().values()) > 200
    z, band = compare(estimate(stack(posterior)), estimate(stack(reference)))
    assert np.abs(z).max() < 4.5
    assert (z**2).mean() < band[1]


@pytest.mark.slow
def test_an_interruption_is_heard_while_pymc_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", simulate_mixture(500, *LECTURE, rng=5).values)
    command = [sys.executable, "-m", "segmix_cli", "fit", "a.npy", "-o", "out", "--prior", "lecture"]
    process = subprocess.Popen(
        [*command, "--sampler", "pymc-lecture", "--draws", "1000000", "--chains", "1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(40)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 130
    assert os.listdir(tmp_path) == ["a.npy"]


@pytest.mark.parametrize("step", [-1, 3, 9], ids=["before", "tune", "draw"])
@pytest.mark.parametrize("chains", [(0,), (1,), (0, 1)])
def test_an_interrupted_chain_is_no_result(
    monkeypatch: pytest.MonkeyPatch, chains: tuple[int, ...], step: int
) -> None:
    """PyMC returns what it has as if nothing were: no draws, draws of one chain, or too few of them."""
    import pymc

    sample = pymc.sample

    def interrupted(*given: Any, **options: Any) -> Any:
        def stop(trace: Any, draw: Any) -> None:
            if draw.chain in chains and draw.draw_idx == step:
                raise KeyboardInterrupt

        class Step(pymc.Metropolis):  # type: ignore[misc]
            def step(self, point: Any) -> Any:
                if step < 0:
                    raise KeyboardInterrupt
                return super().step(point)

        del options["target_accept"]  # of NUTS, which takes longer to compile
        return sample(*given, **options | {"cores": 1, "callback": stop, "step": Step()})

    monkeypatch.setattr(pymc, "sample", interrupted)
    with pymc.Model() as model:
        pymc.Normal("means", shape=2)
    starts = [{"means": np.zeros(2)}] * 2
    with pytest.raises(KeyboardInterrupt):
        nuts._by_pymc(model, starts, nuts.Size(5, 6, 2, 1))


def test_other_errors_of_pymc_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    import pymc

    def wrong(*_: Any, **options: Any) -> Any:
        raise ValueError("a wrong value")

    monkeypatch.setattr(pymc, "sample", wrong)
    with pymc.Model() as model:
        pymc.Normal("means", shape=2)
    with pytest.raises(ValueError, match="a wrong value"):
        nuts._by_pymc(model, [{"means": np.zeros(2)}], nuts.Size(5, 6, 1, 1))


def test_a_broken_nutpie_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nutpie.py").write_text('raise ImportError("its library\\nis missing")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nutpie", raising=False)
    values = simulate_mixture(100, *LECTURE, rng=1)
    with pytest.raises(SegmixError, match=r"nutpie is .* broken \(its library is missing\); install"):
        fit(values, sampler="nuts", draws=10, rng=1)
