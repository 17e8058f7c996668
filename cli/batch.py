"""Segmenting one picture after the other."""

import traceback
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segmix.errors import OptionError, SegmixError, printable
from segmix.targets import check_place, check_target

from .console import Console, Show
from .failures import DONE, FAILED, UNCONVERGED, USAGE, tell, tell_warnings
from .inputs import Job, check_input, plan_jobs, read_options
from .interruptions import interruptions
from .parsing import (
    draw_seed,
    parse_foreground,
    parse_prior,
    parse_quantization,
    parse_spatial,
    parse_steps,
)

if TYPE_CHECKING:
    from segmix import Posterior, Segmentation
    from segmix.checkpoints import Checkpoints
    from segmix.mixture.chains import Watch


@dataclass(frozen=True)
class Request:
    """What was asked for, as it stands on the command line."""

    images: tuple[str, ...]
    output: str
    n_classes: int
    foreground: str
    prior: str
    quantization: str
    limits: str | None
    spatial: bool
    beta: str
    connectivity: int
    weights: str
    spacing: str
    keep_labels: int | None
    sampler: str
    draws: int
    tune: int | None
    chains: int
    thin: int
    seed: int | None
    until_converged: bool
    doublings: int
    every: float | None
    allow_unconverged: bool
    preprocess: tuple[str, ...]
    page: int | None
    domain: str | None
    max_pixels: int
    as_json: bool
    quiet: bool
    overwrite: bool
    debug: bool


def run_batch(request: Request) -> int:
    """Segment every picture of a request; what is wrong with one does not stop the others.

    Parameters
    ----------
    request : Request
        The options of the command line.

    Returns
    -------
    int
        The exit status: 0 done, 1 some picture could not be segmented, 2 the request makes no sense,
        3 all written but not all converged.
    """
    console = Console(quiet=request.quiet)
    try:
        batch = _Batch(request, console)
    except SegmixError as error:
        if request.debug:
            traceback.print_exception(error)
        console.error(str(error))
        return USAGE if isinstance(error, OptionError) else FAILED
    return batch.run()


class _Batch:
    """A request in the library's terms, checked as far as possible before any work."""

    def __init__(self, request: Request, console: Console) -> None:
        self.request = request
        self.console = console
        if request.every and not request.spatial:
            raise OptionError("--every is of labels that hang together; add --spatial, or leave it out")
        self.jobs = plan_jobs(request.images, request.output)
        check_place(request.output)
        self.keep = [*(job.source for job in self.jobs), request.prior, request.domain or request.prior]
        self.model = _model(request)
        self.seed = draw_seed() if request.seed is None else request.seed
        self.seed_is_told = request.seed is not None
        self.misused = 0  # pictures that failed by an option
        self.reading = read_options(request.page, request.limits, request.domain, request.max_pixels)

    def run(self) -> int:
        """Do every job and return the exit status."""
        self.console.announce_compilation()
        failed, unconverged = [], 0
        with self.console.progress(len(self.jobs)) as show:
            for job in self.jobs:
                show(job.source)
                converged = self._attempt(job, show)
                if converged is None:
                    failed.append(job.source)
                unconverged += converged is False
        if failed and len(self.jobs) > 1:
            self.console.error(f"{len(failed)} of {len(self.jobs)} images failed: {', '.join(failed)}")
        if failed:
            return USAGE if self.misused == len(failed) else FAILED
        return UNCONVERGED if unconverged and not self.request.allow_unconverged else DONE

    def _attempt(self, job: Job, show: Show) -> bool | None:
        """Do one job; return whether it converged, or None if it failed and the reason was told."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = self._segment(job, show)
            self._report(job, result, caught)
            return bool(result.posterior.verdict.converged)
        except Exception as error:
            self.misused += isinstance(error, OptionError)
            tell(error, source=job.source, console=self.console, debug=self.request.debug)
            return None

    def _segment(self, job: Job, show: Show) -> "Segmentation":
        """Read, segment and write one picture."""
        from segmix import segment

        overwrite = self.request.overwrite
        check_input(job.source)
        check_target(job.target, overwrite=overwrite, keep=self.keep)
        checkpoints = self._checkpoints(job)
        image = self.reading.open(job.source)
        with self._watched(job, checkpoints, show) as watch:
            result = segment(image, rng=self.seed, watch=watch, **self.model)
        interruptions.check()
        result.save(job.target, overwrite=overwrite)
        if checkpoints:
            checkpoints.remove()
        return result

    def _checkpoints(self, job: Job) -> "Checkpoints | None":
        if not self.request.every:
            return None
        from .watching import checkpoints_beside

        overwrite = self.request.overwrite
        return checkpoints_beside(job.target, self.request.every, overwrite=overwrite, inputs=self.keep)

    def _watched(
        self, job: Job, checkpoints: "Checkpoints | None", show: Show
    ) -> AbstractContextManager["Watch[Posterior] | None"]:
        """What follows the sweeps of labels that hang together; the rest is done in a moment."""
        if not self.request.spatial:
            return nullcontext()
        from .watching import watched

        return watched(job.source, checkpoints, self.console, show)

    def _report(self, job: Job, result: "Segmentation", caught: list[warnings.WarningMessage]) -> None:
        """Print notes, warnings and the result of one picture."""
        if not self.seed_is_told:
            self.console.note(f"drew the seed {self.seed}; --seed {self.seed} gives the same again")
            self.seed_is_told = True
        for note in (*result.image.notes, *result.levels.notes):
            self.console.note(f"{job.source}: {note}")
        tell_warnings(caught, source=job.source, console=self.console)
        if not result.posterior.verdict.converged:
            reasons = "; ".join(result.posterior.verdict.reasons)
            self.console.warning(f"{job.source}: not converged: {reasons}")
        for caution in result.cautions:
            self.console.warning(f"{job.source}: {caution}")
        if self.request.as_json:
            from segmix.record import to_json

            record = {"input": job.source, "output": str(job.target), **result.summary()}
            self.console.result(to_json(record, one_line=True))
        elif not self.request.quiet:
            self.console.result(
                f"{printable(job.source)} -> {printable(str(job.target))}\n{result.table_text()}\n"
            )


def _model(request: Request) -> dict[str, Any]:
    """Return the options of `segmix.segment` that hold for every picture."""
    return {
        "n_classes": request.n_classes,
        "foreground": parse_foreground(request.foreground, n_classes=request.n_classes),
        "priors": parse_prior(request.prior),
        "quantization": parse_quantization(request.quantization),
        "preprocess": parse_steps(request.preprocess),
        "spatial": parse_spatial(
            request.spatial,
            request.beta,
            request.connectivity,
            request.spacing,
            request.weights,
            request.keep_labels,
        ),
        "keep_labels": request.keep_labels,
        "sampler": request.sampler,
        "draws": request.draws,
        "tune": request.tune,
        "chains": request.chains,
        "thin": request.thin,
        "until_converged": request.until_converged,
        "doublings": request.doublings,
    }
