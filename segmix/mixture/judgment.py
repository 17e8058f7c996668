"""What the draws of a mixture say, and whether they have converged."""

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import MAX_PARETO_K, ParameterSummary, Verdict, distance, judge, pareto_k, summarize
from .chains import Steps
from .density import Parameters

PARAMETERS = Parameters._fields
GOOD_ACCEPTANCE = 0.65  # pictures have 0.68 to 0.9; posteriors that were missed in part had 0.3 to 0.6


def summarize_parameters(steps: Steps) -> dict[str, ParameterSummary]:
    """Summaries by name ("means[0]"); one class has no weight to summarize, a fixed beta none either."""
    n_classes = steps.means.shape[2]
    summary = {
        f"{name}[{k}]": summarize(part[:, :, k])
        for name, part in zip(PARAMETERS, steps.parameters, strict=True)
        if n_classes > 1 or name != "weights"
        for k in range(n_classes)
    }
    for name, draws in (("beta", steps.beta), ("agreements", steps.agreements)):
        if draws is not None and np.ptp(draws) > 0:
            summary[name] = summarize(draws)
    if steps.field is not None and np.ptp(steps.field) > 0:
        summary |= {f"field[{k}]": summarize(steps.field[:, :, k]) for k in range(n_classes)}
    if steps.beta is not None:
        for k in np.flatnonzero(np.ptp(steps.weights, axis=(0, 1)) == 0):
            summary[f"weights[{k}]"] = _settled(steps.weights[:, :, k])
    return summary


def _settled(draws: NDArray[np.float64]) -> ParameterSummary:
    """Of a fraction that has one value in all draws: labels that nothing confuses."""
    value, n = float(draws.flat[0]), float(draws.size)
    return ParameterSummary(value, 0.0, value, value, 0.0, n, n, 1.0)


def judge_steps(steps: Steps, summary: dict[str, ParameterSummary]) -> Verdict:
    """Say whether draws have converged."""
    return judge(summary, len(steps.means), pareto_k=weights_k(steps), n_diverging=n_diverging(steps))


def n_diverging(steps: Steps) -> int:
    """How many steps of NUTS diverged; none of other samplers do."""
    return 0 if steps.diverging is None else int(steps.diverging.sum())


def weights_k(steps: Steps) -> float | None:
    """Pareto k of the importance weights; None for other samplers."""
    return None if steps.log_weights is None else pareto_k(steps.log_weights.reshape(-1))


def has_poor_weights(steps: Steps) -> bool:
    """Whether the importance weights cannot be used."""
    return (weights_k(steps) or 0.0) > MAX_PARETO_K or bool(doubts_of(steps))


def doubts_of(steps: Steps) -> tuple[str, ...]:
    """Why draws of independence that have converged may still miss a part of the posterior."""
    acceptance = 1.0 if steps.accepted is None else float(steps.accepted.mean())
    if acceptance >= GOOD_ACCEPTANCE:
        return ()
    return (f"acceptance is {acceptance:.2f}, not at least {GOOD_ACCEPTANCE}",)


def largest_z(one: Steps, other: Steps) -> float:
    """How many standard errors means and log sds of two samplers' draws lie apart, the most of them."""
    worst = 0.0
    for part, rest in zip(one.parameters, other.parameters, strict=True):
        for k in range(part.shape[2]):
            worst = max(worst, distance(part[:, :, k], rest[:, :, k]))
    return worst
