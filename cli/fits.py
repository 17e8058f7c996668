"""Fitting and going on with a fit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from segmix.checkpoints import Checkpoints
from segmix.errors import InputError, OptionError, OutputError, SegmixError, printable
from segmix.fitting import Data, checked, load, sample, save_fit
from segmix.mixture.chains import Watch
from segmix.mixture.plan import RESUMABLE, Plan
from segmix.posterior import Posterior
from segmix.record import caution_fit, format_parameters, summarize_posterior, to_json
from segmix.targets import check_file, check_target

from .console import Console
from .inputs import read_options, result_name
from .interruptions import interruptions
from .parsing import draw_seed, parse_prior, parse_quantization, parse_steps

DONE, UNCONVERGED = 0, 3


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


class Output(NamedTuple):
    """Where results go and how they are told."""

    folder: str
    every: float | None
    overwrite: bool
    as_json: bool
    allow_unconverged: bool

    def target(self, name: str) -> Path:
        """Return the folder of one result."""
        if not self.folder:
            raise OptionError("--output must name a folder, got ''; give for example -o out")
        return Path(self.folder, name)


def run_fit(path: str, wish: Wish, output: Output, console: Console) -> int:
    """Fit, save and tell; returns the exit status."""
    if output.every and wish.sampler not in RESUMABLE:
        raise OptionError(
            f"--every needs a sampler whose chains can go on, {' or '.join(RESUMABLE)}, got {wish.sampler}; "
            "leave --every out"
        )
    target = output.target(result_name(path))
    check_target(target, overwrite=output.overwrite, keep=[path, wish.prior])
    checkpoints = _checkpoints(target, output, [path, wish.prior])
    seed = draw_seed() if wish.seed is None else wish.seed
    plan = Plan(
        wish.sampler,  # type: ignore[arg-type]
        wish.draws, wish.tune, wish.chains, seed, wish.thin, wish.until_converged, wish.jumps,
    )  # fmt: skip
    priors, data = checked(parse_prior(wish.prior)), _load(path, wish, console)
    with _watched(wish.draws, checkpoints, console) as watch:
        posterior = sample(data, n_classes=wish.n_classes, priors=priors, plan=plan, watch=watch)
    if wish.seed is None:
        console.note(f"drew the seed {seed}; --seed {seed} gives the same again")
    return _finish(posterior, path, target, checkpoints, output, console, plan)


def run_continue(path: str, draws: int, output: Output, console: Console) -> int:
    """Go on with a posterior, save and tell; returns the exit status."""
    file = Path(path)
    own = file.name == "posterior.nc" and file.resolve().parent.name
    target = output.target(own or file.stem.removesuffix(".checkpoint"))
    check_target(target, overwrite=output.overwrite, keep=[path])
    checkpoints = _checkpoints(target, output, [path], goes_on=True)
    posterior = Posterior.load(path)
    if posterior.state is None:
        raise InputError(f"{path}: does not hold where its chains stand, so they can't go on; fit anew")
    console.announce_compilation()
    with _watched(draws, checkpoints, console) as watch:
        posterior = posterior.extend(draws, watch=watch)
    return _finish(posterior, path, target, checkpoints, output, console)


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


def _checkpoints(
    target: Path, output: Output, inputs: list[str], *, goes_on: bool = False
) -> Checkpoints | None:
    """Checkpoints beside the target, whose place is free or may be used; None if none are wanted.

    A run that ``goes_on`` may use that of its input.
    """
    if not output.every:
        return None
    path = target.with_name(f"{target.name}.checkpoint.nc")
    own = goes_on and path.is_file() and path.samefile(inputs[0])
    if path.is_file() and not path.is_symlink() and not output.overwrite and not own:
        raise OutputError(
            f"{path}: a checkpoint of an earlier run is there; segmix continue goes on with it, "
            "--overwrite discards it"
        )
    check_file(path, overwrite=True, keep=[] if own else inputs)
    return Checkpoints(path, output.every, replaces=output.overwrite or own)


@contextmanager
def _watched(draws: int, checkpoints: Checkpoints | None, console: Console) -> Iterator[Watch[Posterior]]:
    """Yield what shows progress, hears interruptions and writes checkpoints, one more when interrupted."""
    with console.progress(draws) as show:

        def watch(done: int, draws: int, so_far: Callable[[], Posterior]) -> None:
            show("draws", done, draws)
            if checkpoints:
                checkpoints.watch(done, draws, so_far)
            interruptions.check()

        try:
            yield watch
        except KeyboardInterrupt:
            if checkpoints:
                _keep(checkpoints, console)
            raise


def _keep(checkpoints: Checkpoints, console: Console) -> None:
    """Write what is drawn unless that takes too long, and tell where it is."""
    with suppress(KeyboardInterrupt, SegmixError):  # then the one before stands
        checkpoints.write()
    if checkpoints.n_draws:
        console.warning(
            f"interrupted; {checkpoints.path} holds {checkpoints.n_draws} draws a chain, "
            "segmix continue goes on with them"
        )


def _finish(
    posterior: Posterior,
    path: str,
    target: Path,
    checkpoints: Checkpoints | None,
    output: Output,
    console: Console,
    plan: Plan | None = None,
) -> int:
    interruptions.check()
    save_fit(posterior, target, overwrite=output.overwrite, keep=[path], plan=plan)
    if checkpoints:
        checkpoints.remove()
    if not posterior.converged:
        console.warning(f"{path}: not converged: {'; '.join(posterior.verdict.reasons)}")
    for caution in caution_fit(posterior):
        console.warning(f"{path}: {caution}")
    if output.as_json:
        record = {"input": path, "output": str(target), **summarize_posterior(posterior, plan)}
        console.result(to_json(record, one_line=True))
    elif not console.quiet:
        table = format_parameters(posterior)
        console.result(f"{printable(path)} -> {printable(str(target))}\n{table}\n")
    return DONE if posterior.converged or output.allow_unconverged else UNCONVERGED
