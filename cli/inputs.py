"""Which pictures the arguments stand for, and the folder that each will get."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmix.errors import InputError, OptionError, SegmixError
from segmix.imaging.guard import open_regular, shown
from segmix.targets import is_result

from .parsing import parse_limits

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy"}
SUFFIXES |= {".pbm", ".pgm", ".ppm", ".pnm"}
NO_FOLDERS = SUFFIXES | {".nc", ".json", ".csv", ".svg", ".pdf"}


@dataclass(frozen=True)
class Job:
    """One picture and the folder for its results."""

    source: str
    target: Path


def plan_jobs(arguments: Sequence[str], output: str) -> list[Job]:
    """Pair every picture with a folder of its own below the output folder.

    Parameters
    ----------
    arguments : sequence of str
        Files, folders or patterns, as in `expand`.
    output : str
        The output folder.

    Raises
    ------
    OptionError
        If the output is no folder's name, an argument stands for no picture, or two pictures would share a
        folder.
    """
    check_folder(output)
    sources = [source for argument in arguments for source in expand(argument)]
    jobs = [Job(source, Path(output, result_name(source))) for source in sources]
    _check_distinct(jobs)
    return jobs


def check_folder(output: str) -> None:
    """Refuse an output folder without a name, or with the name of a file, unless it stands already."""
    if not output:
        raise OptionError("--output must name a folder, got ''; give for example -o out")
    path = Path(output)
    if path.suffix.lower() in NO_FOLDERS and not os.path.lexists(path):
        raise OptionError(
            f"--output must name a folder, in which results get names of their own, got {output!r}, which "
            f"looks like a file's; give for example -o {path.with_suffix('')}, or make that folder first"
        )


def check_input(path: str) -> None:
    """Refuse an input that is not there, before its target is looked at, and standard input.

    Raises
    ------
    InputError
        If there is no such file, or the path is ``-`` and no file of this name is there.
    """
    if os.path.exists(path):
        return
    if not path:
        raise OptionError("the input must name a file, got an empty name; give the name of a file")
    if path == "-":
        raise InputError(
            "-: standard input is not read; write it to a file and give that (./- is a file of this name)"
        )
    try:
        open_regular(path).close()
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None


def expand(argument: str) -> list[str]:
    """Return the files that an argument stands for, sorted.

    A file is itself even if its name looks like a pattern; a folder stands for the pictures directly in it,
    told by their suffix; a pattern for what it matches, ``**`` for any depth. Earlier results of segmix that
    a pattern matches are left out.

    Raises
    ------
    OptionError
        If the name is empty, a folder holds no picture or is an earlier result, or nothing matches.
    InputError
        If a folder can't be read.
    """
    if not argument:
        raise OptionError("IMAGE must name a file, got an empty name; give the name of a picture")
    if os.path.isdir(argument):
        if is_result(argument):
            raise OptionError(f"{argument}: is an earlier result of segmix; give the pictures it came from")
        found = _pictures_in(argument)
        if not found:
            raise OptionError(f"{argument}: is a folder without pictures; give files or another folder")
        return found
    if os.path.lexists(argument) or not glob.has_magic(argument):
        return [argument]
    matches = sorted(glob.glob(argument, recursive=True))
    if not matches:
        raise OptionError(f"{argument}: no file matches this pattern; check it, and the folder you are in")
    found = [source for match in matches for source in _pictures_of(match)]
    if not found:
        raise OptionError(
            f"{argument}: matches only earlier results or folders without pictures; give pictures"
        )
    return found


def _pictures_of(match: str) -> list[str]:
    """Return what a pattern's match stands for, earlier results left out."""
    if os.path.isdir(match):
        return [] if is_result(match) else _pictures_in(match)
    return [] if is_result(os.path.dirname(match)) else [match]


def result_name(source: str) -> str:
    """Return the name of a picture's folder: the file's name without its suffix, never a way out."""
    path = Path(source)
    return path.name if path.stem.strip(".") == "" else path.stem


def _pictures_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if _is_picture(entry)]
    except OSError as error:
        raise InputError(
            f"{folder}: is a folder that can't be read ({error.strerror}); change its permissions, or name "
            "the files in it"
        ) from error
    return sorted(os.path.join(folder, name) for name in found)


def _is_picture(entry: "os.DirEntry[str]") -> bool:
    is_shown = not entry.name.startswith(".")
    return is_shown and Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file()


def _check_distinct(jobs: Iterable[Job]) -> None:
    sources: dict[str, str] = {}
    for job in jobs:
        key = os.path.normcase(job.target)
        if key in sources:
            if sources[key] == job.source:
                raise OptionError(f"{job.source}: is given twice; give it once")
            raise OptionError(
                f"{sources[key]} and {job.source} would both be written to {job.target}; "
                "rename one, or give them in two runs with different output folders"
            )
        sources[key] = job.source


def read_options(page: int | None, limits: str | None, domain: str | None, max_pixels: int) -> Any:
    """Return what is asked of a picture's file, as `segmix.loading.load` takes it."""
    from segmix.imaging.reading import Reading

    ends = None if limits is None else parse_limits(limits)
    return Reading(page, ends, read_domain(domain, max_pixels=max_pixels), max_pixels)


def read_domain(path: str | None, *, max_pixels: int) -> Any:
    """Return True where the picture is not zero, or None for no path."""
    if path is None:
        return None
    from segmix.imaging.reading import read_domain as read

    if not path:
        raise OptionError("--domain must name a file, got ''; give for example mask.png")
    try:
        check_input(path)
        return read(path, max_pixels=max_pixels)
    except SegmixError as error:
        raise type(error)(f"--domain: {error}") from error
