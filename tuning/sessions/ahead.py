"""Reading ahead: while one thing is worked on, a thread reads the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

I = TypeVar("I")  # noqa: E741 -- the field's letter for an input
L = TypeVar("L")


def read_ahead(items: Iterable[I], load: Callable[[I], L], *, n: int = 2) -> Iterator[tuple[I, Future[L]]]:
    """Each item in its order, with what ``load`` makes of it; up to ``n`` further ones are being read meanwhile.

    Not more are held than these, however many there are. ``result()`` of the future raises what ``load`` raised.
    """
    waiting: deque[tuple[I, Future[L]]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="reader")
    try:
        for item in items:
            waiting.append((item, pool.submit(load, item)))
            if len(waiting) > n:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
