"""How soon digits are how good: `fast` against the document's ten epochs, three seeds each.

Frechet distances of 10,000 digits by the project's judge; time spent judging does not count as training.
Also draws docs/side-by-side.png.
"""

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from benchmarks import document
from benchmarks.speed import trainer_of
from gan import plots
from gan.judge import report
from gan.judge.metrics import Gaussian, frechet_distance
from gan.judge.network import judge
from gan.precision import available_cores
from gan.runs import BUNDLED, RunStore
from gan.sampling import Images, SampleRequest, sample
from gan.trainer import Trainer

Batches = torch.utils.data.DataLoader[list[torch.Tensor]]

SEEDS = (0, 1, 2)
MARKS = (5, 15, 30, 60)  # seconds of training
PICTURED = (5, 15, 60)
LOOK_SECONDS = 0.25  # between looks until the document's quality is reached
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "side-by-side.png"
_SHOWN, _COLUMNS = 24, 6
_MARGIN = 16


def measure() -> dict[str, list[float]]:
    """Distances and seconds, one value for each seed; ratios are to the median of the document's seeds."""
    torch.set_num_threads(available_cores())
    with document.loader() as batches:
        runs = [run_document(batches, seed) for seed in SEEDS]
    their_distance = statistics.median(distance for distance, _, _ in runs)
    their_seconds = statistics.median(seconds for _, seconds, _ in runs)
    figures: dict[str, list[float]] = {
        "the document after 10 epochs, distance": [distance for distance, _, _ in runs],
        "the document's 10 epochs, s": [seconds for _, seconds, _ in runs],
        "real digits, distance": [report.floor(report.FULL_COUNT)],
    }
    our_pictures = []
    for seed in SEEDS:
        trainer = trainer_of("fast", seed=seed, length=max(MARKS))
        reached = _train_until(trainer, lambda trainer: _distance(_digits(trainer)) <= their_distance)
        figures.setdefault("fast reaches the document's, s", []).append(reached)
        figures.setdefault("the document's time over that, ratio", []).append(their_seconds / reached)
        for mark in MARKS:
            _train_to(trainer, mark)
            digits = _digits(trainer)
            if seed == SEEDS[0] and mark in PICTURED:
                our_pictures.append(digits[:_SHOWN])
            distance, at = _distance(digits), f"fast after {mark} s"
            figures.setdefault(f"{at}, distance", []).append(distance)
            figures.setdefault(f"{at}, document's over it", []).append(their_distance / distance)
    draw_side_by_side(runs[0][2], our_pictures)
    return figures


def run_document(batches: Batches, seed: int) -> tuple[float, float, list[Images]]:
    """The distance after the document's ten epochs, their seconds, and its digits on the way and then."""
    loop, seconds = document.Loop(batches, seed), 0.0
    pictures: list[Images] = []
    for _ in range(document.EPOCHS * (60_000 // document.BATCH)):
        started = time.perf_counter()
        loop.step()
        seconds += time.perf_counter() - started
        if len(pictures) < len(PICTURED) and seconds >= PICTURED[len(pictures)]:
            pictures.append(loop.digits(_SHOWN))
    digits = loop.digits(report.FULL_COUNT)
    return _distance(digits), seconds, [*pictures, digits[:_SHOWN]]


def _train_until(trainer: Trainer, done: Callable[[Trainer], bool]) -> float:
    """Seconds of training until `done`, which is asked every LOOK_SECONDS of them."""
    while True:
        _train_to(trainer, trainer.seconds + LOOK_SECONDS)
        if done(trainer):
            return trainer.seconds


def _train_to(trainer: Trainer, seconds: float) -> None:
    while trainer.seconds < seconds:
        trainer.step()


def _digits(trainer: Trainer) -> Images:
    return sample(trainer.networks("bench"), SampleRequest(count=report.FULL_COUNT))


def _distance(images: Images) -> float:
    return frechet_distance(Gaussian.of(judge(images)[0]), report.reference()[0])


def draw_side_by_side(theirs: list[Images], ours: list[Images]) -> None:
    """Above the document at PICTURED and after its ten epochs, below `fast` at PICTURED and the best run."""
    best = RunStore(BUNDLED).load("best").networks("best", torch.device("cpu"))
    rows = [theirs, [*ours, sample(best, SampleRequest(count=_SHOWN))]]
    sheets = [[Image.open(io.BytesIO(plots.grid_png(digits, _COLUMNS))) for digits in row] for row in rows]
    width, height = sheets[0][0].size
    size = len(theirs) * (width + _MARGIN) - _MARGIN, len(rows) * (height + _MARGIN) - _MARGIN
    page = Image.new("L", size, 255)
    for y, row in enumerate(sheets):
        for x, sheet in enumerate(row):
            page.paste(sheet.convert("L"), (x * (width + _MARGIN), y * (height + _MARGIN)))
    page.save(PICTURE)
