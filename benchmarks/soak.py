"""A long day of a shared server in some minutes: what must not grow, break or get lost.

    python -m benchmarks.soak MINUTES

Thirty watchers, eight active runs, visitors who come and go, samples, uploads and wrong requests. Prints one
line of JSON; the same for two minutes is a test.
"""

import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
import psutil

from benchmarks.server import ROOT, Server, running_app
from gan import checkpoint
from gan.runs import BUNDLED, CHECKPOINT_NAME

WATCHERS = 30
RUNS = ("fast", "classic", "conditional", "dcgan", "fast", "classic", "conditional", "fast")
MOST_MINUTES = 25.0
_WARM_UP_SECONDS = 240.0  # until the memory is as it will be; half of the time, where that is less
_GOOD = "fast-1-minute"  # the bundled run that is uploaded
_BETWEEN_ACTIONS = 0.3
_MOST_PREPARING = 180.0  # seconds until all runs have begun


@dataclass
class Result:
    """What was seen; everything but the counts should be empty or small."""

    minutes: float
    memory_after_warm_up: float = 0.0  # MB
    memory_at_end: float = 0.0
    memory_by_minute: list[float] = field(default_factory=list)
    polls: int = 0
    poll_p95_ms: float = 0.0
    actions: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    watchers_errors: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    log_errors: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        return self.memory_at_end - self.memory_after_warm_up


class Visit:
    """Plain requests of one visitor."""

    def __init__(self, server: Server) -> None:
        self.base = f"{server.address}gradio_api"
        self.token = str(self.call("visitor")[1]["token"])

    def call(self, endpoint: str, *data: Any) -> tuple[bool, Any]:
        """Whether the server did it, and its answer."""
        called = httpx.post(f"{self.base}/call/{endpoint}", json={"data": list(data)}, timeout=60)
        called.raise_for_status()
        text = httpx.get(f"{self.base}/call/{endpoint}/{called.json()['event_id']}", timeout=60).text
        answer = json.loads(text.rsplit("data: ", 1)[1])
        return "event: complete" in text, answer[0] if isinstance(answer, list) else answer

    def upload(self, content: bytes) -> tuple[bool, Any]:
        """As the page does it: first the file, then what is to be done with it."""
        path = httpx.post(f"{self.base}/upload", files={"files": ("x.safetensors", content)}).json()[0]
        data = {"path": path, "meta": {"_type": "gradio.FileData"}}
        return self.call("page_upload", data, "", self.token, "en")

    def get(self, path: str) -> int:
        return httpx.get(f"{self.base}/gan/{path}", headers={"X-Gan-Visitor": self.token}).status_code


class Soak:
    """One server and everybody who uses it."""

    def __init__(self, server: Server, minutes: float) -> None:
        self.server, self.seconds = server, 60 * minutes
        self.result = Result(minutes)
        self.owners: dict[str, Visit] = {}
        self.memory: list[tuple[float, float]] = []
        self.chance = random.Random(0)

    def run(self) -> Result:
        for number, recipe in enumerate(RUNS):
            owner, name = Visit(self.server), f"{recipe}-{number}"
            settings = [recipe, name, 100_000, "seconds", {}, owner.token]
            self._expect(owner.call("start", *settings)[0], f"start {name}")
            self.owners[name] = owner
        self._wait_until_all_train()
        command = [sys.executable, "-m", "benchmarks.crowd", self.server.address, "watch", str(WATCHERS)]
        started = time.monotonic()
        with subprocess.Popen(
            [*command, str(self.seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as crowd:
            while time.monotonic() - started < self.seconds:
                self._act()
                used = psutil.Process(self.server.process).memory_info().rss / 2**20
                self.memory.append((time.monotonic() - started, used))
                time.sleep(_BETWEEN_ACTIONS)
            watched = json.loads(crowd.communicate()[0])
        self.result.polls = len(watched["latencies"])
        self.result.poll_p95_ms = 1000 * statistics.quantiles(watched["latencies"], n=20)[-1]
        self.result.watchers_errors = watched["errors"][:5]
        self._measure_memory()
        self._end()
        return self.result

    def _wait_until_all_train(self) -> None:
        deadline = time.monotonic() + _MOST_PREPARING
        while not all(visit.call("status", run, "")[1]["step"] for run, visit in self.owners.items()):
            if time.monotonic() > deadline:
                raise TimeoutError("not all runs have begun")
            time.sleep(1)

    def _expect(self, right: bool, what: str) -> None:
        if not right:
            self.result.unexpected.append(what)

    def _act(self) -> None:
        name = self.chance.choice(
            ("sample", "come and go", "pause and resume", "wrong", "upload", "stranger")
        )
        self.result.actions[name] = self.result.actions.get(name, 0) + 1
        getattr(self, "_" + name.replace(" ", "_"))()

    def _sample(self) -> None:
        run, visit = self.chance.choice(list(self.owners.items()))
        status = visit.get(f"sample?source={run}&seed={self.chance.random() * 100:.2f}&count=64")
        self._expect(status == 200, f"sample {run}: {status}")

    def _come_and_go(self) -> None:
        visit = Visit(self.server)
        self._expect(httpx.get(self.server.address).status_code == 200, "the page")
        self._expect(visit.get("live?lang=zh") == 200, "the token")

    def _pause_and_resume(self) -> None:
        run, visit = self.chance.choice(list(self.owners.items()))
        self._expect(visit.call("pause", run, visit.token)[0], f"pause {run}")
        self._expect(visit.call("resume", run, 0, "seconds", visit.token)[0], f"resume {run}")

    def _wrong(self) -> None:
        visit = Visit(self.server)
        for endpoint, data in (
            ("start", ["nope", "", 60, "seconds", {}, visit.token]),
            ("start", ["fast", "../../etc", 60, "seconds", {}, visit.token]),
            ("start", ["fast", "x", -5, "seconds", {"lr_g": 9}, visit.token]),
            ("pause", ["absent", visit.token]),
            ("sample", ["absent", 1, 64, 1, "best", "mixed", visit.token]),
            ("sample", ["best", 1, 64, 1, "best", "mixed", ""]),
            ("start", [5, ["x"], "long", {}, "lr_g", visit.token]),
            ("pause", [{"run": 1}, visit.token]),
            ("rates", ["high", None, 3, visit.token]),
        ):
            self._expect(not visit.call(endpoint, *data)[0], f"a wrong {endpoint} was done")
        for path in ("sample?seed=x", "sample?count=99999", "run/..%2f..%2fx/checkpoint.safetensors"):
            self._expect(visit.get(path) in (400, 404), path)

    def _stranger(self) -> None:
        visit, run = Visit(self.server), self.chance.choice(list(self.owners))
        for endpoint in ("pause", "stop", "delete"):
            for token, why in (("", "does not know you"), (visit.token, "somebody else's")):
                done, answer = visit.call(endpoint, run, token)
                self._expect(not done and why in str(answer), f"a stranger could {endpoint} {run}: {answer}")

    def _upload(self) -> None:
        visit = Visit(self.server)
        done, answer = visit.upload(os.urandom(100_000))
        self._expect(not done and "not a readable checkpoint" in str(answer), f"a broken upload: {answer}")
        done, answer = visit.upload((BUNDLED / _GOOD / CHECKPOINT_NAME).read_bytes())
        self._expect(done, f"an upload: {answer}")
        if done:
            run = answer["value"]
            self._expect(visit.call("delete", run, visit.token)[0], f"delete {run}")

    def _measure_memory(self) -> None:
        warm = min(_WARM_UP_SECONDS, 0.5 * self.seconds)
        settled = [used for at, used in self.memory if warm <= at < 1.25 * warm]
        last = [used for at, used in self.memory if at >= 0.9 * self.seconds]
        for minute in range(int(self.seconds // 60)):
            used = [used for at, used in self.memory if minute <= at / 60 < minute + 1]
            self.result.memory_by_minute.append(round(statistics.median(used), 1))
        self.result.memory_after_warm_up = round(statistics.median(settled), 1)
        self.result.memory_at_end = round(statistics.median(last), 1)

    def _end(self) -> None:
        """Stop the server as its host would, and look for what got lost."""
        seen = {name: visit.call("status", name, "")[1]["step"] for name, visit in self.owners.items()}
        process = psutil.Process(self.server.process)
        process.send_signal(signal.SIGTERM)
        status = process.wait(15)
        self._expect(status == 0, f"the server ended with {status}")
        for name in self.owners:
            saved = checkpoint.read(self.server.folder / name / "checkpoint.safetensors")
            self.result.steps[name] = saved.summary.steps
            if len(saved.history) != saved.summary.steps or saved.summary.steps < seen[name]:
                self.result.lost.append(f"{name}: seen at {seen[name]}, saved at {saved.summary.steps}")
        self.server.log.seek(0)
        lines = self.server.log.read().splitlines()
        self.result.log_errors = [line for line in lines if re.search("ERROR|Traceback", line)][:5]


def soak(minutes: float) -> Result:
    """Run it for `minutes`."""
    with tempfile.TemporaryDirectory() as cache, running_app(GAN_SHARED="1", GRADIO_TEMP_DIR=cache) as server:
        return Soak(server, minutes).run()


def main(minutes: float) -> int:
    """Print what was seen; 0 if nothing grew, broke or got lost."""
    if not 0.5 <= minutes <= MOST_MINUTES:
        print(f"0.5 to {MOST_MINUTES:g} minutes", file=sys.stderr)
        return 2
    result = soak(minutes)
    print(json.dumps({"growth": round(result.growth, 1), **asdict(result)}))
    broken = result.watchers_errors + result.unexpected + result.log_errors + result.lost
    return 1 if broken or result.growth >= 50 else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
