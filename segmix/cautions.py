"""What may spoil an answer though its draws have converged, in a sentence each."""

from collections.abc import Iterator, Sequence

import numpy as np

from .areas import Area
from .mixture.judgment import name_of
from .numbers import Interval, with_interval
from .posterior import Posterior
from .potts.fields import Fields
from .shapes import Shapes

MIN_DISTANCE = 1.0  # of neighboring means in root-mean-square stds; below, the sum of both has one peak
MIN_PIXELS, MIN_SHARE = 10, 1e-3
MIN_EXCESS = 0.1  # of agreeing neighbor pairs over chance, for labels to hang together, or
MIN_KAPPA = 0.2  # as a share of what chance leaves over, which is little where one class prevails
MAX_CHANCE = 0.9  # from here on too little is left over to tell
MIN_LABEL_DRAWS = 33  # the range of n independent draws holds (n - 1) / (n + 1), 94 % from here on
_ROUNDING = 1e-9  # of a mean of draws, relative
_SMOOTHING = ("gaussian", "median", "nlm", "tv")


def find_cautions(
    posterior: Posterior, areas: Sequence[Area], steps: Sequence[str], shapes: Shapes | None = None
) -> list[str]:
    """Say where classes overlap or have hardly any pixels, and where intervals are too narrow or not all."""
    means, stds = posterior.means.mean(axis=(0, 1)), posterior.stds.mean(axis=(0, 1))
    distances = np.diff(means) / np.sqrt((stds[1:] ** 2 + stds[:-1] ** 2) / 2)
    cautions = [str(caution) for caution in posterior.options.get("cautions", ())]  # of the levels
    cautions += [
        f"classes {k} and {k + 1} overlap: their means are {distance:.2f} standard deviations apart, less "
        f"than {MIN_DISTANCE:g}; try fewer classes"
        for k, distance in enumerate(distances.tolist())
        if distance < MIN_DISTANCE and posterior.steps.beta is None  # neighbors tell them apart
    ]
    cautions += [
        f"class {area.label} is small: about {area.pixels.mean:.0f} pixels ({area.fraction.mean:.2%}); "
        "it may stand for a few odd pixels only"
        for area in areas
        if area.pixels.mean < MIN_PIXELS or area.fraction.mean < MIN_SHARE
    ]
    cautions += [*_other_answers(posterior, areas), *_loose_labels(posterior)]
    if shapes is not None and shapes.n_draws < MIN_LABEL_DRAWS:
        few = f"few label draws, {shapes.n_draws} and not {MIN_LABEL_DRAWS}; keep more"
        cautions.append(f"intervals of components and boundaries rest on {few}")
    smoothing = [step for step in steps if step.partition(":")[0] in _SMOOTHING]
    return cautions + [
        f"intervals are too narrow: {step} makes neighboring pixels alike, and the model takes them for "
        "independent; trust the intervals of the picture as it came"
        for step in smoothing[:1]
    ]


def caution_fit(posterior: Posterior) -> list[str]:
    """Say where a fit has more answers, and an image's classes overlap or intervals are too narrow."""
    if "preprocess" not in posterior.options:  # rows of values
        return _other_answers(posterior, ())
    return find_cautions(posterior, (), steps_of(posterior))


def steps_of(posterior: Posterior) -> tuple[str, ...]:
    """Return the preprocessing of the picture that was fitted."""
    return tuple(map(str, posterior.options.get("preprocess", ())))


def _other_answers(posterior: Posterior, areas: Sequence[Area]) -> list[str]:
    """Say where a mean lies outside its own interval, which a few draws that are far away bring about."""
    found = list(_far_means(posterior, areas))
    if not found:
        return []
    others = f", and {len(found) - 1} more likewise" if len(found) > 1 else ""
    return [
        f"the posterior has more than one answer: the mean of the {found[0]}, lies outside its own interval"
        f"{others}, because a few draws are far from the others; go by the intervals, look at "
        "segmix plot trace, or give a prior or a number of classes that allows one answer"
    ]


def _far_means(posterior: Posterior, areas: Sequence[Area]) -> Iterator[str]:
    """Each as a name with its mean and interval; of areas those that are off by more than a pixel."""
    for name, row in posterior.summary().items():
        if _outside(row, _ROUNDING * abs(row.mean)):
            part, _, label = name.removesuffix("]").partition("[")
            of = f"{part.removesuffix('s')} of class {label}" if label else name
            of = name_of(name).removeprefix("the ") if part == "field" else of
            yield f"{of}, {with_interval(row)}"
    for area in areas:
        if _outside(area.pixels, 1.0):
            yield f"pixels of class {area.label}, {with_interval(area.pixels)}"


def _outside(row: Interval, tolerance: float) -> bool:
    return not row.low - tolerance <= row.mean <= row.high + tolerance


def _loose_labels(posterior: Posterior) -> list[str]:
    """Say where labels with a Potts prior agree hardly more than by chance; its equal shares then bias."""
    if posterior.steps.agreements is None or posterior.steps.field is not None or posterior.n_classes == 1:
        return []
    share = float(posterior.steps.agreements.mean())
    chance = float((posterior.weights.mean(axis=(0, 1)) ** 2).sum())
    if share - chance > min(MIN_EXCESS, MIN_KAPPA * (1 - chance)) or chance > MAX_CHANCE:
        return []
    state = posterior.state
    inferred = isinstance(state, Fields) and state.options.weights == "infer"  # but they weren't found
    remedy = "leave it out" if inferred else "infer weights (--weights infer), or leave it out"
    return [
        f"labels hardly hang together: {share:.0%} of neighbor pairs agree, {chance:.0%} would by chance; "
        f"a spatial prior with equal weights bends the classes toward equal shares, so {remedy}"
    ]
