"""How long a run that waits in line will have to wait."""

import math
from collections.abc import Sequence

from gan.snapshot import Snapshot, Status


def seconds_until_seat(active: Sequence[Snapshot], place: int, most_seconds: float = 0.0) -> float | None:
    """Estimated seconds until the run at `place` in line, from 1, gets a seat; None where nothing trains.

    The runs that train share one thread evenly, and each that ends is followed by the next in line. A run
    that waits is assumed to need all it has left in seconds; other units count as the mean of the rest. A
    paused run keeps its seat and needs no time.

    Args:
        most_seconds: of training that a run may have in one go; 0 is no limit.
    """
    left = sorted(
        snapshot.seconds_left for snapshot in active
        if snapshot.status is Status.TRAINING and snapshot.seconds_left is not None
    )  # fmt: skip
    if not left:
        return None
    usual = sum(left) / len(left)
    line = [
        min(_left(snapshot, usual), most_seconds or math.inf)
        for snapshot in active
        if snapshot.status is Status.WAITING
    ]
    waited = 0.0
    for number in range(place):
        step = left.pop(0)  # the next to end: until then each of those that share has done as much
        waited += step * (len(left) + 1)
        left = sorted([rest - step for rest in left] + ([line[number]] if number < len(line) else []))
        if not left:
            return waited
    return waited


def _left(waiting: Snapshot, usual: float) -> float:
    if waiting.config.unit == "seconds":
        return max(0.0, waiting.config.length - waiting.seconds)
    return usual
