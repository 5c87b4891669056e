"""The one shared object that page and endpoints talk to: which runs exist, what may be done to them."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from gan.checkpoint import Checkpoint
from gan.config import DEFAULT_RECIPE, LENGTH_LIMITS, RECIPES, RunConfig, ServerSettings, recipe
from gan.data import Digits, load_digits
from gan.errors import CheckpointError, ConfigError, RunError
from gan.judge import report
from gan.past import Past
from gan.precision import available_cores, choose_device, serving_threads, settle_precision
from gan.runs import RunStore, SavedRun, checked_name
from gan.sampling import Networks
from gan.snapshot import Snapshot, Status
from gan.timeline import Timeline
from gan.trainer import Trainer
from gan.worker import Worker

log = logging.getLogger(__name__)

LIVE = "live"  # the source that always means the run in training
_NETWORKS_KEPT = 4  # loaded generators of saved runs


@dataclass(frozen=True)
class Listed:
    """A line of the list of runs: a saved one, or the active one before its first save."""

    name: str
    saved: SavedRun | None
    snapshot: Snapshot | None  # of the active or last run, if it is this one


class Studio:
    """Thread-safe; commands return at once and raise GanError with a sentence for the person who asked.

    Args:
        threads: torch's training threads; by default one core is left for the page.
    """

    def __init__(self, settings: ServerSettings, threads: int | None = None) -> None:
        self.settings = settings
        self.store = RunStore(settings.checkpoints)
        self.device = choose_device(settings.device)
        self._lock = threading.Lock()  # one command at a time: two clicks on Start must not both pass
        self._runs_version = 0
        self._networks: OrderedDict[tuple[str, float], Networks] = OrderedDict()
        self._worker = Worker(
            self.store,
            settings.autosave_seconds,
            threads or serving_threads(available_cores()),
            self._runs_changed,
        )

    # -- looking -------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The active run, or the last one of this server; None before the first."""
        return self._worker.snapshot

    @property
    def runs_version(self) -> int:
        """Grows whenever the list of runs may have changed."""
        return self._runs_version

    def _runs_changed(self) -> None:
        self._runs_version += 1

    def runs(self) -> list[Listed]:
        """All runs, the active one first, then the newest."""
        snapshot = self.snapshot
        current = snapshot.run if snapshot else None
        listed = [
            Listed(run.name, run, snapshot if run.name == current else None) for run in self.store.list()
        ]
        if snapshot and snapshot.status.active and all(run.name != current for run in listed):
            listed.append(Listed(snapshot.run, None, snapshot))
        return sorted(listed, key=lambda run: not (run.snapshot and run.snapshot.status.active))

    def has_runs(self) -> bool:
        """Whether anything is saved; cheap enough to be asked on every poll."""
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

    def start(self, config: RunConfig, name: str = "", paused: bool = False) -> str:
        """Start a new run; returns its name.

        Raises:
            RunError: a run is active, or the name is bad or taken.
        """
        return self._begin(
            config, name, paused, lambda settled, digits: Trainer(settled, digits, self.device)
        )

    def start_from_weights(self, source: str, length: float, unit: str, name: str = "") -> str:
        """Start a new run whose networks begin as those of `source`; returns its name.

        Raises:
            RunError, CheckpointError, ConfigError: as `start`, or `source` cannot be read.
        """
        weights = self.store.load(source)
        config = weights.summary.config.with_changes(length=length, unit=unit)
        return self._begin(
            config,
            name,
            False,
            lambda settled, digits: Trainer.from_weights(settled, digits, self.device, weights.tensors),
        )

    def _begin(
        self, config: RunConfig, name: str, paused: bool, make: Callable[[RunConfig, Digits], Trainer]
    ) -> str:
        def prepare() -> Trainer:
            digits = self.digits(config.dataset)
            return make(settle_precision(config, digits, self.device), digits)

        with self._lock:
            self._refuse_second()
            stem = config.recipe if config.recipe in RECIPES else "run"
            run = checked_name(name) if name.strip() else self.store.new_name(stem, self._worker.holds)
            if self.store.exists(run) or self._worker.holds(run):
                raise RunError("run-exists", run=run)
            self._take(run, config, prepare, paused)
        log.info("run %r: started with %s", run, config)
        self._runs_changed()
        return run

    def resume(self, name: str = "", more: float | None = None, unit: str = "seconds") -> str:
        """Resume the paused run, or a saved one; returns its name.

        Args:
            name: a saved run; empty means the paused run, or else the last one of this server.
            more: how much longer a run that has reached its length shall go on, in `unit`.

        Raises:
            RunError: nothing to resume, another run is active, or the length is reached and `more` is None.
            CheckpointError: the checkpoint is slim or damaged.
        """
        with self._lock:
            snapshot = self.snapshot
            if snapshot and snapshot.status.active and name.strip() in ("", snapshot.run):
                self._worker.resume()
                return snapshot.run
            if snapshot is None and not name.strip():
                raise RunError("nothing-active")
            run = checked_name(name) if name.strip() or snapshot is None else snapshot.run
            self._refuse_second()
            config = self._config_to_resume(run, more, unit)
            self._take(run, config, lambda: self._reload(run, config))
        log.info("run %r: resumed to %g %s", run, config.length, config.unit)
        self._runs_changed()
        return run

    def _take(
        self, run: str, config: RunConfig, prepare: Callable[[], Trainer], paused: bool = False
    ) -> None:
        lock = self.store.hold(run)

        def release() -> None:
            with self._lock:
                lock.release()

        try:
            self._worker.take(run, config, prepare, release, paused)
        except RunError:
            lock.release()
            raise

    def _refuse_second(self) -> None:
        snapshot = self.snapshot
        if snapshot and snapshot.status.active:
            raise RunError("already-training", run=snapshot.run)

    def _config_to_resume(self, run: str, more: float | None, unit: str) -> RunConfig:
        """The saved settings, extended by `more` where the run is at its end."""
        now = self.snapshot
        if now and now.run == run and self._worker.holds(run):  # its last save is still being written
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

    def pause(self) -> None:
        """Pause the run that trains. Raises RunError if there is none."""
        self._worker.pause()

    def stop(self) -> None:
        """Save the active run and let it go. Raises RunError if there is none."""
        self._worker.stop()

    def step(self) -> None:
        """One step of the paused run. Raises RunError if there is none."""
        self._worker.step()

    def save(self) -> None:
        """Save the active run now. Raises RunError if there is none."""
        self._worker.save()

    def set_learning_rates(self, lr_g: float, lr_d: float) -> None:
        """Change both rates of the active run. Raises RunError or ConfigError; nothing has changed then."""
        self._worker.set_learning_rates(lr_g, lr_d)

    def close(self, timeout: float = 6.0) -> bool:
        """Save what trains and end the thread; False if it took longer than `timeout` seconds."""
        return self._worker.close(timeout)

    # -- saved runs ----------------------------------------------------------------------------------------

    def rename(self, name: str, new_name: str) -> str:
        """Rename a run that is not active; returns the new name."""
        with self._lock:
            self._refuse_busy(name)
            if self._worker.holds(checked_name(new_name)):
                raise RunError("run-exists", run=new_name)
            renamed = self.store.rename(name, new_name)
            self._worker.renamed(checked_name(name), renamed)
        log.info("run %r: renamed to %r", name, renamed)
        self._runs_changed()
        return renamed

    def delete(self, name: str) -> None:
        """Delete a run that is not active, with all its files."""
        with self._lock:
            self._refuse_busy(name)
            self.store.delete(name)
            self._worker.forget(checked_name(name))
        log.info("run %r: deleted", name)
        self._runs_changed()

    def take_in(self, file: Path, name: str = "") -> str:
        """Add an uploaded checkpoint as a run; returns its name."""
        with self._lock:
            run = checked_name(name) if name.strip() else self.store.new_name("upload", self._worker.holds)
            if self._worker.holds(run):
                raise RunError("run-exists", run=run)
            self.store.take_in(file, run)
        log.info("run %r: taken in from a file", run)
        self._runs_changed()
        return run

    def _refuse_busy(self, name: str) -> None:
        if self._worker.holds(checked_name(name)):
            raise RunError("run-busy", run=name)

    def past(self, name: str) -> Past:
        """What is kept of any run, the live one included.

        Raises:
            RunError: no such run. CheckpointError: its file is damaged.
        """
        snapshot, timeline = self.snapshot, self.store.timeline(name)
        if snapshot and snapshot.run == name:
            return Past.of_snapshot(snapshot, timeline)
        return Past.of_checkpoint(name, self.store.load(name), timeline)

    def timeline(self, name: str) -> Timeline:
        """The pictures of any run's past. Raises RunError: a bad name."""
        return self.store.timeline(name)

    # -- sampling ------------------------------------------------------------------------------------------

    def networks(self, source: str) -> Networks:
        """The newest frozen networks of `source`: LIVE, or the name of any run.

        Raises:
            RunError: there is nothing to sample yet, or no such run. CheckpointError: its file is damaged.
        """
        snapshot = self.snapshot
        if snapshot and snapshot.networks and source in (LIVE, snapshot.run):
            return snapshot.networks
        if source == LIVE:
            raise RunError("nothing-to-sample")
        path = self.store.existing(source)
        key = (source, path.stat().st_mtime)
        with self._lock:
            if key in self._networks:
                self._networks.move_to_end(key)
                return self._networks[key]
        networks = self._load(source).networks(source, torch.device("cpu"))
        with self._lock:
            self._networks[key] = networks
            while len(self._networks) > _NETWORKS_KEPT:
                self._networks.popitem(last=False)
        return networks

    def _load(self, source: str) -> Checkpoint:
        return self.store.load(source)

    def status(self) -> Status | None:
        """What the active or last run is doing; None before the first."""
        snapshot = self.snapshot
        return snapshot.status if snapshot else None
