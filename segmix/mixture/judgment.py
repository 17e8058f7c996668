"""What the draws of a mixture say, and whether they have converged."""

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import MAX_PARETO_K, ParameterSummary, Verdict, judge, pareto_k, summarize
from .chains import Steps
from .density import Parameters

PARAMETERS = Parameters._fields
GOOD_ACCEPTANCE = 0.7  # posteriors that were missed in part had 0.3 to 0.6, narrow intervals 0.68
PLAIN_ACCEPTANCE = 0.8  # of a posterior close to t distributions; well told classes have 0.81 to 0.9
MAX_RATIO = 1.1  # of mean weights: 0.9 to 1.1 where nothing was missed, 1.2 to 1e8 where it was


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
    """Say whether draws have converged, and of independence whether its own figures leave no doubt."""
    called = {name_of(name): row for name, row in summary.items()}
    verdict = judge(called, len(steps.means), pareto_k=weights_k(steps), n_diverging=n_diverging(steps))
    reasons = (*verdict.reasons, *doubts_of(steps))
    return Verdict(not reasons, reasons)


def name_of(name: str) -> str:
    """Return what messages call a number of the summary, as the table does."""
    part, _, label = name.removesuffix("]").partition("[")
    return f"the prior's weight of class {label}" if part == "field" else name


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
    """Why draws of independence that agree with each other may still miss a part of the posterior."""
    acceptance = 1.0 if steps.accepted is None else float(steps.accepted.mean())
    if acceptance >= GOOD_ACCEPTANCE:
        return ()
    return (f"acceptance is {acceptance:.2f}, not at least {GOOD_ACCEPTANCE}",)


def is_plain(steps: Steps) -> bool:
    """Whether independence accepts so often that its proposal must be close to the posterior."""
    return steps.accepted is None or float(steps.accepted.mean()) >= PLAIN_ACCEPTANCE


def missed_by(proposed: NDArray[np.float64], drawn: NDArray[np.float64]) -> tuple[str, ...]:
    """Say whether proposals missed a part of the posterior, by log weights at them and at draws of gibbs.

    With w = posterior / proposal, the mean of w over the posterior is E_q[w^2] / E_q[w] over the proposal
    q: where gibbs finds more than that, there are places with larger weights than were seen.
    """
    from scipy.special import logsumexp

    log_ratio = logsumexp(drawn) - np.log(drawn.size) + logsumexp(proposed) - logsumexp(2 * proposed)
    with np.errstate(over="ignore"):
        ratio = float(np.exp(log_ratio))
    if ratio <= MAX_RATIO:
        return ()
    return (f"the mean weight at draws of gibbs is {ratio:.3g} times that of the proposals, not {MAX_RATIO}",)
