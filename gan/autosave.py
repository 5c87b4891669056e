"""When to save: often enough that little is lost, rarely enough that training keeps 98 % of its time."""

import time

from gan.runs import RunStore
from gan.trainer import Trainer

MOST_SHARE = 0.02  # of training time


class Autosaver:
    """Saves one run now and then, in the thread that trains it.

    Args:
        interval: seconds of training between saves, so that a run whose turn it is not needs none; stretched
            where a save takes more than 2 % of it.
        owner: see RunStore.save.
    """

    def __init__(self, store: RunStore, run: str, interval: float, owner: str = "") -> None:
        self._store = store
        self._run = run
        self._owner = owner
        self._interval = interval
        self._wait = interval
        self._saved_at: float | None = None  # in seconds of training

    def save_if_due(self, trainer: Trainer) -> bool:
        """Save when the time has come; says whether it did. The first call only begins to count."""
        if self._saved_at is None:
            self._saved_at = trainer.seconds
        if trainer.seconds - self._saved_at < self._wait:
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
            self._store.save(self._run, trainer, self._owner)
        finally:
            self._saved_at = trainer.seconds
            self._wait = max(self._interval, (time.monotonic() - started) / MOST_SHARE)
