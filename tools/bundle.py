"""Trains the runs that come with the project, and writes them to checkpoints/bundled with their reports.

python tools/bundle.py [NAME ...]      all of them take half an hour on two cores that do nothing else
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "checkpoints" / "bundled"

RUNS = {
    "fast-1-minute": ["--recipe", "fast", "--seconds", "60"],
    "conditional-1-minute": ["--recipe", "conditional", "--seconds", "60"],
    "classic-10-epochs": ["--recipe", "classic", "--epochs", "10"],
    "best": ["--recipe", "conditional", "--epochs", "50", "--set", "decay=0.5", "--set", "ema=0.999"],
}  # fmt: skip


def gan(folder: str, *arguments: str) -> str:
    """Run a command of `python -m gan` over the checkpoints in `folder`; returns what it printed."""
    environment = {"GAN_CHECKPOINTS": folder, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "gan", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def bundle(name: str) -> None:
    """Train one run and replace its folder under checkpoints/bundled."""
    target = BUNDLED / name
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        trained = json.loads(gan(folder, "train", "--run", name, *RUNS[name], "--json").splitlines()[-1])
        gan(folder, "export", name, "--slim", "--out", str(target / "checkpoint.safetensors"))
        shutil.rmtree(target / "timeline", ignore_errors=True)
        shutil.copytree(Path(folder) / name / "timeline", target / "timeline")
    file = str(target / "checkpoint.safetensors")
    gan(tempfile.gettempdir(), "sample", file, "--out", str(target / "grid.png"))
    report = json.loads(gan(tempfile.gettempdir(), "evaluate", file, "--json"))
    report |= {key: trained[key] for key in ("step", "images", "seconds", "threads")}
    report["arithmetic"] = trained["precision"]  # precision is the share of digits that look real
    (target / "report.json").write_text(json.dumps(report | {"run": name}, indent=2) + "\n")
    print(f"{name}: Frechet distance {report['distance']:.2f}, Parzen {report['parzen']:.0f}", flush=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or RUNS:
        bundle(wanted)
