"""Tables: which column is read, and the line that a message names."""

from pathlib import Path

import numpy as np
import pytest

from segmix import fit, simulate_mixture
from segmix.errors import InputError, OptionError
from segmix.tables import read_samples, write_samples

LECTURE = ((0.25, 0.75), (100.0, 200.0), (20.0, 20.0))


@pytest.fixture
def table(tmp_path):
    """A function that writes a table and returns its path."""

    def write(text):
        (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "a.csv"

    return write


def test_a_table_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    samples = simulate_mixture(60, *LECTURE, rng=1)
    write_samples(tmp_path / "a.csv", samples)
    again = read_samples(tmp_path / "a.csv")
    np.testing.assert_array_equal(again.values, samples.values)
    assert again.truth == samples.truth
    assert again.source == str(tmp_path / "a.csv")
    assert (again.column, again.notes) == ("value", ())


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("1\n2.5\n-3e2\n", "1"),
        ("\ufeffvalue\n1\n2.5\n-300", "value"),
        ("id;value\nx;1\ny;2.5\nz;-300\n", "value"),
        ("first\tb\n1\tx\n2.5\t\n-300\t", "first"),
        ("# a comment\n\n1,x\n2.5,y\n-300,z\n", "1"),
        ("name\r1\r2.5\r-300", "name"),
        ('text,x\n"a\n,b",1\n"# no ""comment""",2.5\n,-300\n', "x"),
        ('"a;b",x\nu,1\nv,2.5\nw,-300\n', "x"),
        ("1,\n2.5,\n-300,\n", "1"),
    ],
)
def test_tables_of_many_kinds(table, text: str, column: str) -> None:
    path = table(text)
    samples = read_samples(path)
    assert samples.values.tolist() == [1, 2.5, -300]
    assert samples.column == column
    alone = not any(mark in text for mark in ",;\t")
    assert samples.notes == (
        () if alone else (f"took the column {column!r}; --column (column=) names another",)
    )


@pytest.mark.parametrize(
    ("text", "column", "note"),
    [
        (",intensity\n0,1\n1,2.5\n", "intensity", "took the column 'intensity'"),
        ("x,Values\n7,1\n9,2.5\n", "Values", "took the column 'Values'; --column (column=) names another"),
        (",ratio\n0,1\n1,2.5\n", "ratio", "left out the first column, which has no name and counts the rows"),
        ("Unnamed: 0,ratio\n1,1\n2,2.5\n", "ratio", "left out the first column"),
        ("red2\n1\n2.5\n", "red2", "line 1, 'red2', is taken for the column's name"),
    ],
)
def test_what_was_decided_is_told(table, text: str, column: str, note: str) -> None:
    samples = read_samples(table(text))
    assert samples.values.tolist() == [1, 2.5]
    assert samples.column == column
    assert samples.notes[0].startswith(note)


@pytest.mark.parametrize(
    ("text", "column", "name"),
    [
        ("x,y\n7,1\n9,2.5\n", "y", "y"),
        ("x,y\n7,1\n9,2.5\n", "2", "y"),
        ("7,1\n9,2.5\n", 2, "2"),
        ("x,488\n7,1\n9,2.5\n", "488", "488"),
        (",405,488\n0,7,1\n1,9,2.5\n", 3, "488"),
        ("1st,2nd\n7,1\n9,2.5\n", "2nd", "2nd"),
    ],
)
def test_a_column_can_be_named(table, text: str, column: str | int, name: str) -> None:
    samples = read_samples(table(text), column=column)
    assert samples.values.tolist() == [1, 2.5]
    assert (samples.column, samples.notes) == (name, ())


@pytest.mark.parametrize("column", ["z", 0, 3, "3", "-1", True, 1.5])
def test_columns_that_are_not_there(table, column: object) -> None:
    with pytest.raises(OptionError, match=r"must be one of .*a\.csv's: x, y, or a number from 1 to 2, got"):
        read_samples(table("x,y\n7,1\n"), column=column)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="is the name of several columns"):
        read_samples(table("x,x\n7,1\n"), column="x")
    with pytest.raises(OptionError, match=r"column \(--column\) is for tables"):
        fit([1.0, 2.0] * 9, column=column)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "holds no values; give a table"),
        ("value\n", "holds a header and no values; give one value a line"),
        ("value\n1\nabc\n", "line 3 holds 'abc' and not a number; mend or delete that line"),
        ("value\n1\n1_0\n", "line 3 holds '1_0' and not a number"),
        ("a,value\n1,2\n3\n", "line 3 holds 'nothing'"),
        ("1\n2\n\nnan\ninf\n", "line 4 holds 'nan', which is not finite; delete that line"),
        (b"\xff\xfe1\n", "is no text in UTF-8"),
        (b"1\n" * 5000 + b"\xff", "is no text in UTF-8"),
        ('x\n1\n"2\n3\n', r"line 3 is no row of a table \(unexpected end of data\); mend its quotes"),
        ('x\n1\n"2"3\n', "line 3 is no row of a table"),
        ("x\n1\n" + 200_000 * "1" + "\n", "line 3 is no row of a table"),
        ('x,y\n"a\nb",1\nc,2\nd,e\n', "line 5 holds 'e' and not a number"),
        ("1,5\n2,5\n100,1\n", r"2 columns hold numbers \(1, 2\); name one with --column.*decimal marks"),
        ("x;y\n1,5;a\n2,5;b\n", "line 2 holds '1,5' and not a number.*; write decimal marks as points"),
        ("x;y\nu;a\nv;b\n", "no column holds numbers, line 2 begins 'u'"),
        ("id;area\n1;12,5\n2;13,1\n3;20,2\n", r"2 columns hold numbers \(id, area\).*decimal marks"),
        ('id,area\n1,"12,5"\n2,"13,1"\n', r"2 columns hold numbers \(id, area\).*decimal marks"),
        ("id,area\n1,NA\n2,n/a\n3,5\n4,-\n", r"2 columns hold numbers \(id, area\); name one"),
        ("1.0 2.0\n3.0 4.0\n", "line 1 holds '1.0 2.0'.*; separate columns by commas, semicolons or tabs$"),
        ("x\n1\n" + 200 * "a" + "\n", f"line 3 holds '{57 * 'a'}...' and not a number"),
        ("x\n" + "1" + 200 * "a" + "\n2\n3\n", "line 2 holds '1a{56}...' and not a number"),
        ("1" + 200 * "a" + "\n2\n", "line 1 holds '1a{56}...', neither"),
        ("1,NA\n2,3\n4,5\n", r"2 columns hold numbers \(1, 2\); name one"),
        ("x\n1\n2,5\n", "line 3 has 2 cells where the first row has 1; mend that line, write decimal"),
        ("y;x\na;1\nb;2\nc;2,5\n", "line 4 holds '2,5' .*; write decimal marks as points"),
        ("area,mean\n1,5\n2,5\n", r"2 columns hold numbers \(area, mean\); name one with --column"),
        ("1o0\n2\n3\n", "line 1 holds '1o0', neither a number nor the name of a column; mend that line"),
        ("1o0,5\n2,6\n3,7\n", "line 1 holds '1o0', neither a number nor the name"),
        ("a;1,5\nb;2,5\n", "line 1 holds '1,5', .*; write decimal marks as points"),
    ],
)
def test_tables_that_cannot_be_used(table, data: str | bytes, message: str) -> None:
    path = table(data)
    with pytest.raises(InputError, match=message) as caught:
        read_samples(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_table_beyond_the_limit_is_refused_and_not_cut(table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segmix.tables.MAX_BYTES", 5)
    assert read_samples(table("1\n2\n3")).values.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="a table must have at most 5 bytes, got 6"):
        read_samples(table("1\n2\n3\n"))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.arange(9) * 1j, "of type complex128, not real numbers"),
        (np.arange(9).astype("datetime64[s]"), "not real numbers"),
        (np.arange(9).astype("timedelta64[s]"), "not real numbers"),
        (np.array(["1", "2"]), "not real numbers"),
        (np.zeros(9, [("a", float)]), "not real numbers"),
        (np.array([{}, 1], object), "not real numbers"),
        (np.zeros(0), "must be one row of values"),
    ],
)
def test_rows_in_npy_that_cannot_be_used(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=message) as caught:
        fit(tmp_path / "a.npy")
    assert str(caught.value).startswith(f"{tmp_path}/a.npy: ")


def test_a_row_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(900.0))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"a\.npy: the file is truncated, 7195 of 7200 bytes of numbers"):
        fit(path)
