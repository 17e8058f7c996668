"""Fitting and going on with a fit."""

from pathlib import Path
from typing import Any, NamedTuple

from segmix.errors import InputError, OptionError, printable
from segmix.fitting import checked, extend_in_pieces, load, save_fit
from segmix.mixture.sampling import Plan
from segmix.posterior import Posterior, sample
from segmix.record import format_parameters, summarize_posterior, to_json
from segmix.samples import Truth
from segmix.targets import check_target

from .console import Console
from .inputs import result_name
from .interruptions import interruptions
from .parsing import draw_seed, parse_prior, parse_quantization, parse_steps

DONE, UNCONVERGED = 0, 3
FIRST_DRAWS = 100  # of a run with checkpoints


class Wish(NamedTuple):
    """The options of a fit, as they stand on the command line."""

    n_classes: int
    prior: str
    quantization: str
    column: str | None
    preprocess: tuple[str, ...]
    sampler: str
    draws: int
    tune: int | None
    chains: int
    thin: int
    seed: int | None
    until_converged: bool


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
    target = output.target(result_name(path))
    check_target(target, overwrite=output.overwrite, keep=[path, wish.prior])
    seed = draw_seed() if wish.seed is None else wish.seed
    first = min(wish.draws, FIRST_DRAWS) if output.every else wish.draws
    plan = Plan(wish.sampler, first, wish.tune, wish.chains, seed, wish.thin, wish.until_converged)  # type: ignore[arg-type]
    priors, steps = checked(parse_prior(wish.prior)), parse_steps(wish.preprocess)
    quantization: Any = parse_quantization(wish.quantization)
    console.announce_compilation()
    data = load(
        path, n_classes=wish.n_classes, quantization=quantization, preprocess=steps, column=wish.column
    )
    for note in data.notes:
        console.note(f"{path}: {note}")
    posterior = sample(data.levels, n_classes=wish.n_classes, priors=priors, plan=plan, source=data.source)
    posterior = _extend(posterior, wish.draws - posterior.n_draws, target, output, console)
    if wish.seed is None:
        console.note(f"drew the seed {seed}; --seed {seed} gives the same again")
    return _finish(posterior, path, data.truth, target, output, console)


def run_continue(path: str, draws: int, output: Output, console: Console) -> int:
    """Go on with a posterior, save and tell; returns the exit status."""
    file = Path(path)
    own = file.name == "posterior.nc" and file.resolve().parent.name
    target = output.target(own or file.stem.removesuffix(".checkpoint"))
    check_target(target, overwrite=output.overwrite, keep=[path])
    posterior = Posterior.load(path)
    if posterior.state is None:
        raise InputError(f"{path}: does not hold where its chains stand, so they can't go on; fit anew")
    console.announce_compilation()
    posterior = _extend(posterior, draws, target, output, console)
    return _finish(posterior, path, None, target, output, console)


def _extend(posterior: Posterior, draws: int, target: Path, output: Output, console: Console) -> Posterior:
    if draws <= 0:
        return posterior
    every = output.every or float("inf")
    with console.progress(draws) as show:

        def told(done: int) -> None:
            show("draws", done)
            interruptions.check()

        return extend_in_pieces(posterior, draws, every=every, checkpoint=_checkpoint(target), show=told)


def _checkpoint(target: Path) -> Path:
    return target.with_name(f"{target.name}.checkpoint.nc")


def _finish(
    posterior: Posterior, path: str, truth: Truth | None, target: Path, output: Output, console: Console
) -> int:
    interruptions.check()
    save_fit(posterior, target, source=path, truth=truth, overwrite=output.overwrite)
    if output.every:
        _checkpoint(target).unlink(missing_ok=True)
    if not posterior.converged:
        console.warning(f"{path}: not converged: {'; '.join(posterior.verdict.reasons)}")
    if output.as_json:
        record = {"input": path, "output": str(target), **summarize_posterior(posterior, path, truth)}
        console.result(to_json(record, one_line=True))
    elif not console.quiet:
        table = format_parameters(posterior, truth)
        console.result(f"{printable(path)} -> {printable(str(target))}\n{table}\n")
    return DONE if posterior.converged or output.allow_unconverged else UNCONVERGED
