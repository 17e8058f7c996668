"""Numbers without a picture: simulated, written, read, counted."""

from pathlib import Path

import numpy as np
import pytest

from segmix import simulate_mixture
from segmix.errors import InputError, OptionError
from segmix.samples import as_samples, count_samples, read_samples, write_samples

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


def test_a_table_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    samples = simulate_mixture(60, *LECTURE, rng=1)
    write_samples(tmp_path / "a.csv", samples)
    again = read_samples(tmp_path / "a.csv")
    np.testing.assert_array_equal(again.values, samples.values)
    assert again.truth == samples.truth
    assert again.source == str(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "text",
    [
        "1\n2.5\n-3e2\n",
        "\ufeffvalue\n1\n2.5\n-300",
        "id;value\nx;1\ny;2.5\nz;-300\n",
        "first\tb\n1\tx\n2.5\t\n-300\t",
        "# a comment\n\n1,9\n2.5,9\n-300,9\n",
    ],
)
def test_tables_of_many_kinds(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, "utf-8")
    assert read_samples(tmp_path / "a.csv").values.tolist() == [1, 2.5, -300]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"# nothing\n", "holds no values; give a table"),
        (b"value\n1\nabc\n", "line 3 holds 'abc' and not a number; mend or delete that line"),
        (b"a,value\n1,2\n3\n", "line 3 holds 'nothing'"),
        (b"1\n2\nnan\ninf\n", "must be finite, value 3 of 4 is nan and 1 others are not; leave it out"),
        (b"\xff\xfe1\n", "is no text in UTF-8"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_samples(tmp_path / "a.csv")
    assert str(caught.value).startswith(f"{tmp_path}/a.csv: ")


@pytest.mark.parametrize("values", [[], [[1.0]], ["a"], [1, np.inf], 3.0])
def test_arrays_that_cannot_be_used(values: object) -> None:
    with pytest.raises(InputError, match="array: data must be"):
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
