"""What is kept of any run's past, whether it trains, was saved whole, or is slim: one shape for all."""

from dataclasses import dataclass

from gan.checkpoint import Checkpoint
from gan.config import RunConfig
from gan.errors import CheckpointError
from gan.history import Array, Curves, History
from gan.snapshot import Snapshot
from gan.timeline import Timeline


@dataclass(frozen=True)
class Past:
    """Settings, numbers and pictures of a run up to step `steps`."""

    run: str
    config: RunConfig
    steps: int
    epochs: float
    looks: Array  # of the judge, (L, len(LOOK_COLUMNS))
    timeline: Timeline
    _history: History  # of every step, or in a slim checkpoint means over equal runs of steps
    _slim: bool = False

    @classmethod
    def of_snapshot(cls, now: Snapshot, timeline: Timeline) -> "Past":
        return cls(now.run, now.config, now.steps, now.epochs, now.looks, timeline, now.history)

    @classmethod
    def of_checkpoint(cls, run: str, saved: Checkpoint, timeline: Timeline) -> "Past":
        summary, looks = saved.summary, saved.tensors["looks"].numpy()
        whole = summary.kind == "full"
        return cls(
            run, summary.config, summary.steps, summary.epochs, looks, timeline, saved.history, not whole
        )

    @property
    def curves(self) -> Curves:
        """The measurements for drawing, over the run's own steps."""
        curves = self._history.curves()
        steps_per_row = self.steps / len(self._history) if len(self._history) else 1.0
        return Curves(curves.steps * steps_per_row, curves.values)

    @property
    def history(self) -> History:
        """The measurements of every step.

        Raises:
            CheckpointError: the checkpoint is slim and has only means.
        """
        if self._slim:
            raise CheckpointError("slim-history", run=self.run)
        return self._history
