"""The background thread: several runs train on it in turns of a few seconds, each with its trainer in memory.

Any thread may give orders; they are noted under one lock and answered at once. What the thread learns it
publishes as immutable Snapshots, by one assignment.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch

from gan.errors import GanError, RunError, TrainingError, reason_of
from gan.orders import Orders
from gan.runs import RunStore
from gan.seat import Seat
from gan.snapshot import Snapshot
from gan.trainer import Trainer

log = logging.getLogger(__name__)

TURN_SECONDS = 2.0
_ENDED_KEPT = 8  # runs that are shown after their end
_LOOK_SECONDS = 1.0  # how often a long pause is noticed


@dataclass(frozen=True)
class Limits:
    """How many runs share the thread, and for how long; 0 is no limit for the last two."""

    active: int = 8
    waiting: int = 50
    minutes: float = 0.0  # of training, after which a run makes way
    pause_minutes: float = 5.0  # after which a paused run makes way for one that waits


@dataclass(eq=False)
class _Held:
    """A run that the thread has, or that waits for a seat."""

    orders: Orders
    seat: Seat
    release: Callable[[], None]
    used: float = 0.0  # seconds of the thread's time
    turn: int = 0  # the number of its last whole turn
    ready: bool = False  # its data is in memory
    begun: bool = False  # it has had a turn


class Worker:
    """Owns the training thread.

    Args:
        autosave_seconds: see Autosaver.
        threads: torch's threads for training.
        on_changed: called whenever a run began or ended, in any thread.
    """

    def __init__(
        self,
        store: RunStore,
        autosave_seconds: float,
        threads: int,
        limits: Limits,
        on_changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._autosave_seconds = autosave_seconds
        self._threads = threads
        self.limits = limits
        self._on_changed = on_changed
        self._changed = threading.Condition()
        self._held: list[_Held] = []  # in order of arrival; the first ones have a seat
        self._turns = 0
        self._served = 0.0  # what the run with the last whole turn had used before
        self._brief_before = False
        self._version = 0
        self._closing = False
        # By run, in order of arrival: those that are held and the last ones that have ended.
        self.snapshots: Mapping[str, Snapshot] = MappingProxyType({})
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)
        self._thread.start()

    # -- from any thread -----------------------------------------------------------------------------------

    def take(
        self,
        first: Snapshot,
        load: Callable[[], object],
        prepare: Callable[[], Trainer],
        release: Callable[[], None],
    ) -> None:
        """Begin with a run, or put it in line.

        Args:
            first: the run as it is now, waiting; it must not be held.
            load: brings its data into memory, in a thread of its own: that may take long.
            prepare: makes its trainer, in the training thread.
            release: lets go of the run, in the training thread.

        Raises:
            RunError: the line is full, or the server ends.
        """
        with self._changed:
            if self._closing or len(self._held) >= self.limits.active + self.limits.waiting:
                raise RunError("line-full", allowed=self.limits.active + self.limits.waiting)
            self._forget(first.run)
            orders = Orders(first, self._changed, self._publish)
            most_seconds = 60 * self.limits.minutes
            seat = Seat(orders, prepare, self._store, self._autosave_seconds, most_seconds, self._on_changed)
            held = _Held(orders, seat, release)
            self._held.append(held)
            self._fill_seats()
        threading.Thread(
            target=self._load, args=(held, load), name=f"loading {first.run}", daemon=True
        ).start()

    def _load(self, held: _Held, load: Callable[[], object]) -> None:
        run = held.orders.run
        try:
            load()
        except GanError as error:
            log.error("run %r: %s", run, error)
            self._fail(held, error)
        except Exception as error:
            log.exception("run %r: its data could not be loaded", run)
            self._fail(held, TrainingError("run-failed", run=run, reason=reason_of(error)))
        with self._changed:
            held.ready = True
            self._changed.notify_all()

    def _fail(self, held: _Held, error: GanError) -> None:
        with self._changed:
            if held in self._held:  # else it was stopped, and another run may have its name by now
                held.orders.fail(error)

    def orders(self, run: str) -> Orders:
        """The orders for an active run.

        Raises:
            RunError: it is not active.
        """
        with self._changed:
            for held in self._held:
                if held.orders.run == run and held.orders.status.active:
                    return held.orders
        raise RunError("not-active", run=run)

    def holds(self, run: str) -> bool:
        """Whether the thread has this run, if only to save it."""
        with self._changed:
            return any(held.orders.run == run for held in self._held)

    def let_go(self, run: str, seconds: float) -> None:
        """Wait at most `seconds` for the last save of a run that has ended, not for the end of one."""

        with self._changed:
            self._changed.wait_for(
                lambda: all(held.orders.status.active for held in self._held if held.orders.run == run),
                seconds,
            )

    def forget(self, run: str) -> None:
        """Show nothing more of a run that is gone, or whose name another one has now; it must not be held."""
        with self._changed:
            self._forget(run)

    def _forget(self, run: str) -> None:
        self.snapshots = MappingProxyType(
            {name: shown for name, shown in self.snapshots.items() if name != run}
        )

    def renamed(self, run: str, new_name: str) -> None:
        """Show a run under its new name; it must not be held."""
        with self._changed:
            self._forget(new_name)  # one of the same name that has left nothing but this
            last = self.snapshots.get(run)
            if last is not None:
                self._forget(run)
                networks = replace(last.networks, run=new_name) if last.networks else None
                self._publish(replace(last, run=new_name, networks=networks))

    def close(self, timeout: float) -> bool:
        """Save all that trains and end the thread; False if that took longer than `timeout` seconds."""
        with self._changed:
            self._closing = True
            for held in self._held:
                held.orders.stop(final=True)
            self._changed.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- with the lock held --------------------------------------------------------------------------------

    def _publish(self, snapshot: Snapshot) -> Snapshot:
        self._version += 1
        numbered = replace(snapshot, version=self._version)
        shown = dict(self.snapshots)
        shown[snapshot.run] = numbered
        ended = [name for name, other in shown.items() if not other.status.active]
        for name in ended[:-_ENDED_KEPT]:
            del shown[name]
        self.snapshots = MappingProxyType(shown)
        return numbered

    def _fill_seats(self) -> None:
        for held in self._held[: self.limits.active]:
            held.orders.call_up()

    def _end_long_pauses(self) -> None:
        """While somebody waits, a seat is not for pausing."""
        if len(self._held) <= self.limits.active:
            return
        for held in self._held[: self.limits.active]:
            if held.orders.paused_for() > 60 * self.limits.pause_minutes:
                minutes = f"{self.limits.pause_minutes:g}"
                held.orders.stop(RunError("paused-too-long", run=held.orders.run, minutes=minutes))

    def _candidates(self) -> list[_Held]:
        """Who wants a turn."""
        return [
            held
            for held in self._held
            if not held.orders.status.active or (held.ready and held.orders.wants_turn)
        ]

    def _choose(self, candidates: list[_Held]) -> tuple[_Held, float]:
        """Who is next, and for how many seconds: the one who has had the least of the thread's time.

        In between, somebody who waits for something short gets just that. Every second turn is a whole one,
        so that many short wishes keep nobody from training, nor win time for training.
        """
        urgent = [held for held in candidates if held.orders.urgent]
        brief = bool(urgent) and not self._brief_before
        chosen = min(urgent if brief else candidates, key=self._used)
        self._brief_before = brief
        if brief:
            return chosen, 0.0
        # Who was away does not make up for it when they come back.
        self._served = chosen.used = max(chosen.used, self._served)
        self._turns += 1
        chosen.turn = self._turns
        return chosen, TURN_SECONDS

    def _used(self, held: _Held) -> tuple[float, int]:
        return max(held.used, self._served), held.turn

    # -- the training thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        torch.set_num_threads(self._threads)
        torch.get_num_threads()  # pins the number: until a thread asks, another one's wish would win
        while (chosen := self._next()) is not None:
            held, seconds = chosen
            began = time.monotonic()
            over = held.seat.turn(began + seconds)
            held.used += time.monotonic() - began
            if over:
                self._leave(held)
            elif not held.begun:
                held.begun = True
                self._on_changed()  # from now on it can be sampled

    def _next(self) -> tuple[_Held, float] | None:
        """Wait for a run that has something to do, and say for how long; None when all has ended."""
        with self._changed:
            while True:
                self._end_long_pauses()
                candidates = self._candidates()
                if candidates:
                    return self._choose(candidates)
                if self._closing and not self._held:
                    return None
                somebody_waits = len(self._held) > self.limits.active
                self._changed.wait(_LOOK_SECONDS if somebody_waits else None)

    def _leave(self, held: _Held) -> None:
        with self._changed:
            self._held.remove(held)
            self._fill_seats()
            self._changed.notify_all()
        held.release()
        self._on_changed()
