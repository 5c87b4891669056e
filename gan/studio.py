"""The one shared object that page and endpoints talk to: which runs exist, whose, and who may do what."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from gan.access import Access
from gan.checkpoint import Summary
from gan.config import DEFAULT_RECIPE, LENGTH_LIMITS, RECIPES, RunConfig, ServerSettings, recipe
from gan.data import Digits, load_digits
from gan.errors import CheckpointError, ConfigError, RunError
from gan.generators import Generators
from gan.housekeeping import Housekeeping
from gan.judge import report
from gan.listing import Listed, list_runs
from gan.orders import Orders
from gan.past import Past
from gan.precision import available_cores, choose_device, serving_threads, settle_precision
from gan.runs import RunStore, checked_name
from gan.sampling import Networks
from gan.snapshot import Snapshot, Status
from gan.timeline import Timeline
from gan.trainer import Trainer
from gan.visitors import LOCAL, Visitor
from gan.worker import Limits, Worker

log = logging.getLogger(__name__)

LIVE = "live"  # the source that always means the run that is watched
_LAST_SAVE_SECONDS = 10.0  # how long a command waits for a run that has just ended


class Studio:
    """Thread-safe; commands return at once and raise GanError with a sentence for the person who asked.

    Every command takes the visitor who gives it. `run` names the run it is for; left empty, it is the
    visitor's own active one.

    Args:
        threads: torch's training threads; by default one core is left for the page.
    """

    def __init__(self, settings: ServerSettings, threads: int | None = None) -> None:
        self.settings = settings
        self.store = RunStore(settings.checkpoints)
        self.device = choose_device(settings.device)
        self.access = Access(settings)
        self._lock = threading.Lock()  # one command at a time: two clicks on Start must not both pass
        self._runs_version = 0
        self._generators = Generators(self.store)
        self._worker = Worker(
            self.store,
            settings.autosave_seconds,
            threads or serving_threads(available_cores()),
            Limits(settings.active_runs, settings.waiting_runs, settings.minutes_per_run),
            self._runs_changed,
        )
        self._housekeeping = Housekeeping(
            self.store,
            self.access.visitors,
            settings.disk_megabytes,
            self._worker.holds,
            self._worker.forget,
        )

    # -- looking -------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest active run, or the last one of this server; None before the first."""
        return self.watched()

    def watched(self, run: str = "", visitor: Visitor = LOCAL, last: str = "") -> Snapshot | None:
        """What somebody sees: the run they chose, else their own, else the newest active, else the last.

        Args:
            last: what they saw last; if it is their own, they stay with it after its end.
        """
        shown = self._worker.snapshots
        if run in shown:
            return shown[run]
        newest = list(shown.values())[::-1]
        active = [snapshot for snapshot in newest if snapshot.status.active]
        own = [snapshot for snapshot in active if self.access.owns(visitor, snapshot.owner)]
        if not own and last in shown and self.access.owns(visitor, shown[last].owner):
            return shown[last]
        seated = [snapshot for snapshot in active if snapshot.status is not Status.WAITING]
        return next(iter([*own, *seated, *active, *newest]), None)

    def active_runs(self) -> list[Snapshot]:
        """Runs that train, are paused or wait, in order of arrival."""
        return [snapshot for snapshot in self._worker.snapshots.values() if snapshot.status.active]

    @property
    def runs_version(self) -> int:
        """Grows whenever the list of runs may have changed."""
        return self._runs_version

    def _runs_changed(self) -> None:
        self._runs_version += 1

    def runs(self) -> list[Listed]:
        """All runs, active ones first, then the newest."""
        return list_runs(self.store, self._worker.snapshots)

    def digits(self, dataset: str, train: bool = True) -> Digits:
        """A dataset; see gan.data.load_digits."""
        return load_digits(dataset, self.settings.data, train)

    def warm_up(self) -> None:
        """Load digits and judge and time the default recipe in the background, for a quick first Start."""

        def work() -> None:
            config = recipe(DEFAULT_RECIPE)
            settle_precision(config, self.digits(config.dataset), self.device)
            report.warm_up()

        threading.Thread(target=work, name="warm-up", daemon=True).start()

    # -- training ------------------------------------------------------------------------------------------

    def start(self, config: RunConfig, name: str = "", visitor: Visitor = LOCAL) -> str:
        """Start a new run; returns its name.

        Raises:
            RunError: the visitor has a run already or may not train, or the name is bad or taken.
        """
        return self._begin(
            config, name, visitor, lambda settled, digits: Trainer(settled, digits, self.device)
        )

    def start_from_weights(
        self, source: str, length: float, unit: str, name: str = "", visitor: Visitor = LOCAL
    ) -> str:
        """Start a new run whose networks begin as those of `source`; returns its name.

        Raises:
            RunError, CheckpointError, ConfigError: as `start`, or `source` cannot be read.
        """
        self.access.check_may_train(visitor)
        config = self.store.summary(source).config.with_changes(length=length, unit=unit)

        def make(settled: RunConfig, digits: Digits) -> Trainer:
            return Trainer.from_weights(settled, digits, self.device, self.store.load(source).tensors)

        return self._begin(config, name, visitor, make)

    def _begin(
        self, config: RunConfig, name: str, visitor: Visitor, make: Callable[[RunConfig, Digits], Trainer]
    ) -> str:
        def prepare() -> Trainer:
            digits = self.digits(config.dataset)
            return make(settle_precision(config, digits, self.device), digits)

        self.access.check_may_train(visitor)
        with self._lock:
            self._check_one_more(visitor)
            stem = config.recipe if config.recipe in RECIPES else "run"
            run = self._free_name(name, stem)
            self._housekeeping.make_room(visitor)
            self._take(Snapshot(0, run, Status.WAITING, config, visitor.id), prepare)
        log.info("run %r: started with %s", run, config)
        self._runs_changed()
        return run

    def _free_name(self, name: str, stem: str) -> str:
        """A name that no run has: the one asked for, or a new one that begins with `stem`."""
        run = checked_name(name) if name.strip() else self.store.new_name(stem, self._worker.holds)
        if self.store.exists(run) or self._worker.holds(run):
            raise RunError("run-exists", run=run)
        return run

    def resume(
        self,
        run: str = "",
        more: float | None = None,
        unit: str = "seconds",
        visitor: Visitor = LOCAL,
    ) -> str:
        """Resume a paused run, or a saved one; returns its name.

        Args:
            run: empty means the visitor's paused run, or else their last one of this server.
            more: how much longer a run that has reached its length shall go on, in `unit`.

        Raises:
            RunError: nothing to resume, not the visitor's, one too many, or the length is reached and `more`
                is None.
            CheckpointError: the checkpoint is slim or damaged.
        """
        self.access.check_may_train(visitor)
        run = checked_name(run) if run.strip() else self._own_last(visitor)
        self._worker.let_go(run, _LAST_SAVE_SECONDS)
        with self._lock:
            if run in {now.run for now in self.active_runs()}:
                self._orders(run, visitor).resume()
                return run
            self._refuse_busy(run)
            self.store.existing(run)  # a run that does not exist is nobody's
            owner = self.store.owner(run)
            self.access.check_may_change(visitor, run, owner)
            self._check_one_more(visitor)
            self._housekeeping.make_room(visitor)
            summary = self._summary_to_resume(run, more, unit)
            config = summary.config
            first = Snapshot(
                0, run, Status.WAITING, config, owner or visitor.id,
                summary.steps, summary.epochs, summary.seconds, summary.progress,
            )  # fmt: skip
            self._take(first, lambda: self._reload(run, config))
        log.info("run %r: resumed to %g %s", run, config.length, config.unit)
        self._runs_changed()
        return run

    def _own_last(self, visitor: Visitor) -> str:
        own = [now.run for now in self._worker.snapshots.values() if self.access.owns(visitor, now.owner)]
        active = [now.run for now in self.active_runs() if now.run in own]
        if not own:
            raise RunError("nothing-active")
        return (active or own)[-1]

    def _take(self, first: Snapshot, prepare: Callable[[], Trainer]) -> None:
        lock = self.store.hold(first.run)

        def release() -> None:
            with self._lock:
                lock.release()

        try:
            self._worker.take(first, partial(self.digits, first.config.dataset), prepare, release)
        except RunError:
            lock.release()
            raise

    def _check_one_more(self, visitor: Visitor) -> None:
        """Whether the visitor may have another active run."""
        own = [now.run for now in self.active_runs() if self.access.owns(visitor, now.owner)]
        allowed = self.settings.runs_per_visitor
        if allowed and len(own) >= allowed:
            raise RunError("already-training", run=own[-1], allowed=allowed)

    def _summary_to_resume(self, run: str, more: float | None, unit: str) -> Summary:
        """What was saved, its settings extended by `more` where the run is at its end."""
        summary = self.store.load(run).summary
        if summary.kind == "slim":
            raise CheckpointError("checkpoint-slim", run=run)
        config = summary.config
        if summary.progress < 1:
            return summary
        if more is None:
            raise RunError("length-reached", run=run, length=f"{config.length:g} {config.unit}")
        if unit not in LENGTH_LIMITS:
            raise ConfigError("out-of-range", field="unit", value=unit, allowed=", ".join(LENGTH_LIMITS))
        longer = config.with_changes(length=more, unit=unit)
        done = longer.done(summary.steps, summary.epochs, summary.seconds)
        return replace(summary, config=longer.with_changes(length=more + done))

    def _reload(self, run: str, config: RunConfig) -> Trainer:
        saved = self.store.load(run)
        digits = self.digits(config.dataset)
        return Trainer.from_state(config, digits, self.device, saved.tensors, saved.summary.seconds)

    def _orders(self, run: str, visitor: Visitor) -> Orders:
        """The orders for an active run of the visitor's.

        Raises:
            RunError: it is not active, or not theirs.
        """
        if not run.strip():
            own = [now.run for now in self.active_runs() if self.access.owns(visitor, now.owner)]
            if not own:
                raise RunError("nothing-active")
            run = own[-1]
        orders = self._worker.orders(checked_name(run))
        self.access.check_may_change(visitor, run, orders.snapshot.owner)
        return orders

    def pause(self, run: str = "", visitor: Visitor = LOCAL) -> None:
        """Pause a run that trains. Raises RunError if there is none."""
        self._orders(run, visitor).pause()

    def stop(self, run: str = "", visitor: Visitor = LOCAL) -> None:
        """Save an active run and let it go. Raises RunError if there is none."""
        self._orders(run, visitor).stop()

    def step(self, run: str = "", visitor: Visitor = LOCAL) -> None:
        """One step of a paused run. Raises RunError if there is none."""
        self._orders(run, visitor).step()

    def save(self, run: str = "", visitor: Visitor = LOCAL) -> None:
        """Save an active run now. Raises RunError if there is none."""
        self._orders(run, visitor).save()

    def set_learning_rates(self, lr_g: float, lr_d: float, run: str = "", visitor: Visitor = LOCAL) -> None:
        """Change both rates of an active run. Raises RunError or ConfigError; nothing has changed then."""
        self._orders(run, visitor).set_learning_rates(lr_g, lr_d)

    def close(self, timeout: float = 6.0) -> bool:
        """Save what trains and end the thread; False if it took longer than `timeout` seconds."""
        return self._worker.close(timeout)

    # -- saved runs ----------------------------------------------------------------------------------------

    def rename(self, name: str, new_name: str, visitor: Visitor = LOCAL) -> str:
        """Rename a run that is not active; returns the new name."""
        self._check_may_change(name, visitor)
        with self._lock:
            self._refuse_busy(name)
            if self._worker.holds(checked_name(new_name)):
                raise RunError("run-exists", run=new_name)
            renamed = self.store.rename(name, new_name)
            self._worker.renamed(checked_name(name), renamed)
        log.info("run %r: renamed to %r", name, renamed)
        self._runs_changed()
        return renamed

    def delete(self, name: str, visitor: Visitor = LOCAL) -> None:
        """Delete a run that is not active, with all its files."""
        self._check_may_change(name, visitor)
        with self._lock:
            self._refuse_busy(name)
            self.store.delete(name)
            self._worker.forget(checked_name(name))
        log.info("run %r: deleted", name)
        self._runs_changed()

    def take_in(self, file: Path, name: str = "", visitor: Visitor = LOCAL) -> str:
        """Add an uploaded checkpoint as a run of the visitor's; returns its name.

        Raises:
            RunError: the visitor may not, the name is bad or taken, or there is no room.
            CheckpointError: the file is refused.
        """
        self.access.check_may_train(visitor)
        with self.store.arrival(file, visitor.id) as folder, self._lock:
            self._housekeeping.make_room(visitor)
            run = self._free_name(name, "upload")
            self.store.admit(folder, run)
            self._worker.forget(run)
        log.info("run %r: taken in from a file", run)
        self._runs_changed()
        return run

    def _check_may_change(self, name: str, visitor: Visitor) -> None:
        """Whether the visitor may change a saved run; waits for the last save of one that has just ended.

        Raises:
            RunError: it is not theirs.
        """
        run = checked_name(name)
        if not self._worker.holds(run):
            self.store.existing(run)
        self.access.check_may_change(visitor, run, self._owner(run))
        self._worker.let_go(run, _LAST_SAVE_SECONDS)

    def _owner(self, run: str) -> str:
        """Whose run it is. What is shown of one that has ended says nothing about a file of the same name."""
        now = self._worker.snapshots.get(run)
        return now.owner if now is not None and self._worker.holds(run) else self.store.owner(run)

    def _refuse_busy(self, name: str) -> None:
        if self._worker.holds(checked_name(name)):
            raise RunError("run-busy", run=name)

    def past(self, name: str) -> Past:
        """What is kept of any run, a live one included.

        Raises:
            RunError: no such run. CheckpointError: its file is damaged.
        """
        snapshot, timeline = self._worker.snapshots.get(name), self.store.timeline(name)
        if snapshot and snapshot.networks:
            return Past.of_snapshot(snapshot, timeline)
        return Past.of_checkpoint(name, self.store.load(name), timeline)

    def timeline(self, name: str) -> Timeline:
        """The pictures of any run's past. Raises RunError: a bad name."""
        return self.store.timeline(name)

    # -- sampling ------------------------------------------------------------------------------------------

    def networks(self, source: str, watching: str = "", visitor: Visitor = LOCAL) -> Networks:
        """The newest frozen networks of `source`: the name of any run, or LIVE for the one that is watched.

        Raises:
            RunError: there is nothing to sample yet, or no such run. CheckpointError: its file is damaged.
        """
        shown = self._worker.snapshots
        snapshot = self.watched(watching, visitor) if source == LIVE else shown.get(source)
        if snapshot and snapshot.networks:
            return snapshot.networks
        if source == LIVE:
            raise RunError("nothing-to-sample")
        return self._generators.of(source)
