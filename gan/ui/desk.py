"""Where samples are drawn: one after the other, in a thread of its own, in turn for all who wait."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from gan.errors import RunError

T = TypeVar("T")

_MOST_WAITING = 4  # of one visitor: a page asks for one at a time, and may be open more than once
_REST = 0.5  # of the time that drawing took: what is left of that core is for the page and for training


class Desk:
    """Draws for many visitors with one thread, so that drawing takes less than a core.

    Whoever waits comes in turn, however many drawings the others want.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "drawing", initializer=torch.set_num_threads, initargs=(1,))
        self._lock = threading.Lock()
        self._lines: OrderedDict[str, deque[tuple[Callable[[], Any], Future[Any]]]] = OrderedDict()

    def draw(self, visitor_id: str, work: Callable[[], T]) -> Future[T]:
        """What `work` returns, once it is this visitor's turn.

        Raises:
            RunError: too many drawings of this visitor wait already.
        """
        future: Future[T] = Future()
        with self._lock:
            line = self._lines.setdefault(visitor_id, deque())
            if len(line) >= _MOST_WAITING:
                raise RunError("too-many-requests", allowed=f"{_MOST_WAITING} at a time")
            line.append((work, future))
        self._thread.submit(self._draw_next)
        return future

    def _draw_next(self) -> None:
        with self._lock:
            visitor_id, line = self._lines.popitem(last=False)
            work, future = line.popleft()
            if line:
                self._lines[visitor_id] = line  # behind all others
        if not future.set_running_or_notify_cancel():
            return
        began = time.perf_counter()
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 (it is for whoever waits)
            future.set_exception(error)
        time.sleep(_REST * (time.perf_counter() - began))
