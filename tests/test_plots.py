import itertools
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from segmix.errors import OptionError
from segmix.views import plots
from segmix.views.plots import _Levels, _sum_runs, fit_figure
from segmix.views.render import palette


def bell(values, mean, std, n):
    density = np.exp(-(((values - mean) / std) ** 2) / 2) / std / np.sqrt(2 * np.pi)
    return n * density * (values[1] - values[0] if len(values) > 1 else 1)


def fit(values, *, n_classes=2, n=10_000):
    """Counts, expected counts and class curves of an invented fit."""
    values = np.asarray(values, dtype=float)
    centers = np.linspace(values[0], values[-1], n_classes + 2)[1:-1]
    std = max(np.ptp(values), 1) / 6 / n_classes
    classes = np.stack([bell(values, center, std, n / n_classes) for center in centers])
    total = classes.sum(axis=0)
    counts = np.random.default_rng(1).poisson(total)
    return {"values": values, "counts": counts, "total": total * [[0.9], [1], [1.1]], "classes": classes}


def draw_fit(**arguments):
    return fit_figure(**{"step": 1.0, "title": "a", "rng": np.random.default_rng(1), **arguments})


LEVELS = np.arange(256)


@pytest.fixture
def axes_of(monkeypatch):
    """Draw, and return the figure and the axes instead of the PNG."""

    def draw(**arguments):
        monkeypatch.setattr(plots, "to_png", lambda figure: (figure, figure.axes[0]))
        return draw_fit(**{"title": "title", **arguments})

    return draw


def size_of(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize("clipped", [(False, False), (True, False), (False, True), (True, True)])
def test_a_png_of_the_stated_size_with_the_same_bytes_each_time(clipped):
    first, again = (draw_fit(**fit(LEVELS), step=1, title="cells.png", clipped=clipped) for _ in range(2))
    assert size_of(first) == (1000, 650)
    assert first == again
    assert b"Software" not in first
    assert b"matplotlib" not in first.lower()


def test_another_fit_gives_another_picture():
    assert draw_fit(**fit(LEVELS)) != draw_fit(
        **fit(LEVELS, n=9000),
    )


@pytest.mark.parametrize("n_classes", [1, 2, 3, 8, 9, 16])
def test_each_class_has_its_color_and_neighbors_differ_in_dashes(n_classes, axes_of):
    _, axes = axes_of(**fit(LEVELS, n_classes=n_classes))
    lines = {line.get_label(): line for line in axes.lines}
    drawn = [lines[f"class {k}"] for k in range(n_classes)]
    assert [line.get_color() for line in drawn] == [tuple(color / 255) for color in palette(n_classes)]
    dashes = [str(line._unscaled_dash_pattern) for line in drawn]
    assert all(one != other for one, other in itertools.pairwise(dashes))


def test_curves_are_what_was_passed(axes_of):
    given = fit(LEVELS)
    figure, axes = axes_of(**{**given, "counts": given["counts"] + 500})
    lines = {line.get_label(): line for line in axes.lines}
    assert axes.get_yscale() == "linear"
    assert lines["mixture"].get_xdata() == pytest.approx(LEVELS)
    assert lines["mixture"].get_ydata() == pytest.approx(given["total"][1])
    assert lines["class 1"].get_ydata() == pytest.approx(given["classes"][1])
    assert axes.get_xlabel() == "intensity"
    assert axes.get_ylabel() == "pixels per level"
    assert len(figure.legends[0].get_texts()) == 6
    figure.canvas.draw()
    assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1
    assert axes.patches[0].get_data().values == pytest.approx(given["counts"] + 500)


def bands_of(axes):
    """The vertical extent of each band at the bins' centers, by label."""
    found = {}
    for band in axes.collections:
        points = band.get_paths()[0].vertices
        found[band.get_label()] = [
            (points[points[:, 0] == x, 1].min(), points[points[:, 0] == x, 1].max()) for x in LEVELS
        ]
    return {label: np.array(band).T for label, band in found.items()}


def test_bands_are_of_the_expectation_and_of_new_counts(axes_of):
    """With the posterior a normal of sd s around e, new counts have variance e + s^2, nearly."""
    rng = np.random.default_rng(2)
    expected = fit(LEVELS, n=1_000_000)["total"][1] + 500
    spread = 60 * rng.standard_normal((200, 1))
    total = expected + spread
    counts = np.full(256, 4000)
    _, axes = axes_of(values=LEVELS, counts=counts, total=total, classes=total.mean(axis=0)[None])
    bands = bands_of(axes)
    low, high = bands["94 % expected"]
    assert np.stack([low, high]) == pytest.approx(np.quantile(total, (0.03, 0.97), axis=0))
    new_low, new_high = bands["94 % predicted"]
    share = expected / counts.sum()
    width = 2 * 1.881 * np.sqrt(expected * (1 - share) + spread.var())
    assert (new_high - new_low).sum() == pytest.approx(width.sum(), rel=0.1)
    assert (new_high - new_low > high - low).all()


def test_new_counts_of_a_run_are_those_of_its_sum(axes_of):
    """Given the draw levels are as good as independent, so that the band of a sum is no sum of bands."""
    values = np.arange(4096)
    total = np.full((50, 4096), 400.0)
    _, axes = axes_of(values=values, counts=total[0], total=total, classes=total[:1])
    band = next(band for band in axes.collections if band.get_label() == "94 % predicted")
    heights = np.sort(band.get_paths()[0].vertices[:, 1])
    half = len(heights) // 2
    width = heights[half:].mean() - heights[:half].mean()
    assert width == pytest.approx(2 * 1.881 * np.sqrt(8 * 400), rel=0.1)


@pytest.mark.parametrize(("most", "scale"), [(300, "linear"), (301, "log")])
def test_counts_that_span_more_than_300_are_on_a_log_axis(most, scale, axes_of):
    counts = np.ones(256)
    counts[7], counts[9] = most, 0
    small = {"total": np.full((3, 256), 0.5), "classes": np.full((1, 256), 0.5)}
    _, axes = axes_of(values=LEVELS, counts=counts, **small)
    assert axes.get_yscale() == scale


def test_clipped_ends_are_bars_with_their_share_and_leave_the_curve(axes_of):
    given = fit(LEVELS)
    given["counts"] = np.full(256, 20)
    given["counts"][0] = 30_000
    given["counts"][255] = 1
    _, axes = axes_of(**given, clipped=(True, True))
    bars = [
        (patch.get_x(), patch.get_width(), patch.get_y() + patch.get_height()) for patch in axes.patches[-2:]
    ]
    assert bars == [(-0.5, 1, 30_000), (254.5, 1, 1)]
    share = 100 * 30_000 / (30_000 + 254 * 20 + 1)
    assert [text.get_text() for text in axes.texts] == [f"clipped {share:.1f} %", "clipped < 0.1 %"]
    mixture = next(line for line in axes.lines if line.get_label() == "mixture")
    assert mixture.get_xdata() == pytest.approx(LEVELS[1:-1])


def test_more_than_512_levels_are_summed_in_equal_runs(axes_of):
    values = np.arange(4096)
    given = fit(values, n=1_000_000)
    _, axes = axes_of(**given, clipped=(True, False))
    assert axes.get_ylabel() == "pixels per 8 levels"
    stairs = axes.patches[0].get_data()
    assert len(stairs.values) == 512
    assert set(np.diff(stairs.edges)) == {8.0}
    assert sum(stairs.values) >= given["counts"][1:].sum()  # empty runs stand at the foot of the log axis
    mixture = next(line for line in axes.lines if line.get_label() == "mixture").get_ydata()
    assert mixture[100] == pytest.approx(given["total"][1][801:809].sum())


def levels_of(values, counts, total, classes):
    return _Levels(*(np.asarray(part, dtype=float) for part in (values, counts, total, classes)))


def test_runs_sum_counts_and_expected_counts():
    total = np.array([[1, 2, 3, 4, 5.0]] * 3) * [[1], [2], [3]]
    bins = _sum_runs(levels_of([10, 12, 14, 16, 18], [1, 1, 1, 1, 1], total, total[:1]), 2.0, 2)
    assert bins.edges.tolist() == [9, 13, 17, 21]
    assert bins.counts.tolist() == [2, 2, 1]
    assert bins.total.tolist() == [[3, 7, 5], [6, 14, 10], [9, 21, 15]]
    assert bins.classes.tolist() == [[3, 7, 5]]


def test_levels_left_out_count_nothing_and_the_curve_passes_over_them():
    total = np.array([[10, 40.0]] * 3)
    bins = _sum_runs(levels_of([5, 8], [7, 9], total, total[:1]), 1.0, 1)
    assert bins.edges.tolist() == [4.5, 5.5, 6.5, 7.5, 8.5]
    assert bins.counts.tolist() == [7, 0, 0, 9]
    assert bins.total[1].tolist() == [10, 20, 30, 40]


def test_no_run_loses_a_pixel():
    rng = np.random.default_rng(1)
    for run in (1, 3, 7, 40, 512):
        values = np.sort(rng.choice(5000, 700, replace=False)) * 0.25 - 3
        given = fit(values)
        bins = _sum_runs(levels_of(**given), 0.25, run)
        assert bins.counts.sum() == given["counts"].sum()
        assert bins.total[1].sum() == pytest.approx(_sum_runs(levels_of(**given), 0.25, 1).total[1].sum())
        assert len(bins.edges) == len(bins.counts) + 1 == bins.total.shape[1] + 1
        assert bins.edges[0] < values[0] < values[-1] < bins.edges[-1]


@pytest.mark.parametrize("clipped", [(False, False), (True, True)])
@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([7.0], 0),
        ([0, 255], 1),
        ([0, 1], 0),
        ([-1e300, 1e300], 0),
        ([0, 1e-300, 1], 0),
        ([1e9, 1e9 + 1], 0.001),
    ],
)
def test_few_and_extreme_levels_are_drawn(values, step, clipped):
    given = fit(values, n_classes=1)
    given["counts"] = np.arange(1, len(values) + 1)
    assert size_of(draw_fit(**given, step=step, title="", clipped=clipped)) == (1000, 650)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        *((title, title) for title in ("$x_1$ and $", r"\frac{", "%s {0}", "<b>", "", "é" * 72)),
        ("細胞.png", "??.png"),
        ("a\nb\x00", "a?b?"),
        ("\udcff.png", "?.png"),
        ("é" * 300, f"{'é' * 33} ... {'é' * 33}"),
    ],
)
def test_any_title_is_drawn_literally(title, expected, axes_of):
    figure, _ = axes_of(**fit(LEVELS), title=title)
    figure.canvas.draw()  # a missing glyph would warn here
    drawn = figure.texts[0].get_text()
    assert drawn == expected
    assert not figure.texts[0].get_parse_math()


def test_settings_of_the_user_neither_matter_nor_change():
    import matplotlib as mpl

    expected = draw_fit(**fit(LEVELS))
    with mpl.rc_context({"axes.facecolor": "red", "lines.linewidth": 9, "font.size": 30}):
        assert draw_fit(**fit(LEVELS)) == expected
        assert mpl.rcParams["axes.facecolor"] == "red"
        assert mpl.rcParams["axes.grid"] is False


PROGRAM = """
import sys, time
from test_plots import LEVELS, draw_fit, fit
assert "matplotlib" not in sys.modules
start = time.process_time()
png = draw_fit(**fit(LEVELS))
seconds = time.process_time() - start
assert "matplotlib.pyplot" not in sys.modules
sys.stdout.buffer.write(b"%.3f " % seconds + png)
"""


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"MPLBACKEND": "nonsense"},
        {"HOME": "/proc/none", "MPLBACKEND": "TkAgg"},
        {"MPLCONFIGDIR": "/proc/none"},
    ],
)
def test_a_fresh_process_is_quick_silent_and_draws_the_same(settings):
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG_"))}
    paths = os.pathsep.join([os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))])
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**known, "PYTHONPATH": paths, "DISPLAY": "", **settings},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == b""
    assert done.returncode == 0
    seconds, png = done.stdout.split(b" ", 1)
    assert float(seconds) < 15, f"{seconds!r} s of {time.monotonic() - began:.1f} s"
    assert png == draw_fit(**fit(LEVELS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"counts": np.ones(255)},
            r"values, counts, total, classes must have shapes \(n,\), \(n,\), \(draws, n\), \(k, n\)",
        ),
        ({"total": np.ones((2, 255))}, r"must have shapes"),
        ({"classes": np.ones(256)}, r"must have shapes"),
        (
            {"values": [], "counts": [], "total": np.ones((3, 0)), "classes": np.ones((2, 0))},
            r"must have shapes",
        ),
        ({"classes": np.ones((17, 256))}, r"classes must be 1 to 16 rows, got 17"),
        ({"values": LEVELS[::-1]}, r"values must be finite and ascending"),
        ({"values": np.where(LEVELS == 3, np.nan, LEVELS)}, r"values must be finite and ascending"),
        ({"step": -1}, r"step must be positive, or 0 for the smallest difference, got -1"),
        ({"step": np.nan}, r"step must be positive, or 0 for the smallest difference, got nan"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    with pytest.raises(OptionError, match=message):
        draw_fit(**{**fit(LEVELS), **change})
