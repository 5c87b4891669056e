"""python -m gan train: a run in the foreground, with a progress bar, until it is done or interrupted."""

import argparse
import json
import signal
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from gan import checkpoint
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
from gan.errors import CheckpointError, ConfigError, RunError
from gan.precision import available_cores, choose_device, settle_precision
from gan.runs import RunStore, checked_name, differences
from gan.trainer import Trainer

# What a recipe decides: the rest of a config belongs to the single run.
_OF_RECIPE = {spec.name for spec in fields(RunConfig)} - {"dataset", "seed", "precision", "length", "unit"}

INTERRUPTED = 130  # what a shell reports after Ctrl-C
_SHOWN_EVERY = 0.2  # seconds, on a terminal
_LOGGED_EVERY = 10.0  # seconds, where standard error is a file or a pipe


def add_train(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of `python -m gan`."""
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
    train.set_defaults(command=train_run)


def load_run_or_file(store: RunStore, run: str) -> Checkpoint:
    """A run by its name, or a checkpoint by its path."""
    file = Path(run)
    return checkpoint.read(file) if file.is_file() else store.load(run)


@dataclass
class _Session:
    """One call of `train`: where it began, and whether a signal asked it to end."""

    first_step: int
    started: float
    interrupted: bool = False

    def interrupt(self, *_: object) -> None:
        self.interrupted = True


def train_run(options: argparse.Namespace, settings: ServerSettings) -> int:
    """Run the command; returns the exit status."""
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
        source = load_run_or_file(store, options.weights)
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
    shown, every = 0.0, _SHOWN_EVERY if sys.stderr.isatty() else _LOGGED_EVERY
    try:
        while trainer.progress < 1 and not session.interrupted:
            trainer.step()
            store.keep_moment(run, trainer)
            try:
                saver.save_if_due(trainer)
            except CheckpointError as error:  # the next attempt may succeed, and the last one must
                print(f"\ngan: {error}", file=sys.stderr)
            if time.perf_counter() - shown > every:
                shown = time.perf_counter()
                _show_progress(trainer, session)
        _show_progress(trainer, session)
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)
    saver.save(trainer)


def _show_progress(trainer: Trainer, session: _Session) -> None:
    seconds = time.perf_counter() - session.started
    speed = (trainer.steps - session.first_step) * trainer.config.batch_size / seconds
    filled = round(30 * trainer.progress)
    line = (
        f"[{'=' * filled}{' ' * (30 - filled)}] {trainer.progress:4.0%}  step {trainer.steps}  "
        f"epoch {trainer.epochs:.2f}  {speed:,.0f} images/s  {trainer.seconds:.0f} s"
    )
    begin, end = ("\r", " ") if sys.stderr.isatty() else ("", "\n")
    print(begin + line, end=end, file=sys.stderr, flush=True)


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
