"""Targets that appear whole or not at all.

A folder or file is written beside its target under a hidden name, brought to the disk, and renamed. Whatever
stops the work before that leaves the target as it was.
"""

import errno
import json
import os
import secrets
import shutil
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import OptionError, OutputError

SUMMARY = "summary.json"
_LONGEST_NAME = 200  # bytes of the target's name in the temporary one; file systems allow 255 in all
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
    _check_replaceable(target, keep)


def check_file(target: PathLike, *, overwrite: bool = False) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Parameters
    ----------
    target : path
        The file to be written. Missing parents are made later.
    overwrite : bool
        Whether a regular file may stand there already.

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


@contextmanager
def staged_folder(
    target: PathLike, *, overwrite: bool = False, keep: Sequence[PathLike] = ()
) -> Iterator[Path]:
    """Fill a temporary folder that becomes the target when the ``with`` block ends without an exception.

    Parameters
    ----------
    target, overwrite, keep
        As in `check_target`, which is called first.

    Yields
    ------
    Path
        An empty folder named ``.<name>.segmix-XXXXXXXX.tmp`` in the target's parent.

    Raises
    ------
    OutputError
        If the target is refused, or an OSError (a full disk, say) comes up inside the block.
    """
    check_target(target, overwrite=overwrite, keep=keep)
    with _staged(Path(target)) as temporary:
        temporary.mkdir()
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                _sync(Path(folder, name))
            _sync(Path(folder))
        check_target(target, overwrite=overwrite, keep=keep)  # again: it may have come up meanwhile
        if overwrite:
            _replace_folder(temporary, Path(target), keep)
        else:
            os.rename(temporary, target)  # fails where a folder that holds something has come up


@contextmanager
def staged_file(target: PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a temporary file that becomes the target when the ``with`` block ends without an exception.

    Parameters
    ----------
    target, overwrite
        As in `check_file`, which is called first.

    Yields
    ------
    Path
        An empty file named ``.<name>.segmix-XXXXXXXX.tmp`` in the target's parent.

    Raises
    ------
    OutputError
        If the target is refused, or an OSError (a full disk, say) comes up inside the block.
    """
    check_file(target, overwrite=overwrite)
    with _staged(Path(target)) as temporary:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _sync(temporary)
        if overwrite:
            check_file(target, overwrite=True)  # again: a pipe or a device may have come up meanwhile
            os.replace(temporary, target)
        else:
            _put_new_file(temporary, Path(target))


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Name the temporary, make the parents, and undo both when the work fails."""
    temporary = target.with_name(f".{_shortened(target.name)}.segmix-{secrets.token_hex(4)}.tmp")
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(target.parent)
        made = []
    except OutputError as error:
        said = str(error).replace(str(temporary), str(target))
        raise OutputError(said.replace(str(temporary.with_suffix(".old")), str(target))) from error
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        _remove(temporary)
        for parent in made:
            try:
                parent.rmdir()
            except OSError:
                break


def _replace_folder(temporary: Path, target: Path, keep: Sequence[PathLike]) -> None:
    """Rename the temporary folder to the target; an old target is moved aside first and then deleted."""
    aside = temporary.with_suffix(".old")
    try:
        if target.exists():
            os.rename(target, aside)
            _check_replaceable(aside, keep)  # what was moved is what was looked at
        os.rename(temporary, target)
    finally:
        if aside.exists() and not target.exists():
            os.rename(aside, target)
        _remove(aside)
        if aside.exists():
            warnings.warn(
                f"{target}: the earlier result could not be deleted whole, see {aside}", stacklevel=5
            )


def _put_new_file(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)  # unlike a rename, fails where the target has come up meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        check_file(target)
        os.rename(temporary, target)


def _named(target: PathLike) -> Path:
    if not isinstance(target, str | os.PathLike):
        raise OptionError(f"target must be a path, got {target!r}; give for example 'out'")
    path = Path(target)
    if path.name in ("", ".."):
        raise OutputError(f"{path}: has no name of its own; name a new folder or file, such as out")
    return path


def _check_replaceable(target: Path, keep: Sequence[PathLike]) -> None:
    if not os.access(target, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: can't be replaced, because it may not be written to; change its mode")
    if any(target.iterdir()) and not is_result(target):
        raise OutputError(
            f"{target}: can't be replaced, because segmix did not write it (it has no {SUMMARY} of ours); "
            "choose another folder"
        )
    inside = os.path.realpath(target)
    for path in keep:
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
        raise _unwritable(path, error) from error


def _kind(found: os.stat_result) -> str:
    names = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFREG: "a file", stat.S_IFIFO: "a pipe"}
    return names.get(stat.S_IFMT(found.st_mode), "a device")


def _unwritable(target: Path, error: OSError | ValueError) -> OutputError:
    reason = getattr(error, "strerror", None) or str(error)
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    remedy = "make room on the disk" if full else "choose another place"
    return OutputError(f"{target}: can't be written ({reason}); {remedy}")


def _shortened(name: str) -> str:
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    return name


def _sync(path: Path) -> None:
    """Bring a file or a folder's entries to the disk; some systems can't do the latter, and needn't."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Delete a temporary file or folder, also when a second Ctrl-C comes in between."""
    try:
        _delete(path)
    except KeyboardInterrupt:
        _delete(path)
        raise


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
