"""What takes minutes: the whole path on real MNIST, through the command line, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gan import checkpoint
from gan.config import RECIPES
from gan.losses import LOSSES
from gan.runs import BUNDLED

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def gan(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"GAN_CHECKPOINTS": str(folder), "GAN_DEVICE": "cpu"}
    command = [sys.executable, "-m", "gan", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize("recipe", RECIPES)
def test_resuming_across_an_epoch_gives_the_bits_of_one_long_run(recipe: str, tmp_path: Path) -> None:
    """At the precision that is faster here; tests/test_resume.py tries both, for a few steps."""
    options = ["--recipe", recipe, "--set", "batch_size=512", "--threads", "2"]
    gan(tmp_path, "train", "--run", "whole", "--steps", "130", *options)
    gan(tmp_path, "train", "--run", "halves", "--steps", "110", *options)
    gan(tmp_path, "train", "--run", "halves", "--steps", "130", "--resume", "--threads", "2")
    whole, halves = (
        checkpoint.read(tmp_path / run / "checkpoint.safetensors") for run in ("whole", "halves")
    )
    assert whole.summary.config == halves.summary.config
    assert whole.tensors.keys() == halves.tensors.keys()
    for name, tensor in whole.tensors.items():
        if name == "history":  # its last column is measured time
            assert torch.equal(tensor[:, :4], halves.tensors[name][:, :4])
        else:
            assert torch.equal(tensor, halves.tensors[name]), name


@pytest.mark.parametrize(
    "changes",
    [[f"loss={loss}"] for loss in LOSSES] + [["r1=1"], ["label_smoothing=0.1"], ["decay=0.5"]],
    ids=lambda changes: changes[0],
)
def test_every_loss_trains_fast_to_all_ten_digits(changes: list[str], tmp_path: Path) -> None:
    settings = [part for change in changes for part in ("--set", change)]
    gan(tmp_path, "train", "--run", "x", "--recipe", "fast", "--steps", "2000", *settings)
    found = json.loads(gan(tmp_path, "evaluate", "x", "--json"))
    assert found["coverage"] == 10
    assert found["confidence"] > 0.7


def test_the_report_of_the_best_bundled_run_is_what_evaluate_finds(tmp_path: Path) -> None:
    found = json.loads(gan(tmp_path, "evaluate", "best", "--json"))
    reported = json.loads((BUNDLED / "best" / "report.json").read_text())
    for measured in ("distance", "floor", "confidence", "precision", "recall", "parzen"):
        assert found[measured] == pytest.approx(reported[measured], rel=0.03), measured
    assert found["coverage"] == 10
    near = found["nearest"]
    assert near["pixels"] > 0.9 * near["usual_pixels"]  # it does not repeat what it has seen
    assert near["features"] > 0.8 * near["usual_features"]
    text = gan(tmp_path, "evaluate", "best")
    for part in (
        "Frechet distance",
        "10 of 10 digits",
        "Parzen likelihood",
        "GAN 225 +- 2",
        "nearest, in pixels",
    ):
        assert part in text
