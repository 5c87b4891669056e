"""What every step measured: kept whole, shown downsampled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# What a look of the judge found (gan/judge/report.py): when, the Frechet distance with its standard error,
# the mean confidence, and the shares of the ten digits.
LOOK_COLUMNS = ("step", "distance", "noise", "confidence", *(f"share_{digit}" for digit in range(10)))

COLUMNS = ("loss_d", "loss_g", "d_real", "d_fake", "seconds")


@dataclass(frozen=True)
class Curves:
    """A downsampled history for drawing: `steps` (P,) and one (P,) array for each name in COLUMNS."""

    steps: NDArray[np.float64]
    values: dict[str, Array]

    def __len__(self) -> int:
        return len(self.steps)


class History:
    """Per-step measurements, one float32 row for each of COLUMNS. Grows by doubling."""

    def __init__(self, rows: Array | None = None) -> None:
        rows = np.empty((0, len(COLUMNS)), np.float32) if rows is None else rows
        self._rows: Array = np.array(rows, np.float32)
        self._count = len(rows)

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> Array:
        """All measurements, shape (steps, len(COLUMNS)); a view."""
        return self._rows[: self._count]

    def column(self, name: str) -> Array:
        """One measurement for every step, shape (steps,); a view."""
        return self.rows[:, COLUMNS.index(name)]

    def view(self) -> "History":
        """The history as it is now, sharing its memory: rows are only ever appended, never changed."""
        view = History.__new__(History)
        view._rows, view._count = self.rows, self._count
        return view

    def extend(self, rows: Array) -> None:
        """Append `rows`, shape (n, len(COLUMNS))."""
        needed = self._count + len(rows)
        if needed > len(self._rows):
            grown = np.empty((max(needed, 2 * len(self._rows), 1024), len(COLUMNS)), np.float32)
            grown[: self._count] = self.rows
            self._rows = grown
        self._rows[self._count : needed] = rows
        self._count = needed

    def curves(self, points: int = 400) -> Curves:
        """At most `points` points: means over equal runs of steps, placed at the middle of each run.

        A last run of less than half that length joins the one before: few steps vary more than many, and
        would look like news.
        """
        return self._bucketed(max(1, -(-self._count // points)))

    def _bucketed(self, size: int) -> Curves:
        starts = np.arange(0, self._count, size)
        if len(starts) > 1 and 2 * (self._count - starts[-1]) < size:
            starts = starts[:-1]
        ends = np.append(starts[1:], self._count)[: len(starts)]
        if len(starts) == 0:
            means = np.empty((0, len(COLUMNS)), np.float32)
        else:
            sums = np.add.reduceat(self.rows.astype(np.float64), starts, axis=0)
            means = (sums / (ends - starts)[:, None]).astype(np.float32)
        return Curves((starts + 1 + ends) / 2, {name: means[:, i] for i, name in enumerate(COLUMNS)})

    def epoch_means(self, steps_per_epoch: int) -> list[tuple[float, float]]:
        """Mean loss of D and of G in every finished epoch."""
        finished = self._count // steps_per_epoch
        table = self.rows[: finished * steps_per_epoch, :2].astype(np.float64)
        means = table.reshape(finished, steps_per_epoch, 2).mean(axis=1)
        return [(float(d), float(g)) for d, g in means]


def loss_text(history: History, steps_per_epoch: int, epochs: int) -> str:
    """The document's `loss.txt`: a line for each finished epoch of `epochs`."""
    means = history.epoch_means(steps_per_epoch)
    total = max(epochs, len(means))
    return "".join(
        f"[{number}/{total}]: loss_d: {loss_d:.3f}, loss_g: {loss_g:.3f}\n"
        for number, (loss_d, loss_g) in enumerate(means, 1)
    )


def history_csv(history: History) -> str:
    """Every step as a CSV with a header line."""
    lines = ["step," + ",".join(COLUMNS)]
    lines += [
        f"{step}," + ",".join(f"{value:.6g}" for value in row) for step, row in enumerate(history.rows, 1)
    ]
    return "\n".join(lines) + "\n"
