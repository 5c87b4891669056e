"""What watchers poll: a small token, and pictures drawn once for everybody.

A page asks for the token twice a second. It names the newest pictures of one run by versioned addresses; a
picture is drawn when the first watcher fetches it, and every other watcher gets the same bytes, as of the
token. Nobody looks: nothing is drawn.
"""

import hashlib
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from gan import plots, timeline
from gan.diagnosis import diagnose
from gan.history import LOOK_COLUMNS
from gan.judge import report
from gan.runs import BUNDLED
from gan.sampling import SampleRequest, sample
from gan.snapshot import Snapshot, Status
from gan.studio import Studio
from gan.ui.text import say, say_error
from gan.visitors import LOCAL, Visitor
from gan.waiting import seconds_until_seat

BASE = "gradio_api/gan"  # relative, so that a page behind a sub-path finds it
GRID_SEED, GRID_DIGITS, GRID_COLUMNS = timeline.SEED, timeline.DIGITS, timeline.COLUMNS
SHOWCASE = BUNDLED / "best" / "grid.png"  # digits to look at before the first run
SHOWCASE_ADDRESS = f"{BASE}/showcase.png"
_KEPT_BYTES = 16 * 2**20
_KEPT_RUNS = 32  # whose live pictures are kept
_TOKEN_SECONDS = 0.4  # how long watchers are told the same of an unchanged run


class PictureStore:
    """PNG bytes by the hash of their content, oldest forgotten first."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._lock = threading.Lock()
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0

    def put(self, content: bytes) -> str:
        """Keep a picture; returns its address relative to the page."""
        key = hashlib.sha256(content).hexdigest()[:20]
        with self._lock:
            if key not in self._pictures:
                self._pictures[key] = content
                self._bytes += len(content)
            self._pictures.move_to_end(key)
            while self._bytes > self._most_bytes and len(self._pictures) > 1:
                self._bytes -= len(self._pictures.popitem(last=False)[1])
        return f"{BASE}/picture/{key}.png"

    def get(self, key: str) -> bytes | None:
        """The picture named by the last part of its address, without ".png"."""
        with self._lock:
            return self._pictures.get(key)


@dataclass(frozen=True)
class _Kind:
    """A live picture: how it is drawn, and how long it stands at least while training.

    It stands longer the longer the run is, because it changes less and drawing takes time from training.
    """

    draw: Callable[[Snapshot], bytes]
    least_seconds: float
    most_seconds: float
    share_of_run: float

    def seconds(self, snapshot: Snapshot) -> float:
        """How long a picture of `snapshot` stands."""
        return min(self.most_seconds, max(self.least_seconds, self.share_of_run * snapshot.seconds))


def _draw_grid(snapshot: Snapshot) -> bytes:
    assert snapshot.networks is not None
    images = sample(snapshot.networks, SampleRequest(GRID_SEED, GRID_DIGITS))
    return plots.grid_png(images, GRID_COLUMNS)


def _draw_quality(snapshot: Snapshot) -> bytes:
    return plots.quality_plot_png(snapshot.looks, report.floor(report.LOOK_COUNT), snapshot.steps)


KINDS = {
    "grid": _Kind(_draw_grid, 0.5, 3.0, 0.04),
    "loss-plot": _Kind(lambda snapshot: plots.loss_plot_png(snapshot.history.curves()), 1.0, 6.0, 0.15),
    "score-plot": _Kind(lambda snapshot: plots.score_plot_png(snapshot.history.curves()), 1.0, 6.0, 0.15),
    "quality-plot": _Kind(_draw_quality, 1.0, 6.0, 0.15),
}
_READY: dict[str, Callable[[Snapshot], bool]] = {
    "grid": lambda snapshot: snapshot.networks is not None,
    "loss-plot": lambda snapshot: len(snapshot.history) > 0,
    "score-plot": lambda snapshot: len(snapshot.history) > 0,
    "quality-plot": lambda snapshot: len(snapshot.looks) > 0,
}


def _content(snapshot: Snapshot) -> tuple[int, int]:
    """What differs wherever a picture may."""
    return snapshot.steps, len(snapshot.looks)


class _LivePicture:
    """One kind of picture of one run, drawn at most once for each version shown."""

    def __init__(self, kind: _Kind) -> None:
        self._kind = kind
        self._choosing = threading.Lock()
        self._drawing = threading.Lock()
        self._shown: Snapshot | None = None
        self._shown_at = 0.0
        self._drawn: OrderedDict[int, bytes] = OrderedDict()

    def version(self, snapshot: Snapshot) -> int:
        """The version to show now: the newest, or while training one not yet old enough to replace."""
        with self._choosing:
            old = self._shown
            due = time.monotonic() - self._shown_at >= self._kind.seconds(snapshot)
            moved = old is not None and _content(old) != _content(snapshot)
            if old is None or (moved and (due or snapshot.status is not Status.TRAINING)):
                self._shown = old = snapshot
                self._shown_at = time.monotonic()
            return old.version

    def content(self, version: int) -> tuple[int, bytes] | None:
        """A version that is or was just shown, else the newest, and its picture, drawn now if need be."""
        with self._drawing:
            if version in self._drawn:
                return version, self._drawn[version]
            with self._choosing:
                shown = self._shown
            if shown is None:
                return None
            if shown.version not in self._drawn:
                self._drawn[shown.version] = self._kind.draw(shown)
                while len(self._drawn) > 2:
                    self._drawn.popitem(last=False)
            return shown.version, self._drawn[shown.version]


class Live:
    """The live part of the page, shared by all watchers."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        # Versions begin at 0 in every process, and browsers keep pictures for good.
        self.session = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._pictures: OrderedDict[str, dict[str, _LivePicture]] = OrderedDict()
        self._tokens: OrderedDict[tuple[str, str], tuple[tuple[int, int], float, str]] = OrderedDict()

    def picture(self, run: str, name: str, session: str, version: int) -> tuple[bytes | None, bool]:
        """PNG bytes of a live picture, or None; and whether they are what this address will always show."""
        with self._lock:
            kinds = self._pictures.get(run, {})
        found = kinds[name].content(version) if name in kinds else None
        if found is None:
            return None, False
        return found[1], found[0] == version and session == self.session

    def _pictures_of(self, run: str) -> dict[str, _LivePicture]:
        with self._lock:
            if run not in self._pictures:
                self._pictures[run] = {name: _LivePicture(kind) for name, kind in KINDS.items()}
            self._pictures.move_to_end(run)
            while len(self._pictures) > _KEPT_RUNS:
                self._pictures.popitem(last=False)
            return self._pictures[run]

    def token(self, language: str, run: str = "", visitor_id: str = "", last: str = "") -> str:
        """JSON of what the page shows besides pictures, small enough to be asked for twice a second.

        What is the visitor's own comes first and is cheap; the rest is made once for all who watch the run.
        """
        studio = self._studio
        visitor = Visitor(visitor_id) if studio.settings.shared else LOCAL
        snapshot = studio.watched(run, visitor, last)
        own = next((now.run for now in studio.active_runs() if studio.access.owns(visitor, now.owner)), "")
        mine = snapshot is None or studio.access.owns(visitor, snapshot.owner)
        whose = "" if mine or snapshot is None else say("somebody_elses", language, run=snapshot.run)
        back = say("back_to_own", language, run=own) if own and snapshot and own != snapshot.run else ""
        personal = json.dumps({"mine": mine, "own": own, "whose": whose, "back": back})
        return f"{personal[:-1]}, {self._shared_token(snapshot, language)[1:]}"

    def _shared_token(self, snapshot: Snapshot | None, language: str) -> str:
        key = snapshot.run if snapshot else "", language
        versions = snapshot.version if snapshot else 0, self._studio.runs_version
        with self._lock:
            kept = self._tokens.get(key)
        if kept and kept[0] == versions and time.monotonic() - kept[1] < _TOKEN_SECONDS:
            return kept[2]
        made = json.dumps(self._watched(snapshot, language))
        with self._lock:
            self._tokens[key] = versions, time.monotonic(), made
            self._tokens.move_to_end(key)
            while len(self._tokens) > _KEPT_RUNS:
                self._tokens.popitem(last=False)
        return made

    def _watched(self, snapshot: Snapshot | None, language: str) -> dict[str, object]:
        runs_version = self._studio.runs_version
        if snapshot is None:
            return {
                "state": "idle",
                "run": "",
                "sentence": say("idle", language),
                "problem": "",
                "facts": [],
                "diagnosis": "",
                "suggestion": "",
                "coverage": [],
                "progress": 0.0,
                "pictures": {
                    "train-grid": SHOWCASE_ADDRESS,
                    "train-loss-plot": "",
                    "train-score-plot": "",
                    "train-quality-plot": "",
                },
                "runs_version": runs_version,
                "has_live": False,
            }
        return {
            "state": str(snapshot.status),
            "run": snapshot.run,
            "sentence": self._sentence(snapshot, language),
            "problem": say_error(snapshot.error, language) if snapshot.error else "",
            "facts": facts(snapshot, language, self._sharing(snapshot)),
            **_findings(snapshot, language),
            "progress": snapshot.progress,
            "pictures": self._addresses(snapshot),
            "runs_version": runs_version,
            "has_live": snapshot.networks is not None,
        }

    def _sharing(self, snapshot: Snapshot) -> int:
        """How many runs take turns on the training thread with this one, itself included."""
        if snapshot.status is not Status.TRAINING:
            return 1
        return sum(now.status is Status.TRAINING for now in self._studio.active_runs())

    def _sentence(self, snapshot: Snapshot, language: str) -> str:
        """What a run is doing; for one in line, its place and an estimate."""
        if snapshot.status is not Status.WAITING:
            return say(_sentence_key(snapshot), language, run=snapshot.run)
        active = self._studio.active_runs()
        line = [now.run for now in active if now.status is Status.WAITING]
        place = line.index(snapshot.run) + 1 if snapshot.run in line else 1
        seconds = seconds_until_seat(active, place, 60 * self._studio.settings.minutes_per_run)
        if seconds is None:
            return say("waiting_unknown", language, run=snapshot.run, place=place)
        return say("waiting", language, run=snapshot.run, place=place, about=clock(seconds))

    def _addresses(self, snapshot: Snapshot) -> dict[str, str]:
        addresses = {}
        for name, picture in self._pictures_of(snapshot.run).items():
            if _READY[name](snapshot):
                version = picture.version(snapshot)
                folder = f"{BASE}/live/{quote(snapshot.run)}/{name}"
                addresses[f"train-{name}"] = f"{folder}/{self.session}-{version}.png"
            else:
                addresses[f"train-{name}"] = ""
        dataset = snapshot.config.dataset
        if snapshot.networks:  # the digits are loaded by then
            addresses["train-real"] = real_address(dataset, GRID_COLUMNS)
        else:
            addresses["train-grid"] = SHOWCASE_ADDRESS
        return addresses

    @lru_cache(maxsize=8)  # noqa: B019 (one Live lives as long as its server)
    def real_digits(self, dataset: str, count: int) -> bytes:
        """PNG of `count` test digits in rows of eight: what G never saw, but should look like.

        Raises:
            DataError: the dataset is not on this machine.
        """
        images = self._studio.digits(dataset, train=False).images[:count].numpy()
        return plots.grid_png(images, GRID_COLUMNS)


def _sentence_key(snapshot: Snapshot) -> str:
    """The text key of what a run is doing."""
    unsaved = snapshot.status is Status.STOPPED and snapshot.steps == 0
    return "stopped_unsaved" if unsaved else str(snapshot.status)


def _findings(snapshot: Snapshot, language: str) -> dict[str, object]:
    """What the numbers mean, what to try, and the shares of the ten digits with their words."""
    found = diagnose(snapshot.config, snapshot.history, snapshot.looks)
    suggestion = ""
    if found.suggestion and snapshot.status in (Status.TRAINING, Status.PAUSED):
        lr_g, lr_d = found.suggestion
        suggestion = say("apply_suggestion", language, lr_g=f"{lr_g:g}", lr_d=f"{lr_d:g}")
    shares = snapshot.looks[-1, LOOK_COLUMNS.index("share_0") :].tolist() if len(snapshot.looks) else []
    return {
        "diagnosis": say(f"diagnosis_{found.key.replace('-', '_')}", language, **found.values)
        if snapshot.steps
        else "",
        "suggestion": suggestion,
        "coverage": [
            (round(share, 3), say("coverage_digit", language, digit=digit, share=round(100 * share)))
            for digit, share in enumerate(shares)
        ],
    }


def facts(snapshot: Snapshot, language: str, sharing: int = 1) -> list[tuple[str, str, bool]]:
    """(label, value, label first) of the numbers beside the status; `sharing` runs take turns."""
    config = snapshot.config

    def amount(value: str, unit: str) -> str:
        return (
            say("of_total", language, done=value, total=f"{config.length:g}")
            if unit == config.unit
            else value
        )

    rows = [
        (say("epoch", language), amount(f"{snapshot.epochs:.2f}", "epochs"), True),
        (say("step_count", language), amount(str(snapshot.steps), "steps"), True),
    ]
    moving = snapshot.status is Status.TRAINING
    if snapshot.images_per_second and snapshot.status is not Status.PAUSED:
        rows.append((say("speed", language), f"{snapshot.images_per_second:,.0f}", False))
    rows.append((say("elapsed", language), clock(snapshot.seconds), False))
    if snapshot.seconds_left is not None and moving:
        rows.append((say("left", language), clock(snapshot.seconds_left * sharing), False))
    if len(snapshot.looks):
        distance, noise = (
            float(snapshot.looks[-1, LOOK_COLUMNS.index(name)]) for name in ("distance", "noise")
        )
        rows.append((say("distance", language), f"{distance:.1f} ± {noise:.1f}", True))
    if sharing > 1:
        rows.append((say("sharing", language), str(sharing), False))
    return rows


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def real_address(dataset: str, count: int) -> str:
    """Address of `count` real digits of a dataset, relative to the page."""
    return f"{BASE}/real/{dataset}/{count}.png"
