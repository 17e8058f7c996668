"""Targets that appear whole or not at all.

A folder or file is written beside its target under a hidden name, brought to the disk, and renamed. Whatever
stops the work before that leaves the target as it was.
"""

import errno
import os
import secrets
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError
from .targets import PathLike, check_file, check_replaceable, check_target, is_cut_short, unwritable

_LONGEST_NAME = 200  # bytes of the target's name in the temporary one; file systems allow 255 in all


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
        An empty folder named ``.<name>.segmix-<hex>.tmp`` in the target's parent.

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
        An empty file named ``.<name>.segmix-<hex>.tmp`` in the target's parent.

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
        if is_cut_short(error.__cause__):  # NumPy, which tells no reason
            raise unwritable(target, error.__cause__) from error
        said = str(error).replace(str(temporary), str(target))
        raise OutputError(said.replace(str(temporary.with_suffix(".old")), str(target))) from error
    except OSError as error:
        raise unwritable(target, error) from error
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
            check_replaceable(aside, keep)  # what was moved is what was looked at
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
