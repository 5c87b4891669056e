import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan import checkpoint
from gan.cli import main
from gan.runs import RunStore

PROJECT = Path(__file__).resolve().parent.parent
QUICK = ("--set", "batch_size=8", "--set", "latent_dim=8", "--precision", "fp32")


@dataclass
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])

    @property
    def complaint(self):
        """What a wrong use says: exit status 2, and one line on stderr."""
        assert self.status == 2
        assert self.out == ""
        assert re.fullmatch(r"[^\n]+\n", self.err), self.err
        return self.err


@contextmanager
def command_line(checkpoints):
    """The environment of a command line; signal handlers and threads are put back afterwards."""
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("PORT", "GRADIO_SERVER_PORT", "GAN_DATA", "CPU_CORES"):
            patch.delenv(variable, raising=False)
        patch.setenv("GAN_DEVICE", "cpu")
        patch.setenv("GAN_CHECKPOINTS", str(checkpoints))
        yield
    torch.set_num_threads(threads)
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.fixture
def gan(capsys, tmp_path):
    """`gan("train", ...)` as on a command line, with an empty folder of checkpoints."""

    def call(*arguments):
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as left:
            status = left.code
        out, err = capsys.readouterr()
        return Answer(status, out, err)

    with command_line(tmp_path / "checkpoints"):
        yield call


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory):
    """A folder with a run of each kind: `plain`, `labels` (conditional) and `slim`."""
    folder = tmp_path_factory.mktemp("trained")
    with command_line(folder):
        assert main(["train", "--run", "plain", "--steps", "3", *QUICK]) == 0
        assert main(["train", "--run", "labels", "--recipe", "conditional", "--steps", "3", *QUICK]) == 0
    store = RunStore(folder)
    store.save_slim("slim", store.load("plain"))
    return folder


@pytest.fixture
def runs(trained_once, tmp_path):
    """The folder of checkpoints, with copies of the trained runs."""
    return shutil.copytree(trained_once, tmp_path / "checkpoints")


# -- train ---------------------------------------------------------------------------------------------------


def command(*arguments, **environment):
    settings = {
        "env": {**os.environ, "GAN_DEVICE": "cpu", **environment},
        "cwd": PROJECT,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    return subprocess.Popen([sys.executable, "-m", "gan", *map(str, arguments)], **settings)


def test_python_m_gan_trains_and_its_last_line_is_json(tmp_path):
    recipe, quick = ("--recipe", "classic", "--set", "batch_size=32"), ("--steps", 4, "--threads", 1)
    process = command("train", "--run", "demo", *recipe, *quick, "--json", GAN_CHECKPOINTS=str(tmp_path))
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err.decode()
    answer = json.loads(out.decode().splitlines()[-1])
    assert list(answer) == [
        "run", "recipe", "step", "epoch", "images", "seconds", "images_per_second", "precision", "threads",
        "checkpoint",
    ]  # fmt: skip
    assert (answer["run"], answer["recipe"], answer["step"]) == ("demo", "classic", 4)
    assert (answer["images"], answer["threads"]) == (4 * 32, 1)
    assert answer["epoch"] == pytest.approx(4 / (60_000 // 32))
    assert answer["precision"] in ("fp32", "bf16")  # measured: never "auto"
    assert answer["seconds"] > 0
    assert answer["images_per_second"] == pytest.approx(4 * 32 / answer["seconds"])
    saved = checkpoint.read(Path(answer["checkpoint"])).summary
    assert (saved.steps, saved.config.precision) == (4, answer["precision"])
    assert b"100%" in err
    kept = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.is_file()}
    assert kept == {
        f"demo/{name}"
        for name in (
            "checkpoint.safetensors",
            "loss.txt",
            "timeline/1.png",
            "timeline/2.png",
            "timeline/4.png",
        )
    }


def test_settings_reach_the_run(gan, tmp_path):
    answer = gan(
        "train", "--run", "set", "--steps", 1, *QUICK, "--set", "loss=minimax", "--set", "lr_g = 1e-3"
    )
    assert answer.status == 0
    assert answer.out.startswith("set: step 1, epoch ")
    config = RunStore(tmp_path / "checkpoints").load("set").summary.config
    assert (config.loss, config.lr_g, config.batch_size, config.precision) == ("minimax", 1e-3, 8, "fp32")
    assert (config.length, config.unit, config.recipe) == (1, "steps", "fast")


def test_a_length_in_epochs_ends_with_the_first_step_that_completes_it(gan):
    answer = gan("train", "--run", "short", "--epochs", 0.001, "--json", *QUICK)
    assert answer.json["step"] == 8  # of 7500 an epoch


def test_a_length_in_seconds_ends_with_the_first_step_that_completes_it(gan, tmp_path):
    assert gan("train", "--run", "short", "--seconds", 0.1, *QUICK).status == 0
    seconds = RunStore(tmp_path / "checkpoints").load("short").history.column("seconds").astype(float)
    assert seconds[:-1].sum() < 0.1 + 1e-6
    assert seconds.sum() > 0.1 - 1e-6


def test_resuming_goes_on_to_the_total_and_equals_a_run_without_a_break(gan, runs):
    resumed = gan("train", "--run", "plain", "--resume", "--steps", 7, "--json")
    assert resumed.status == 0
    assert (resumed.json["step"], resumed.json["images"]) == (7, 56)
    assert resumed.json["images_per_second"] == pytest.approx(4 * 8 / resumed.json["seconds"])
    assert gan("train", "--run", "straight", "--steps", 7, *QUICK).status == 0
    store = RunStore(runs)
    broken, straight = store.load("plain").tensors, store.load("straight").tensors
    for name in straight.keys() - {"history"}:
        assert torch.equal(broken[name], straight[name]), name


@pytest.mark.usefixtures("runs")
def test_resuming_may_repeat_the_settings_of_the_run(gan):
    assert gan("train", "--run", "plain", "--resume", "--recipe", "fast", "--steps", 4, *QUICK).status == 0


@pytest.mark.parametrize("source", ["plain", "slim", "checkpoints/plain/checkpoint.safetensors"])
def test_a_new_run_can_begin_from_the_weights_of_another(gan, runs, monkeypatch, tmp_path, source):
    monkeypatch.chdir(tmp_path)
    hardly_moving = ("--set", "lr_g=1e-6", "--set", "lr_d=1e-6")
    answer = gan("train", "--run", "new", "--weights", source, "--steps", 1, *QUICK, *hardly_moving, "--json")
    assert answer.json["step"] == 1
    store = RunStore(runs)
    theirs = store.load("slim" if source == "slim" else "plain").tensors
    begun_with = theirs["ema.conv1.weight" if source == "slim" else "generator.conv1.weight"].float()
    assert (store.load("new").tensors["generator.conv1.weight"] - begun_with).abs().max() < 2e-6


# -- wrong use: exit status 2, one line that says what is wrong ----------------------------------------------


def snapshot(folder):
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if not {".locks", "checkpoints"} & set(path.parts[-2:])
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["required: command"]),
        ("fly", ["'fly'", "train"]),
        ("train --steps 3", ["--run"]),
        ("train --run new --recipe nope", ["nope", "fast", "classic", "conditional"]),
        ("train --run new --set lr_g", ["--set needs field=value, got 'lr_g'"]),
        ("train --run new --set lrg=1", ["no setting 'lrg'", "lr_g, lr_d"]),
        ("train --run new --set lr_g=fast", ["lr_g is 'fast'; it must be a number"]),
        ("train --run new --set lr_g=nan", ["lr_g is nan"]),
        ("train --run new --set batch_size=1", ["batch_size is 1; allowed is 2 to 1024"]),
        ("train --run new --set loss=l2", ["loss is 'l2'; allowed is non-saturating, minimax"]),
        ("train --run new --steps 0", ["length is 0.0; allowed is 1 to 50000000 steps"]),
        ("train --run new --steps many", ["many"]),
        ("train --run new --steps 1 --epochs 1", ["--epochs", "--steps"]),
        ("train --run new --threads 0", ["--threads is 0; allowed is 1 to 1024"]),
        ("train --run ../new --steps 1", ["'../new' cannot name a run"]),
        ("train --run plain --steps 9", ["'plain' already", "resume"]),
        ("train --run nobody --resume --steps 9", ["no run 'nobody'"]),
        ("train --run slim --resume --steps 9", ["'slim' is a slim checkpoint"]),
        ("train --run plain --resume --steps 3", ["'plain' has reached its length (3 steps)"]),
        (
            "train --run plain --resume --recipe classic --steps 9",
            [
                "recipe is 'fast'",
                "network is 'fast' in the checkpoint, 'mlp' in",
                "batch_size is 8",
                "beta1 is",
            ],
        ),
        ("train --run plain --resume", ["'plain' has reached its length (3 steps)"]),
        ("train --run new --weights labels --steps 1", ["'labels'", "conditional is True in the checkpoint"]),
        ("train --run new --weights nobody --steps 1", ["no run 'nobody'"]),
        ("sample nobody --out x.png", ["no run 'nobody'"]),
        ("sample plain", ["--out"]),
        ("sample plain --out x.jpg", ["--out is 'x.jpg'; it must end in .png or .npy"]),
        ("sample plain --out nowhere/x.png", ["nowhere/x.png", "No such file"]),
        ("sample plain --out nowhere/x.npy", ["nowhere/x.npy", "No such file"]),
        ("sample plain --out x.png --count 0", ["count is 0; allowed is 1 to 100000"]),
        ("sample plain --out x.png --seed -1", ["seed is -1.0"]),
        ("sample plain --out x.png --truncation 9", ["truncation is 9.0; allowed is 0.3 to 1.5"]),
        ("sample plain --out x.png --digit 3", ["'plain' was not trained with labels"]),
        ("sample labels --out x.png --digit 10", ["digit is 10; allowed is 0 to 9"]),
        ("sample slim --out x.png --weights raw", ["'slim' holds one generator only"]),
        ("sample plain --out x.png --weights worst", ["worst", "best"]),
        ("export plain", ["--out"]),
        ("export nobody --out x", ["no run 'nobody'"]),
        ("export plain --out nowhere/x", ["nowhere/x", "No such file"]),
    ],
)
@pytest.mark.usefixtures("runs")
def test_wrong_use_is_one_line_and_exit_status_2(gan, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    complaint = gan(*arguments.split()).complaint
    assert all(word in complaint for word in words), complaint
    assert snapshot(tmp_path) == before


@pytest.mark.usefixtures("runs")
def test_every_different_setting_is_listed_when_a_resume_is_refused(gan):
    changes = ("--set", "lr_g=0.001", "--set", "ema=0", "--precision", "bf16", "--recipe", "classic")
    complaint = gan("train", "--run", "plain", "--resume", "--steps", 9, *changes).complaint
    for words in (
        "Cannot resume 'plain'",
        "lr_g is 0.004 in the checkpoint, 0.001 in the request",
        "ema is 0.998 in the checkpoint, 0.0 in the request",
        "precision is 'fp32' in the checkpoint, 'bf16' in the request",
        "recipe is 'fast' in the checkpoint, 'classic' in the request",
    ):
        assert words in complaint


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PORT", "http", "PORT is 'http'"),
        ("GAN_DEVICE", "cuda:99", "'cuda:99'"),
        ("GAN_CHECKPOINTS", "/dev/null/x", "/dev/null/x cannot be used: Not a directory"),
    ],
)
def test_a_wrong_environment_is_wrong_use(gan, monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    assert words in gan("train", "--run", "new", "--steps", 1).complaint


def test_training_that_diverges_exits_with_1_and_keeps_the_last_checkpoint(gan, runs):
    file = runs / "plain" / "checkpoint.safetensors"
    good = checkpoint.read(file)
    tensors = {
        **good.tensors,
        "generator.conv1.weight": torch.full_like(good.tensors["generator.conv1.weight"], 1e38),
    }
    checkpoint.write(file, tensors, good.summary)
    before = file.read_bytes()
    answer = gan("train", "--run", "plain", "--resume", "--steps", 30)
    assert answer.status == 1
    assert "at step 4" in answer.err.splitlines()[-1]
    assert file.read_bytes() == before


# -- sample, export, runs ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("runs")
def test_digits_are_written_as_an_array(gan, tmp_path):
    file = tmp_path / "digits.npy"
    assert gan("sample", "plain", "--out", file, "--count", 1203, "--seed", 3.5).status == 0
    digits = np.load(file)
    assert digits.shape == (1203, 28, 28)
    assert digits.dtype == np.uint8
    assert gan("sample", "plain", "--out", file, "--count", 5, "--seed", 3.5).status == 0
    few = np.load(file)
    assert len(few) == 5
    assert np.abs(few.astype(int) - digits[:5]).max() <= 1


@pytest.mark.parametrize(
    ("count", "size"), [(3, (172, 56)), (64, (462, 462)), (600, (25 * 58 - 2, 24 * 58 - 2))]
)
@pytest.mark.usefixtures("runs")
def test_digits_are_written_as_a_grid(gan, tmp_path, count, size):
    array, picture = tmp_path / "digits.npy", tmp_path / "digits.png"
    for file in (array, picture):
        assert gan("sample", "plain", "--out", file, "--count", count).status == 0
    with Image.open(picture) as image:
        assert image.size == size
        assert np.array_equal(np.asarray(image)[:56:2, :56:2], np.load(array)[0])


@pytest.mark.usefixtures("runs")
def test_a_conditional_run_draws_the_digit_that_is_asked_for(gan, tmp_path):
    drawn = {}
    for digit in (None, 3, 4):
        file = tmp_path / f"{digit}.npy"
        choice = () if digit is None else ("--digit", digit)
        assert gan("sample", "labels", "--out", file, "--count", 10, *choice).status == 0
        drawn[digit] = np.load(file).astype(int)
    for digit in (3, 4):
        assert (
            np.abs(drawn[digit][digit] - drawn[None][digit]).max() <= 1
        )  # of all ten in turn, its own place
    assert not np.array_equal(drawn[3], drawn[4])


@pytest.mark.usefixtures("runs")
def test_a_slim_export_samples_from_its_file_almost_the_same_digits(gan, tmp_path):
    slim, full = tmp_path / "slim.safetensors", tmp_path / "full.safetensors"
    assert gan("export", "plain", "--slim", "--out", slim).status == 0
    assert gan("export", "plain", "--out", full).status == 0
    assert slim.stat().st_size < full.stat().st_size / 5
    digits = {}
    for source in ("plain", slim, full):
        out = tmp_path / "digits.npy"
        assert gan("sample", source, "--out", out, "--count", 20).status == 0
        digits[source] = np.load(out).astype(int)
    assert np.array_equal(digits[full], digits["plain"])
    assert np.abs(digits[slim] - digits["plain"]).max() <= 2
    assert "holds one generator only" in gan("sample", slim, "--out", out, "--weights", "raw").complaint


@pytest.mark.usefixtures("runs")
def test_an_exported_run_comes_back_under_another_name(gan, tmp_path):
    file = tmp_path / "plain.safetensors"
    assert gan("export", "plain", "--out", file).status == 0
    assert gan("import", file).out == "import-1\n"
    assert gan("import", file, "--run", "again").out == "again\n"
    listed = gan("runs").out
    assert "import-1" in listed
    assert "again" in listed
    assert "There is a run 'plain'" in gan("import", file, "--run", "plain").complaint
    file.write_bytes(b"broken")
    assert "not a readable checkpoint" in gan("import", file).complaint


def test_the_list_of_runs_names_the_damaged_ones_too(gan, runs):
    cut = runs / "cut" / "checkpoint.safetensors"
    cut.parent.mkdir()
    cut.write_bytes((runs / "plain" / "checkpoint.safetensors").read_bytes()[:100])
    answer = gan("runs")
    assert answer.status == 0
    lines = {line.split()[0]: line for line in answer.out.splitlines()}
    assert lines.keys() == {"plain", "labels", "slim", "cut"}
    assert re.search(r"fast +mnist +step 3 +epoch 0\.00 +100% of 3 steps$", lines["plain"])
    assert lines["slim"].endswith("slim")
    assert "conditional" in lines["labels"]
    assert "not a readable checkpoint" in lines["cut"]


def test_a_damaged_run_is_refused_in_one_line(gan, runs, tmp_path):
    file = runs / "plain" / "checkpoint.safetensors"
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    for arguments in (
        ("sample", "plain", "--out", tmp_path / "x.png"),
        ("train", "--run", "plain", "--resume"),
    ):
        assert "does not match its digest" in gan(*arguments).complaint


def test_an_empty_folder_has_no_runs(gan):
    assert gan("runs") == Answer(0, "", "")


# -- signals -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """Two trainings at once, one ended by each signal: signal -> (folder, exit status, stdout, stderr)."""
    ended, processes = {}, {}
    try:
        for signum in (signal.SIGINT, signal.SIGTERM):
            folder = tmp_path_factory.mktemp(signum.name)
            arguments = ("--run", "demo", "--steps", 1_000_000, "--threads", 1, *QUICK, "--json")
            processes[signum] = folder, command("train", *arguments, GAN_CHECKPOINTS=str(folder))
        for signum, (folder, process) in processes.items():
            shown = b""
            while b"epoch" not in shown:
                shown += (piece := os.read(process.stderr.fileno(), 4096))
                assert piece, shown.decode()
            process.send_signal(signum)
            out, err = process.communicate(timeout=100)
            ended[signum] = folder, process.returncode, out.decode(), err.decode()
    finally:
        for _, process in processes.values():
            process.kill()
    return ended


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_a_signal_saves_the_run_so_that_it_can_go_on(gan, monkeypatch, interrupted, signum):
    folder, status, out, err = interrupted[signum]
    assert status == 130, err
    assert "Traceback" not in err
    step = json.loads(out.splitlines()[-1])["step"]
    assert 1 <= step < 1_000_000
    assert RunStore(folder).load("demo").summary.steps == step
    monkeypatch.setenv("GAN_CHECKPOINTS", str(folder))
    resumed = gan("train", "--run", "demo", "--resume", "--steps", step + 2, "--json")
    assert (resumed.status, resumed.json["step"]) == (0, step + 2)
