"""When to save: often enough that little is lost, rarely enough that training keeps 98 % of its time."""

import time

from gan.runs import RunStore
from gan.trainer import Trainer

MOST_SHARE = 0.02  # of training time


class Autosaver:
    """Saves one run now and then, in the thread that trains it.

    Args:
        interval: seconds between saves; stretched where a save takes more than 2 % of it.
    """

    def __init__(self, store: RunStore, run: str, interval: float) -> None:
        self._store = store
        self._run = run
        self._interval = interval
        self._wait = interval
        self._last = time.monotonic()

    def save_if_due(self, trainer: Trainer) -> bool:
        """Save when the time has come; says whether it did."""
        if time.monotonic() - self._last < self._wait:
            return False
        self.save(trainer)
        return True

    def save(self, trainer: Trainer) -> None:
        """Save now.

        Raises:
            CheckpointError, TrainingError: as `RunStore.save`; the next attempt waits for its turn.
        """
        started = time.monotonic()
        try:
            self._store.save(self._run, trainer)
        finally:
            self._last = time.monotonic()
            self._wait = max(self._interval, (self._last - started) / MOST_SHARE)
