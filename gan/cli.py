"""python -m gan train | sample | evaluate | export | runs: engine and checkpoints are those of the page."""

import argparse
import json
import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from gan import checkpoint, plots
from gan.autosave import Autosaver
from gan.checkpoint import Checkpoint
from gan.config import (
    DEFAULT_RECIPE,
    LENGTH_LIMITS,
    RECIPES,
    Choice,
    RunConfig,
    ServerSettings,
    allowed_values,
    parse_setting,
    recipe,
)
from gan.data import load_digits
from gan.errors import CheckpointError, ConfigError, GanError, RunError, TrainingError, reason_of
from gan.judge import report
from gan.networks import CLASSES
from gan.precision import available_cores, choose_device, settle_precision
from gan.runs import RunStore, checked_name, differences
from gan.sampling import MOST_DIGITS, SampleRequest, sample
from gan.trainer import Trainer

# What a recipe decides: the rest of a config belongs to the single run.
_OF_RECIPE = {spec.name for spec in fields(RunConfig)} - {"dataset", "seed", "precision", "length", "unit"}

WRONG_USE = 2
INTERRUPTED = 130  # what a shell reports after Ctrl-C


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

    train = commands.add_parser("train", help="train a run, or resume one")
    train.add_argument("--recipe", choices=list(RECIPES), help=f"default: {DEFAULT_RECIPE}")
    train.add_argument("--run", required=True, metavar="NAME")
    length = train.add_mutually_exclusive_group()
    for unit in LENGTH_LIMITS:
        length.add_argument(f"--{unit}", type=float, metavar="N", help=f"the run's total length in {unit}")
    train.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="assignments")
    beginning = train.add_mutually_exclusive_group()
    beginning.add_argument("--resume", action="store_true", help="go on with the saved run NAME")
    beginning.add_argument("--weights", metavar="RUN", help="begin with the networks of another run or file")
    train.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    precisions = allowed_values("precision")
    assert isinstance(precisions, Choice)
    train.add_argument("--precision", choices=precisions.options)
    train.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")
    train.set_defaults(command=_train)

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

    runs = commands.add_parser("runs", help="list the saved runs")
    runs.set_defaults(command=_runs)
    return parser


# -- train ---------------------------------------------------------------------------------------------------


@dataclass
class _Session:
    """One call of `train`: where it began, and whether a signal asked it to end."""

    first_step: int
    started: float
    interrupted: bool = False

    def interrupt(self, *_: object) -> None:
        self.interrupted = True


def _train(options: argparse.Namespace, settings: ServerSettings) -> int:
    store = RunStore(settings.checkpoints)
    run = checked_name(options.run)
    _set_threads(options.threads)
    with store.hold(run):
        return _train_held(options, settings, store, run)


def _train_held(options: argparse.Namespace, settings: ServerSettings, store: RunStore, run: str) -> int:
    trainer = _trainer(options, settings, store, run)
    session = _Session(trainer.steps, time.perf_counter())
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, session.interrupt)
    _train_until_done(trainer, store, run, settings.autosave_seconds, session)
    seconds = time.perf_counter() - session.started
    if options.json:
        print(json.dumps(_answer(trainer, store, run, session, seconds)))
    else:
        print(f"{run}: step {trainer.steps}, epoch {trainer.epochs:.2f}, saved in {store.path(run)}")
    return INTERRUPTED if session.interrupted else 0


def _set_threads(threads: int | None) -> None:
    if threads is not None and not 1 <= threads <= 1024:
        raise ConfigError("out-of-range", field="--threads", value=threads, allowed="1 to 1024")
    torch.set_num_threads(threads or available_cores())


def _trainer(options: argparse.Namespace, settings: ServerSettings, store: RunStore, run: str) -> Trainer:
    device = choose_device(settings.device)
    saved = store.load(run) if options.resume else None
    if saved is None and store.exists(run):
        raise RunError("run-exists", run=run)
    config = _new_config(options) if saved is None else _resumed_config(options, saved, run)
    digits = load_digits(config.dataset, settings.data)
    if saved is not None:
        return Trainer.from_state(config, digits, device, saved.tensors, saved.summary.seconds)
    if options.weights:
        source = _load(store, options.weights)
        ignored = ("recipe", "length", "unit", "lr_g", "lr_d", "beta1", "beta2", "batch_size", "loss", "seed")
        found = differences(source.summary.config, config, (*ignored, "precision", "ema", "dataset"))
        if found:
            raise RunError("resume-differs", run=options.weights, differences=found)
        config = settle_precision(config, digits, device)
        return Trainer.from_weights(config, digits, device, source.tensors)
    return Trainer(settle_precision(config, digits, device), digits, device)


def _new_config(options: argparse.Namespace) -> RunConfig:
    return recipe(options.recipe or DEFAULT_RECIPE).with_changes(**_assignments(options), **_length(options))


def _resumed_config(options: argparse.Namespace, saved: Checkpoint, run: str) -> RunConfig:
    """The checkpoint's settings with the length that is asked for; any other difference is refused."""
    if saved.summary.kind == "slim":
        raise RunError("checkpoint-slim", run=run)
    config = saved.summary.config
    asked = _assignments(options)
    if options.recipe and options.recipe != config.recipe:  # the same one may have been changed by --set
        asked = {
            name: value for name, value in recipe(options.recipe).to_dict().items() if name in _OF_RECIPE
        } | asked
    if asked.get("precision") == "auto":
        del asked["precision"]
    found = differences(config, config.with_changes(**asked), ())
    if found:
        raise RunError("resume-differs", run=run, differences=found)
    config = config.with_changes(**_length(options))
    summary = saved.summary
    if config.progress(summary.steps, summary.epochs, summary.seconds) >= 1:
        raise RunError("length-reached", run=run, length=f"{config.length:g} {config.unit}")
    return config


def _assignments(options: argparse.Namespace) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for assignment in options.assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError("bad-assignment", value=assignment)
        changes[name.strip()] = parse_setting(name.strip(), text.strip())
    if options.precision:
        changes["precision"] = options.precision
    return changes


def _length(options: argparse.Namespace) -> dict[str, Any]:
    given = {unit: getattr(options, unit) for unit in LENGTH_LIMITS if getattr(options, unit) is not None}
    return {
        key: value for unit, amount in given.items() for key, value in (("unit", unit), ("length", amount))
    }


def _train_until_done(
    trainer: Trainer, store: RunStore, run: str, autosave_seconds: float, session: _Session
) -> None:
    saver = Autosaver(store, run, autosave_seconds)
    shown = 0.0
    try:
        while trainer.progress < 1 and not session.interrupted:
            trainer.step()
            store.keep_moment(run, trainer)
            try:
                saver.save_if_due(trainer)
            except CheckpointError as error:  # the next attempt may succeed, and the last one must
                print(f"\ngan: {error}", file=sys.stderr)
            if time.perf_counter() - shown > 0.2:
                shown = time.perf_counter()
                _show_progress(trainer, session)
        _show_progress(trainer, session)
    finally:
        print(file=sys.stderr)
    saver.save(trainer)


def _show_progress(trainer: Trainer, session: _Session) -> None:
    seconds = time.perf_counter() - session.started
    speed = (trainer.steps - session.first_step) * trainer.config.batch_size / seconds
    filled = round(30 * trainer.progress)
    print(
        f"\r[{'=' * filled}{' ' * (30 - filled)}] {trainer.progress:4.0%}  step {trainer.steps}  "
        f"epoch {trainer.epochs:.2f}  {speed:,.0f} images/s  {trainer.seconds:.0f} s ",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _answer(trainer: Trainer, store: RunStore, run: str, session: _Session, seconds: float) -> dict[str, Any]:
    """What --json prints: step, epoch and images are the run's totals, seconds and speed this call's."""
    batch = trainer.config.batch_size
    return {
        "run": run,
        "recipe": trainer.config.recipe,
        "step": trainer.steps,
        "epoch": trainer.epochs,
        "images": trainer.steps * batch,
        "seconds": seconds,
        "images_per_second": (trainer.steps - session.first_step) * batch / seconds,
        "precision": trainer.config.precision,
        "threads": torch.get_num_threads(),
        "checkpoint": str(store.path(run)),
    }


# -- the other commands --------------------------------------------------------------------------------------


def _load(store: RunStore, run: str) -> Checkpoint:
    """A run by its name, or a checkpoint by its path."""
    file = Path(run)
    return checkpoint.read(file) if file.is_file() else store.load(run)


def _evaluate(options: argparse.Namespace, settings: ServerSettings) -> int:
    checked = SampleRequest(options.seed)
    saved = _load(RunStore(settings.checkpoints), options.run)
    dataset = saved.summary.config.dataset
    if dataset != report.DATASET:
        raise ConfigError("not-judged", dataset=dataset, allowed=report.DATASET)
    torch.set_num_threads(available_cores())
    found = report.evaluate(saved.networks(options.run, torch.device("cpu")), checked.seed)
    if options.json:
        print(json.dumps({"run": options.run, "digits": report.FULL_COUNT, **found.to_dict()}))
        return 0
    shares = "  ".join(f"{digit}: {share:.1%}" for digit, share in enumerate(found.shares))
    print(f"{options.run}: {report.FULL_COUNT:,} digits, against the 10,000 of the MNIST test set")
    print(f"Frechet distance     {found.distance:8.2f}   (real training digits: {found.floor:.2f})")
    print(f"coverage             {found.coverage:8} of 10 digits   {shares}")
    print(f"confidence           {found.confidence:8.1%}")
    print(f"precision, recall    {found.precision:8.1%}, {found.recall:.1%}")
    width = f"sigma {found.parzen_sigma:.3f}"
    print(f"Parzen likelihood    {found.parzen:8.1f} +- {found.parzen_standard_error:.1f} nats   ({width})")
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
    networks = _load(RunStore(settings.checkpoints), options.run).networks(options.run, device)
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
    content = _load(RunStore(settings.checkpoints), options.run)
    if options.slim and content.summary.kind == "full":
        content = checkpoint.slim(content)
    try:
        checkpoint.write(options.out, content.tensors, content.summary)
    except OSError as error:
        raise RunError("write-failed", file=options.out, reason=reason_of(error)) from error
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
