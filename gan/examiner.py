"""When the judge looks at a run that trains: often enough to see it learn, rarely enough not to slow it."""

import time

from gan.judge import report
from gan.snapshot import Snapshot
from gan.trainer import Trainer

MOST_SHARE = 0.03  # of training time
INTERVAL = 2.0  # seconds of training between looks, at least


class Examiner:
    """Lets the judge look at one run now and then, in the thread that trains it."""

    def __init__(self) -> None:
        self._due = 0.5  # seconds of training; the first look comes early
        self._seen = 0  # the step of the last look

    def look_if_due(self, snapshot: Snapshot, trainer: Trainer) -> bool:
        """Look at the snapshot's generator, note the result in the trainer; says whether it did."""
        return bool(trainer.seconds >= self._due) and self._look(snapshot, trainer)

    def look_at_last(self, snapshot: Snapshot, trainer: Trainer) -> bool:
        """The same for a run that rests: without waiting, but no digits twice."""
        return snapshot.steps != self._seen and self._look(snapshot, trainer)

    def _look(self, snapshot: Snapshot, trainer: Trainer) -> bool:
        if snapshot.config.dataset != report.DATASET or snapshot.networks is None:
            return False
        if not snapshot.steps or not report.ready():
            return False
        self._seen = snapshot.steps
        started = time.perf_counter()
        found = report.look(snapshot.networks)
        cost = time.perf_counter() - started
        trainer.add_look(found.distance, found.noise, found.confidence, found.shares)
        self._due = trainer.seconds + max(INTERVAL, cost / MOST_SHARE)
        return True
