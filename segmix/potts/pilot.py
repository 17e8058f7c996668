"""Weights and beta from labels by maximum pseudo-likelihood, to begin with: quick, and near enough.

Besag (1975), The Statistician 24, 179: prod_i p(z_i | neighbors), in which p(z_i = k | neighbors) is in
proportion to w_k exp(beta a_i(k)), a_i(k) the couplings to neighbors of class k. It is the likelihood of a
multinomial regression, concave in (log w, beta), and here it is taken over some of the pixels.
"""

import numpy as np
from numpy.typing import NDArray

from .lattice import OUTSIDE, Lattice

Array = NDArray[np.float64]

N_SITES = 20_000
N_STEPS = 8
NEAR = 1e-3  # a step of Newton's method that ends it


class Pilot:
    """The pseudo-likelihood of some pixels of a lattice."""

    def __init__(self, lattice: Lattice, n_classes: int, *, rng: np.random.Generator) -> None:
        self.lattice, self.n_classes = lattice, n_classes
        inside = np.ones(lattice.shape, bool) if lattice.domain is None else lattice.domain
        places = np.flatnonzero(inside)
        self.sites = np.sort(rng.choice(places, min(N_SITES, len(places)), replace=False))
        padded = tuple(n + 2 for n in lattice.shape)
        strides = np.array([int(np.prod(padded[axis + 1 :])) for axis in range(lattice.ndim)])
        where = np.stack(np.unravel_index(self.sites, lattice.shape), axis=1) + 1
        self.places = where @ strides
        self.steps = np.array(lattice.offsets) @ strides

    def mode(self, labels: NDArray[np.uint8], theta: Array, *, fixed_beta: bool) -> Array:
        """Theta = (log w_k / w_K, beta) of highest pseudo-likelihood, found from a theta near it.

        A pixel of each class is added, which keeps an empty one from having no weight.
        """
        own, couplings = self._look(labels)
        counts = np.bincount(own, minlength=self.n_classes)[:-1] + 1.0
        felt = couplings[np.arange(len(own)), own].sum()
        free = len(theta) - fixed_beta
        for _ in range(N_STEPS):
            p = _softmax(np.append(theta[:-1], 0.0) + theta[-1] * couplings)
            mean = (p * couplings).sum(axis=1, keepdims=True)
            apart = p * (couplings - mean)
            gradient = np.append(counts - p[:, :-1].sum(axis=0) - self.n_classes * p[:, :-1].mean(axis=0),
                                 felt - mean.sum())  # fmt: skip
            curvature = np.empty((len(theta), len(theta)))
            curvature[:-1, :-1] = np.diag(p[:, :-1].sum(axis=0)) - np.einsum(
                "nk,nl->kl", p[:, :-1], p[:, :-1]
            )
            curvature[-1, :-1] = curvature[:-1, -1] = apart[:, :-1].sum(axis=0)
            curvature[-1, -1] = (apart * couplings).sum()
            step = np.linalg.solve(curvature[:free, :free] + np.eye(free), gradient[:free])
            theta = theta.copy()
            theta[:free] += np.clip(step, -1.0, 1.0)
            theta[-1] = max(theta[-1], 0.0)
            if np.abs(step).max() < NEAR:
                break
        return theta

    def _look(self, labels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], Array]:
        """The sites' labels (n,), and their couplings to each class (n, n_classes)."""
        around = np.pad(labels, 1, constant_values=OUTSIDE).ravel()
        couplings = np.zeros((len(self.sites), self.n_classes + 1))
        rows = np.arange(len(self.sites))
        for step, coupling in zip(self.steps, self.lattice.couplings, strict=True):
            near = np.minimum(around[self.places + step], self.n_classes)
            couplings[rows, near] += coupling
        return around[self.places].astype(np.intp), couplings[:, :-1]


def _softmax(logits: Array) -> Array:
    p: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p
