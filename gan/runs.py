"""RunStore: one directory per run under a root folder, each with one checkpoint and its loss.txt."""

import contextlib
import logging
import math
import re
import shutil
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
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
_ARRIVING = ".arriving"  # uploads that are not yet runs
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
    return Summary(trainer.config, "full", trainer.steps, trainer.seconds, trainer.epochs, len(trainer.looks))


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

    def summary(self, name: str) -> Summary:
        """What the header of a run's checkpoint says.

        Raises:
            RunError: no such run. CheckpointError: its file is damaged.
        """
        return checkpoint.read_summary(self.existing(name))

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
        return _owner_of(self.path(name).parent)

    def bytes_used(self, owner: str = "") -> int:
        """What is under the root takes on the disk, bundled runs left out; of one owner, if there is one."""
        folders = self._folders()
        if owner:
            folders = tuple(folder for folder in folders if _owner_of(folder) == owner)
        return sum(_size(folder) for folder in folders)

    def _folders(self) -> tuple[Path, ...]:
        """Everything right under the root that is not the project's own."""
        return tuple(path for path in self.root.iterdir() if path != self._bundled)

    def remove_leftovers(self, held: Callable[[str], bool], seconds: float) -> None:
        """Remove what runs and uploads have left that ended before their first save, `seconds` ago."""
        since = time.time() - seconds
        arriving = self.root / _ARRIVING
        left = [path for path in self._folders() if _is_leftover(path) and not held(path.name)]
        for path in [*left, *(arriving.iterdir() if arriving.exists() else ())]:
            if path.stat().st_mtime < since:
                shutil.rmtree(path, ignore_errors=True)

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
        try:
            _write_into(self.path(name).parent, content, losses, owner)
        except OSError as error:
            raise CheckpointError("save-failed", run=name, reason=reason_of(error)) from error

    @contextlib.contextmanager
    def arrival(self, file: Path, owner: str = "") -> Iterator[Path]:
        """A folder with a checkpoint from outside, after checking all of it, for `admit`.

        Raises:
            CheckpointError: the file is refused, or the disk has no room for it; nothing has changed.
        """
        content = checkpoint.read(file, checkpoint.MOST_BYTES_FROM_OUTSIDE)
        losses = None
        if content.summary.kind == "full" and content.summary.epochs > 0:
            per_epoch = max(1, round(content.summary.steps / content.summary.epochs))
            losses = loss_text(content.history, per_epoch, planned_epochs(content.summary.config))
        folder = self.root / _ARRIVING / uuid.uuid4().hex
        try:
            _write_into(folder, content, losses, owner)
            yield folder
        except OSError as error:
            raise CheckpointError("save-failed", run=file.stem, reason=reason_of(error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def admit(self, folder: Path, name: str) -> None:
        """Make an arrival the run `name`.

        Raises:
            RunError: the name is bad or taken.
        """
        if self.exists(name):
            raise RunError("run-exists", run=name)
        with self.hold(name):
            self._move(folder, self.path(name).parent)

    def _move(self, folder: Path, target: Path) -> None:
        """Rename a run's folder; what another run has left under that name makes way."""
        try:
            if _is_leftover(target):
                shutil.rmtree(target)
            folder.rename(target)
        except OSError as error:
            raise RunError("folder-unusable", folder=self.root, reason=reason_of(error)) from error

    def rename(self, name: str, new_name: str) -> str:
        """Rename a saved run; returns the new name in its normal form.

        Raises:
            RunError: no such run, a bad name, or a name that is taken.
        """
        source, target = self._own(name), self.path(new_name)
        if self.exists(new_name):
            raise RunError("run-exists", run=new_name)
        with self.hold(name), self.hold(new_name):
            self._move(source.parent, target.parent)
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


def _write_into(folder: Path, content: Checkpoint, losses: str | None, owner: str) -> None:
    """Write all files of a run, each in one step; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    if owner and _owner_of(folder) != owner:
        checkpoint.write_atomically(folder / OWNER_NAME, owner.encode())
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)  # from a save that was killed
    checkpoint.write(folder / CHECKPOINT_NAME, content.tensors, content.summary)
    if losses is not None:
        checkpoint.write_atomically(folder / LOSS_NAME, losses.encode())


def _is_leftover(folder: Path) -> bool:
    """Whether a folder holds only what a run writes before its first save: nothing of anybody else's."""
    if not (_NAME.fullmatch(folder.name) and folder.is_dir()):
        return False
    ours = {OWNER_NAME, *(path.name for path in folder.glob(".*.tmp"))}
    timeline = folder / TIMELINE_NAME
    if timeline.is_dir() and all(re.fullmatch(r"\d+\.png", path.name) for path in timeline.iterdir()):
        ours.add(TIMELINE_NAME)
    return all(path.name in ours for path in folder.iterdir())


def _owner_of(folder: Path) -> str:
    try:
        return (folder / OWNER_NAME).read_text()
    except OSError:
        return ""


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    total = 0
    for found in [path, *path.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
            total += found.stat().st_size
    return total


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
