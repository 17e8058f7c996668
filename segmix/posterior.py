"""Draws of the mixture's parameters, with all that is needed to judge, repeat, continue and reopen them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .diagnostics import ParameterSummary, Verdict
from .errors import check_whole
from .imaging.levels import Levels
from .mixture.chains import State, Steps, Watch, join
from .mixture.judgment import judge_steps, summarize_parameters, weights_k
from .potts.fields import Fields
from .samples import Truth
from .selection import MIN_DRAWS, chains_of, draws_of

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from p(w, mu, sigma | levels), classes in order of ascending mean in every draw.

    Attributes
    ----------
    steps : Steps
        The draws: weights, means, stds (n_chains, n_draws, n_classes), log_posterior (n_chains, n_draws), and
        of the independence sampler the log weights of the proposals and which were accepted.
    warmup : Steps
        The draws before these, thrown away as tune, every ``thinned``-th as well.
    values, counts : (n_levels,) float64 and int64
        The distinct intensities and how many pixels have each.
    step : float
        Width of the interval a level stands for, 0 for points.
    open_ends : (bool, bool)
        Whether the lowest (highest) level stands for all that lies beyond it too.
    priors : dict
        The prior in absolute numbers, as ``Priors.from_dict`` takes it.
    sampler, seed : str and int
        Which sampler made the draws, and what repeats them.
    thinned : int
        One of so many steps was kept.
    state : State, Fields or None
        Where the chains stand after the last draw; None where it is no longer known. Of labels that hang
        together with the picture, and with the sums that tell the probabilities of its pixels.
    notes : tuple of str
        What the sampler had to do beside what was asked.
    assignments : (n_chains, n_draws, n) uint8 or None
        The class of every value, in ascending order, of the sampler "pymc-lecture".
    source, column : str, and str or None
        The data: the path as given, or "array"; of a table the column too.
    truth : Truth or None
        The mixture that the data were made from, where it is known.
    options : mapping
        How the data were read, ready for JSON: quantization, and of an image preprocess, page, limits, the
        digest of a domain, and the ``offset`` that means and limits are counted from where it is not 0.
    """

    steps: Steps
    warmup: Steps
    values: Array
    counts: NDArray[np.int64]
    step: float
    open_ends: tuple[bool, bool]
    priors: Mapping[str, Mapping[str, Any]]
    sampler: str
    seed: int
    thinned: int = 1
    state: State | Fields | None = None
    notes: tuple[str, ...] = ()
    assignments: NDArray[np.uint8] | None = None
    source: str = "array"
    column: str | None = None
    truth: Truth | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    known_summary: InitVar[dict[str, ParameterSummary] | None] = None

    def __post_init__(self, known_summary: dict[str, ParameterSummary] | None) -> None:
        if known_summary is not None:
            vars(self)["_summary"] = known_summary

    @property
    def weights(self) -> Array:
        """Shares in [0, 1], (n_chains, n_draws, n_classes)."""
        return self.steps.weights

    @property
    def means(self) -> Array:
        """Means in units of intensity, ascending, (n_chains, n_draws, n_classes)."""
        return self.steps.means

    @property
    def stds(self) -> Array:
        """Standard deviations in units of intensity, (n_chains, n_draws, n_classes)."""
        return self.steps.stds

    @property
    def log_posterior(self) -> Array:
        """Log of likelihood times prior, up to a constant, (n_chains, n_draws)."""
        return self.steps.log_posterior

    @property
    def n_chains(self) -> int:
        """The number of chains."""
        return int(self.means.shape[0])

    @property
    def n_draws(self) -> int:
        """The number of draws kept of each chain."""
        return int(self.means.shape[1])

    @property
    def n_classes(self) -> int:
        """The number of classes K."""
        return int(self.means.shape[2])

    @property
    def tune(self) -> int:
        """Draws a chain that were thrown away before these."""
        return int(self.warmup.means.shape[1])

    @property
    def acceptance(self) -> float | None:
        """Share of the independence sampler's proposals that were accepted; None for other samplers."""
        return None if self.steps.accepted is None else float(self.steps.accepted.mean())

    @cached_property
    def pareto_k(self) -> float | None:
        """Pareto k of the independence sampler's weights; None for other samplers."""
        return weights_k(self.steps)

    @property
    def levels(self) -> Levels:
        """The levels that were sampled on; without the pixels they came from, unless a field has them."""
        if isinstance(self.state, Fields):
            return self.state.levels(self.values, self.counts, self.step, self.open_ends)
        none = np.zeros(0, np.intp)
        return Levels(self.values, self.counts, self.step, self.open_ends, none, none, None)

    def pooled(self, n: int | None = None) -> tuple[Array, Array, Array]:
        """Weights, means and stds of n evenly spaced draws of all chains (all by default), (n, n_classes)."""
        size = self.n_chains * self.n_draws
        n = None if n is None else check_whole("n", n, 1)
        chosen = slice(None) if n is None else np.linspace(0, size - 1, min(n, size)).astype(int)
        weights, means, stds = (part.reshape(size, self.n_classes)[chosen] for part in self.steps.parameters)
        return weights, means, stds

    def summary(self) -> dict[str, ParameterSummary]:
        """Mean, sd, 94 % interval, MCSE, ESS and R-hat of every parameter, by name ("means[0]")."""
        return self._summary

    @cached_property
    def _summary(self) -> dict[str, ParameterSummary]:
        return summarize_parameters(self.steps)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the draws have converged, and if not, why."""
        return judge_steps(self.steps, self._summary)

    @property
    def converged(self) -> bool:
        """Whether the draws support the answer."""
        return self.verdict.converged

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"<Posterior {self.n_classes} classes, {self.n_chains} chains x {self.n_draws} draws, "
            f"{self.sampler}, {state}>"
        )

    def extend(self, draws: int, *, watch: Watch[Posterior] | None = None) -> Posterior:
        """Go on with the chains where they stand.

        Parameters
        ----------
        draws : int
            How many more to keep of each chain, thinned like those before.
        watch : callable, optional
            Is told how many draws are made, of how many, and given what returns the posterior so far.

        Returns
        -------
        Posterior
            With all draws, bit for bit those of one longer run.

        Raises
        ------
        OptionError
            If ``draws`` is out of its range, or the chains' end was cut off by ``sel`` or ``thin``.
        InputError
            If the data or the priors were changed since.
        """
        from .extending import extend

        return extend(self, draws, watch)

    def sel(
        self, *, draw: slice | None = None, chain: int | slice | Sequence[int] | None = None
    ) -> Posterior:
        """Take some of the draws, as after a longer burn-in, or some of the chains.

        Parameters
        ----------
        draw : slice, optional
            Of each chain. ``slice(50_000, None, 5)`` leaves 50,000 draws out and keeps every fifth. Draws
            that are left out at the beginning become tune.
        chain : int, slice or sequence of int, optional

        Raises
        ------
        OptionError
            If no chain or fewer than four draws are left, or the slice goes backward.
        """
        first, last, every = draws_of(self.n_draws, draw)
        chains = chains_of(self.n_chains, chain)
        warmup = join([self.warmup, self.steps.select(slice(0, first))])
        if every > 1:
            warmup = warmup.select(slice(every - 1, None, every))
        goes_on = np.array_equal(chains, np.arange(self.n_chains)) and last == self.n_draws and every == 1
        return replace(
            self,
            steps=self.steps.select(slice(first, last, every)).of_chains(chains),
            warmup=warmup.of_chains(chains),
            assignments=None if self.assignments is None else self.assignments[chains, first:last:every],
            thinned=self.thinned * every,
            state=self.state if goes_on else None,
        )

    def thin(self, every: int) -> Posterior:
        """Keep every so-many-th draw, the last of each group.

        At least four draws a chain must be left. Chains can be extended still if their length is a multiple
        of ``every``.
        """
        every = check_whole("every", every, 1, max(1, self.n_draws // MIN_DRAWS))
        return replace(
            self,
            steps=self.steps.thin(every),
            warmup=self.warmup.thin(every),
            assignments=None if self.assignments is None else self.assignments[:, every - 1 :: every],
            thinned=self.thinned * every,
            state=self.state if self.n_draws % every == 0 else None,
        )

    def to_inference_data(self) -> Any:
        """Hand the draws to ArviZ.

        Returns
        -------
        arviz.InferenceData (ArviZ below 1) or xarray.DataTree (ArviZ 1), with the groups posterior,
        sample_stats, observed_data (levels and counts) and constant_data, and where there is a tune,
        warmup_posterior and warmup_sample_stats.
        """
        from .netcdf import to_inference_data

        return to_inference_data(self)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a netCDF file in ArviZ's schema (``arviz.from_netcdf`` opens it), whole or not at all.

        Raises
        ------
        OutputError
            If the file stands already and ``overwrite`` is False, or cannot be written.
        """
        from .netcdf import write_posterior
        from .outputs import staged_file

        with staged_file(path, overwrite=overwrite) as temporary:
            write_posterior(temporary, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Posterior:
        """Open a file that ``save`` wrote.

        Raises
        ------
        InputError
            If the file is missing, damaged, of another program, or of a newer version of segmix.
        """
        from .netcdf import read_posterior

        return read_posterior(path)
