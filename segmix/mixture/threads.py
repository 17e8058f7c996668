"""Running functions on many items at once, or where an interruption can still be heard."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Thread
from typing import Any, TypeVar

LITTLE = 1_000_000  # elementary densities; a thread that has no more spends its time waiting for the others

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, work: float = math.inf
) -> list[Result]:
    """Apply a function that lets other threads run to every item; the results are in the items' order.

    ``work`` is what one item costs, in densities of one class at one level: little work is done here, one
    item after the other, which is sooner than to start threads.
    """
    items = list(items)
    if len(items) == 1 or work <= LITTLE:
        return [function(item) for item in items]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(function, items))


def to_the_end(function: Callable[[Item], Result], items: Iterable[Item]) -> tuple[list[Result], bool]:
    """Apply a function to every item as in threads; Ctrl-C is heard but does not keep any from its end.

    Returns
    -------
    results : list
        In the items' order.
    interrupted : bool
        Whether Ctrl-C was heard, which is for the caller to pass on.
    """
    answer, interrupted = _begin(in_threads, function, items), False
    while True:
        try:
            wait([answer])
            return answer.result(), interrupted
        except KeyboardInterrupt:
            interrupted = True


def in_background(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in another thread and wait; Ctrl-C ends the waiting, whatever the function does."""
    return _begin(function, *arguments).result()


def _begin(function: Callable[..., Result], *arguments: Any) -> "Future[Result]":
    """Call a function in another thread, which does not keep the interpreter from its end."""
    answer: Future[Result] = Future()

    def work() -> None:
        try:
            answer.set_result(function(*arguments))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=work, daemon=True).start()
    return answer
