"""What is wanted of one run: noted by any thread at once, carried out by the training thread in its turn."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gan.errors import CheckpointError, GanError, RunError
from gan.snapshot import Snapshot, Status


@dataclass(frozen=True)
class Wanted:
    """What the training thread is to do next with a run."""

    status: Status
    step: bool  # a single one, of a paused run
    save: bool
    rates: tuple[float, float] | None  # lr_g, lr_d


class Orders:
    """The orders for one run and its newest snapshot, both guarded by `changed`.

    Args:
        changed: the worker's lock; notified whenever the training thread has something new to do.
        show: gives a snapshot its version and shows it to everybody; called with the lock held.
    """

    def __init__(
        self, first: Snapshot, changed: threading.Condition, show: Callable[[Snapshot], Snapshot]
    ) -> None:
        self._changed = changed
        self._show = show
        self._steps, self._save = 0, False
        self._rates: tuple[float, float] | None = None
        self._error: GanError | None = None
        self._taken: Status | None = None  # the status that the training thread has seen
        self._final = False
        self._paused_at = 0.0
        with changed:
            self.snapshot = show(first)

    @property
    def run(self) -> str:
        return self.snapshot.run

    @property
    def status(self) -> Status:
        return self.snapshot.status

    @property
    def final(self) -> bool:
        """Whether the server ends, and saving must not wait for anything."""
        return self._final

    # -- from any thread -----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop stepping; the run stays in memory. Raises RunError: it is not training."""
        with self._changed:
            self._require((Status.PREPARING, Status.TRAINING), "cannot-pause")
            self._paused_at = time.monotonic()
            self._announce(Status.PAUSED)

    def resume(self) -> None:
        """Go on stepping. Raises RunError: it is not paused."""
        with self._changed:
            self._require((Status.PAUSED,), "cannot-resume")
            self._announce(Status.TRAINING)

    def stop(self, because: GanError | None = None, final: bool = False) -> None:
        """Save the run and let it go; a run that has ended already stays as it is.

        Args:
            because: why, where nobody asked for it; shown with the run.
            final: also if it cannot be saved.
        """
        with self._changed:
            self._final = self._final or final
            if self.status.active:
                self._error = because or self._error
                self._announce(Status.STOPPED)

    def step(self) -> None:
        """Make a single step. Raises RunError: the run is not paused."""
        with self._changed:
            self._require((Status.PAUSED,), "cannot-step")
            self._steps += 1
            self._changed.notify_all()

    def save(self) -> None:
        """Save now."""
        with self._changed:
            self._save = True
            self._changed.notify_all()

    def set_learning_rates(self, lr_g: float, lr_d: float) -> None:
        """Change both rates from the next step on. Raises ConfigError: one is out of range."""
        with self._changed:
            self.snapshot.config.with_changes(lr_g=lr_g, lr_d=lr_d)
            self._rates = (lr_g, lr_d)
            self._changed.notify_all()

    def call_up(self) -> None:
        """A run that waits has got a seat."""
        with self._changed:
            if self.status is Status.WAITING:
                self._announce(Status.PREPARING)

    def _require(self, allowed: tuple[Status, ...], otherwise: str) -> None:
        if self.status not in allowed:
            raise RunError(otherwise, run=self.run, status=str(self.status))

    def _announce(self, status: Status) -> None:
        """Publish a new status at once, with the numbers known last. Call with the lock held."""
        self._publish(replace(self.snapshot, status=status, error=self._error))
        self._changed.notify_all()

    def _publish(self, snapshot: Snapshot) -> None:
        self.snapshot = self._show(snapshot)

    # -- for the worker, with the lock held ----------------------------------------------------------------

    @property
    def wants_turn(self) -> bool:
        """Whether the training thread has anything to do here."""
        if self.status is Status.WAITING:
            return False
        return self.status in (Status.PREPARING, Status.TRAINING) or self.urgent

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for something short: a pause, an end, a step, a save, new rates."""
        news = self.status is not self._taken and self.status not in (Status.PREPARING, Status.WAITING)
        return news or self._steps > 0 or self._save or self._rates is not None

    def paused_for(self) -> float:
        """Seconds since the run was paused; 0 if it is not."""
        return time.monotonic() - self._paused_at if self.status is Status.PAUSED else 0.0

    # -- from the training thread --------------------------------------------------------------------------

    def take(self) -> Wanted:
        """What is to be done now; each order is handed out once."""
        with self._changed:
            wanted = Wanted(self.status, self._steps > 0, self._save, self._rates)
            self._steps -= wanted.step
            self._save, self._rates, self._taken = False, None, self.status
            return wanted

    def begin(self) -> None:
        """The run is ready: it trains, unless somebody has paused or stopped it."""
        with self._changed:
            if self.status is Status.PREPARING:
                self._announce(Status.TRAINING)

    def finish(self) -> Status:
        """The run has reached its length, unless somebody stopped it at this very step."""
        with self._changed:
            if self.status is Status.TRAINING:
                self._announce(Status.FINISHED)
            return self.status

    def keep(self) -> Status:
        """The last save failed: the run stays, paused, so that it can be saved again; unless all must end."""
        with self._changed:
            if not self._final:
                self._paused_at = time.monotonic()
                self._announce(Status.PAUSED)
            return self.status

    def saved(self, error: CheckpointError | None = None) -> None:
        """Note how the last save went; shown with the next snapshot."""
        with self._changed:
            if error or isinstance(self._error, CheckpointError):
                self._error = error

    def fail(self, error: GanError) -> None:
        """End the run with a sentence."""
        with self._changed:
            self._error = error
            self._announce(Status.FAILED)

    def report(self, taken: Snapshot) -> None:
        """Publish new numbers; the status is the newest, whatever it was when they were taken."""
        with self._changed:
            now = self.snapshot
            self._publish(replace(taken, status=now.status, owner=now.owner, error=self._error))
