"""Changes of a posterior's file that its checksum does not find."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segmix.validity import seal_of


@contextmanager
def changed(path: Path) -> Iterator[Any]:
    """Yield the file, opened by h5netcdf to be written to; it gets a new seal, for HDF5 cuts off the old."""
    import h5netcdf

    with h5netcdf.File(path, "r+") as file:
        yield file
    seal(path)


def seal(path: Path) -> None:
    """Put a seal behind a file without one."""
    whole = path.read_bytes()
    path.write_bytes(whole + seal_of(memoryview(whole)))
