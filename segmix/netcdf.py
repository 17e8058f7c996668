"""A posterior as the groups of ArviZ's schema, in a netCDF file or in memory."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .caches import importable
from .errors import InputError
from .imaging.guard import one_line, open_regular
from .mixture.chains import Steps
from .mixture.judgment import PARAMETERS
from .posterior import Posterior
from .samples import checked_truth
from .standing import PIXELS, STORED, Variables, state_from, state_variables
from .validity import check_posterior, check_seal, seal_of

FORMAT = 3
DRAW = ("chain", "draw")
ATTRIBUTES = ("segmix_format", "sampler", "seed", "thinned", "priors", "notes", "data")
STATS = {"log_posterior": "lp", "log_weights": "log_weight", "accepted": "accepted", "diverging": "diverging"}
FLAGS = ("accepted", "diverging")
DATA = ("source", "column", "options")
COUPLING = {"beta": DRAW, "agreements": DRAW, "field": (*DRAW, "class")}
PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
MAX_RATIO = 1032  # no byte of deflate stands for more


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
                target.create_variable(key, axes, data=array, **(PACKED if key in PIXELS else {}))
            target.attrs.update(_attributes(posterior) if name == "posterior" else {})
    written = whole.getvalue()  # a view that outlives a failure crashes Python 3.12
    with open(path, "wb") as target_file:
        target_file.writelines([written, seal_of(memoryview(written))])


def read_posterior(path: str | os.PathLike[str]) -> Posterior:
    """Open a file that ``write_posterior`` wrote; see ``Posterior.load``.

    Plain HDF5 is read, because h5netcdf leaves open what it cannot make sense of; and only where the seal is
    not broken, because HDF5 can hang on damaged files.
    """
    import h5py

    try:
        with open_regular(path) as opened:
            whole = opened.read()
    except InputError as error:
        raise InputError(f"{path}: {error}".replace("picture", "posterior.nc")) from None
    try:
        sealed = check_seal(whole)
        with h5py.File(path, "r") as file:
            return _from_groups(str(path), file, sealed=sealed)
    except InputError:
        raise
    except Exception as error:  # HDF5 and NumPy throw whatever they like on damaged files
        raise InputError(
            f"{path}: is not a posterior that segmix wrote, or is damaged ({one_line(error)}); make it anew"
        ) from None


def _groups(posterior: Posterior) -> dict[str, Variables]:
    """Every group's variables as (dimensions, array)."""
    drawn, stats = _parameters(posterior.steps), _stats(posterior.steps)
    if posterior.assignments is not None:
        drawn["assignment"] = ((*DRAW, "value"), posterior.assignments)
    groups = {"posterior": drawn, "sample_stats": stats}
    if posterior.tune:
        groups["warmup_posterior"] = _parameters(posterior.warmup)
        groups["warmup_sample_stats"] = _stats(posterior.warmup)
    groups["observed_data"] = {
        "levels": (("level",), posterior.values),
        "counts": (("level",), posterior.counts),
    }
    groups["constant_data"] = {
        "step": ((), np.asarray(posterior.step)),
        "open_ends": (("end",), np.asarray(posterior.open_ends, np.int8)),
        **state_variables(posterior),
    }
    return groups


def _parameters(steps: Steps) -> Variables:
    found: Variables = {name: ((*DRAW, "class"), getattr(steps, name)) for name in PARAMETERS}
    coupling = {name: (axes, getattr(steps, name)) for name, axes in COUPLING.items()}
    return found | {name: (axes, part) for name, (axes, part) in coupling.items() if part is not None}


def _stats(steps: Steps) -> Variables:
    found = {key: getattr(steps, name) for name, key in STATS.items()}
    return {
        key: (DRAW, array.astype(np.int8) if array.dtype == bool else array)
        for key, array in found.items()
        if array is not None
    }


def _attributes(posterior: Posterior) -> dict[str, Any]:
    from . import __version__

    # In the order they have here, for what is written of them again has the same bytes.
    data = {name: getattr(posterior, name) for name in DATA} | {"options": dict(posterior.options)}
    data["truth"] = None if posterior.truth is None else posterior.truth._asdict()
    return {
        "inference_library": "segmix",
        "inference_library_version": __version__,
        "segmix_format": FORMAT,
        "sampler": posterior.sampler,
        "seed": str(posterior.seed),
        "tune": posterior.tune,
        "thinned": posterior.thinned,
        "priors": json.dumps(posterior.priors),
        "notes": json.dumps(posterior.notes),
        "data": json.dumps(data),
    }


def _from_groups(path: str, groups: Mapping[str, Any], *, sealed: bool) -> Posterior:
    observed, constant, drawn = (groups[name] for name in ("observed_data", "constant_data", "posterior"))
    known = {name: _attribute(drawn.attrs, name) for name in ATTRIBUTES}
    _check_format(path, int(known["segmix_format"]), sealed=sealed)
    steps, data = _steps(groups, ""), json.loads(known["data"])
    posterior = Posterior(
        steps=steps,
        warmup=_steps(groups, "warmup_") if "warmup_posterior" in groups else steps.select(slice(0)),
        values=_array(observed["levels"]),
        counts=_array(observed["counts"]),
        step=float(_array(constant["step"])),
        open_ends=tuple(bool(end) for end in _array(constant["open_ends"])),  # type: ignore[arg-type]
        priors=json.loads(known["priors"]),
        sampler=known["sampler"],
        seed=int(known["seed"]),
        thinned=int(known["thinned"]),
        notes=tuple(json.loads(known["notes"])),
        assignments=_array(drawn["assignment"]) if "assignment" in drawn else None,
        truth=None if data["truth"] is None else checked_truth(**data["truth"]),
        **{"options": {}} | {name: data[name] for name in DATA if name in data},
    )
    check_posterior(posterior)
    stored = {name: _array(constant[name]) for name in STORED if name in constant}
    return replace(posterior, state=state_from(path, stored, posterior))


def _check_format(path: str, found: int, *, sealed: bool) -> None:
    """Refuse what another version wrote, and what is of this one and no longer has its seal."""
    if found > FORMAT:
        raise InputError(f"{path}: was written by a newer segmix; upgrade segmix to open it")
    if found < FORMAT:
        raise InputError(f"{path}: was written by an older segmix; make it anew")
    if not sealed:
        raise ValueError("its checksum is missing, so that it was cut, or another program wrote it again")


def _attribute(attributes: Any, name: str) -> Any:
    """A text or a number; HDF5 keeps it in an array, whose size is looked at before memory is taken."""
    if math.prod(attributes.get_id(name).shape) != 1:
        raise ValueError(f"{name} is more than one text or number")
    value = attributes[name]
    return value if isinstance(value, str) else np.asarray(value).item()


def _array(dataset: Any) -> NDArray[Any]:
    """A variable's numbers, unless it claims more than the file holds, or than can have been packed."""
    size = os.path.getsize(dataset.file.filename)
    most = size if dataset.compression is None else MAX_RATIO * min(size, dataset.id.get_storage_size())
    if dataset.dtype.kind not in "iuf" or dataset.nbytes > most:
        raise ValueError(f"{dataset.name} claims {dataset.nbytes} bytes of {dataset.dtype} out of {size}")
    return np.asarray(dataset[...])


def _steps(groups: Mapping[str, Any], prefix: str) -> Steps:
    parameters, stats = groups[f"{prefix}posterior"], groups[f"{prefix}sample_stats"]
    found = {name: _array(stats[key]) for name, key in STATS.items() if key in stats}
    found |= {name: found[name].astype(bool) for name in FLAGS if name in found}
    found |= {name: _array(parameters[name]) for name in COUPLING if name in parameters}
    return Steps(*(_array(parameters[name]) for name in PARAMETERS), **found)
