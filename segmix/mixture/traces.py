"""What PyMC and nutpie return, as steps, and nutpie run so that every chain has a start of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SegmixError
from .chains import Steps
from .density import Parameters, Target

Array = NDArray[np.float64]


def chain_seeds(seed: int, chains: int) -> list[int]:
    """A seed for each chain; runs of other seeds share none of them."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(chains)]


def run_nutpie(
    model: Any, points: Sequence[Array], *, draws: int, tune: int, seeds: Sequence[int], target_accept: float
) -> list[Any]:
    """Sample a PyMC model by nutpie, as many chains at once as there are cores.

    A run of nutpie has one start for all its chains, so that each chain here is a run, of one compiled model.

    Parameters
    ----------
    points : sequence of (d,) float64
        Where the chains start, on the scale that NUTS moves on.

    Returns
    -------
    list
        A trace for each chain.

    Raises
    ------
    SegmixError
        If nutpie is installed but broken.
    """
    nutpie = _nutpie()
    compiled = nutpie.compile_pymc_model(model)
    options = {"draws": draws, "tune": tune, "chains": 1, "target_accept": target_accept}
    traces: list[Any] = []
    at_once = os.cpu_count() or 1
    for first in range(0, len(points), at_once):
        chosen = slice(first, first + at_once)
        running = [
            nutpie.sample(
                _starting_at(compiled, point), seed=seed, progress_bar=False, blocking=False, **options
            )
            for point, seed in zip(points[chosen], seeds[chosen], strict=True)
        ]
        try:
            traces += [sampler.wait() for sampler in running]
        except BaseException:
            for sampler in running:
                sampler.cancel()
            raise
    return traces


def _nutpie() -> Any:
    try:
        import nutpie
    except Exception as error:  # whatever comes of an installation in pieces
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SegmixError(
            f"sampler nuts: nutpie is installed but broken ({reason}); install it anew by pip install "
            "--force-reinstall nutpie, or remove it by pip uninstall nutpie, so that PyMC samples alone"
        ) from error
    return nutpie


def _starting_at(compiled: Any, point: Array) -> Any:
    return replace(compiled, initial_point_func=lambda seed: point)


@contextmanager
def nothing_drawn_interrupts() -> Iterator[None]:
    """Turn what PyMC says after Ctrl-C, where no chain has made a step yet, into the interruption it was."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(("Not enough samples", "No traces")):
            raise
        raise KeyboardInterrupt from error


def whole(trace: Any, chains: int, draws: int) -> Any:
    """The trace itself; one that Ctrl-C cut short, which PyMC returns as if nothing were, interrupts."""
    if "posterior" not in trace:  # all chains were in their tune
        raise KeyboardInterrupt
    sizes = dict(trace["posterior"].sizes)
    incomplete = bool(np.isnan(trace["posterior"]["means"].values).any())
    if (sizes["chain"], sizes["draw"]) != (chains, draws) or incomplete:
        raise KeyboardInterrupt
    return trace


def steps_of(target: Target, traces: Sequence[Any], *, tuning: bool = False) -> Steps:
    """The draws of traces, or their steps of tuning, with our own log posterior."""
    prefix = "warmup_" if tuning else ""
    if prefix + "posterior" not in traces[0]:
        return steps_of(target, traces).select(slice(0))

    def gathered(group: str, name: str) -> Any:
        return np.concatenate([trace[prefix + group][name].values for trace in traces])

    means, stds = gathered("posterior", "means"), gathered("posterior", "stds")
    weights = np.ones_like(means) if means.shape[2] == 1 else gathered("posterior", "weights")
    flat = Parameters(*(part.reshape(-1, part.shape[2]) for part in (weights, means, stds)))
    log_posterior = target.log_posterior(flat).reshape(means.shape[:2])
    diverging = gathered("sample_stats", "diverging").astype(bool)
    return Steps(weights, means, stds, log_posterior, diverging=diverging)
