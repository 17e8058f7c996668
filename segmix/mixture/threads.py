"""Running one function on many items at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply a function that lets other threads run to every item; the results are in the items' order."""
    items = list(items)
    if len(items) == 1:
        return [function(items[0])]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(function, items))
