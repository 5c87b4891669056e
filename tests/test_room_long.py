"""What only shows after a while: a full room for minutes, and a room whose server is killed."""

import os
import shutil
import signal
import time

import psutil
import pytest

from benchmarks.server import Server, running_app
from benchmarks.soak import RUNS, Visit, soak
from gan import checkpoint

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


def fill(server: Server) -> dict[str, Visit]:
    """Eight visitors, each with a run that trains."""
    owners = {}
    for number, recipe in enumerate(RUNS):
        owners[f"{recipe}-{number}"] = owner = Visit(server)
        done, answer = owner.call("start", recipe, f"{recipe}-{number}", 100_000, "seconds", {}, owner.token)
        assert done, answer
    return owners


def seconds(visit: Visit, run: str) -> float:
    return float(visit.call("status", run, "")[1]["seconds"])


def test_two_minutes_of_a_full_room_lose_break_and_leak_nothing() -> None:
    result = soak(2)
    assert result.unexpected == []
    assert result.watchers_errors == []
    assert result.log_errors == []
    assert result.lost == []
    assert min(result.steps.values()) > 0
    assert result.growth < 50
    assert result.polls > 3000


def test_a_killed_server_loses_at_most_ten_seconds_of_each_of_eight_runs() -> None:
    with running_app(GAN_SHARED="1") as server:
        owners = fill(server)
        deadline = time.monotonic() + 240
        while not all(seconds(visit, run) > 12 for run, visit in owners.items()):
            assert time.monotonic() < deadline, "they train too slowly"
            time.sleep(2)
        trained = {run: seconds(visit, run) for run, visit in owners.items()}
        psutil.Process(server.process).send_signal(signal.SIGKILL)
        for run, before in trained.items():
            saved = checkpoint.read(server.folder / run / "checkpoint.safetensors").summary
            assert before - saved.seconds <= 10, run


def test_a_vanished_and_a_closed_folder_end_in_a_sentence_and_the_others_go_on() -> None:
    with running_app(GAN_SHARED="1") as server:
        owners = fill(server)
        run, owner = next(iter(owners.items()))
        deadline = time.monotonic() + 60
        while seconds(owner, run) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        shutil.rmtree(server.folder)
        server.folder.write_text("in the way")  # root may write anywhere, but not below a file
        assert owner.call("save", run, owner.token)[0]
        while (error := owner.call("status", run, "")[1]["error"]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert "Could not save" in error
        stranger = Visit(server)
        done, answer = stranger.call("start", "fast", "late", 60, "seconds", {}, stranger.token)
        assert not done
        assert "Traceback" not in str(answer)
        other, visit = list(owners.items())[1]
        before = seconds(visit, other)
        while seconds(visit, other) <= before:
            assert time.monotonic() < deadline + 60
            time.sleep(0.5)
        os.unlink(server.folder)
        assert owner.call("stop", run, owner.token)[0]
        while not (server.folder / run / "checkpoint.safetensors").exists():
            assert time.monotonic() < deadline + 60
            time.sleep(0.5)
        server.log.seek(0)
        assert "Traceback" not in server.log.read()
