"""Going on with the chains of a posterior, which must still be those of its data and priors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, OptionError, check_whole
from .mixture.chains import State, Steps, Watch, join, run_thinned
from .mixture.density import Parameters, Target, observe
from .mixture.plan import check_more
from .mixture.priors import Priors
from .mixture.sampling import resume
from .posterior import Posterior
from .potts.fields import Fields
from .potts.keeping import check_keeping

CLOSE = 1e-9  # of log posteriors computed twice, perhaps on two machines, relative


def extend(
    posterior: Posterior,
    draws: int,
    watch: Watch[Posterior] | None = None,
    labels: NDArray[np.uint8] | None = None,
) -> Posterior:
    """Go on with the chains where they stand; see ``Posterior.extend``.

    Of a field ``labels`` (n, *shape), if given, is filled with those of n of the new draws.
    """
    each = posterior.n_chains * posterior.n_classes
    draws = check_more(draws, held=posterior.n_draws, each=each, thinned=posterior.thinned)
    seed, thin, state = posterior.seed, posterior.thinned, posterior.state
    if state is None:
        raise OptionError(
            "extend needs the end of every chain, which sel or thin cut off and PyMC does not give; "
            "extend first, or sample by independence or gibbs"
        )
    priors = Priors.from_dict(dict(posterior.priors))

    def longer(more: Steps, state: State | Fields) -> Posterior:
        return replace(posterior, steps=join([posterior.steps, more]), state=state)

    if isinstance(state, Fields):
        from .potts.running import resume_field, run_field

        field = resume_field(posterior.levels, priors, seed=seed, state=state)
        _check_unchanged(posterior, field.problem.target)
        if labels is not None:
            field.keep(labels, n_draws=draws, thin=thin)
        return longer(run_field(field, draws, thin, longer, watch), field.state)
    chains = resume(posterior.levels, priors, sampler=posterior.sampler, seed=seed, state=state)
    observed = observe(posterior.levels)
    _check_unchanged(posterior, Target(observed, priors.resolve(observed, posterior.n_classes)))
    return longer(run_thinned(chains, draws, thin, longer, watch), chains.state)


def extend_keeping(
    posterior: Posterior, draws: int, keep_labels: int, watch: Watch[Posterior] | None = None
) -> tuple[Posterior, NDArray[np.uint8]]:
    """Go on with the chains of a field; also labels of so many of the new draws, (keep_labels, *shape)."""
    state = posterior.state
    if not isinstance(state, Fields):
        raise OptionError(
            f"keep_labels is of labels that hang together, got {keep_labels!r}; segment with spatial=True, "
            "or leave it out"
        )
    n_draws = posterior.n_chains * check_whole("draws", draws, 1)
    check_keeping(keep_labels, n_pixels=int(np.prod(state.shape)), n_draws=n_draws)
    labels = np.empty((int(keep_labels), *state.shape), np.uint8)
    longer = extend(posterior, draws, watch, labels)
    return replace(
        longer, options={**posterior.options, "keep_labels": len(labels), "labels_after": posterior.n_draws}
    ), labels


def _check_unchanged(posterior: Posterior, target: Target) -> None:
    """Raise InputError unless the last draws have the log posterior that they had when they were drawn."""
    if not posterior.n_draws:
        return
    last = Parameters(*(part[:, -1] for part in posterior.steps.parameters))
    if isinstance(posterior.state, Fields):
        from .potts.chains import EMPTY

        last = last._replace(weights=np.maximum(last.weights, EMPTY))
    known = posterior.log_posterior[:, -1]
    if not np.allclose(target.log_posterior(last), known, rtol=CLOSE, atol=CLOSE):
        raise InputError(
            f"{posterior.source}: the posterior's data or priors were changed after it was sampled; "
            "sample anew with these"
        )
