"""Draws of the mixture's parameters, with all that is needed to judge, repeat and reopen them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .diagnostics import ParameterSummary, Verdict, judge, summarize
from .errors import InputError

Array = NDArray[np.float64]

FORMAT = 1
PARAMETERS = ("weights", "means", "stds")


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from p(w, mu, sigma | levels), classes in order of ascending mean in every draw.

    Attributes
    ----------
    weights, means, stds : (n_chains, n_draws, n_classes) float64
        Shares in [0, 1]; means and standard deviations in units of intensity.
    log_posterior : (n_chains, n_draws) float64
        Log of likelihood times prior, up to a constant.
    values, counts : (n_levels,) float64 and int64
        The distinct intensities and how many pixels have each.
    step : float
        Width of the interval a level stands for, 0 for points.
    open_ends : (bool, bool)
        Whether the lowest (highest) level stands for all that lies beyond it too.
    priors : dict
        The prior in absolute numbers, as ``Priors.from_dict`` takes it.
    sampler : str
        Which sampler made the draws.
    seed : int
        Repeats the draws.
    tune : int
        Draws a chain that were thrown away before these.
    acceptance, pareto_k : float or None
        Of the independence sampler's proposals.
    notes : tuple of str
        What the sampler had to do beside what was asked.
    """

    weights: Array
    means: Array
    stds: Array
    log_posterior: Array
    values: Array
    counts: NDArray[np.int64]
    step: float
    open_ends: tuple[bool, bool]
    priors: Mapping[str, Mapping[str, Any]]
    sampler: str
    seed: int
    tune: int
    acceptance: float | None = None
    pareto_k: float | None = None
    notes: tuple[str, ...] = field(default=())

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

    def pooled(self, n: int | None = None) -> tuple[Array, Array, Array]:
        """Weights, means and stds of n evenly spaced draws of all chains (all by default), (n, n_classes)."""
        size = self.n_chains * self.n_draws
        chosen = slice(None) if n is None else np.linspace(0, size - 1, min(n, size)).astype(int)
        weights, means, stds = (
            getattr(self, name).reshape(size, self.n_classes)[chosen] for name in PARAMETERS
        )
        return weights, means, stds

    def summary(self) -> dict[str, ParameterSummary]:
        """Mean, sd, central 94 % interval, MCSE, ESS and R-hat of every parameter, by name ("means[0]")."""
        return self._summary

    @cached_property
    def _summary(self) -> dict[str, ParameterSummary]:
        names = PARAMETERS if self.n_classes > 1 else PARAMETERS[1:]
        return {
            f"{name}[{k}]": summarize(getattr(self, name)[:, :, k])
            for name in names
            for k in range(self.n_classes)
        }

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the draws have converged, and if not, why."""
        return judge(self._summary, self.n_chains, pareto_k=self.pareto_k)

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

    def to_inference_data(self) -> Any:
        """Hand the draws to ArviZ.

        Returns
        -------
        arviz.InferenceData (ArviZ below 1) or xarray.DataTree (ArviZ 1), with the groups posterior,
        sample_stats, observed_data (levels and counts) and constant_data.
        """
        import arviz

        groups = self._groups()
        dims = {name: list(axes) for group in groups.values() for name, (axes, _) in group.items()}
        data: dict[str, Any] = {
            name: {key: array for key, (_, array) in group.items()} for name, group in groups.items()
        }
        dims = {key: [axis for axis in axes if axis not in ("chain", "draw")] for key, axes in dims.items()}
        coords = {"class": np.arange(self.n_classes), "level": np.arange(len(self.values))}
        if int(arviz.__version__.split(".")[0]) < 1:
            result = arviz.from_dict(**data, dims=dims, coords=coords)
        else:
            result = arviz.from_dict(data, dims=dims, coords=coords)
        result["posterior"].attrs.update(self._attributes())
        return result

    def _groups(self) -> dict[str, dict[str, tuple[tuple[str, ...], NDArray[Any]]]]:
        """Every group's variables as (dimensions, array)."""
        draw = ("chain", "draw")
        return {
            "posterior": {name: ((*draw, "class"), getattr(self, name)) for name in PARAMETERS},
            "sample_stats": {"lp": (draw, self.log_posterior)},
            "observed_data": {"levels": (("level",), self.values), "counts": (("level",), self.counts)},
            "constant_data": {
                "step": ((), np.asarray(self.step)),
                "open_ends": (("end",), np.asarray(self.open_ends, np.int8)),
            },
        }

    def _attributes(self) -> dict[str, Any]:
        from . import __version__

        optional = {"acceptance": self.acceptance, "pareto_k": self.pareto_k}
        return {
            "inference_library": "segmix",
            "inference_library_version": __version__,
            "segmix_format": FORMAT,
            "sampler": self.sampler,
            "seed": str(self.seed),
            "tune": self.tune,
            "priors": json.dumps(self.priors, sort_keys=True),
            "notes": json.dumps(self.notes),
            **{key: value for key, value in optional.items() if value is not None},
        }

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a netCDF file in ArviZ's schema (``arviz.from_netcdf`` opens it), whole or not at all.

        Raises
        ------
        OutputError
            If the file stands already and ``overwrite`` is False, or cannot be written.
        """
        from .outputs import staged_file

        with staged_file(path, overwrite=overwrite) as temporary:
            self.write(temporary)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the netCDF file in place; the same draws give the same bytes."""
        import h5netcdf

        coordinates = {"chain": self.n_chains, "draw": self.n_draws, "class": self.n_classes}
        coordinates |= {"level": len(self.values), "end": 2}
        with h5netcdf.File(path, "w") as file:
            for name, group in self._groups().items():
                target = file.create_group(name)
                used = {axis for axes, _ in group.values() for axis in axes}
                target.dimensions = {axis: size for axis, size in coordinates.items() if axis in used}
                for axis in target.dimensions:
                    target.create_variable(axis, (axis,), data=np.arange(coordinates[axis]))
                for key, (axes, array) in group.items():
                    target.create_variable(key, axes, data=array)
                target.attrs.update(self._attributes() if name == "posterior" else {})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Posterior:
        """Open a file that ``save`` wrote.

        Raises
        ------
        InputError
            If the file is missing, damaged, of another program, or of a newer version of segmix.
        """
        import h5netcdf

        from .imaging.guard import open_regular

        try:
            open_regular(path).close()
        except InputError as error:
            raise InputError(f"{path}: {error}".replace("picture", "posterior.nc")) from None
        try:
            with h5netcdf.File(path, "r") as file:
                return cls._from_groups(str(path), file.groups)
        except (OSError, KeyError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path}: is not a posterior that segmix wrote, or is damaged ({reason}); make it anew"
            ) from None

    @classmethod
    def _from_groups(cls, path: str, groups: Mapping[str, Any]) -> Posterior:
        posterior, observed, constant = groups["posterior"], groups["observed_data"], groups["constant_data"]
        attributes = posterior.attrs
        if int(attributes["segmix_format"]) > FORMAT:
            raise InputError(f"{path}: was written by a newer segmix; upgrade segmix to open it")
        optional = {key: float(attributes[key]) for key in ("acceptance", "pareto_k") if key in attributes}
        return cls(
            **{name: posterior[name][...] for name in PARAMETERS},
            log_posterior=groups["sample_stats"]["lp"][...],
            values=observed["levels"][...],
            counts=observed["counts"][...],
            step=float(constant["step"][...]),
            open_ends=tuple(bool(end) for end in constant["open_ends"][...]),  # type: ignore[arg-type]
            priors=json.loads(attributes["priors"]),
            sampler=str(attributes["sampler"]),
            seed=int(attributes["seed"]),
            tune=int(attributes["tune"]),
            notes=tuple(json.loads(attributes["notes"])),
            **optional,  # type: ignore[arg-type]
        )
