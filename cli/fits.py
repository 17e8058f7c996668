"""Fitting and going on with a fit."""

from pathlib import Path
from typing import Any, NamedTuple

from segmix.cautions import caution_fit
from segmix.checkpoints import Checkpoints
from segmix.errors import InputError, OptionError, printable
from segmix.extending import extend_keeping
from segmix.fitting import checked, sample, save_fit
from segmix.loading import Data, load
from segmix.mixture.plan import RESUMABLE, Plan
from segmix.posterior import Posterior
from segmix.potts.fields import Fields
from segmix.record import summarize_posterior, to_json
from segmix.segmentation import Segmentation
from segmix.targets import check_target
from segmix.text import format_parameters
from segmix.workflow import foreground_labels, segmentation_of

from .console import Console
from .failures import DONE, UNCONVERGED
from .inputs import check_folder, check_input, read_options, result_name
from .interruptions import interruptions
from .parsing import draw_seed, parse_foreground, parse_prior, parse_quantization, parse_steps
from .watching import checkpoints_beside, superseded, watched


class Wish(NamedTuple):
    """The options of a fit, as they stand on the command line."""

    n_classes: int
    prior: str
    quantization: str
    column: str | None
    preprocess: tuple[str, ...]
    page: int | None
    limits: str | None
    domain: str | None
    max_pixels: int
    sampler: str
    draws: int
    tune: int | None
    chains: int
    thin: int
    seed: int | None
    until_converged: bool
    jumps: bool
    doublings: int


class Output(NamedTuple):
    """Where results go and how they are told."""

    folder: str
    every: float | None
    overwrite: bool
    as_json: bool
    allow_unconverged: bool

    def target(self, name: str) -> Path:
        """Return the folder of one result."""
        check_folder(self.folder)
        return Path(self.folder, name)


def run_fit(path: str, wish: Wish, output: Output, console: Console) -> int:
    """Fit, save and tell; returns the exit status."""
    if output.every and wish.sampler not in RESUMABLE:
        raise OptionError(
            f"--every needs a sampler whose chains can go on, {' or '.join(RESUMABLE)}, got {wish.sampler}; "
            "leave --every out"
        )
    target = output.target(result_name(path))
    check_input(path)
    check_target(target, overwrite=output.overwrite, keep=[path, wish.prior])
    checkpoints = checkpoints_beside(
        target, output.every, overwrite=output.overwrite, inputs=[path, wish.prior]
    )
    seed = draw_seed() if wish.seed is None else wish.seed
    plan = Plan(
        wish.sampler,  # type: ignore[arg-type]
        wish.draws, wish.tune, wish.chains, seed, wish.thin, wish.until_converged, wish.jumps,
        wish.doublings,
    )  # fmt: skip
    priors, data = checked(parse_prior(wish.prior)), _load(path, wish, console)
    with console.progress(wish.draws) as show, watched("draws", checkpoints, console, show) as watch:
        posterior = sample(data, n_classes=wish.n_classes, priors=priors, plan=plan, watch=watch)
    if wish.seed is None:
        console.note(f"drew the seed {seed}; --seed {seed} gives the same again")
    return _finish(posterior, path, target, checkpoints, output, console, plan=plan)


def run_continue(
    path: str, draws: int, foreground: str, keep_labels: int | None, output: Output, console: Console
) -> int:
    """Go on with a posterior, save and tell; returns the exit status."""
    file = Path(path)
    own = file.name == "posterior.nc" and file.resolve().parent.name
    target = output.target(own or file.stem.removesuffix(".checkpoint"))
    check_input(path)
    check_target(target, overwrite=output.overwrite, keep=[path])
    checkpoints = checkpoints_beside(
        target, output.every, overwrite=output.overwrite, inputs=[path], goes_on=True
    )
    posterior = Posterior.load(path)
    if posterior.state is None:
        raise InputError(f"{path}: does not hold where its chains stand, so they can't go on; fit anew")
    chosen = _foreground_of(posterior, foreground)
    console.announce_compilation()
    with console.progress(draws) as show, watched("draws", checkpoints, console, show) as watch:
        if keep_labels is None:
            posterior, labels = posterior.extend(draws, watch=watch), None
        else:
            posterior, labels = extend_keeping(posterior, draws, keep_labels, watch)
    interruptions.check()
    whole = segmentation_of(posterior, foreground=chosen, label_draws=labels) if chosen else None
    return _finish(posterior, path, target, checkpoints, output, console, whole, goes_on=True)


def _foreground_of(posterior: Posterior, foreground: str) -> tuple[int, ...]:
    """Labels of the mask, which only pictures whose labels hang together have here."""
    if not isinstance(posterior.state, Fields):
        if foreground != "bright":
            raise OptionError("--foreground is of labels that hang together; leave it out")
        return ()
    n_classes = posterior.n_classes
    asked: Any = parse_foreground(foreground, n_classes=n_classes)
    return foreground_labels(asked, n_classes)


def _load(path: str, wish: Wish, console: Console) -> Data:
    """Read the data, and tell what reading decided."""
    steps = parse_steps(wish.preprocess)
    quantization: Any = parse_quantization(wish.quantization)
    reading = read_options(wish.page, wish.limits, wish.domain, wish.max_pixels)
    console.announce_compilation()
    data = load(
        path,
        n_classes=wish.n_classes,
        quantization=quantization,
        preprocess=steps,
        column=wish.column,
        reading=reading,
    )
    for note in data.notes:
        console.note(f"{path}: {note}")
    return data


def _finish(
    posterior: Posterior,
    path: str,
    target: Path,
    checkpoints: Checkpoints | None,
    output: Output,
    console: Console,
    whole: Segmentation | None = None,
    plan: Plan | None = None,
    goes_on: bool = False,
) -> int:
    """Write and tell: of labels that hang together the ``whole`` that `segmix segment` writes.

    A checkpoint that the run went on from, in the place of the target's, is then done with.
    """
    interruptions.check()
    if whole:
        whole.save(target, overwrite=output.overwrite)
        for note in whole.image.notes:
            console.note(f"{path}: {note}")
    else:
        save_fit(posterior, target, overwrite=output.overwrite, keep=[path], plan=plan)
    if checkpoints:
        checkpoints.remove()
    if goes_on and (done_with := superseded(path, target)):
        done_with.unlink()
    if not posterior.converged:
        console.warning(f"{path}: not converged: {'; '.join(posterior.verdict.reasons)}")
    for caution in whole.cautions if whole else caution_fit(posterior):
        console.warning(f"{path}: {caution}")
    if output.as_json:
        known = whole.summary() if whole else summarize_posterior(posterior, plan)
        console.result(to_json({"input": path, "output": str(target), **known}, one_line=True))
    elif not console.quiet:
        table = whole.table_text() if whole else format_parameters(posterior)
        console.result(f"{printable(path)} -> {printable(str(target))}\n{table}\n")
    return DONE if posterior.converged or output.allow_unconverged else UNCONVERGED
