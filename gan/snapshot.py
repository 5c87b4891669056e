"""What watchers see of a run: immutable, and made of copies that training never touches."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from gan.config import RunConfig
from gan.errors import GanError
from gan.history import LOOK_COLUMNS, Array, History
from gan.sampling import Networks
from gan.trainer import Trainer

_SPEED_STEPS = 100  # the speed shown is the mean over this many recent steps


class Status(StrEnum):
    """What a run is doing. The first four are active: the thread holds the run, or it waits in line."""

    WAITING = "waiting"
    PREPARING = "preparing"
    TRAINING = "training"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"

    @property
    def active(self) -> bool:
        return self in (Status.WAITING, Status.PREPARING, Status.TRAINING, Status.PAUSED)


@dataclass(frozen=True)
class Snapshot:
    """What watchers see of a run; never changed after it was published."""

    version: int  # grows with every publication of this server
    run: str
    status: Status
    config: RunConfig
    owner: str = ""  # whose it is: a Visitor's id; empty is nobody's
    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    progress: float = 0.0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    looks: Array = field(default_factory=lambda: np.empty((0, len(LOOK_COLUMNS)), np.float32))
    history: History = History()  # noqa: RUF009 (empty, and never extended)
    networks: Networks | None = None
    error: GanError | None = None  # why the run failed, or why its last save did


def take_snapshot(run: str, status: Status, trainer: Trainer) -> Snapshot:
    """The run's numbers now, with frozen copies of its networks; the version is the publisher's to give.

    Raises:
        TrainingError: a recent measurement is NaN or infinite.
    """
    history = trainer.history.view()
    recent = history.column("seconds")[-_SPEED_STEPS:]
    step_seconds = float(recent.mean()) if len(recent) else 0.0
    config = trainer.config
    return Snapshot(
        version=0,
        run=run,
        status=status,
        config=config,
        steps=trainer.steps,
        epochs=trainer.epochs,
        seconds=trainer.seconds,
        progress=trainer.progress,
        images_per_second=config.batch_size / step_seconds if step_seconds else 0.0,
        seconds_left=_seconds_left(trainer, step_seconds),
        history=history,
        looks=trainer.looks,
        networks=trainer.networks(run),
    )


def _seconds_left(trainer: Trainer, step_seconds: float) -> float | None:
    config = trainer.config
    left = config.length - config.done(trainer.steps, trainer.epochs, trainer.seconds)
    each = {"seconds": 1.0, "steps": step_seconds, "epochs": step_seconds * trainer.steps_per_epoch}
    return max(0.0, left * each[config.unit]) if step_seconds else None
