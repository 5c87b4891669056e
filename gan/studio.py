"""The one shared object that page and endpoints talk to: which runs exist, whose, and who may do what."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from gan.config import DEFAULT_RECIPE, LENGTH_LIMITS, RECIPES, RunConfig, ServerSettings, recipe
from gan.data import Digits, load_digits
from gan.errors import CheckpointError, ConfigError, RunError
from gan.housekeeping import make_room
from gan.judge import report
from gan.orders import Orders
from gan.past import Past
from gan.precision import available_cores, choose_device, serving_threads, settle_precision
from gan.runs import RunStore, SavedRun, checked_name
from gan.sampling import Networks
from gan.snapshot import Snapshot, Status
from gan.timeline import Timeline
from gan.trainer import Trainer
from gan.visitors import LOCAL, Visitor, Visitors
from gan.worker import Limits, Worker

log = logging.getLogger(__name__)

LIVE = "live"  # the source that always means the run that is watched
_NETWORKS_KEPT = 4  # loaded generators of saved runs
_LAST_SAVE_SECONDS = 10.0  # how long a command waits for a run that has just ended


@dataclass(frozen=True)
class Listed:
    """A line of the list of runs: a saved one, or an active one before its first save."""

    name: str
    saved: SavedRun | None
    snapshot: Snapshot | None  # where it trains, waits, or has ended on this server

    @property
    def active(self) -> bool:
        return self.snapshot is not None and self.snapshot.status.active

    @property
    def owner(self) -> str:
        """A Visitor's id; empty for a run that belongs to nobody."""
        if self.snapshot is not None:
            return self.snapshot.owner
        return self.saved.owner if self.saved else ""


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
        self.visitors = Visitors(settings.checkpoints, settings.secret, settings.presenter_key)
        self._lock = threading.Lock()  # one command at a time: two clicks on Start must not both pass
        self._runs_version = 0
        self._networks: OrderedDict[tuple[str, float], Networks] = OrderedDict()
        self._worker = Worker(
            self.store,
            settings.autosave_seconds,
            threads or serving_threads(available_cores()),
            Limits(settings.active_runs, settings.waiting_runs, settings.minutes_per_run),
            self._runs_changed,
        )

    # -- who asks ------------------------------------------------------------------------------------------

    def visitor(self, token: str) -> Visitor:
        """Whose token it is; everybody is the same one where the page is not shared.

        Raises:
            RunError: this server did not make the token.
        """
        if not self.settings.shared:
            return LOCAL
        visitor = self.visitors.visitor(token)
        self.visitors.note(visitor)
        return visitor

    def may_train(self, visitor: Visitor) -> bool:
        """Whether the visitor may start runs here."""
        return visitor.presenter or not self.settings.presenter_key

    def _check_may_train(self, visitor: Visitor) -> None:
        if not self.may_train(visitor):
            raise RunError("presenter-only")

    def owns(self, visitor: Visitor, owner: str) -> bool:
        """Whether what belongs to `owner`, an id, is the visitor's; on one's own page all is."""
        return visitor == LOCAL or owner == visitor.id

    def _check_owns(self, visitor: Visitor, run: str, owner: str) -> None:
        if not (visitor.presenter or self.owns(visitor, owner)):
            raise RunError("not-yours", run=run)

    # -- looking -------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest active run, or the last one of this server; None before the first."""
        return self.watched()

    def watched(self, run: str = "", visitor: Visitor = LOCAL) -> Snapshot | None:
        """What somebody sees: the run they chose, else their own, else the newest active, else the last."""
        shown = self._worker.snapshots
        if run in shown:
            return shown[run]
        newest = list(shown.values())[::-1]
        active = [snapshot for snapshot in newest if snapshot.status.active]
        own = [snapshot for snapshot in active if self.owns(visitor, snapshot.owner)]
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
        shown = self._worker.snapshots
        listed = [Listed(run.name, run, shown.get(run.name)) for run in self.store.list()]
        names = {run.name for run in listed}
        listed += [Listed(one.run, None, one) for one in self.active_runs() if one.run not in names]
        return sorted(listed, key=lambda run: not run.active)

    def has_runs(self) -> bool:
        """Whether anything is saved."""
        return self.store.has_any()

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
        self._check_may_train(visitor)
        weights = self.store.load(source)
        config = weights.summary.config.with_changes(length=length, unit=unit)
        return self._begin(
            config,
            name,
            visitor,
            lambda settled, digits: Trainer.from_weights(settled, digits, self.device, weights.tensors),
        )

    def _begin(
        self, config: RunConfig, name: str, visitor: Visitor, make: Callable[[RunConfig, Digits], Trainer]
    ) -> str:
        def prepare() -> Trainer:
            digits = self.digits(config.dataset)
            return make(settle_precision(config, digits, self.device), digits)

        self._check_may_train(visitor)
        with self._lock:
            self._check_one_more(visitor)
            stem = config.recipe if config.recipe in RECIPES else "run"
            run = self._free_name(name, stem)
            self._make_room()
            self._take(run, config, visitor.id, prepare)
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
        self._check_may_train(visitor)
        run = checked_name(run) if run.strip() else self._own_last(visitor)
        now = self._worker.snapshots.get(run)
        if now is not None and now.status.active:
            self._orders(run, visitor).resume()
            return run
        with self._lock:
            owner = now.owner if now is not None else self.store.owner(run)
            if now is None:
                self.store.existing(run)  # a run that does not exist is nobody's
            self._check_owns(visitor, run, owner)
            self._check_one_more(visitor)
            config = self._config_to_resume(run, more, unit)
            self._take(run, config, owner or visitor.id, lambda: self._reload(run, config))
        log.info("run %r: resumed to %g %s", run, config.length, config.unit)
        self._runs_changed()
        return run

    def _own_last(self, visitor: Visitor) -> str:
        own = [now.run for now in self._worker.snapshots.values() if self.owns(visitor, now.owner)]
        active = [now.run for now in self.active_runs() if now.run in own]
        if not own:
            raise RunError("nothing-active")
        return (active or own)[-1]

    def _take(self, run: str, config: RunConfig, owner: str, prepare: Callable[[], Trainer]) -> None:
        lock = self.store.hold(run)

        def release() -> None:
            with self._lock:
                lock.release()

        load = partial(self.digits, config.dataset)
        try:
            self._worker.take(run, config, owner, load, prepare, release)
        except RunError:
            lock.release()
            raise

    def _check_one_more(self, visitor: Visitor) -> None:
        """Whether the visitor may have another active run."""
        own = [now.run for now in self.active_runs() if self.owns(visitor, now.owner)]
        allowed = self.settings.runs_per_visitor
        if allowed and len(own) >= allowed:
            raise RunError("already-training", run=own[-1], allowed=allowed)

    def _config_to_resume(self, run: str, more: float | None, unit: str) -> RunConfig:
        """The saved settings, extended by `more` where the run is at its end."""
        now = self._worker.snapshots.get(run)
        if now and self._worker.holds(run):  # its last save is still being written
            config, steps, epochs, seconds = now.config, now.steps, now.epochs, now.seconds
        else:
            summary = self.store.load(run).summary
            if summary.kind == "slim":
                raise CheckpointError("checkpoint-slim", run=run)
            config, steps, epochs, seconds = summary.config, summary.steps, summary.epochs, summary.seconds
        if config.progress(steps, epochs, seconds) < 1:
            return config
        if more is None:
            raise RunError("length-reached", run=run, length=f"{config.length:g} {config.unit}")
        if unit not in LENGTH_LIMITS:
            raise ConfigError("out-of-range", field="unit", value=unit, allowed=", ".join(LENGTH_LIMITS))
        longer = config.with_changes(length=more, unit=unit)
        return longer.with_changes(length=more + longer.done(steps, epochs, seconds))

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
            own = [now.run for now in self.active_runs() if self.owns(visitor, now.owner)]
            if not own:
                raise RunError("nothing-active")
            run = own[-1]
        orders = self._worker.orders(checked_name(run))
        self._check_owns(visitor, run, orders.snapshot.owner)
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
        """Add an uploaded checkpoint as a run of the visitor's; returns its name."""
        self._check_may_train(visitor)
        with self._lock:
            self._make_room()
            run = self._free_name(name, "upload")
            self.store.take_in(file, run, visitor.id)
        log.info("run %r: taken in from a file", run)
        self._runs_changed()
        return run

    def _check_may_change(self, name: str, visitor: Visitor) -> None:
        """Whether the visitor may change a saved run; waits for the last save of one that has just ended.

        Raises:
            RunError: it is not theirs.
        """
        run = checked_name(name)
        now = self._worker.snapshots.get(run)
        if now is None:
            self.store.existing(run)
        self._check_owns(visitor, run, now.owner if now is not None else self.store.owner(run))
        self._worker.let_go(run, _LAST_SAVE_SECONDS)

    def _refuse_busy(self, name: str) -> None:
        if self._worker.holds(checked_name(name)):
            raise RunError("run-busy", run=name)

    def _make_room(self) -> None:
        make_room(self.store, self.settings.disk_megabytes, self._worker.holds, self.visitors.last_seen)

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
        path = self.store.existing(source)
        key = (source, path.stat().st_mtime)
        with self._lock:
            if key in self._networks:
                self._networks.move_to_end(key)
                return self._networks[key]
        networks = self.store.load(source).networks(source, torch.device("cpu"))
        with self._lock:
            self._networks[key] = networks
            while len(self._networks) > _NETWORKS_KEPT:
                self._networks.popitem(last=False)
        return networks

    def status(self) -> Status | None:
        """What the newest run is doing; None before the first."""
        snapshot = self.snapshot
        return snapshot.status if snapshot else None
