"""Tables of numbers: which column is meant, and the line where something is wrong."""

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from .errors import InputError, OptionError
from .imaging.guard import open_regular, shown
from .samples import Samples, Truth, checked_truth

Row = tuple[int, list[str]]

MAX_BYTES = 1 << 30
TABLES = (".csv", ".tsv", ".txt")
TRUTH = "# segmix mixture "
NAMES = ("value", "values", "intensity")
MISSING = ("na", "n/a", "null", "none", "-", "?", "")  # nan is a number, if no finite one
LONGEST = 60  # characters of a cell that a message shows
HEAD = 1000  # rows by which a column is told to be numbers, or to count the rows


class Head(NamedTuple):
    """The beginning of a table: its path, the names of its columns or None, how many, and the first rows."""

    path: str
    names: list[str] | None
    width: int
    rows: list[Row]

    def called(self, place: int) -> str:
        """Name a column, or give its number from 1."""
        return (self.names[place] if self.names else "") or str(place + 1)


def read_samples(path: str | os.PathLike[str], *, column: str | int | None = None) -> Samples:
    """Read a column of a table (.csv, .tsv or .txt); # begins a comment.

    Parameters
    ----------
    path : path
    column : str or int, optional
        A name in the first line, or a number from 1. By default the only column of numbers, or of several the
        one called value, values or intensity; a first column without a name that counts the rows is no value.

    Returns
    -------
    Samples
        With the truth that ``write_samples`` put into the first line, and notes on which column was taken.

    Raises
    ------
    InputError
        If the file cannot be used, or several columns may be meant; the message names the line or them.
    OptionError
        If there is no such column.
    """
    name = shown(path)
    try:
        file = open_regular(path)
    except InputError as error:
        raise InputError(f"{name}: {str(error).replace('picture', 'table')}") from None
    with io.TextIOWrapper(file, "utf-8-sig") as lines:
        size = os.fstat(lines.fileno()).st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{name}: a table must have at most {MAX_BYTES} bytes, got {size}; save it as .npy"
            )
        try:
            return _read(name, os.fsdecode(os.fspath(path)), lines, column)
        except UnicodeDecodeError:
            raise InputError(f"{name}: is no text in UTF-8; save the table as CSV") from None


def _read(name: str, source: str, lines: Iterator[str], column: str | int | None) -> Samples:
    first = list(islice(lines, 1))
    rows = _rows(name, chain(first, lines))
    head, notes = _head(name, rows, column)
    place, note = _place(head, column)
    numbers = _numbers(head, chain(head.rows, rows), place)
    values = np.fromiter(numbers, np.float64)
    return Samples(values, None, _truth_in(first), source, head.called(place), (*notes, *note))


def _rows(path: str, lines: Iterable[str]) -> Iterator[Row]:
    """Every row that holds something, with the line on which it begins; comments are left out."""
    lines = ("\n" if line.startswith("#") else line for line in lines)
    skipped = list(_until_filled(lines))
    begun = re.sub('"[^"]*"', "", skipped[-1]) if skipped else ""
    delimiter = next((mark for mark in "\t;," if mark in begun), ",")
    reader = csv.reader(chain(skipped, lines), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}: line {line} is no row of a table ({error}); mend its quotes") from None
        if any(cells):
            yield line, cells


def _until_filled(lines: Iterable[str]) -> Iterator[str]:
    """The lines up to the first that holds something, and that one."""
    for line in lines:
        yield line
        if line.strip():
            return


def _head(path: str, rows: Iterator[Row], column: str | int | None) -> tuple[Head, tuple[str, ...]]:
    """The table's beginning, and what was decided about its first line."""
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path}: holds no values; give a table with one value a line")
    (line, cells), below = first, list(islice(rows, HEAD))
    if any(map(_is_number, cells)) and not _names_columns(cells, below):
        return Head(path, None, len(cells), [first, *below]), ()
    odd = [cell for cell in cells if re.match(r"[+\-]?[.,]?\d", cell) and not _is_number(cell)]
    if odd and column not in cells:
        raise InputError(
            f"{path}: line {line} holds {_cut(odd[0])}, neither a number nor the name of a column; "
            f"mend that line{_remedy(odd[0])}"
        )
    head = Head(path, cells, len(cells), below)
    if not below:
        raise InputError(f"{path}: holds a header and no values; give one value a line")
    doubtful = len(cells) == 1 and re.search(r"\d", cells[0])
    return head, (f"line {line}, {cells[0]!r}, is taken for the column's name",) if doubtful else ()


def _names_columns(cells: list[str], below: list[Row]) -> bool:
    """Whether a row that holds numbers is one of names: another cell stands over numbers, or over a count."""
    text = [place for place, cell in enumerate(cells) if not _is_missing(cell) and not _is_number(cell)]
    return any(_holds_numbers(below, place) for place in text) or (not cells[0] and _counts(below))


def _place(head: Head, column: str | int | None) -> tuple[int, tuple[str, ...]]:
    """The place of the column that is meant, from 0, and notes where there are others."""
    if column is not None:
        return _place_of(head, column), ()
    numeric = [place for place in range(head.width) if _holds_numbers(head.rows, place)]
    by_name = [place for place, name in enumerate(head.names or ()) if name.casefold() in NAMES]
    if len(by_name) == 1:
        return by_name[0], _taken(head, by_name[0])
    notes: tuple[str, ...] = ()
    unnamed = head.names and (not head.names[0] or head.names[0].lower().startswith("unnamed:"))
    if unnamed and _counts(head.rows):
        numeric.remove(0)
        notes = ("left out the first column, which has no name and counts the rows",)
    if len(numeric) > 1:
        raise InputError(_ambiguous(head, numeric))
    if not numeric and head.width > 1:
        line, cells = head.rows[0]
        raise InputError(
            f"{head.path}: no column holds numbers, line {line} begins {_cut(cells[0])}; mend it"
        )
    place = (numeric or [0])[0]
    return place, notes + _taken(head, place)


def _taken(head: Head, place: int) -> tuple[str, ...]:
    """A note on the column that was taken, unless it is alone or beside its labels only."""
    others = [
        name for name in map(head.called, range(head.width)) if name not in ("label", head.called(place))
    ]
    return (f"took the column {head.called(place)!r}; --column (column=) names another",) if others else ()


def _ambiguous(head: Head, numeric: list[int]) -> str:
    """Say which columns may be meant, and that points would tell where commas may be decimal marks."""
    listed = ", ".join(map(head.called, numeric))
    decimal = any(_decimal_remedy(cell) for _, cells in head.rows for cell in cells)
    points = "" if head.names and not decimal else "; if commas are decimal marks, write points"
    return (
        f"{head.path}: {len(numeric)} columns hold numbers ({listed}); "
        f"name one with --column NAME or NUMBER (column=){points}"
    )


def _place_of(head: Head, column: str | int) -> int:
    """The place of a column that was named or numbered."""
    names = head.names or []
    if names.count(str(column)) == 1:
        return names.index(str(column))
    if names.count(str(column)) > 1:
        raise OptionError(f"column {column!r} is the name of several columns of {head.path}; give its number")
    number = int(column) if str(column).isdecimal() else 0
    if not 1 <= number <= head.width or isinstance(column, bool):
        known = f"{', '.join(names)}, or " if names else ""
        raise OptionError(
            f"column (--column) must be one of {head.path}'s: {known}a number from 1 to {head.width}, "
            f"got {column!r}; name one"
        )
    return number - 1


def _holds_numbers(rows: list[Row], place: int) -> bool:
    """Whether most cells of a column, missing values aside, are numbers, also with decimal commas."""
    cells = [cells[place] for _, cells in rows if len(cells) > place and not _is_missing(cells[place])]
    return 2 * sum(_is_number(cell) or bool(_decimal_remedy(cell)) for cell in cells) > len(cells)


def _is_missing(cell: str) -> bool:
    return cell.casefold() in MISSING


def _counts(rows: list[Row]) -> bool:
    """Whether the first column counts the rows, 0, 1, 2, ... or 1, 2, 3, ..., as pandas writes them."""
    cells = [cells[0] for _, cells in rows]
    return bool(cells) and any(cells == [str(begin + i) for i in range(len(cells))] for begin in (0, 1))


def _numbers(head: Head, rows: Iterable[Row], place: int) -> Iterator[float]:
    """The numbers of a column; what is none is named by its line."""
    for line, cells in rows:
        cell = cells[place] if len(cells) > place else ""
        if any(cells[head.width :]):
            problem = f"has {len(cells)} cells where the first row has {head.width}; mend that line"
            remedy = ", write decimal marks as points, and quote text with delimiters"
        elif not _is_number(cell):
            problem, remedy = (
                f"holds {_cut(cell or 'nothing')} and not a number",
                "; mend or delete that line",
            )
            remedy += _remedy(cell)
        elif not np.isfinite(float(cell)):
            problem, remedy = f"holds {_cut(cell)}, which is not finite", "; delete that line"
        else:
            yield float(cell)
            continue
        raise InputError(f"{head.path}: line {line} {problem}{remedy}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _decimal_remedy(cell: str) -> str:
    return "; write decimal marks as points" if re.fullmatch(r"[+\-]?\d*,\d+", cell) else ""


def _remedy(cell: str) -> str:
    """What to do about a cell that is no number."""
    several = len(cell.split()) > 1 and all(map(_is_number, cell.split()))
    return "; separate columns by commas, semicolons or tabs" if several else _decimal_remedy(cell)


def _cut(cell: str) -> str:
    return repr(cell if len(cell) <= LONGEST else cell[: LONGEST - 3] + "...")


def _truth_in(first: list[str]) -> Truth | None:
    if not first or not first[0].startswith(TRUTH):
        return None
    try:
        return checked_truth(**json.loads(first[0].removeprefix(TRUTH)))
    except (ValueError, TypeError):
        return None


def write_samples(path: str | os.PathLike[str], samples: Samples) -> None:
    """Write a table with the columns value and label, the truth in its first line; floats lose no digit."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        if samples.truth is not None:
            file.write(TRUTH + json.dumps(samples.truth._asdict()) + "\n")
        labels = samples.labels
        file.write("value\n" if labels is None else "value,label\n")
        for i, value in enumerate(samples.values.tolist()):
            file.write(f"{value!r}\n" if labels is None else f"{value!r},{labels[i]}\n")
