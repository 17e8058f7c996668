"""From data to a posterior without a picture of it: fit, go on with it, save it."""

import os
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import record
from .errors import OptionError
from .imaging.image import Image
from .imaging.levels import Quantization
from .loading import Data, load
from .mixture.chains import Watch
from .mixture.plan import DOUBLINGS, Plan, Sampler
from .mixture.priors import Priors
from .mixture.sampling import Run, sample_levels
from .netcdf import write_posterior
from .outputs import staged_folder
from .posterior import Posterior
from .potts.options import PottsOptions
from .samples import Samples
from .seeds import Rng, check_rng
from .targets import SUMMARY


def fit(
    data: Image | Samples | ArrayLike | str | os.PathLike[str],
    *,
    n_classes: int = 2,
    priors: Priors | None = None,
    sampler: Sampler = "independence",
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    thin: int = 1,
    quantization: Quantization = "auto",
    column: str | int | None = None,
    until_converged: bool = True,
    doublings: int = DOUBLINGS,
    jumps: bool = True,
    rng: Rng = None,
) -> Posterior:
    """Sample the posterior of a Gaussian mixture of scalar data, or of an image's intensities.

    Parameters
    ----------
    data : Image, Samples, array (n,), (rows, cols) or (planes, rows, cols), or path
        One row of values, an image, or a file of either: a table (.csv, .tsv, .txt), .npy or a picture.
    n_classes : int
        K, from 1 to 16.
    priors : Priors, optional
        Default: weakly informative and scaled to the data.
    sampler : "independence", "gibbs", "nuts" or "pymc-lecture"
        The last two are PyMC's: with the labels summed out, and with every assignment sampled.
    draws, tune, chains, thin : int
        Draws kept and steps thrown away a chain, chains, and of how many steps one is kept.
    quantization : "auto", float or None
        Width of the interval that a recorded value stands for; None for the plain normal density, which
        "auto" takes for rows of values that were not visibly rounded.
    column : str or int, optional
        Of a table: the column's name, or its number from 1. By default the only one of numbers, or the one
        called value, values or intensity.
    until_converged : bool
        Whether a run that has not converged is doubled. If not, just these draws are made, and no other
        sampler takes over.
    doublings : int
        How often it is doubled at most, from 0 to 20.
    jumps : bool
        Of gibbs: whether chains try to jump to another of the posterior's modes after every fifth sweep, or
        make the plain sweeps of the lecture.
    rng : int, SeedSequence, Generator or None
        The same seed gives the same result; None draws one, kept as ``posterior.seed``.

    Returns
    -------
    Posterior

    Raises
    ------
    InputError
        If the data cannot be used, or several columns of a table may be meant.
    OptionError
        If an option is out of its range.

    Examples
    --------
    >>> from segmix import Priors, fit, simulate_mixture
    >>> samples = simulate_mixture(500, (0.25, 0.75), (100, 200), (20, 20), rng=5)
    >>> posterior = fit(samples, priors=Priors.lecture(), rng=1)
    >>> posterior.converged, posterior.extend(1000).n_draws
    (True, 2000)
    """
    plan = Plan(sampler, draws, tune, chains, seed_of(rng), thin, until_converged, jumps, doublings)
    known = load(data, n_classes=n_classes, quantization=quantization, column=column)
    return sample(known, n_classes=n_classes, priors=checked(priors), plan=plan)


def sample(
    data: Data, *, n_classes: int, priors: Priors, plan: Plan, watch: Watch[Posterior] | None = None
) -> Posterior:
    """Sample the posterior of the mixture of ``n_classes``; see ``mixture.sampling``.

    ``watch`` is told how many draws are made, of how many, and given what returns the posterior so far.
    """
    check_offset(priors, data)
    run = sample_levels(
        data.levels,
        n_classes=n_classes,
        priors=priors,
        plan=plan,
        source=data.source,
        watch=_told(data, plan, watch),
    )
    return _posterior(data, plan, run)


def sample_spatial(
    data: Data,
    *,
    n_classes: int,
    priors: Priors,
    options: PottsOptions,
    plan: Plan,
    keep_labels: int | None = None,
    watch: Watch[Posterior] | None = None,
) -> tuple[Posterior, NDArray[np.float32], NDArray[np.uint8] | None]:
    """Sample a picture's hidden Potts field; the posterior, p(z = k | y) of its pixels, and label draws.

    ``watch`` is as in `sample`, and told of 0 draws during the tune. While the constant of weights is
    searched for, what it is given raises UnreadyError.
    """
    from .potts.sampling import sample_field

    check_offset(priors, data)
    found = sample_field(
        data.levels,
        n_classes=n_classes,
        priors=priors,
        options=options,
        plan=plan,
        source=data.source,
        keep_labels=keep_labels,
        watch=_told(data, plan, watch),
    )
    return _posterior(data, plan, found.run), found.probabilities, found.labels


def _told(data: Data, plan: Plan, watch: Watch[Posterior] | None) -> Watch[Run] | None:
    """What tells ``watch`` of posteriors where it hears of runs."""
    if watch is None:
        return None

    def told(done: int, draws: int, so_far: Callable[[], Run]) -> None:
        watch(done, draws, lambda: _posterior(data, plan, so_far()))

    return told


def _posterior(data: Data, plan: Plan, run: Run) -> Posterior:
    return Posterior(
        steps=run.steps,
        warmup=run.warmup,
        values=data.levels.values,
        counts=data.levels.counts,
        step=data.levels.step,
        open_ends=data.levels.open_ends,
        priors=run.priors.to_dict(),
        sampler=run.sampler,
        seed=plan.seed,
        thinned=plan.thin,
        state=run.state,
        notes=run.notes,
        assignments=run.assignments,
        source=data.source,
        column=data.column,
        truth=data.truth,
        options=data.options,
        known_summary=run.summary,
    )


def checked(priors: Priors | None) -> Priors:
    """Return priors, by default those scaled to the data."""
    if priors is not None and not isinstance(priors, Priors):
        raise OptionError(f"priors must be segmix.Priors or None, got {priors!r}; take Priors.lecture(), say")
    return priors or Priors()


def check_offset(priors: Priors, data: Data) -> None:
    """Refuse a given prior of means where intensities are counted from another number than 0."""
    if data.offset and priors.means is not None:
        raise OptionError(
            f"{data.source}: a prior of means must be in the units of the intensities, and these are counted "
            f"from {data.offset}, too far from 0 for float64; subtract that from the picture yourself, and "
            "from the prior of means"
        )


def seed_of(rng: Rng) -> int:
    """Return the whole number that repeats a run.

    An int is its own seed; a SeedSequence or Generator gives 128 bits; None takes them from the system.
    """
    check_rng(rng)
    if isinstance(rng, np.random.Generator):
        words: NDArray[np.unsignedinteger] = rng.integers(0, 1 << 32, 4, dtype=np.uint32)
    elif isinstance(rng, int | np.integer):
        return int(rng)
    else:
        words = (rng or np.random.SeedSequence()).generate_state(4)
    return int.from_bytes(words.astype("<u4").tobytes(), "little")


def save_fit(
    posterior: Posterior,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    keep: Iterable[str] = (),
    plan: Plan | None = None,
) -> None:
    """Write a folder with posterior.nc and summary.json, whole or not at all.

    ``plan`` is what was asked of the sampler, for the record.

    Raises
    ------
    OutputError
        If the folder stands already and ``overwrite`` is False, or cannot be written.
    """
    with staged_folder(folder, overwrite=overwrite, keep=[posterior.source, *keep]) as temporary:
        write_posterior(temporary / "posterior.nc", posterior)
        summary = record.summarize_posterior(posterior, plan)
        summary["files"] = ["posterior.nc", SUMMARY]
        (temporary / SUMMARY).write_text(record.to_json(summary) + "\n", "utf-8", "backslashreplace")
