"""The benchmarks of labels that hang together: peers called rightly, true parameters sampled rightly."""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
NAMES = sorted(path.stem for path in Path(BENCHMARKS).glob("*.py"))
SHAPE = (3, 3)


@pytest.fixture
def benchmark(monkeypatch):
    """Import a benchmark by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import importlib

    def load(name):
        return importlib.import_module(name)

    yield load
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", NAMES)
def test_every_script_finds_what_it_imports(benchmark, name):
    assert benchmark(name).__doc__


def test_the_rates_of_fields_are_measured_on_a_chain(benchmark):
    speed = benchmark("potts_speed")
    figures, row = speed.measure("tiny", speed.Case((64, 64), 2, np.uint8, 16, 1.0, 1.0))
    assert len(figures) == 2
    assert row["kernel"] == "by table"


def half(seed=1, apart=3.0):
    """The left half of a picture darker than the right, under noise; and the truth."""
    truth = np.zeros((48, 64), bool)
    truth[:, 32:] = True
    noise = np.random.default_rng(seed).normal(0, 20, truth.shape)
    return np.clip(np.rint(128 + 20 * apart * (truth - 0.5) + noise), 0, 255).astype(np.uint8), truth


def all_labels():
    return np.array(list(product((0, 1), repeat=9))).reshape(-1, *SHAPE)


def agreements(labels):
    down = (labels[..., 1:, :] == labels[..., :-1, :]).sum(axis=(-2, -1))
    return down + (labels[..., :, 1:] == labels[..., :, :-1]).sum(axis=(-2, -1))


def exact_marginals(pixels, means, sd, beta):
    """p(z_i = 1 | y) by enumeration."""
    labels = all_labels()
    log_mass = beta * agreements(labels) - 0.5 * (((pixels - means[labels]) / sd) ** 2).sum(axis=(1, 2))
    mass = np.exp(log_mass - log_mass.max())
    return np.tensordot(mass / mass.sum(), labels, 1)


def test_plain_gibbs_agrees_with_enumeration(benchmark, monkeypatch):
    bayes = benchmark("potts_bayes")
    monkeypatch.setattr(bayes, "SIDE", 3)
    pixels = np.array([[110, 140, 128], [150, 100, 131], [126, 122, 160]], np.uint8)
    means = np.array([118.0, 138.0])
    exact = exact_marginals(pixels, means, bayes.SD, 0.6)
    drawn = [bayes.plain_gibbs(pixels, means, 0.6, seed)[1] for seed in range(8)]
    error = np.std(drawn, axis=0, ddof=1) / np.sqrt(len(drawn))
    z = (np.mean(drawn, axis=0) - exact) / error
    assert np.sqrt((z**2).mean()) < 2.2  # nine t of 7 degrees: root mean square 1.2
    control = exact_marginals(pixels, means, bayes.SD, 0.4)
    assert np.sqrt((((np.mean(drawn, axis=0) - control) / error) ** 2).mean()) > 3


def test_otsu_and_mixture_find_the_bright_half(benchmark):
    peers = benchmark("spatial_peers")
    pixels, truth = half()
    assert ((peers.otsu(pixels, 1.0) > 0.5) != truth).mean() < 0.03
    assert ((peers.mixture(pixels) > 0.5) != truth).mean() < 0.12


def test_graph_cut_is_the_most_probable_labeling(benchmark):
    pytest.importorskip("maxflow")
    peers = benchmark("spatial_peers")
    pixels = half()[0][:3, 30:33]
    _, log_mass = peers._fit_mixture(pixels)
    labels = all_labels()
    score = 0.7 * agreements(labels) + np.where(labels, log_mass[1], log_mass[0]).sum(axis=(1, 2))
    assert np.array_equal(peers.graph_cut(pixels, 0.7), labels[score.argmax()])


def test_shapes_and_scores_of_the_ladder(benchmark):
    ladder = benchmark("potts_ladder")
    for name, shape in ladder.shapes().items():
        assert shape.dtype == bool, name
        assert 0.2 < shape.mean() < 0.5, name
    truth = np.array([[True, False]])
    assert ladder.score(np.array([[0.8, 0.6]]), truth) == pytest.approx((50.0, 100 * (0.04 + 0.36) / 2))
    assert ladder.score(np.array([[np.nan, 0.0]]), truth) == pytest.approx((50.0, 12.5))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "package"), [("dipy", "dipy"), ("atropos", "ants")])
def test_peers_find_the_bright_half(benchmark, name, package):
    pytest.importorskip(package)
    peers = benchmark("spatial_peers")
    pixels, truth = half()
    found = getattr(peers, name)(pixels, 0.5)
    assert found.shape == truth.shape
    assert ((found > 0.5) != truth).mean() < 0.05
