"""python -m gan train | sample | evaluate | export | import | runs: engine and files are the page's."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from gan import checkpoint, plots
from gan.config import ServerSettings
from gan.errors import ConfigError, GanError, RunError, TrainingError, reason_of
from gan.judge import report
from gan.judge.neighbours import originality
from gan.networks import CLASSES
from gan.precision import available_cores, choose_device
from gan.runs import RunStore
from gan.sampling import MOST_DIGITS, SampleRequest, sample
from gan.train_command import add_train, load_run_or_file

WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, 1 (training failed), 2 (wrong use) or 130 (interrupted)."""
    options = _parser().parse_args(arguments)
    try:
        settings = ServerSettings.from_environment()
        status: int = options.command(options, settings)
    except GanError as error:
        print(f"gan: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else WRONG_USE
    return status


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(prog="python -m gan", description="Train a GAN on digits and sample from it.")
    commands = parser.add_subparsers(required=True, metavar="command")

    add_train(commands)

    draw = commands.add_parser("sample", help="write digits of a run to a file")
    draw.add_argument("run", metavar="RUN", help="a run's name, or a checkpoint file")
    draw.add_argument("--seed", type=float, default=0.0, help="3.5 lies between seeds 3 and 4")
    draw.add_argument("--count", type=int, default=64, help=f"1 to {MOST_DIGITS:,}")
    draw.add_argument("--digit", type=int, help="of a conditional run; else all ten in turn")
    draw.add_argument("--table", action="store_true", help="of a conditional run: rows of all ten digits")
    draw.add_argument("--truncation", type=float, default=1.0)
    draw.add_argument("--weights", choices=("best", "ema", "raw"), default="best")
    draw.add_argument("--out", required=True, type=Path, metavar="FILE", help=".png (a grid) or .npy (uint8)")
    draw.set_defaults(command=_sample)

    judged = commands.add_parser("evaluate", help="say how good a run's digits are")
    judged.add_argument("run", metavar="RUN", help="a run's name, or a checkpoint file")
    judged.add_argument("--seed", type=float, default=0.0)
    judged.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")
    judged.set_defaults(command=_evaluate)

    export = commands.add_parser("export", help="copy a run's checkpoint to a file")
    export.add_argument("run", metavar="RUN", help="a run's name, or a checkpoint file")
    export.add_argument("--slim", action="store_true", help="networks only, in half precision: cannot resume")
    export.add_argument("--out", required=True, type=Path, metavar="FILE")
    export.set_defaults(command=_export)

    take = commands.add_parser("import", help="make a checkpoint file a saved run")
    take.add_argument("file", type=Path, metavar="FILE")
    take.add_argument("--run", metavar="NAME", help="left out, it is called import-1 and so on")
    take.set_defaults(command=_import)

    runs = commands.add_parser("runs", help="list the saved runs")
    runs.set_defaults(command=_runs)
    return parser


def _evaluate(options: argparse.Namespace, settings: ServerSettings) -> int:
    checked = SampleRequest(options.seed)
    saved = load_run_or_file(RunStore(settings.checkpoints), options.run)
    dataset = saved.summary.config.dataset
    if dataset != report.DATASET:
        raise ConfigError("not-judged", dataset=dataset, allowed=report.DATASET)
    torch.set_num_threads(available_cores())
    networks = saved.networks(options.run, torch.device("cpu"))
    images = sample(networks, replace(checked, count=report.FULL_COUNT))
    found, near = report.evaluate_images(images), originality(images)
    if options.json:
        print(
            json.dumps(
                {"run": options.run, "digits": len(images), **found.to_dict(), "nearest": asdict(near)}
            )
        )
        return 0
    shares = "  ".join(f"{digit}: {share:.1%}" for digit, share in enumerate(found.shares))
    print(f"{options.run}: {report.FULL_COUNT:,} digits, against the 10,000 of the MNIST test set")
    print(f"Frechet distance     {found.distance:8.2f}   (real training digits: {found.floor:.2f})")
    print(f"coverage             {found.coverage:8} of 10 digits   {shares}")
    print(f"confidence           {found.confidence:8.1%}")
    print(f"precision, recall    {found.precision:8.1%}, {found.recall:.1%}")
    width = f"sigma {found.parzen_sigma:.3f}"
    print(f"Parzen likelihood    {found.parzen:8.1f} +- {found.parzen_standard_error:.1f} nats   ({width})")
    print(f"{'':29}    (Goodfellow et al. 2014: GAN 225 +- 2, deep GSN 214 +- 1.1, DBN 138 +- 2)")
    print(f"nearest, in pixels   {near.pixels:8.2f}   (of real test digits: {near.usual_pixels:.2f})")
    print(f"nearest, in features {near.features:8.2f}   (of real test digits: {near.usual_features:.2f})")
    return 0


def _sample(options: argparse.Namespace, settings: ServerSettings) -> int:
    if options.out.suffix not in (".png", ".npy"):
        raise ConfigError("wrong-output", value=str(options.out))
    request = SampleRequest(
        seed=options.seed,
        count=options.count,
        truncation=options.truncation,
        digit=options.digit,
        table=options.table,
        weights=options.weights,
    )
    device = choose_device(settings.device)
    networks = load_run_or_file(RunStore(settings.checkpoints), options.run).networks(options.run, device)
    images = sample(networks, request)
    try:
        if options.out.suffix == ".npy":
            np.save(options.out, images)
        else:
            columns = CLASSES if options.table else max(8, math.ceil(math.sqrt(len(images))))
            columns = min(len(images), columns)
            options.out.write_bytes(plots.grid_png(images, columns))
    except OSError as error:
        raise RunError("write-failed", file=options.out, reason=reason_of(error)) from error
    return 0


def _export(options: argparse.Namespace, settings: ServerSettings) -> int:
    content = load_run_or_file(RunStore(settings.checkpoints), options.run)
    if options.slim and content.summary.kind == "full":
        content = checkpoint.slim(content)
    try:
        checkpoint.write(options.out, content.tensors, content.summary)
    except OSError as error:
        raise RunError("write-failed", file=options.out, reason=reason_of(error)) from error
    return 0


def _import(options: argparse.Namespace, settings: ServerSettings) -> int:
    store = RunStore(settings.checkpoints)
    with store.arrival(options.file) as folder:
        run = options.run or store.new_name("import")
        store.admit(folder, run)
    print(run)
    return 0


def _runs(_: argparse.Namespace, settings: ServerSettings) -> int:
    for run in RunStore(settings.checkpoints).list():
        if run.summary is None:
            print(f"{run.name:24}  {run.error}")
            continue
        config = run.summary.config
        print(
            f"{run.name:24}  {config.recipe:12} {config.dataset:14} step {run.summary.steps:<8} "
            f"epoch {run.summary.epochs:<8.2f} {run.summary.progress:4.0%} of {config.length:g} {config.unit}"
            f"{'  bundled' if run.bundled else '  slim' if run.summary.kind == 'slim' else ''}"
        )
    return 0
