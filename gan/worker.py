"""The background thread: trains, obeys between steps, saves, and publishes snapshots.

Any thread may give orders; they are noted under one lock and answered at once, and the training thread
carries them out between two steps. What it learned it publishes as an immutable Snapshot, by one assignment.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from gan.autosave import Autosaver
from gan.config import RunConfig
from gan.errors import CheckpointError, GanError, RunError, TrainingError, reason_of
from gan.examiner import Examiner
from gan.runs import RunStore
from gan.snapshot import Snapshot, Status, take_snapshot
from gan.trainer import Trainer

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 0.5


@dataclass
class _Orders:
    """What is wanted of the run the thread holds; guarded by the worker's lock."""

    run: str
    prepare: Callable[[], Trainer]
    release: Callable[[], None]
    snapshot: Snapshot
    single_steps: int = 0
    save: bool = False
    rates: tuple[float, float] | None = None
    error: GanError | None = None

    @property
    def status(self) -> Status:
        return self.snapshot.status


class Worker:
    """Owns the training thread.

    Args:
        autosave_seconds: see Autosaver.
        threads: torch's threads for training.
        on_saved: called in the training thread after a checkpoint was written.
    """

    def __init__(
        self, store: RunStore, autosave_seconds: float, threads: int, on_saved: Callable[[], None]
    ) -> None:
        self._store = store
        self._autosave_seconds = autosave_seconds
        self._threads = threads
        self._on_saved = on_saved
        self._changed = threading.Condition()
        self._queue: deque[_Orders] = deque()
        self._version = 0
        self._closing = False
        self.snapshot: Snapshot | None = None  # of the run that is active, or was last
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)
        self._thread.start()

    # -- orders, from any thread ---------------------------------------------------------------------------

    def take(
        self,
        run: str,
        config: RunConfig,
        prepare: Callable[[], Trainer],
        release: Callable[[], None],
        paused: bool = False,
    ) -> None:
        """Begin with a run; `prepare` makes its trainer and `release` lets go, in the training thread.

        Raises:
            RunError: another run is active.
        """
        with self._changed:
            active = self._active()
            if active is not None:
                raise RunError("already-training", run=active.run)
            status = Status.PAUSED if paused else Status.PREPARING
            orders = _Orders(run, prepare, release, Snapshot(0, run, status, config))
            self._queue.append(orders)
            self._announce(orders, status)

    def pause(self) -> None:
        """Stop stepping; the run stays in memory.

        Raises:
            RunError: no run is training.
        """
        with self._changed:
            orders = self._require((Status.PREPARING, Status.TRAINING), "cannot-pause")
            self._announce(orders, Status.PAUSED)

    def resume(self) -> None:
        """Go on stepping.

        Raises:
            RunError: no run is paused.
        """
        with self._changed:
            self._announce(self._require((Status.PAUSED,), "cannot-resume"), Status.TRAINING)

    def stop(self) -> None:
        """Save the run and let it go.

        Raises:
            RunError: no run is active.
        """
        with self._changed:
            self._announce(self._require_active(), Status.STOPPED)

    def step(self) -> None:
        """Make a single step of a paused run.

        Raises:
            RunError: no run is paused.
        """
        with self._changed:
            self._require((Status.PAUSED,), "cannot-step").single_steps += 1
            self._changed.notify_all()

    def save(self) -> None:
        """Save the active run now.

        Raises:
            RunError: no run is active.
        """
        with self._changed:
            self._require_active().save = True
            self._changed.notify_all()

    def set_learning_rates(self, lr_g: float, lr_d: float) -> None:
        """Change both learning rates of the active run from its next step on.

        Raises:
            RunError: no run is active. ConfigError: a rate is out of range.
        """
        with self._changed:
            orders = self._require_active()
            orders.snapshot.config.with_changes(lr_g=lr_g, lr_d=lr_d)
            orders.rates = (lr_g, lr_d)
            self._changed.notify_all()

    def holds(self, run: str) -> bool:
        """Whether the thread has this run, if only to save it."""
        with self._changed:
            return any(orders.run == run for orders in self._queue)

    def forget(self, run: str) -> None:
        """Show nothing of a run any more that was deleted; it must not be held."""
        with self._changed:
            if self.snapshot and self.snapshot.run == run:
                self._version += 1
                self.snapshot = None

    def renamed(self, run: str, new_name: str) -> None:
        """Show a run under its new name; it must not be held."""
        with self._changed:
            last = self.snapshot
            if last and last.run == run:
                self._version += 1
                networks = replace(last.networks, run=new_name) if last.networks else None
                self.snapshot = replace(last, version=self._version, run=new_name, networks=networks)

    def close(self, timeout: float) -> bool:
        """Save what trains and end the thread; False if that took longer than `timeout` seconds."""
        with self._changed:
            self._closing = True
            active = self._active()
            if active is not None:
                self._announce(active, Status.STOPPED)
            self._changed.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _active(self) -> _Orders | None:
        return next((orders for orders in self._queue if orders.status.active), None)

    def _require_active(self) -> _Orders:
        orders = self._active()
        if orders is None:
            raise RunError("nothing-active")
        return orders

    def _require(self, allowed: tuple[Status, ...], otherwise: str) -> _Orders:
        orders = self._require_active()
        if orders.status not in allowed:
            raise RunError(otherwise, run=orders.run, status=str(orders.status))
        return orders

    def _announce(self, orders: _Orders, status: Status) -> None:
        """Publish a new status of a run at once, with the numbers known last. Call with the lock held."""
        self._publish(orders, replace(orders.snapshot, status=status))
        self._changed.notify_all()

    def _publish(self, orders: _Orders, snapshot: Snapshot) -> None:
        self._version += 1
        orders.snapshot = replace(snapshot, version=self._version, error=orders.error)
        if orders is self._queue[-1]:  # a run that is only being saved must not hide the one that follows it
            self.snapshot = orders.snapshot

    # -- the training thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        torch.set_num_threads(self._threads)
        torch.get_num_threads()  # pins the number: until a thread asks, another one's wish would win
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                orders = self._queue[0]
            self._run(orders)
            with self._changed:
                self._queue.popleft()
            orders.release()
            self._on_saved()

    def _run(self, orders: _Orders) -> None:
        log.info("run %r: preparing", orders.run)
        try:
            trainer = orders.prepare()
            saver = Autosaver(self._store, orders.run, self._autosave_seconds)
            with self._changed:
                if orders.status is Status.PREPARING:
                    self._announce(orders, Status.TRAINING)
            self._train(orders, trainer, saver)
            log.info("run %r: %s at step %d", orders.run, orders.status, trainer.steps)
        except GanError as error:
            self._fail(orders, error)
        except Exception as error:  # the thread must live on for the next run, and the page must say why
            log.exception("run %r failed", orders.run)
            self._fail(orders, TrainingError("run-failed", run=orders.run, reason=reason_of(error)))

    def _fail(self, orders: _Orders, error: GanError) -> None:
        log.error("run %r: %s", orders.run, error)
        with self._changed:
            orders.error = error
            self._announce(orders, Status.FAILED)

    def _train(self, orders: _Orders, trainer: Trainer, saver: Autosaver) -> None:
        self._report(orders, trainer)
        examiner = Examiner()
        reported = time.monotonic()
        seen = Status.TRAINING
        while True:
            status, single = self._next_turn(orders, trainer, paused=seen is Status.PAUSED)
            if single or (status is Status.TRAINING and trainer.progress < 1):
                trainer.step()
                self._store.keep_moment(orders.run, trainer)
            if status is Status.TRAINING and trainer.progress >= 1:
                status = self._finish(orders)
            left_training = status is not seen and status is not Status.TRAINING and trainer.steps > 0
            if self._take_save_order(orders) or left_training:
                saved = self._save(orders, trainer, saver.save)
                if not saved and not status.active:
                    status = self._keep_unsaved(orders)
            elif status.active:
                self._save(orders, trainer, saver.save_if_due)
            if status is not seen or single or time.monotonic() - reported >= PUBLISH_SECONDS:
                self._report(orders, trainer)
                if status is not Status.STOPPED and examiner.look_if_due(orders.snapshot, trainer):
                    self._report(orders, trainer)
                reported = time.monotonic()
            seen = status
            if not status.active:
                return

    def _take_save_order(self, orders: _Orders) -> bool:
        with self._changed:
            wanted, orders.save = orders.save, False
        return wanted

    def _keep_unsaved(self, orders: _Orders) -> Status:
        """The last save failed: the run stays, paused, so that it can be saved again; unless all must end."""
        with self._changed:
            if not self._closing and orders is self._queue[-1]:
                self._announce(orders, Status.PAUSED)
            return orders.status

    def _next_turn(self, orders: _Orders, trainer: Trainer, paused: bool) -> tuple[Status, bool]:
        """Wait while there is nothing to do, set new rates; the status, and whether to make a single step."""
        with self._changed:
            if paused:
                self._changed.wait_for(
                    lambda: (
                        orders.status is not Status.PAUSED
                        or orders.single_steps
                        or orders.save
                        or orders.rates
                    )
                )
            rates, orders.rates = orders.rates, None
            single = orders.single_steps > 0
            orders.single_steps -= single
            status = orders.status
        if rates is not None:
            trainer.set_learning_rates(*rates)
        return status, single

    def _finish(self, orders: _Orders) -> Status:
        """The run has reached its length, unless somebody stopped it at this very step."""
        with self._changed:
            if orders.status is Status.TRAINING:
                self._announce(orders, Status.FINISHED)
            return orders.status

    def _save(self, orders: _Orders, trainer: Trainer, attempt: Callable[[Trainer], bool | None]) -> bool:
        """Whether the attempt left nothing unsaved. One that fails is shown, and the next may succeed."""
        try:
            if attempt(trainer) is not False:
                orders.error = None
                self._on_saved()
        except CheckpointError as error:
            log.error("%s", error)
            orders.error = error
            return False
        return True

    def _report(self, orders: _Orders, trainer: Trainer) -> None:
        """Publish the run's numbers; copying the networks takes a moment, so it happens outside the lock."""
        taken = take_snapshot(orders.run, orders.status, trainer)
        with self._changed:
            self._publish(orders, replace(taken, status=orders.status))
