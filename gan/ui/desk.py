"""Where samples are drawn: one after the other, in a thread of its own, nobody's twice while others wait."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from gan.errors import RunError

T = TypeVar("T")

_MOST_PENDING = 4  # of one visitor: a page asks for one at a time, and may be open more than once


class Desk:
    """Draws for many visitors with one thread, so that drawing takes one core at most.

    First come, first served; since nobody may have more than a few waiting, that is fair.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "drawing", initializer=torch.set_num_threads, initargs=(1,))
        self._pending: Counter[str] = Counter()

    async def draw(self, visitor_id: str, work: Callable[[], T]) -> T:
        """What `work` returns.

        Raises:
            RunError: this visitor has too many waiting.
        """
        if self._pending[visitor_id] >= _MOST_PENDING:
            raise RunError("too-many-requests", allowed=f"{_MOST_PENDING} at a time")
        self._pending[visitor_id] += 1
        try:
            return await asyncio.wrap_future(self._thread.submit(work))
        finally:
            self._pending[visitor_id] -= 1
            if not self._pending[visitor_id]:
                del self._pending[visitor_id]
