"""RunStore: one directory per run under a root folder, each with one checkpoint and its loss.txt."""

import contextlib
import logging
import math
import re
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from gan import checkpoint
from gan.checkpoint import Checkpoint, Summary
from gan.config import RunConfig
from gan.errors import CheckpointError, GanError, RunError, reason_of
from gan.history import loss_text
from gan.timeline import Timeline, is_moment
from gan.trainer import Trainer

log = logging.getLogger(__name__)

BUNDLED = Path(__file__).resolve().parent.parent / "checkpoints" / "bundled"
CHECKPOINT_NAME = "checkpoint.safetensors"
LOSS_NAME = "loss.txt"
TIMELINE_NAME = "timeline"
OWNER_NAME = "owner"  # who started the run: a Visitor's id
_LOCKS = ".locks"  # beside the runs, so that a lock outlives renaming and deleting
_NAME = re.compile(r"[^\W_][\w-]{0,39}")


@dataclass(frozen=True)
class SavedRun:
    """A line of the list: `summary` is None and `error` says why where the file cannot be read."""

    name: str
    saved_at: float
    summary: Summary | None
    error: GanError | None = None
    bundled: bool = False  # came with the project: read-only
    owner: str = ""  # a Visitor's id; empty is nobody's


def checked_name(name: str) -> str:
    """`name` in its normal form, fit to be a folder's name.

    Raises:
        RunError: it is empty, too long or has a character that could leave the folder.
    """
    normal = unicodedata.normalize("NFC", name.strip())
    if not _NAME.fullmatch(normal):
        raise RunError("bad-name", name=name[:60])
    return normal


def summary_of(trainer: Trainer) -> Summary:
    return Summary(trainer.config, "full", trainer.steps, trainer.seconds, trainer.epochs)


class RunStore:
    """Saved runs under `root`; every method names runs, none takes a path from outside.

    Args:
        bundled: the runs that came with the project, which are listed and read, never changed.

    Raises:
        RunError: the folder cannot be made or listed.
    """

    def __init__(self, root: Path, bundled: Path | None = None) -> None:
        self.root = root
        self._bundled = bundled or BUNDLED
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError("folder-unusable", folder=root, reason=reason_of(error)) from error

    def path(self, name: str) -> Path:
        """Where the checkpoint of `name` is, or would be."""
        return self.root / checked_name(name) / CHECKPOINT_NAME

    def exists(self, name: str) -> bool:
        """Whether the name is taken, by a saved run, a bundled one, or the folder that holds those."""
        path = self.path(name)
        return path.exists() or self._bundled_path(name) is not None or path.parent == self._bundled

    def _bundled_path(self, name: str) -> Path | None:
        path = self._bundled / checked_name(name) / CHECKPOINT_NAME
        return path if path.exists() else None

    def has_any(self) -> bool:
        """Whether there is a run of somebody's own, readable or not."""
        return next(self.root.glob(f"*/{CHECKPOINT_NAME}"), None) is not None

    def _listed(self, folder: Path, bundled: bool) -> list[SavedRun]:
        try:
            paths = list(folder.glob(f"*/{CHECKPOINT_NAME}"))
        except OSError as error:
            raise RunError("folder-unusable", folder=folder, reason=reason_of(error)) from error
        runs = []
        for path in paths:
            try:
                saved_at = path.stat().st_mtime
            except FileNotFoundError:
                continue  # deleted since it was listed
            name, summary, unreadable = path.parent.name, None, None
            try:
                summary = checkpoint.read_summary(path)
            except CheckpointError as found:
                unreadable = found
            owner = "" if bundled else self.owner(name)
            runs.append(SavedRun(name, saved_at, summary, unreadable, bundled, owner))
        return runs

    def list(self) -> list[SavedRun]:
        """All saved runs, newest first, then the bundled ones by name."""
        saved = sorted(self._listed(self.root, bundled=False), key=lambda run: run.saved_at, reverse=True)
        taken = {run.name for run in saved}
        bundled = [run for run in self._listed(self._bundled, bundled=True) if run.name not in taken]
        return saved + sorted(bundled, key=lambda run: run.name)

    def hold(self, name: str) -> FileLock:
        """This process's right to write the run `name`, as often as it likes; the caller releases it.

        Raises:
            RunError: another process holds it, or the folder cannot be written.
        """
        path = self.root / _LOCKS / checked_name(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=0, thread_local=False, is_singleton=True)
            lock.acquire()
        except Timeout as error:
            raise RunError("run-busy", run=name) from error
        except OSError as error:
            raise RunError("folder-unusable", folder=self.root, reason=reason_of(error)) from error
        return lock

    def new_name(self, stem: str, taken: Callable[[str], bool] = lambda _: False) -> str:
        """The first of stem-1, stem-2, ... that no saved run has and `taken` does not refuse."""
        number = 1
        while self.exists(f"{stem}-{number}") or taken(f"{stem}-{number}"):
            number += 1
        return f"{stem}-{number}"

    def load(self, name: str) -> Checkpoint:
        """The checked checkpoint of `name`.

        Raises:
            RunError: no such run. CheckpointError: its file is damaged or does not fit.
        """
        return checkpoint.read(self.existing(name))

    def existing(self, name: str) -> Path:
        """The checkpoint file of a saved run, or of a bundled one.

        Raises:
            RunError: no such run.
        """
        path = self.path(name)
        if path.exists():
            return path
        bundled = self._bundled_path(name)
        if bundled is None:
            raise RunError("no-run", run=name)
        return bundled

    def _own(self, name: str) -> Path:
        """The checkpoint file of a saved run that may be changed."""
        path = self.existing(name)
        if path == self._bundled_path(name):
            raise RunError("run-bundled", run=name)
        return path

    def save(self, name: str, trainer: Trainer, owner: str = "") -> None:
        """Write the run's checkpoint and its loss.txt, and beside them whose run it is.

        Raises:
            CheckpointError: the disk refused; the previous checkpoint is untouched.
            TrainingError: the run has diverged, so there is nothing worth saving.
        """
        tensors = trainer.state()
        lines = loss_text(trainer.history, trainer.steps_per_epoch, planned_epochs(trainer.config))
        self._write(name, Checkpoint(summary_of(trainer), tensors), lines, owner)

    def owner(self, name: str) -> str:
        """Whose saved run it is: a Visitor's id, or empty."""
        try:
            return (self.path(name).parent / OWNER_NAME).read_text()
        except OSError:
            return ""

    def bytes_used(self) -> int:
        """What everything under the root takes on the disk, bundled runs left out."""
        total = 0
        for path in self.root.rglob("*"):
            if self._bundled not in path.parents:
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    total += path.stat().st_size
        return total

    def timeline(self, name: str) -> Timeline:
        """The pictures of a run's past, kept by `keep_moment`; empty for a run that has none."""
        bundled = self._bundled_path(name)
        path = self.path(name)
        return Timeline((bundled if bundled and not path.exists() else path).parent / TIMELINE_NAME)

    def keep_moment(self, name: str, trainer: Trainer) -> None:
        """Keep the digits of this step beside the run if it is one of the timeline's moments.

        A picture that cannot be written is only logged: the next save says the same, and that one counts.
        """
        if not is_moment(trainer.steps):
            return
        try:
            Timeline(self.path(name).parent / TIMELINE_NAME).keep(trainer.steps, trainer.networks(name))
        except OSError as error:
            log.error("run %r: the digits of step %d are not kept: %s", name, trainer.steps, error)

    def save_slim(self, name: str, source: Checkpoint) -> None:
        """Write the slim form of `source` as the run `name`."""
        self._write(name, checkpoint.slim(source), None)

    def _write(self, name: str, content: Checkpoint, losses: str | None, owner: str = "") -> None:
        path = self.path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if owner and self.owner(name) != owner:
                checkpoint.write_atomically(path.parent / OWNER_NAME, owner.encode())
            for leftover in path.parent.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)  # from a save that was killed
            checkpoint.write(path, content.tensors, content.summary)
            if losses is not None:
                checkpoint.write_atomically(path.parent / LOSS_NAME, losses.encode())
        except OSError as error:
            raise CheckpointError("save-failed", run=name, reason=reason_of(error)) from error

    def take_in(self, file: Path, name: str, owner: str = "") -> Summary:
        """Add a checkpoint from outside as the run `name` of `owner`, after checking all of it.

        Raises:
            RunError: the name is taken. CheckpointError: the file is refused; nothing has changed.
        """
        if self.exists(name):
            raise RunError("run-exists", run=name)
        content = checkpoint.read(file, checkpoint.MOST_BYTES_FROM_OUTSIDE)
        losses = None
        if content.summary.kind == "full" and content.summary.epochs > 0:
            per_epoch = max(1, round(content.summary.steps / content.summary.epochs))
            losses = loss_text(content.history, per_epoch, planned_epochs(content.summary.config))
        with self.hold(name):
            self._write(name, content, losses, owner)
        return content.summary

    def rename(self, name: str, new_name: str) -> str:
        """Rename a saved run; returns the new name in its normal form.

        Raises:
            RunError: no such run, a bad name, or a name that is taken.
        """
        source, target = self._own(name), self.path(new_name)
        if self.exists(new_name):
            raise RunError("run-exists", run=new_name)
        with self.hold(name), self.hold(new_name):
            try:
                source.parent.rename(target.parent)
            except OSError as error:
                raise RunError("folder-unusable", folder=self.root, reason=reason_of(error)) from error
        return target.parent.name

    def delete(self, name: str) -> None:
        """Remove a saved run and everything kept beside it.

        Raises:
            RunError: no such run, or the folder cannot be changed.
        """
        path = self._own(name)
        with self.hold(name):
            try:
                shutil.rmtree(path.parent)
            except OSError as error:
                raise RunError("folder-unusable", folder=path.parent, reason=reason_of(error)) from error


def planned_epochs(config: RunConfig) -> int:
    """Epochs that the run is meant to have, for loss.txt; 0 where its length is in other units."""
    return math.ceil(config.length) if config.unit == "epochs" else 0


def differences(saved: RunConfig, asked: RunConfig, ignored: tuple[str, ...]) -> str:
    """Every setting in which two configs differ, as one phrase; empty where they agree."""
    old, new = saved.to_dict(), asked.to_dict()
    return "; ".join(
        f"{name} is {old[name]!r} in the checkpoint, {new[name]!r} in the request"
        for name in old
        if name not in ignored and old[name] != new[name]
    )
