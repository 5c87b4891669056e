"""Numbers -> what is going on, as a key and named values, and what to try; the page has the sentences."""

from dataclasses import dataclass, field

import numpy as np

from gan.config import Range, RunConfig, allowed_values
from gan.history import LOOK_COLUMNS, Array, History
from gan.judge.metrics import coverage

EARLY_STEPS = 60
_RECENT_STEPS = 200
_SURE = 0.93  # D's mean verdict is right with this certainty on both sides: nothing left to learn from
_FOOLED = 0.55
_FEW_DIGITS = 7
_BLOWN_UP = 100.0  # a loss of D that no healthy run of any loss comes near
_BLOWN_UP_STEPS = 20
_PROBABILITIES = ("non-saturating", "minimax")  # losses under which D's scores are probabilities


@dataclass(frozen=True)
class Diagnosis:
    """A finding; `suggestion` holds new learning rates where a change is likely to help."""

    key: str
    values: dict[str, float] = field(default_factory=dict)
    suggestion: tuple[float, float] | None = None  # lr_g, lr_d


def diagnose(config: RunConfig, history: History, looks: Array) -> Diagnosis:
    """What the recent steps and the judge's looks, shape (L, len(LOOK_COLUMNS)), say about a run.

    A finished or failed run is judged by its last steps as any other.
    """
    if len(history) < EARLY_STEPS:
        return Diagnosis("early")
    loss = float(np.abs(history.column("loss_d")[-_BLOWN_UP_STEPS:]).mean())
    if not loss < _BLOWN_UP:  # NaN is not, either
        return Diagnosis("diverged", {}, _rates(config.lr_g / 10, config.lr_d / 10))
    real, fake = (float(history.column(name)[-_RECENT_STEPS:].mean()) for name in ("d_real", "d_fake"))
    rates = config.lr_g, config.lr_d
    if config.loss in _PROBABILITIES:
        if real > _SURE and fake < 1 - _SURE:
            spotted = round(100 * (1 - fake))
            return Diagnosis("d-wins", {"spotted": spotted}, _rates(rates[0], rates[1] / 3))
        if fake > _FOOLED and real < fake:
            return Diagnosis("g-wins", {"fooled": round(100 * fake)}, _rates(rates[0] / 3, rates[1]))
    fresh = max(5 * EARLY_STEPS, len(history) / 2)  # what G did at first says nothing
    if len(looks) and looks[-1, 0] > fresh:
        shares = looks[-1, LOOK_COLUMNS.index("share_0") :]
        covered = coverage(shares)
        if covered <= _FEW_DIGITS:
            digit = int(np.argmax(shares))
            values: dict[str, float] = {
                "covered": covered,
                "digit": digit,
                "share": round(100 * float(shares[digit])),
            }
            return Diagnosis("collapsed", values, _rates(rates[0] / 2, rates[1] / 2))
    return _progress(looks)


def _rates(lr_g: float, lr_d: float) -> tuple[float, float]:
    """Rounded to two digits, and never below what a run may have."""
    allowed = allowed_values("lr_g")
    assert isinstance(allowed, Range)
    low = allowed.low
    return max(low, float(f"{lr_g:.1e}")), max(low, float(f"{lr_d:.1e}"))


def _progress(looks: Array) -> Diagnosis:
    """Whether the distance still falls, beyond what the noise of a look can feign."""
    if len(looks) < 7:  # two early and two late ones would overlap
        return Diagnosis("learning")
    distance, noise = looks[:, LOOK_COLUMNS.index("distance")], looks[:, LOOK_COLUMNS.index("noise")]
    half = len(looks) // 2
    gained = float(distance[half : half + 2].mean() - distance[-2:].mean())
    return Diagnosis("learning" if gained > float(noise[-2:].mean()) else "steady")
