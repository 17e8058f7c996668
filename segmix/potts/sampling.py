"""From an image to judged draws of its hidden Potts field, and the probabilities of its pixels."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..imaging.levels import Levels
from ..mixture.chains import Steps, join
from ..mixture.judgment import judge_steps, summarize_parameters
from ..mixture.plan import MAX_NUMBERS, Plan, check_classes
from ..mixture.priors import Priors
from ..mixture.sampling import EXTENSIONS, Run
from ..mixture.threads import in_threads
from .chains import FieldChain, Problem, pose, start_parameters
from .options import PottsOptions

TUNE = 300
PIECE = 2 * 10**7  # pixels drawn by a chain between two chances to interrupt


class FieldRun(NamedTuple):
    """Draws of a hidden Potts field, and p(z_i = k | y) of its pixels, (n_classes, *shape) float32."""

    run: Run
    probabilities: NDArray[np.float32]


def sample_field(
    levels: Levels,
    *,
    n_classes: int,
    priors: Priors,
    options: PottsOptions,
    plan: Plan,
    source: str = "array",
) -> FieldRun:
    """Sample labels, classes and beta of an image's hidden Potts field.

    Chains start from different labelings: those of the mixture, random ones, all of one class. A run whose
    verdict on means, sds, fractions, beta and agreements is bad is doubled up to three times.

    Parameters
    ----------
    levels : Levels
        With the pixels that they came from.
    n_classes : int
    priors : Priors
        Of means and sds; labels have the Potts prior instead of weights.
    options : PottsOptions
    plan : Plan
        Its sampler is "potts".
    source : str
        What messages call the image.

    Raises
    ------
    InputError
        If the image cannot carry so many classes.
    """
    check_classes(levels, n_classes, source)
    problem = pose(levels, n_classes=n_classes, priors=priors, options=options, seed=plan.seed)
    start = start_parameters(problem, seed=plan.seed)
    chains = [FieldChain(problem, start, seed=plan.seed, number=i) for i in range(plan.chains)]
    tune, draws, thrown = TUNE if plan.tune is None else plan.tune, plan.draws, list[Steps]()
    if tune:
        thrown.append(run_chains(chains, tune).thin(plan.thin))
    for extension in range(EXTENSIONS + 1):
        for chain in chains:
            chain.watch_pixels()
        steps = run_chains(chains, draws * plan.thin).thin(plan.thin)
        summary = summarize_parameters(steps)
        too_many = 2 * draws * plan.thin * steps.means[:, 0].size > MAX_NUMBERS
        if judge_steps(steps, summary).converged or not plan.until_converged or too_many:
            break
        if extension < EXTENSIONS:
            thrown.append(steps)
            draws *= 2
    notes = [_describe(problem, options)]
    if draws > plan.draws:
        notes.append(f"extended to {draws} draws a chain")
    warmup = join(thrown) if thrown else steps.select(slice(0))
    run = Run("potts", problem.target.priors, warmup, steps, None, tuple(notes), None, summary)
    return FieldRun(run, pixel_probabilities(problem, chains))


def _describe(problem: Problem, options: PottsOptions) -> str:
    """What beta is and where its normalizing constant comes from."""
    if problem.pseudo is not None:
        return f"beta by pseudo-likelihood, an approximation, connectivity {options.connectivity}"
    if problem.normalizer is None:
        return f"beta is fixed at {problem.beta:g}, connectivity {options.connectivity}"
    source = problem.normalizer.source
    return f"beta by its normalizing constant ({source}), connectivity {options.connectivity}"


def run_chains(chains: list[FieldChain], n: int) -> Steps:
    """Make n steps of every chain, in threads and in pieces, so that an interruption is heard."""
    pieces, piece = [], max(1, PIECE // chains[0].labels.size)
    for begun in range(0, n, piece):
        rows = in_threads(partial(_run, n=min(piece, n - begun)), chains)
        parts: list[Any] = list(zip(*rows, strict=True))
        pieces.append(Steps(*(None if part[0] is None else np.stack(part) for part in parts)))  # type: ignore[arg-type]
    return join(pieces)


def _run(chain: FieldChain, n: int) -> Steps:
    return chain.run(n)


def pixel_probabilities(problem: Problem, chains: list[FieldChain]) -> NDArray[np.float32]:
    """p(z_i = k | y) of every class and pixel, (n_classes, *shape), NaN outside the domain.

    Means over chains and sweeps of the conditional probabilities, not of drawn labels (Rao-Blackwell).
    """
    lattice, n_seen = problem.sweeps.lattice, sum(chain.n_seen for chain in chains)
    probabilities = np.ones((problem.n_classes, *lattice.shape), np.float32)
    for k in range(problem.n_classes - 1):
        for p in range(lattice.n_planes):  # one at a time, for the memory
            total = chains[0].seen[k, p].astype(np.float64)
            for chain in chains[1:]:
                total += chain.seen[k, p]
            lattice.put((total / n_seen + 0.5) / 65536, p, probabilities[k])
    for k in range(problem.n_classes - 1, 0, -1):
        probabilities[k] -= probabilities[k - 1]
    if lattice.domain is not None:
        probabilities[:, ~lattice.domain] = np.nan
    return probabilities
