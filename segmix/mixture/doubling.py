"""A run that has not converged is thrown away as tune and made anew, twice as long, up to a limit."""

from collections.abc import Callable
from typing import NamedTuple

from ..diagnostics import ParameterSummary, Verdict
from .chains import Steps, join
from .judgment import judge_steps, summarize_parameters
from .plan import MAX_NUMBERS, Plan

Summary = dict[str, ParameterSummary]


class Doubled(NamedTuple):
    """The last run's steps, what was thrown away before them, and what is to be said of them."""

    steps: Steps
    thrown: tuple[Steps, ...]
    summary: Summary
    verdict: Verdict
    notes: tuple[str, ...]

    @property
    def warmup(self) -> Steps:
        """All that was thrown away, in one row; without any steps where nothing was."""
        return joined(self.thrown, like=self.steps)


def joined(thrown: tuple[Steps, ...], *, like: Steps) -> Steps:
    """Put runs one after the other; none give no steps, of chains and classes like these."""
    return join(list(thrown)) if thrown else like.select(slice(0))


def double(
    plan: Plan,
    run: Callable[[int, tuple[Steps, ...]], Steps],
    *,
    tune: Steps | None,
    gives_up: Callable[[int, Steps, Summary], bool] = lambda *_: False,
) -> Doubled:
    """Run, judge, and while the verdict is bad throw all away as tune and run twice as long.

    Parameters
    ----------
    plan : Plan
        Of whose draws, limit of doublings, and whether there are any at all.
    run : callable
        Goes on with the chains for so many draws, after these that were thrown away.
    tune : Steps or None
        What was thrown away from the start.
    gives_up : callable
        Says after so many doublings, of the steps and their summary, that more of the same will not do.
    """
    thrown, draws = () if tune is None else (tune,), plan.draws
    for doublings in range(plan.doublings + 1):
        steps = run(draws, thrown)
        summary = summarize_parameters(steps)
        verdict = judge_steps(steps, summary)
        too_many = 2 * draws * plan.thin * steps.means[:, 0].size > MAX_NUMBERS
        last = doublings == plan.doublings or not plan.until_converged or too_many
        if verdict.converged or last or gives_up(doublings, steps, summary):
            break
        thrown, draws = (*thrown, steps), 2 * draws
    notes = (f"extended to {draws} draws a chain",) if draws > plan.draws else ()
    return Doubled(steps, thrown, summary, verdict, notes)
