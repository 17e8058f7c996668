"""Numbers without a picture: simulated, written, read, counted."""

import numpy as np
import pytest

from segmix import simulate_mixture
from segmix.errors import InputError, OptionError
from segmix.samples import as_samples, count_samples

LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))


def test_moments_are_those_asked_for() -> None:
    n = 40_000
    samples = simulate_mixture(n, *LECTURE, rng=1)
    assert samples.labels is not None
    share = (samples.labels == 0).mean()
    assert share == pytest.approx(0.25, abs=4.5 * np.sqrt(0.25 * 0.75 / n))
    for k, (mean, std) in enumerate(((100, 20), (200, 20))):
        own = samples.values[samples.labels == k]
        assert own.mean() == pytest.approx(mean, abs=4.5 * std / np.sqrt(len(own)))
        assert own.std() == pytest.approx(std, abs=4.5 * std / np.sqrt(2 * len(own)))


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = (simulate_mixture(50, *LECTURE, rng=rng) for rng in (7, np.random.default_rng(7)))
    np.testing.assert_array_equal(one.values, other.values)
    assert simulate_mixture(1, *LECTURE, rng=7).values.shape == (1,)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [[1.0]],
        ["a"],
        ["1"],
        [1, np.inf],
        3.0,
        [1, [2, 3]],
        np.array([1j, 2]),
        np.arange(3).astype("datetime64[s]"),
        np.arange(3).astype("timedelta64[s]"),
        np.zeros(3, [("a", float)]),
    ],
)
def test_arrays_that_cannot_be_used(values: object) -> None:
    with pytest.raises(InputError, match=r"array: data must (be|hold)"):
        as_samples(values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "mixture"),
    [
        (0, LECTURE),
        (5, ((0.5, 0.6), (1, 2), (1, 1))),
        (5, ((0.5, 0.5), (1, 2), (1, 0))),
        (5, ((0.5, 0.5), (1,), (1, 1))),
        (5, ((0.5, 0.5), (1, np.nan), (1, 1))),
        (5, (("a",), (1,), (1,))),
    ],
)
def test_mixtures_that_make_no_sense(n: int, mixture: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(OptionError, match="must"):
        simulate_mixture(n, *mixture)  # type: ignore[arg-type]


def test_only_values_that_were_rounded_stand_for_intervals() -> None:
    values = simulate_mixture(500, *LECTURE, rng=1).values
    assert count_samples(as_samples(values)).step == 0
    assert count_samples(as_samples(np.rint(values))).step == 1
    assert count_samples(as_samples(np.rint(values)), quantization=None).step == 0
    many = count_samples(simulate_mixture(20_000, *LECTURE, rng=1))
    assert 0 < many.step < 0.2
    assert many.n_levels <= 4096


def test_integers_that_float64_would_round_are_refused():
    with pytest.raises(InputError, match=r"within \+-2\*\*44 where they are integers, .*take an offset off"):
        as_samples([2**60, 2**60 + 1])
