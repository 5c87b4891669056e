"""What a room costs: the training speed with and without a crowd, and how long the crowd waits.

The crowd is real HTTP clients on the same machine, whose own work is part of what training loses.
"""

import json
import statistics
import subprocess
import sys
import time

import psutil
from gradio_client import Client

from benchmarks.server import ROOT, Server, running_app

ROUNDS = 3
WATCHERS = (1, 30, 100)
DRAGGERS = 30
WINDOW_SECONDS = 10.0
SETTLE_SECONDS = 3.0


def measure() -> dict[str, list[float]]:
    """For each crowd: percent of the training speed, milliseconds of the 95th percentile, and CPU time."""
    figures: dict[str, list[float]] = {}
    with running_app(GAN_SHARED="1") as server:
        client = Client(server.address, verbose=False)
        token = client.predict(api_name="/visitor")["token"]
        client.predict(name="bench", length=100_000, token=token, api_name="/start")
        time.sleep(3 * SETTLE_SECONDS)
        for _ in range(ROUNDS):
            for what, visitors in (*(("watch", count) for count in WATCHERS), ("drag", DRAGGERS)):
                for figure, value in _crowd(server, client, what, visitors).items():
                    figures.setdefault(figure, []).append(value)
    return figures


def _crowd(server: Server, client: Client, what: str, visitors: int) -> dict[str, float]:
    before, idle_cpu = _speed(server, client)
    seconds = WINDOW_SECONDS + 3 * SETTLE_SECONDS
    command = [sys.executable, "-m", "benchmarks.crowd", server.address, what, str(visitors), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as crowd:
        time.sleep(3 * SETTLE_SECONDS)
        beside, busy_cpu = _speed(server, client)
        answer = json.loads(crowd.communicate()[0])
    assert not answer["errors"], answer["errors"][0]
    time.sleep(SETTLE_SECONDS)
    after, _ = _speed(server, client)
    slowest = statistics.quantiles(answer["latencies"], n=20)[-1]
    name = f"{visitors} who {what}"
    return {
        f"{name}, % of training": 100 * (1 - beside / ((before + after) / 2)),
        f"{name}, p95 in ms": 1000 * slowest,
        f"{name}, CPU ms each second and visitor": 1000 * (busy_cpu - idle_cpu) / visitors,
    }


def _speed(server: Server, client: Client) -> tuple[float, float]:
    """Steps a second, and the CPU seconds a second of all the server's threads but the one that trains."""
    process = psutil.Process(server.process)

    def now() -> tuple[float, float, float]:
        *others, _training = sorted(thread.user_time + thread.system_time for thread in process.threads())
        return client.predict(api_name="/status")["step"], sum(others), time.perf_counter()

    first = now()
    time.sleep(WINDOW_SECONDS)
    last = now()
    return (last[0] - first[0]) / (last[2] - first[2]), (last[1] - first[1]) / (last[2] - first[2])
