"""What users give to the library and cannot be used is told as such."""

from collections.abc import Callable

import numpy as np
import pytest

import segmix
from segmix.comparison import compare
from segmix.errors import InputError, OptionError
from segmix.samples import Samples

VALUES = np.r_[np.linspace(0, 1, 40), np.linspace(4, 6, 40)]
LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))

WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "ragged domain": (
        lambda: segmix.segment(np.eye(2), domain=[[True], [True, False]]),
        InputError,
        "domain must be an array",
    ),
    "negative seed": (lambda: segmix.simulate_mixture(9, *LECTURE, rng=-1), OptionError, "rng must be"),
    "text for a seed": (
        lambda: segmix.simulate_mixture(9, *LECTURE, rng="x"),  # type: ignore[arg-type]
        OptionError,
        "rng must be a seed, SeedSequence, Generator or None, got str",
    ),
    "seed of a phantom": (lambda: segmix.simulate_phantom("cells", rng=-1), OptionError, "rng must be"),
    "no class": (lambda: compare(VALUES, n_classes=0), OptionError, "n_classes must be"),
    "many classes": (lambda: compare(VALUES, n_classes=101), OptionError, "n_classes must be"),
    "seed of compare": (lambda: compare(VALUES, seed=-1), OptionError, "seed must be"),
    "name of priors": (
        lambda: compare(VALUES, priors="lecture"),  # type: ignore[arg-type]
        OptionError,
        "priors must be segmix.Priors",
    ),
    "NaN": (lambda: Samples(np.r_[VALUES, np.nan]), InputError, "data must be finite, value 81 of 81"),
    "no draws": (lambda: segmix.fit(VALUES, draws=40, rng=1).pooled(-1), OptionError, "n must be"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name: str) -> None:
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()


def test_what_is_taken_as_well() -> None:
    rows = [Samples(VALUES.tolist()), Samples(VALUES)]  # type: ignore[arg-type]
    one, other = (segmix.fit(row, draws=40, rng=1).means for row in rows)
    np.testing.assert_array_equal(one, other)
    levels = segmix.count_levels(np.eye(4, dtype=np.uint8))
    np.testing.assert_array_equal(levels.counts, [12, 4])
    assert [row.method for row in compare(rows[0], methods=["kmeans"])] == ["kmeans"]
    pictures = [
        segmix.simulate_phantom("tissue", shape=(64, 64), rng=rng).pixels
        for rng in (1, np.random.default_rng(1))
    ]
    np.testing.assert_array_equal(*pictures)
