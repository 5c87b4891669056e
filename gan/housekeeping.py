"""Keeps the runs within the server's share of the disk."""

import logging
import time
from collections.abc import Callable

from gan.errors import GanError, RunError
from gan.runs import RunStore

log = logging.getLogger(__name__)

DAY = 24 * 3600.0
_MEGABYTE = 2**20


def make_room(
    store: RunStore, most_megabytes: int, held: Callable[[str], bool], last_seen: Callable[[str], float]
) -> None:
    """Delete the oldest runs of owners who were not here for a day until the limit is kept.

    Args:
        most_megabytes: 0 is no limit.
        held: whether a run trains, waits or is being saved; such a one stays, and so do bundled runs.
        last_seen: when a visitor was here last, in seconds since the epoch.

    Raises:
        RunError: it is still too much.
    """
    if not most_megabytes or store.bytes_used() < most_megabytes * _MEGABYTE:
        return
    for run in reversed(store.list()):  # newest first, bundled last
        if run.bundled or held(run.name) or time.time() - last_seen(run.owner) < DAY:
            continue
        try:
            store.delete(run.name)
        except GanError as error:
            log.warning("run %r could not make room: %s", run.name, error)
            continue
        log.info("run %r: deleted to make room; its owner was not here for a day", run.name)
        if store.bytes_used() < most_megabytes * _MEGABYTE:
            return
    raise RunError("disk-full", used=store.bytes_used() // _MEGABYTE, allowed=most_megabytes)
