"""Keeps the runs within the server's share of the disk."""

import logging
import time
from collections.abc import Callable

from gan.errors import GanError, RunError
from gan.runs import RunStore
from gan.visitors import Visitor, Visitors

log = logging.getLogger(__name__)

DAY = 24 * 3600.0
OWNERS_SHARE = 0.25  # of the disk, for the runs of one visitor
_MEGABYTE = 2**20


class Housekeeping:
    """Makes room for new runs.

    Args:
        most_megabytes: of everything in the store; 0 is no limit.
        held: whether a run trains, waits or is being saved; such a one stays, and so do bundled runs.
        deleted: told the name of every run that went.
    """

    def __init__(
        self,
        store: RunStore,
        visitors: Visitors,
        most_megabytes: int,
        held: Callable[[str], bool],
        deleted: Callable[[str], None],
    ) -> None:
        self._store = store
        self._visitors = visitors
        self._most = most_megabytes * _MEGABYTE
        self._held = held
        self._deleted = deleted

    def make_room(self, visitor: Visitor) -> None:
        """See that a visitor may save another run.

        Where there is too much, leftovers go first, then the oldest runs of owners who were not here for a
        day.

        Raises:
            RunError: there is still too much, or this visitor alone has too much.
        """
        if not self._most:
            return
        self._visitors.forget_absent(DAY)
        own = 0 if visitor.presenter else self._store.bytes_used(visitor.id)
        if own > OWNERS_SHARE * self._most:
            raise self._refusal("disk-share", own, OWNERS_SHARE * self._most)
        if self._fits():
            return
        self._store.remove_leftovers(self._held, DAY)
        for run in reversed(self._store.list()):  # newest first, bundled last
            if self._fits():
                return
            if not (run.bundled or self._held(run.name) or self._is_here(run.owner)):
                self._delete(run.name)
        if not self._fits():
            raise self._refusal("disk-full", self._store.bytes_used(), self._most)

    def _fits(self) -> bool:
        return self._store.bytes_used() <= self._most

    def _is_here(self, owner: str) -> bool:
        return time.time() - self._visitors.last_seen(owner) < DAY

    def _delete(self, run: str) -> None:
        try:
            self._store.delete(run)
        except GanError as error:
            log.warning("run %r could not make room: %s", run, error)
            return
        self._deleted(run)
        log.info("run %r: deleted to make room; its owner was not here for a day", run)

    @staticmethod
    def _refusal(key: str, used: float, allowed: float) -> RunError:
        return RunError(key, used=round(used / _MEGABYTE), allowed=round(allowed / _MEGABYTE))
