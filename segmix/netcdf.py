"""A posterior as the groups of ArviZ's schema, in a netCDF file or in memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .caches import importable
from .errors import InputError
from .mixture.chains import State, Steps
from .mixture.proposals import Proposal
from .posterior import Posterior

FORMAT = 2
DRAW = ("chain", "draw")
STATS = {"log_posterior": "lp", "log_weights": "log_weight", "accepted": "accepted", "diverging": "diverging"}
FLAGS = ("accepted", "diverging")
Variables = dict[str, tuple[tuple[str, ...], NDArray[Any]]]


def to_inference_data(posterior: Posterior) -> Any:
    """Build arviz.InferenceData (ArviZ below 1) or xarray.DataTree (ArviZ 1)."""
    with importable():
        import arviz

    groups = _groups(posterior)
    dims = {key: list(axes) for group in groups.values() for key, (axes, _) in group.items()}
    dims = {key: [axis for axis in axes if axis not in DRAW] for key, axes in dims.items()}
    data: dict[str, Any] = {
        name: {key: array for key, (_, array) in group.items()} for name, group in groups.items()
    }
    coords = {"class": np.arange(posterior.n_classes), "level": np.arange(len(posterior.values))}
    if int(arviz.__version__.split(".")[0]) < 1:
        with_warmup = {"save_warmup": True} if "warmup_posterior" in data else {}
        result = arviz.from_dict(**data, dims=dims, coords=coords, **with_warmup)
    else:
        result = arviz.from_dict(data, dims=dims, coords=coords)
    result["posterior"].attrs.update(_attributes(posterior))
    return result


def write_posterior(path: str | os.PathLike[str], posterior: Posterior) -> None:
    """Write the netCDF file in place; the same draws give the same bytes."""
    import h5netcdf

    whole = BytesIO()  # HDF5 itself crashes the interpreter on a full disk
    with h5netcdf.File(whole, "w") as file:
        for name, group in _groups(posterior).items():
            target = file.create_group(name)
            sizes = {
                axis: size
                for axes, array in group.values()
                for axis, size in zip(axes, array.shape, strict=True)
            }
            target.dimensions = dict(sorted(sizes.items()))
            for axis in target.dimensions:
                target.create_variable(axis, (axis,), data=np.arange(sizes[axis]))
            for key, (axes, array) in group.items():
                target.create_variable(key, axes, data=array)
            target.attrs.update(_attributes(posterior) if name == "posterior" else {})
    Path(path).write_bytes(whole.getvalue())  # a view that outlives a failure crashes Python 3.12


def read_posterior(path: str | os.PathLike[str]) -> Posterior:
    """Open a file that ``write_posterior`` wrote; see ``Posterior.load``."""
    import h5netcdf

    from .imaging.guard import open_regular

    try:
        open_regular(path).close()
    except InputError as error:
        raise InputError(f"{path}: {error}".replace("picture", "posterior.nc")) from None
    try:
        with h5netcdf.File(path, "r") as file:
            return _from_groups(str(path), file.groups)
    except (OSError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: is not a posterior that segmix wrote, or is damaged ({reason}); make it anew"
        ) from None


def _groups(posterior: Posterior) -> dict[str, Variables]:
    """Every group's variables as (dimensions, array)."""
    warmup = {}
    if posterior.tune:
        warmup = {
            "warmup_posterior": _parameters(posterior.warmup),
            "warmup_sample_stats": _stats(posterior.warmup),
        }
    constants: Variables = {
        "step": ((), np.asarray(posterior.step)),
        "open_ends": (("end",), np.asarray(posterior.open_ends, np.int8)),
    }
    if posterior.state is not None:
        text = json.dumps(_state_to_dict(posterior), sort_keys=True)
        constants["sampler_state"] = (("byte",), np.frombuffer(text.encode(), np.uint8))
    assigned: Variables = {}
    if posterior.assignments is not None:
        assigned["assignment"] = ((*DRAW, "value"), posterior.assignments)
    return {
        "posterior": _parameters(posterior.steps) | assigned,
        "sample_stats": _stats(posterior.steps),
        **warmup,
        "observed_data": {
            "levels": (("level",), posterior.values),
            "counts": (("level",), posterior.counts),
        },
        "constant_data": constants,
    }


def _parameters(steps: Steps) -> Variables:
    return {name: ((*DRAW, "class"), getattr(steps, name)) for name in ("weights", "means", "stds")}


def _stats(steps: Steps) -> Variables:
    found = {key: getattr(steps, name) for name, key in STATS.items()}
    return {
        key: (DRAW, array.astype(np.int8) if array.dtype == bool else array)
        for key, array in found.items()
        if array is not None
    }


def _attributes(posterior: Posterior) -> dict[str, Any]:
    from . import __version__

    return {
        "inference_library": "segmix",
        "inference_library_version": __version__,
        "segmix_format": FORMAT,
        "sampler": posterior.sampler,
        "seed": str(posterior.seed),
        "tune": posterior.tune,
        "thinned": posterior.thinned,
        "priors": json.dumps(posterior.priors, sort_keys=True),
        "notes": json.dumps(posterior.notes),
    }


def _from_groups(path: str, groups: Mapping[str, Any]) -> Posterior:
    observed, constant = groups["observed_data"], groups["constant_data"]
    attributes = groups["posterior"].attrs
    if int(attributes["segmix_format"]) != FORMAT:
        newer = int(attributes["segmix_format"]) > FORMAT
        remedy = "upgrade segmix to open it" if newer else "make it anew"
        raise InputError(f"{path}: was written by {'a newer' if newer else 'an older'} segmix; {remedy}")
    steps = _steps(groups["posterior"], groups["sample_stats"])
    has_warmup = "warmup_posterior" in groups
    posterior = Posterior(
        steps,
        _steps(groups["warmup_posterior"], groups["warmup_sample_stats"])
        if has_warmup
        else steps.select(slice(0)),
        observed["levels"][...],
        observed["counts"][...],
        float(constant["step"][...]),
        tuple(bool(end) for end in constant["open_ends"][...]),  # type: ignore[arg-type]
        json.loads(attributes["priors"]),
        str(attributes["sampler"]),
        int(attributes["seed"]),
        int(attributes["thinned"]),
        _state_from(path, groups),
        tuple(json.loads(attributes["notes"])),
        groups["posterior"]["assignment"][...] if "assignment" in groups["posterior"] else None,
    )
    return posterior


def _steps(parameters: Mapping[str, Any], stats: Mapping[str, Any]) -> Steps:
    found = {name: stats[key][...] for name, key in STATS.items() if key in stats}
    found |= {name: found[name].astype(bool) for name in FLAGS if name in found}
    return Steps(*(parameters[name][...] for name in ("weights", "means", "stds")), **found)


def _model_digest(values: Any, counts: Any, step: float, priors: str) -> str:
    """Tell whether data and priors are those that the chains ran on."""
    digest = hashlib.sha256(np.ascontiguousarray(values, np.float64).tobytes())
    digest.update(np.ascontiguousarray(counts, np.int64).tobytes())
    digest.update(f"{step!r} {priors}".encode())
    return digest.hexdigest()


def _state_to_dict(posterior: Posterior) -> dict[str, Any]:
    state = posterior.state
    assert state is not None
    listed = {
        name: part if isinstance(part, int | tuple) else part.tolist()
        for name, part in state._asdict().items()
        if name != "proposal"
    }
    priors = json.dumps(posterior.priors, sort_keys=True)
    return {
        "model": _model_digest(posterior.values, posterior.counts, posterior.step, priors),
        "proposal": [part.tolist() for part in state.proposal],
        **listed,
    }


def _state_from(path: str, groups: Mapping[str, Any]) -> State | None:
    constant, observed = groups["constant_data"], groups["observed_data"]
    if "sampler_state" not in constant:
        return None
    stored = json.loads(constant["sampler_state"][...].tobytes())
    model = _model_digest(
        observed["levels"][...], observed["counts"][...], float(constant["step"][...]),
        groups["posterior"].attrs["priors"],
    )  # fmt: skip
    if stored.pop("model") != model:
        raise InputError(
            f"{path}: its data or priors were changed after it was sampled; sample anew with these priors"
        )
    proposal = Proposal(*(np.array(part) for part in stored.pop("proposal")))
    step, generators = stored.pop("step"), tuple(stored.pop("generators"))
    arrays = {name: np.array(part, np.float64) for name, part in stored.items()}
    return State(step=step, proposal=proposal, generators=generators, **arrays)
