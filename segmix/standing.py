"""Where the chains of a posterior stand, as variables of its file.

A digest tells whether the data, the priors or the sampling were changed since, which would make other chains
of them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .mixture.chains import State
from .mixture.proposals import Proposal
from .posterior import Posterior
from .potts.fields import Fields, FieldState
from .potts.lattice import OUTSIDE, Lattice
from .potts.options import PottsOptions
from .validity import check_picture

Variables = dict[str, tuple[tuple[str, ...], NDArray[Any]]]
Arrays = Mapping[str, NDArray[Any]]

MIXTURE, FIELD = "sampler_state", "field_state"
PIXELS = ("pixel_level", "pixel_label", "pixel_seen")
STORED = (MIXTURE, FIELD, *PIXELS)


def state_variables(posterior: Posterior) -> Variables:
    """The state as (dimensions, array) by name: JSON, and of a field its pixels; nothing where unknown."""
    state, pixels = posterior.state, Variables()
    if state is None:
        return {}
    if isinstance(state, Fields):
        name, numbers, pixels = FIELD, _field_numbers(state), _pixels_of(state)
    else:
        name, numbers = MIXTURE, _mixture_numbers(state)
    arrays = {key: array for key, (_, array) in pixels.items()}
    text = json.dumps({"digest": _digest(posterior, numbers, arrays), **numbers}, sort_keys=True)
    return {name: (("byte",), np.frombuffer(text.encode(), np.uint8)), **pixels}


def state_from(path: str, stored: Arrays, posterior: Posterior) -> State | Fields | None:
    """Make the state of a posterior of what its file has stored.

    Raises
    ------
    InputError
        If the data, priors or sampling are no longer those of the state.
    """
    name = FIELD if FIELD in stored else MIXTURE
    if name not in stored:
        return None
    numbers = json.loads(stored[name].tobytes())
    pixels = {key: stored[key] for key in PIXELS if key in stored}
    if numbers.pop("digest") != _digest(posterior, numbers, pixels):
        raise InputError(
            f"{path}: its data, priors or sampling were changed after it was sampled; sample anew with these"
        )
    if name == MIXTURE:
        return _mixture_from(numbers)
    check_picture(posterior, pixels)
    return _fields_from(numbers, pixels)


def _digest(posterior: Posterior, numbers: Mapping[str, Any], pixels: Arrays) -> str:
    """Tell whether all that further draws depend on is as it was when the chains stopped."""
    digest = hashlib.sha256(np.ascontiguousarray(posterior.values, np.float64).tobytes())
    digest.update(np.ascontiguousarray(posterior.counts, np.int64).tobytes())
    known = (
        posterior.step, [bool(end) for end in posterior.open_ends], posterior.priors, posterior.sampler,
        str(posterior.seed), posterior.thinned, numbers,
    )  # fmt: skip
    digest.update(json.dumps(known, sort_keys=True).encode())
    for name in sorted(pixels):
        array = pixels[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _mixture_numbers(state: State) -> dict[str, Any]:
    listed = {
        name: part if isinstance(part, int | tuple) else part.tolist()
        for name, part in state._asdict().items()
        if name != "proposal"
    }
    listed["proposal"] = [part.tolist() for part in state.proposal]
    return listed


def _mixture_from(numbers: dict[str, Any]) -> State:
    proposal = Proposal(*(np.array(part) for part in numbers.pop("proposal")))
    step, generators = numbers.pop("step"), tuple(numbers.pop("generators"))
    arrays = {name: np.array(part, np.float64) for name, part in numbers.items()}
    return State(step=step, proposal=proposal, generators=generators, **arrays)


def _field_numbers(state: Fields) -> dict[str, Any]:
    """All but the pixels; the labels of a chain are among these."""
    chains = [_listed(chain._asdict() | {"labels": None}) for chain in state.chains]
    normalizer = None if state.normalizer is None else _listed(asdict(state.normalizer))
    external = None if state.external is None else _listed(asdict(state.external))
    known = {
        "options": asdict(state.options), "chains": chains, "normalizer": normalizer,
        "external": external, "equal": state.equal,
    }  # fmt: skip
    plain: dict[str, Any] = json.loads(json.dumps(known, default=float))
    return plain


def _listed(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in parts.items()}


def _arrayed(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.array(part) if isinstance(part, list) else part for name, part in parts.items()}


def _pixels_of(state: Fields) -> Variables:
    """Levels (*shape), labels (n_chains, *shape), and what was seen of them (n_classes - 1, *shape)."""
    lattice = Lattice(state.shape)
    axes = ("plane", "row", "column")[-lattice.ndim :]
    labels = np.stack([lattice.join(chain.labels) for chain in state.chains])
    found: Variables = {
        "pixel_level": (axes, lattice.join(state.codes)),
        "pixel_label": (("chain", *axes), labels),
    }
    if state.n_classes > 1:
        seen = np.stack([lattice.join(part) for part in state.total_seen])
        found["pixel_seen"] = (("cut", *axes), seen)
    return found


def _fields_from(numbers: dict[str, Any], pixels: Arrays) -> Fields:
    from .potts.external import ExternalField
    from .potts.normalizer import Normalizer

    codes, labels = pixels["pixel_level"], pixels["pixel_label"]
    lattice, inside = Lattice(codes.shape), labels[0] != OUTSIDE
    seen: tuple[NDArray[Any], ...] = ()
    if "pixel_seen" in pixels:
        seen = (np.stack([lattice.split(part, fill=0) for part in pixels["pixel_seen"]]),)
    return Fields(
        shape=codes.shape,
        options=_options_from(numbers["options"]),
        domain=None if inside.all() else inside,
        normalizer=None if numbers["normalizer"] is None else Normalizer(**_arrayed(numbers["normalizer"])),
        external=None if numbers["external"] is None else ExternalField(**_arrayed(numbers["external"])),
        equal=numbers["equal"],
        codes=lattice.split(codes, fill=0),
        seen=seen,
        chains=tuple(
            FieldState(**_arrayed(parts) | {"labels": lattice.split(drawn, fill=OUTSIDE)})
            for parts, drawn in zip(numbers["chains"], labels, strict=True)
        ),
    )


def _options_from(asked: dict[str, Any]) -> PottsOptions:
    """Options whose spacing is a tuple where JSON has a list."""
    spacing = asked["spacing"]
    return PottsOptions(**asked | {"spacing": tuple(spacing) if isinstance(spacing, list) else spacing})
