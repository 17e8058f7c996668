"""Posteriors with modes and heavy tails that no t distribution covers: what is said of the draws."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmix import Dirichlet, InverseGamma, Normal, Posterior, Priors, fit, simulate_mixture
from segmix.mixture import sampling
from segmix.mixture.judgment import GOOD_ACCEPTANCE, PLAIN_ACCEPTANCE, missed_by

from .monte_carlo import Estimates, compare, estimate, stack


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return simulate_mixture(60, (0.3, 0.3, 0.4), (0.0, 1.5, 3.0), (1.0, 1.0, 1.0), rng=1).values


@pytest.fixture(scope="module")
def posterior(values: np.ndarray) -> Posterior:
    return fit(values, n_classes=3, rng=1)


def test_independence_says_why_and_hands_over(values: np.ndarray, posterior: Posterior) -> None:
    assert posterior.sampler == "gibbs"
    assert posterior.notes[0].startswith("gibbs took over from independence: ")
    assert posterior.converged
    alone = fit(values, n_classes=3, until_converged=False, rng=1)
    assert alone.sampler == "independence"
    assert not alone.converged
    assert alone.pareto_k is not None
    assert alone.pareto_k > 0.7
    assert any("Pareto k" in reason for reason in alone.verdict.reasons)


@pytest.mark.slow
def test_the_result_is_that_of_many_long_chains(values: np.ndarray, posterior: Posterior) -> None:
    long = fit(values, n_classes=3, sampler="gibbs", chains=16, draws=10_000, tune=2000, rng=99)
    assert long.converged
    comparison = compare(estimate(stack(posterior)), estimate(stack(long)))
    assert comparison.agrees, comparison


# Posteriors with a small part that the proposal hardly reaches: chains of independence agree with each other
# there, with a small Pareto k, and are wrong.
SKEWED = np.repeat(
    [0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16], [1, 4, 3, 1, 3, 1, 1, 1, 4, 1, 2, 1, 1, 1]
)
SKEWED_PRIORS = Priors(
    Normal((6.0, 10.0, 14.0), 4.0), InverseGamma((4.75, 7.63, 3.45), (3.72, 5.41, 5.79)), Dirichlet(0.3)
)
RARE = simulate_mixture(100, (0.03, 0.97), (0.0, 6.0), (1.0, 1.0), rng=4).values
MISSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "skewed": (SKEWED, {"n_classes": 3, "priors": SKEWED_PRIORS, "quantization": 1.0}),
    "a rare class": (RARE, {}),
}


@cache
def reference(name: str) -> Estimates:
    """Estimates of long chains of gibbs."""
    values, options = MISSED[name]
    return estimate(
        stack(fit(values, sampler="gibbs", draws=40_000, until_converged=False, rng=99, **options))
    )


@pytest.mark.parametrize("name", MISSED)
def test_what_a_proposal_hardly_reaches_is_not_missed(name: str) -> None:
    values, options = MISSED[name]
    for seed in range(8):  # of seed 6 a gibbs of little ESS once saw no difference, 8.5 errors from the truth
        posterior = fit(values, rng=seed, **options)
        z = compare(estimate(stack(posterior)), reference(name)).z
        assert np.abs(z).max() < 5, (seed, posterior.sampler, z)
        assert posterior.converged
        assert posterior.sampler == "gibbs"


@pytest.mark.parametrize("name", MISSED)
def test_independence_alone_misses_it_and_never_says_converged(name: str) -> None:
    values, options = MISSED[name]
    worst = 0.0
    for seed in range(6):
        alone = fit(values, draws=4000, until_converged=False, rng=seed, **options)
        worst = max(worst, np.abs(compare(estimate(stack(alone)), reference(name)).z).max())
        assert alone.acceptance is not None
        assert alone.acceptance < GOOD_ACCEPTANCE
        assert not alone.converged
        assert alone.verdict.reasons[-1].startswith(f"acceptance is {alone.acceptance:.2f}, not at least")
    assert worst > 5


def test_a_low_acceptance_is_a_reason_also_after_extending_and_in_the_file(tmp_path: Path) -> None:
    values, options = MISSED["skewed"]
    alone = fit(values, draws=4000, until_converged=False, rng=6, **options)
    longer = alone.extend(1000)
    longer.save(tmp_path / "posterior.nc")
    for posterior in (alone, longer, Posterior.load(tmp_path / "posterior.nc")):
        reason = f"acceptance is {posterior.acceptance:.2f}, not at least {GOOD_ACCEPTANCE}"
        assert posterior.verdict.reasons[-1] == reason


HARD = simulate_mixture(500, (0.25, 0.75), (100, 200), (50, 50), rng=5)


@pytest.fixture
def unrefined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Propose by one t distribution a mode, which fits this data worse."""
    monkeypatch.setattr(sampling, "refine", lambda target, proposal, *, rng: proposal)


@pytest.mark.usefixtures("unrefined")
def test_gibbs_finds_what_a_middling_acceptance_missed() -> None:
    """All figures of independence are good, and its sds are up to 12 % too small, 6 errors."""
    options: Any = {"priors": Priors.lecture(), "rng": 5}
    alone = fit(HARD, until_converged=False, **options)
    assert alone.converged
    assert alone.acceptance is not None
    assert GOOD_ACCEPTANCE < alone.acceptance < PLAIN_ACCEPTANCE
    posterior = fit(HARD, **options)
    assert posterior.sampler == "gibbs"
    assert posterior.converged
    assert "the mean weight at draws of gibbs is" in posterior.notes[0]


@pytest.mark.usefixtures("unrefined")
def test_what_independence_covers_stays_with_it() -> None:
    """Gibbs is asked, and takes over now and then by the noise of its short run; in 4 of 40 seeds here."""
    data = simulate_mixture(500, (0.25, 0.75), (100, 200), (40, 40), rng=5)
    posteriors = [fit(data, priors=Priors.lecture(), rng=seed) for seed in range(8)]
    assert all(posterior.converged for posterior in posteriors)
    kept = [posterior for posterior in posteriors if posterior.sampler == "independence"]
    assert len(kept) >= 6
    assert all((posterior.acceptance or 0) < PLAIN_ACCEPTANCE for posterior in kept), "gibbs was not asked"


def test_refined_proposals_keep_hard_data_with_independence() -> None:
    posteriors = [fit(HARD, priors=Priors.lecture(), rng=seed) for seed in range(8)]
    assert all(posterior.converged for posterior in posteriors)
    assert sum(posterior.sampler == "independence" for posterior in posteriors) >= 6


def test_of_refined_proposals_gibbs_is_always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are accepted: they were fitted to what was seen."""
    asked = []

    def missed(*_: Any) -> tuple[str, ...]:
        asked.append(True)
        return ("a part was missed",)

    monkeypatch.setattr(sampling, "_missed", missed)
    values = simulate_mixture(400, (0.836, 0.164), (0.0, 4.37), (1.26, 0.91), rng=3).values
    alone = fit(values, until_converged=False, rng=1)
    assert alone.acceptance is not None
    assert alone.acceptance > PLAIN_ACCEPTANCE
    assert fit(values, rng=1).notes[0] == "gibbs took over from independence: a part was missed"
    assert asked


def test_mean_weights_tell_what_was_missed() -> None:
    """Weights of 1 on what is seen, and of 10 on a tenth of the posterior, 1 % of the proposals."""
    seen = np.zeros(1000)
    all_of_it = np.log(np.repeat([1.0, 10.0], [990, 10]))
    drawn = np.log(np.repeat([1.0, 10.0], [99 * 10, 10 * 11]))
    assert missed_by(all_of_it, drawn) == ()
    (reason,) = missed_by(seen, drawn)
    assert reason.startswith("the mean weight at draws of gibbs is 1.9 times")
    assert missed_by(seen, np.append(drawn, 2000.0))[0].startswith("the mean weight at draws of gibbs is inf")


@pytest.mark.slow
def test_runs_that_pass_have_intervals_of_the_right_width() -> None:
    """On the lecture's hard data sds were 1.5 % too small on average; the error of 40 runs is 0.3 %."""
    options: Any = {"priors": Priors.lecture()}
    long = fit(HARD, sampler="gibbs", draws=50_000, chains=8, until_converged=False, rng=99, **options)
    truth, widths, worst = estimate(stack(long)), [], 0.0
    for seed in range(40):
        posterior = fit(HARD, rng=seed, **options)
        assert posterior.converged
        mine = estimate(stack(posterior))
        half = len(mine.values) // 2
        widths.append((mine.values - truth.values)[half:].mean())
        worst = max(worst, np.abs(compare(mine, truth).z).max())
    assert abs(np.mean(widths)) < 4 * np.std(widths) / np.sqrt(len(widths))
    assert worst < 5
