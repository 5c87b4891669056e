"""What the training thread does with one run: prepare it, train it turn by turn, save, judge and show it."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from gan.autosave import Autosaver
from gan.errors import CheckpointError, GanError, RunError, TrainingError, reason_of
from gan.examiner import Examiner
from gan.orders import Orders
from gan.runs import RunStore
from gan.snapshot import Status, take_snapshot
from gan.trainer import Trainer

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 0.5


class Seat:
    """One run at the table, with its trainer in memory. Used by the training thread alone.

    Args:
        prepare: makes the trainer, in the first turn.
        save: writes the run's checkpoint.
        on_first_save: called once the run is in the list of saved ones.
        most_seconds: of training here, after which the run is saved and ended; 0 is no limit.
    """

    def __init__(
        self,
        orders: Orders,
        prepare: Callable[[], Trainer],
        store: RunStore,
        autosave_seconds: float,
        most_seconds: float,
        on_first_save: Callable[[], None],
    ) -> None:
        self._orders = orders
        self._prepare = prepare
        self._store = store
        self._saver = Autosaver(store, orders.run, autosave_seconds, orders.snapshot.owner)
        self._examiner = Examiner()
        self._most_seconds = most_seconds
        self._on_first_save: Callable[[], None] | None = on_first_save
        self._trainer: Trainer | None = None
        self._first_seconds = 0.0
        self._reported = 0.0
        self._seen = Status.PREPARING

    def turn(self, deadline: float) -> bool:
        """Work on the run while there is something to do, until `deadline` of time.monotonic().

        At least one thing is done. Says whether the run is over.
        """
        orders = self._orders
        try:
            if not orders.status.active and self._trainer is None:
                return True  # stopped before it began
            trainer = self._trainer or self._begin()
            while True:
                if not self._advance(trainer).active:
                    log.info("run %r: %s at step %d", orders.run, orders.status, trainer.steps)
                    return True
                if not orders.wants_turn or time.monotonic() >= deadline:
                    return False
        except GanError as error:
            self._fail(error)
        except Exception as error:  # the thread must live on for the other runs, and the page must say why
            log.exception("run %r failed", orders.run)
            self._fail(TrainingError("run-failed", run=orders.run, reason=reason_of(error)))
        return True

    def _begin(self) -> Trainer:
        log.info("run %r: preparing", self._orders.run)
        trainer = self._trainer = self._prepare()
        self._first_seconds = trainer.seconds
        self._orders.begin()
        self._report(trainer)
        return trainer

    def _fail(self, error: GanError) -> None:
        log.error("run %r: %s", self._orders.run, error)
        self._orders.fail(error)

    def _advance(self, trainer: Trainer) -> Status:
        """Carry out what is wanted now: at most one step and one save; returns the status after it."""
        orders = self._orders
        wanted = orders.take()
        status = wanted.status
        if wanted.rates is not None:
            trainer.set_learning_rates(*wanted.rates)
        if wanted.step or (status is Status.TRAINING and trainer.progress < 1):
            trainer.step()
            self._store.keep_moment(orders.run, trainer)
        if status is Status.TRAINING:
            status = self._end_if_due(trainer)
        if self._has_left(status, trainer) and not orders.final:
            self._report(trainer)  # what is said of a run at rest is to be true of its last step
            self._examiner.look_at_last(orders.snapshot, trainer)
        if wanted.save or self._has_left(status, trainer):
            saved = self._save(trainer, self._saver.save)
            if not saved and not status.active:
                status = orders.keep()
        elif status.active:
            self._save(trainer, self._saver.save_if_due)
        if status is not self._seen or wanted.step or self._report_is_due():
            self._report(trainer)
            if status is Status.TRAINING and self._examiner.look_if_due(orders.snapshot, trainer):
                self._report(trainer)
        self._seen = status
        return status

    def _has_left(self, status: Status, trainer: Trainer) -> bool:
        """Whether the run has just stopped training."""
        return status is not self._seen and status is not Status.TRAINING and trainer.steps > 0

    def _report_is_due(self) -> bool:
        return time.monotonic() - self._reported >= PUBLISH_SECONDS

    def _end_if_due(self, trainer: Trainer) -> Status:
        """The status after a step: at the run's length it is finished, at this server's limit stopped."""
        if trainer.progress >= 1:
            return self._orders.finish()
        if self._most_seconds and trainer.seconds - self._first_seconds >= self._most_seconds:
            minutes = f"{self._most_seconds / 60:g}"
            self._orders.stop(RunError("time-is-up", run=self._orders.run, minutes=minutes))
        return self._orders.status

    def _save(self, trainer: Trainer, attempt: Callable[[Trainer], bool | None]) -> bool:
        """Whether the attempt left nothing unsaved. One that fails is shown, and the next may succeed."""
        try:
            if attempt(trainer) is not False:
                self._orders.saved()
                if self._on_first_save is not None:
                    self._on_first_save()
                    self._on_first_save = None
        except CheckpointError as error:
            log.error("%s", error)
            self._orders.saved(error)
            return False
        return True

    def _report(self, trainer: Trainer) -> None:
        """Publish the run's numbers; copying the networks takes a moment, so it happens outside the lock."""
        taken = take_snapshot(self._orders.run, self._orders.status, trainer)
        if self._most_seconds and taken.seconds_left is not None:
            here = self._first_seconds + self._most_seconds - trainer.seconds
            taken = replace(taken, seconds_left=max(0.0, min(taken.seconds_left, here)))
        self._orders.report(taken)
        self._reported = time.monotonic()
