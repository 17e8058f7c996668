"""Proposals of several t distributions for posteriors that one fits badly: bananas, ridges, skewed tails.

Each component is split in two along its longest axis, and the mixture is fitted by EM to draws of the
posterior that a short run of gibbs gives (draws of the proposal would not tell what it misses): with r_m the
component's share of the proposal's density at a draw and g = (nu + d) / (nu + q_m), q_m the squared distance
in units of its scale, centers are means weighted by r_m g, and scales sum(r_m g x x') / sum(r_m) (as Cappe,
Douc, Guillin, Marin and Robert 2008, Statistics and Computing 18, 447, have it for weighted draws).
"""

import numpy as np
from numpy.typing import NDArray

from . import gibbs
from .density import Parameters, Target, pack
from .proposals import DEGREES, Proposal, weigh

Array = NDArray[np.float64]

N_CHAINS, TUNE, N_STEPS = 4, 100, 500  # of gibbs
N_DRAWS = 2000  # of the proposal, by which its efficiency is judged
N_EM = 3  # steps of EM after each split
MAX_ROUNDS, MAX_COMPONENTS = 3, 8
ENOUGH = 0.88  # efficiency, at which independence accepts 0.8 or more
APART, LEFT = 0.6, 0.3  # sds that halves are moved by; what a half loses of the variance along that axis
LEAST_SHARE = 0.01
WIDER = 1.05  # than the draws, so that no tail is missed


def refine(target: Target, proposal: Proposal, *, rng: np.random.Generator) -> Proposal:
    """Split the proposal and fit it to draws of the posterior, as long as that makes it more efficient.

    A proposal of more than half ``MAX_COMPONENTS`` stays as it is.
    """
    if 2 * len(proposal.shares) > MAX_COMPONENTS:
        return proposal
    points = draw_by_gibbs(target, proposal, seed=int(rng.integers(1 << 62)))
    best = weigh(target, proposal, proposal.draw(N_DRAWS, rng=rng)).efficiency
    for _ in range(MAX_ROUNDS):
        if best > ENOUGH or 2 * len(proposal.shares) > MAX_COMPONENTS:
            break
        try:
            candidate = fitted(proposal, points)
        except np.linalg.LinAlgError:
            break  # priors as narrow as numbers are apart leave no scale to split
        efficiency = weigh(target, candidate, candidate.draw(N_DRAWS, rng=rng)).efficiency
        if efficiency <= best:
            break
        proposal, best = candidate, efficiency
    return proposal


def draw_by_gibbs(target: Target, proposal: Proposal, *, seed: int) -> Array:
    """Draws of the posterior by a short run of gibbs, in the coordinates of ``density.pack``."""
    chains = gibbs.GibbsChains(target, seed, gibbs.start(target, proposal, seed, N_CHAINS))
    drawn = chains.run(TUNE + N_STEPS).select(slice(TUNE, None)).parameters
    return pack(Parameters(*(part.reshape(-1, part.shape[2]) for part in drawn)))


def fitted(proposal: Proposal, points: Array) -> Proposal:
    """The split proposal, fitted to draws of the posterior."""
    candidate = split(proposal)
    for _ in range(N_EM):
        candidate = em_step(candidate, points)
    return candidate


def split(proposal: Proposal) -> Proposal:
    """Every component as two halves, moved apart along its longest axis, lengths in units of its own sds."""
    shares, centers, factors = [], [], []
    for share, center, factor in zip(*proposal, strict=True):
        units = np.sqrt((factor**2).sum(axis=1))
        axes, lengths, _ = np.linalg.svd(factor / units[:, None])
        longest = units * axes[:, 0] * lengths[0]
        scale = np.einsum("ij,kj->ik", factor, factor) - LEFT * np.outer(longest, longest)
        for sign in (-1.0, 1.0):
            shares.append(share / 2)
            centers.append(center + sign * APART * longest)
            factors.append(np.linalg.cholesky(scale))
    return Proposal(np.array(shares), np.stack(centers), np.stack(factors))


def em_step(proposal: Proposal, points: Array) -> Proposal:
    """One step of EM on draws (n, d); a component with few of them keeps much of what it is."""
    d = points.shape[1]
    distances = np.stack([
        (np.linalg.solve(factor, (points - center).T) ** 2).sum(axis=0)
        for center, factor in zip(proposal.centers, proposal.factors, strict=True)
    ])  # fmt: skip
    heights = [np.log(share) - np.log(np.diag(factor)).sum()
               for share, factor in zip(proposal.shares, proposal.factors, strict=True)]  # fmt: skip
    logs = np.array(heights)[:, None] - (DEGREES + d) / 2 * np.log1p(distances / DEGREES)
    own = np.exp(logs - logs.max(axis=0))
    own /= own.sum(axis=0)
    return _moments(proposal, points, own, (DEGREES + d) / (DEGREES + distances))


def _moments(proposal: Proposal, points: Array, own: Array, gains: Array) -> Proposal:
    """Components of draws: ``own`` and ``gains`` are r_m and g, (n_components, n_draws)."""
    d, centers, factors = points.shape[1], [], []
    totals = np.maximum(own.sum(axis=1), 1e-300)
    for m, total in enumerate(totals):
        trust = min(1.0, float(total**2 / max((own[m] ** 2).sum(), 1e-300)) / (4 * d))
        pulled = own[m] * gains[m]
        center = pulled @ points / max(pulled.sum(), 1e-300)
        scale = np.einsum("n,ni,nj->ij", pulled, points - center, points - center) / total
        old = np.einsum("ij,kj->ik", proposal.factors[m], proposal.factors[m])
        centers.append(trust * center + (1 - trust) * proposal.centers[m])
        factors.append(np.linalg.cholesky(trust * WIDER * scale + (1.0001 - trust) * old))
    shares = np.maximum(totals / totals.sum(), LEAST_SHARE)
    return Proposal(shares / shares.sum(), np.stack(centers), np.stack(factors))
