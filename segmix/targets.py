"""What may be written, and what must not be touched: looked at before any work is done."""

import errno
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

from .errors import OptionError, OutputError

SUMMARY = "summary.json"
PathLike = str | os.PathLike[str]


def check_target(target: PathLike, *, overwrite: bool = False, keep: Sequence[PathLike] = ()) -> None:
    """Refuse a folder that could not be written, before any work is done for it.

    Parameters
    ----------
    target : path
        The folder to be written. Missing parents are made later.
    overwrite : bool
        Whether the folder may stand already. It must then be empty or an earlier result, holding nothing but
        the files that its ``summary.json`` lists, so that nothing else is ever deleted.
    keep : sequence of paths
        Files that must survive, such as the input; a target that holds one of them is refused.

    Raises
    ------
    OutputError
        If the folder stands and may not be replaced, isn't a folder, or its parent can't be written.
    """
    target = _named(target)
    check_place(target.parent)
    found = _status(target)
    if found is None:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{target}: is {_kind(found)}, not a folder; choose another folder")
    if not overwrite:
        raise OutputError(
            f"{target}: exists already; choose another folder, or replace it by --overwrite (overwrite=True)"
        )
    check_replaceable(target, keep)


def check_file(target: PathLike, *, overwrite: bool = False, keep: Sequence[PathLike] = ()) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Parameters
    ----------
    target : path
        The file to be written. Missing parents are made later.
    overwrite : bool
        Whether a regular file may stand there already.
    keep : sequence of paths
        Files that must survive, such as the input; a target that is one of them is refused.

    Raises
    ------
    OutputError
        If the file stands and may not be replaced, isn't a regular file, or its parent can't be written.
    """
    target = _named(target)
    check_place(target.parent)
    found = _status(target)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise OutputError(f"{target}: is {_kind(found)}, not a file; choose another name")
    if found is not None and not overwrite:
        raise OutputError(
            f"{target}: exists already; choose another name, or replace it by --overwrite (overwrite=True)"
        )
    for path in keep:
        if os.path.exists(path) and os.path.exists(target) and os.path.samefile(path, target):
            raise OutputError(
                f"{target}: is the input {os.fspath(path)}, which must stay; choose another name"
            )


def check_place(folder: PathLike) -> None:
    """Refuse a folder in which nothing can be written, or that can't be made.

    Parameters
    ----------
    folder : path
        The folder; it and its parents may be missing.

    Raises
    ------
    OutputError
        If it, or the nearest parent that stands, isn't a folder or may not be written to.
    """
    folder = Path(folder)
    standing = next(place for place in (folder, *folder.parents) if _status(place) is not None)
    if not standing.is_dir():
        raise OutputError(f"{folder}: {standing} is not a folder; choose another place")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: the folder {standing} can't be written to; choose another place")


def _named(target: PathLike) -> Path:
    if not isinstance(target, str | os.PathLike):
        raise OptionError(f"target must be a path, got {target!r}; give for example 'out'")
    path = Path(target)
    if path.name in ("", ".."):
        raise OutputError(f"{path}: has no name of its own; name a new folder or file, such as out")
    return path


def check_replaceable(target: Path, keep: Sequence[PathLike]) -> None:
    """Refuse a folder that is no earlier result, or holds anything else."""
    if not os.access(target, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: can't be replaced, because it may not be written to; change its mode")
    if any(target.iterdir()) and not is_result(target):
        raise OutputError(
            f"{target}: can't be replaced, because segmix did not write it (it has no {SUMMARY} of ours); "
            "choose another folder"
        )
    inside = os.path.realpath(target)
    for path in filter(os.path.lexists, keep):  # else it is a word, such as auto, or "array"
        if os.path.realpath(path).startswith(os.path.join(inside, "")):
            raise OutputError(
                f"{target}: holds {os.fspath(path)}, which replacing it would delete; choose another folder"
            )
    added = sorted({entry.name for entry in target.iterdir()} - _files_of(target))
    if added:
        raise OutputError(
            f"{target}: holds {added[0]}, which segmix did not write and replacing it would delete; "
            "move that away, or choose another folder"
        )


def is_result(folder: PathLike) -> bool:
    """Return whether the folder holds the summary of a segmix result."""
    return bool(_files_of(folder))


def _files_of(folder: PathLike) -> set[str]:
    """Return the files that a result's summary lists; none where it is no result."""
    try:
        summary = json.loads(Path(folder, SUMMARY).read_bytes())
    except (OSError, ValueError):
        return set()
    summary = summary if isinstance(summary, dict) else {}
    versions, files = summary.get("versions"), summary.get("files")
    if not isinstance(versions, dict) or "segmix" not in versions:
        return set()
    return {SUMMARY, *map(str, files)} if isinstance(files, list) else {SUMMARY}


def _status(path: Path) -> os.stat_result | None:
    """Return what stands at the path, links not followed, or None."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None  # the parents' check names the file in the way
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error


def _kind(found: os.stat_result) -> str:
    names = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFREG: "a file", stat.S_IFIFO: "a pipe"}
    return names.get(stat.S_IFMT(found.st_mode), "a device")


def is_cut_short(error: BaseException | None) -> TypeGuard[OSError]:
    """Return whether NumPy could write but a part of an array, of which it says how much but not why."""
    return isinstance(error, OSError) and error.errno is None and " requested and " in str(error)


def unwritable(target: Path, error: OSError | ValueError) -> OutputError:
    """Make the error that says why a target can't be written."""
    if is_cut_short(error):
        return OutputError(
            f"{target}: can't be written (only a part went onto the disk, which is full, or a limit was "
            "reached); make room on the disk"
        )
    reason = getattr(error, "strerror", None) or str(error)
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    remedy = "make room on the disk" if full else "choose another place"
    return OutputError(f"{target}: can't be written ({reason}); {remedy}")
