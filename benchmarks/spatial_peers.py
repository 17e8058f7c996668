"""Other libraries' ways to cut a noisy picture in two: (rows, cols) to p(z = 1) of every pixel, (rows, cols).

Otsu and the graph cut give labels, that is 0 or 1. DIPY and Atropos run in one thread. PyMaxflow is under the
GPL: it is called where it is installed, and no part of segmix.
"""

import os
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")  # read when antspyx is imported

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]


def otsu(pixels: Picture, sigma: float) -> Array:
    """Otsu's threshold after gaussian smoothing."""
    from skimage.filters import gaussian, threshold_otsu

    smooth = gaussian(pixels.astype(np.float64), sigma)
    return (smooth > threshold_otsu(smooth)).astype(np.float64)


def mixture(pixels: Picture) -> Array:
    """scikit-learn's GaussianMixture(2): neighbors are strangers."""
    return _fit_mixture(pixels)[0]


def _fit_mixture(pixels: Picture) -> tuple[Array, Array]:
    """p(z = 1) and log of the density times the weight of each class, (2, rows, cols)."""
    from sklearn.mixture import GaussianMixture

    column = pixels.reshape(-1, 1).astype(np.float64)
    fit = GaussianMixture(2, n_init=3, random_state=0).fit(column)
    order = np.argsort(fit.means_[:, 0])
    means, stds = fit.means_[order, 0], np.sqrt(fit.covariances_[order, 0, 0])
    z = (pixels[None] - means[:, None, None]) / stds[:, None, None]
    log_mass = np.log(fit.weights_[order] / stds)[:, None, None] - z**2 / 2
    probability: Array = 1 / (1 + np.exp(log_mass[0] - log_mass[1]))
    return probability, log_mass


def graph_cut(pixels: Picture, coupling: float) -> Array:
    """Most probable labels of a Potts field, by maximum flow; classes are GaussianMixture's, 4 neighbors."""
    import maxflow

    _, log_mass = _fit_mixture(pixels)
    graph = maxflow.Graph[float]()
    nodes = graph.add_grid_nodes(pixels.shape)
    graph.add_grid_edges(nodes, coupling, symmetric=True)
    graph.add_grid_tedges(nodes, -log_mass[1], -log_mass[0])
    graph.maxflow()
    on_sink = graph.get_grid_segments(nodes)  # cut from the source: pays the first capacity, class 1
    return np.asarray(on_sink, np.float64)


def dipy(pixels: Picture, beta: float) -> Array:
    """DIPY's TissueClassifierHMRF: p(z = 1) of the brighter of its two classes.

    It adds a class of its own below them for a background at 0, and wants intensities from 0 to 1.
    """
    from dipy.segment.tissue import TissueClassifierHMRF

    mass = TissueClassifierHMRF(verbose=False).classify((pixels / 255)[..., None], 2, beta)[2][:, :, 0]
    share: Array = mass[..., 1] / np.maximum(mass.sum(axis=-1), 1e-300)
    return share


def atropos(pixels: Picture, smoothing: float) -> Array:
    """ANTs' Atropos from k-means, 8 neighbors, up to 25 turns."""
    import ants

    image, whole = (ants.from_numpy(part.astype(np.float32)) for part in (pixels, np.ones(pixels.shape)))
    with tempfile.TemporaryDirectory() as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder  # where it leaves its probabilities
        try:
            found = ants.atropos(image, whole, i="kmeans[2]", m=f"[{smoothing},1x1]", c="[25,0]")
        finally:
            tempfile.tempdir = before
    return np.asarray(found["probabilityimages"][1].numpy(), np.float64)


class Way(NamedTuple):
    """A peer: its function, what its strength of smoothing is called, the usual value, and others to try."""

    function: Callable[[Picture, float], Array]
    strength: str
    usual: float
    grid: tuple[float, ...]


WAYS = {
    "Otsu after gaussian": Way(otsu, "sigma", 1.0, (1.0, 2.0, 3.0, 4.0, 6.0)),  # scikit-image's default
    "graph cut": Way(graph_cut, "coupling", 1.5, (0.5, 1.0, 1.5, 2.0, 3.0)),  # none is usual
    "DIPY": Way(dipy, "beta", 0.5, (0.1, 0.5, 1.0, 2.0)),  # "usually between 0 to 0.5"
    "Atropos": Way(atropos, "smoothing", 0.3, (0.1, 0.3, 1.0, 2.0)),  # ANTs' default
}
