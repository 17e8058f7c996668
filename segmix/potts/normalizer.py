"""The normalizing constant of the Potts prior, log C(beta) = log sum_z exp(beta S(z)), and draws of beta.

d log C / d beta = E[S | beta], so that log C(beta) = N log K + the integral of E[S] from 0 (thermodynamic
integration; for hidden Potts fields Moores, Drovandi, Mengersen and Robert 2015, Statistics and Computing
25, 23). E[S] comes from Swendsen-Wang on the very lattice, or, per pair, from the exact infinite one.
"""

import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import effective_sample_size
from .grids import N_GRID, N_SDS, draw_on_grid
from .lattice import Lattice
from .philox import keys_of
from .sweeps import Sweeps

Array = NDArray[np.float64]

N_NODES = 33
N_SWEEPS = 300
HIGHEST = 2.5  # times where order sets in: the largest beta of a prior
SMALL = {2: (20, 60), 3: (7, 16)}  # sides of the lattices that stand for a kind that the table lacks
LARGE = 1024  # pixels from which the table's bulk and surface are taken
COMPACT = 1.3  # times the missing neighbors of a cube


def critical_beta(n_classes: int) -> float:
    """log(1 + sqrt(K)): where order sets in on the square lattice (Potts 1952)."""
    return float(np.log1p(np.sqrt(n_classes)))


def ising_agreements(beta: Array) -> Array:
    """E of [z_i = z_j] for neighbors on the infinite square lattice, K = 2, at each beta (Onsager 1944).

    With coupling J = beta / 2 the mean of s_i s_j is coth(2 J) (1 + 2 / pi (2 tanh(2 J)^2 - 1) K(k)) / 2,
    where k = 2 sinh(2 J) / cosh(2 J)^2, and the mean agreement (1 + that) / 2.
    """
    from scipy.special import ellipkm1

    safe = np.maximum(np.asarray(beta, np.float64), 1e-6)
    tangent = np.tanh(safe)
    lack = (2 * tangent**2 - 1) ** 2  # 1 - k^2
    with np.errstate(invalid="ignore", divide="ignore"):
        product = np.where(lack > 0, (2 * tangent**2 - 1) * ellipkm1(lack), 0.0)
    return 0.5 + 0.25 / tangent * (1 + 2 / np.pi * product)


@dataclass(frozen=True, eq=False)
class Normalizer:
    """E[S | beta] at some betas, with what follows between them.

    Attributes
    ----------
    betas : (n,) float64
        Ascending from 0.
    agreements : (n,) float64
        E[S | beta], not descending.
    log_constant_at_0 : float
        N log K.
    source : str
        Where the numbers are from.
    errors : (n,) float64
        Monte Carlo errors of ``agreements``, 0 where they are exact.
    """

    betas: Array
    agreements: Array
    log_constant_at_0: float
    source: str
    errors: Array

    @cached_property
    def _curve(self) -> Any:
        from scipy.interpolate import PchipInterpolator

        return PchipInterpolator(self.betas, self.agreements)

    @cached_property
    def _integral(self) -> Any:
        return self._curve.antiderivative()

    def mean_agreements(self, beta: Array | float) -> Array:
        """E[S | beta]."""
        return np.asarray(self._curve(beta), np.float64)

    def log_constant(self, beta: Array | float) -> Array:
        """log C(beta)."""
        return self.log_constant_at_0 + np.asarray(self._integral(beta), np.float64)

    def draw_beta(self, agreements: float, now: float, *, rng: np.random.Generator) -> float:
        """Draw beta from p(beta | S) in proportion to exp(beta S) / C(beta), flat prior on the nodes' range.

        On a grid of 257 points around the mode, linear in between.
        """
        low, high = self._window(agreements)
        grid = np.linspace(low, high, N_GRID)
        return draw_on_grid(grid, grid * agreements - self.log_constant(grid), now, rng=rng)

    def _window(self, agreements: float) -> tuple[float, float]:
        """Where p(beta | S) has its mass: eight sds, from its curvature, around its mode."""
        betas, means = self._dense
        place = int(np.clip(np.searchsorted(means, agreements), 1, len(means) - 1))
        around = slice(max(0, place - 2), place + 2)
        slope = float(np.ptp(means[around]) / np.ptp(betas[around]))
        reach = N_SDS / np.sqrt(max(slope, 1e-12)) + float(betas[1])
        return max(0.0, float(betas[place]) - reach), min(float(betas[-1]), float(betas[place]) + reach)

    @cached_property
    def _dense(self) -> tuple[Array, Array]:
        """Many betas and their E[S]."""
        betas = np.linspace(0.0, float(self.betas[-1]), 4097)
        return betas, np.maximum.accumulate(self.mean_agreements(betas))


def simulate_agreements(
    lattice: Lattice, n_classes: int, betas: Array, *, n_sweeps: int = N_SWEEPS, seed: int
) -> tuple[Array, Array]:
    """E[S] on this lattice at each beta by Swendsen-Wang, with its Monte Carlo error.

    Betas ascend; each begins where the last ended, with a sixth of ``n_sweeps`` more for tune.
    """
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, n_classes, by_table=False)
    labels = sweeps.lay_out(np.zeros(lattice.shape, np.uint8))
    means, errors, flat = [], [], np.zeros((1, n_classes))
    for node, beta in enumerate(betas):
        keys, found = keys_of(seed, node), []
        for number in range(n_sweeps // 6 + n_sweeps):
            sweeps.sweep_clusters(labels, flat, float(beta), keys=keys, number=number)
            found.append(sweeps.agreements(labels))
        drawn = np.array(found[n_sweeps // 6 :])
        means.append(drawn.mean() if beta > 0 else lattice.n_pairs / n_classes)
        moved = beta > 0 and np.ptp(drawn) > 0
        errors.append(drawn.std() / np.sqrt(effective_sample_size(drawn[None])) if moved else 0.0)
    return np.array(means), np.array(errors)


def simulated_normalizer(lattice: Lattice, n_classes: int, *, seed: int) -> Normalizer:
    """Integrate E[S] as simulated on this very lattice: for small ones, or where no table is shipped."""
    betas = nodes_for(lattice, n_classes)
    means, errors = simulate_agreements(lattice, n_classes, betas, seed=seed)
    start = lattice.n_pixels * float(np.log(n_classes))
    return Normalizer(betas, rising(means), start, "Swendsen-Wang on this lattice", errors)


def nodes_for(lattice: Lattice, n_classes: int, n: int = N_NODES) -> Array:
    """n betas from 0 to where hardly a pair disagrees, half of them about where order sets in.

    Order sets in near log(1 + sqrt(K)) for four neighbors, and sooner for more: about in inverse proportion
    to the couplings less one, as on the Bethe lattice.
    """
    center = ordering_beta(lattice, n_classes)
    even = np.linspace(0.0, highest_beta(lattice, n_classes), n // 2 + 1)
    near = center * (1 + 0.6 * np.linspace(-1, 1, n // 2) ** 3)
    return np.unique(np.concatenate([even, near]))


def ordering_beta(lattice: Lattice, n_classes: int) -> float:
    """About where order sets in, see ``nodes_for``; where many neighbors are missing, later.

    In three dimensions it is sooner than that by as much as on the cubic lattice, where it is at 0.4433,
    0.5506 and 0.6286 for two to four classes (Ferrenberg and Landau 1991, Physical Review B 44, 5081, and the
    steepest slopes of E[S] simulated for more).
    """
    degree = float(lattice.couplings.sum())
    if not is_compact(lattice):
        degree = 2 * lattice.n_pairs / lattice.n_pixels
    sooner = 1.06 - 0.443 / n_classes if lattice.ndim == 3 else 1.0
    return sooner * critical_beta(n_classes) * 3 / max(degree - 1, 1.0)


def is_compact(lattice: Lattice) -> bool:
    """Whether hardly more neighbors are missing than at the faces of a square or cube of so many pixels."""
    couplings, side = lattice.couplings, lattice.n_pixels ** (1 / lattice.ndim)
    missing = 1 - 2 * lattice.n_pairs / (lattice.n_pixels * float(couplings.sum()))
    steps = np.abs(np.array(lattice.offsets)).sum(axis=1)
    of_cube = float((couplings * steps).sum() / couplings.sum()) / side
    return bool(missing <= COMPACT * of_cube)


def highest_beta(lattice: Lattice, n_classes: int) -> float:
    """Where the flat prior of beta ends: hardly a neighbor pair disagrees there."""
    return HIGHEST * ordering_beta(lattice, n_classes)


def rising(values: Array) -> Array:
    """The closest row that does not descend, in least squares (pool adjacent violators)."""
    from scipy.optimize import isotonic_regression

    fitted: Array = isotonic_regression(values).x
    return fitted


def bulk_and_surface(lattices: tuple[Lattice, Lattice], means: tuple[Array, Array]) -> tuple[Array, Array]:
    """Solve E[S] = u N d / 2 - v m on a small and a larger lattice for u and v at each beta.

    N pixels have couplings d in the bulk, those of m neighbors are missing at the boundary.
    """
    full = np.array([lattice.n_pixels * float(lattice.couplings.sum()) for lattice in lattices])
    missing = full - 2 * np.array([lattice.n_pairs for lattice in lattices])
    bulk, surface = np.linalg.solve(np.stack([full / 2, -missing], axis=1), np.array(means))
    return bulk, surface


def scaled_normalizer(lattice: Lattice, n_classes: int, *, seed: int) -> Normalizer:
    """E[S] of a large lattice from bulk and surface of two small ones of its kind, simulated now."""
    sizes = SMALL[lattice.ndim]
    small = tuple(Lattice((n,) * lattice.ndim, lattice.connectivity, lattice.spacing) for n in sizes)
    betas = nodes_for(lattice, n_classes)
    found = [simulate_agreements(one, n_classes, betas, n_sweeps=2 * N_SWEEPS, seed=seed) for one in small]
    bulk, surface = bulk_and_surface((small[0], small[1]), (found[0][0], found[1][0]))
    scale = lattice.n_pixels / small[1].n_pixels
    return _of_bulk(
        lattice, n_classes, betas, rising(bulk), surface,
        source="Swendsen-Wang on small lattices of this kind", errors=scale * found[1][1],
    )  # fmt: skip


def _of_bulk(
    lattice: Lattice, n_classes: int, betas: Array, bulk: Array, surface: Array, *, source: str, errors: Array
) -> Normalizer:
    full = lattice.n_pixels * float(lattice.couplings.sum())
    means = bulk * full / 2 - surface * (full - 2 * lattice.n_pairs)
    return Normalizer(betas, rising(means), lattice.n_pixels * float(np.log(n_classes)), source, errors)


def tabulated_normalizer(lattice: Lattice, n_classes: int) -> Normalizer | None:
    """E[S] from the table of large lattices: bulk times pairs less surface times missing neighbors.

    Of N pixels with d neighbors each in the bulk, m neighbors are missing at the boundary of the domain, and
    E[S] = u(beta) N d / 2 - v(beta) m, up to corners and correlations as long as the lattice. None where the
    table does not hold this kind of lattice.
    """
    kind = read_table().get(f"{n_classes} classes, {lattice.ndim}D, connectivity {lattice.connectivity}")
    if kind is None or lattice.spacing is not None:
        return None
    betas, bulk, surface = (np.array(kind[name]) for name in ("betas", "bulk", "surface"))
    exact = np.zeros(len(betas))
    return _of_bulk(lattice, n_classes, betas, bulk, surface, source="table of large lattices", errors=exact)


@cache
def read_table() -> dict[str, dict[str, list[float]]]:
    """Bulk and surface of the kinds of lattices that benchmarks/potts_table.py has simulated."""
    text = files("segmix.potts").joinpath("agreements.json").read_text("utf-8")
    table: dict[str, dict[str, list[float]]] = json.loads(text)
    return table


def normalizer_of(lattice: Lattice, n_classes: int, *, seed: int) -> Normalizer:
    """The normalizer of a lattice: simulated on it where small, from the table, or from its kind."""
    if lattice.n_pixels < LARGE:
        return simulated_normalizer(lattice, n_classes, seed=seed)
    return tabulated_normalizer(lattice, n_classes) or scaled_normalizer(lattice, n_classes, seed=seed)
