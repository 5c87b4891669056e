"""One safetensors file holds everything about a run; it is checked before anything is built from it.

Metadata of the file: format, version, kind, config, seconds and a digest over all of that and every tensor.
No pickle is ever read or written, so a file from a stranger can at worst be refused.
"""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from gan.config import RunConfig
from gan.errors import CheckpointError, ConfigError, GanError, reason_of
from gan.history import COLUMNS, LOOK_COLUMNS, History
from gan.networks import build_networks
from gan.sampling import Networks, frozen

FORMAT = "live-gan"
VERSION = "2"
SUFFIX = ".safetensors"
MOST_BYTES_FROM_OUTSIDE = 512 * 2**20
_MOST_HEADER_BYTES = 2**20
_DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
SLIM_POINTS = 1000
ANY = -1  # in an expected shape
_MOST_COUNTED = 10**12  # steps, seconds or epochs


@dataclass(frozen=True)
class Summary:
    """What the header says, without reading a tensor; `kind` is "full" or "slim"."""

    config: RunConfig
    kind: str
    steps: int
    seconds: float
    epochs: float
    looks: int = 0  # of the judge

    @property
    def progress(self) -> float:
        """Share of the run's length that is done, 0 to 1."""
        return self.config.progress(self.steps, self.epochs, self.seconds)


@dataclass(frozen=True)
class Checkpoint:
    """A checked file: its summary and tensors, on the CPU."""

    summary: Summary
    tensors: dict[str, Tensor]

    @property
    def history(self) -> History:
        """Every step of a full checkpoint; a slim one keeps SLIM_POINTS means."""
        return History(self.tensors["history"].numpy())

    def networks(self, run: str, device: torch.device) -> Networks:
        """G, its EMA and D in evaluation mode, for sampling as `run`."""
        config = self.summary.config
        parts: dict[str, torch.nn.Module] = {}
        generator, discriminator = build_networks(config)
        for part, network in (("discriminator", discriminator), ("generator", generator), ("ema", None)):
            prefix = f"{part}."
            weights = {
                name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)
            }
            if weights:
                built = build_networks(config)[0] if network is None else network
                built.load_state_dict(weights)
                parts[part] = frozen(built.to(device))
        return Networks(
            run,
            config.dataset,
            config.latent_dim,
            config.conditional,
            parts.get("generator"),
            parts.get("ema"),
            parts["discriminator"],
        )


def write(path: Path, tensors: Mapping[str, Tensor], summary: Summary) -> None:
    """Write a checkpoint so that a reader finds the old file or the new one, never a part.

    Raises:
        OSError: the disk refused; the file at `path` is as it was.
    """
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "kind": summary.kind,
        "config": json.dumps(summary.config.to_dict()),
        "steps": str(summary.steps),
        "seconds": repr(summary.seconds),
        "epochs": repr(summary.epochs),
    }
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata["digest"] = _digest(plain, metadata)
    write_atomically(path, safetensors.torch.save(plain, metadata))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step that survives a kill or a power cut.

    Raises:
        OSError: the disk refused; the file at `path` is as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp")
    try:
        os.fchmod(handle, 0o644)  # mkstemp makes it private, but a checkpoint is for sharing
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def slim(checkpoint: Checkpoint) -> Checkpoint:
    """Only what sampling needs: one generator and D in half precision, a shortened history."""
    keep = "ema." if any(name.startswith("ema.") for name in checkpoint.tensors) else "generator."
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint.tensors.items()
        if name.startswith((keep, "discriminator."))
    }
    curves = checkpoint.history.curves(SLIM_POINTS)
    columns = [torch.from_numpy(curves.values[name].copy()) for name in COLUMNS]
    tensors["history"] = torch.stack(columns, dim=1)
    tensors["looks"] = checkpoint.tensors["looks"]
    summary = checkpoint.summary
    return Checkpoint(replace(summary, kind="slim"), tensors)


def read_summary(path: Path) -> Summary:
    """The header of a checkpoint.

    Raises:
        CheckpointError: not a readable checkpoint of this format version.
    """
    with _opened(path) as file:
        return _summary(path, file)


def read(path: Path, most_bytes: float = math.inf) -> Checkpoint:
    """A whole checkpoint; digest, version, names, shapes and dtypes are checked before anything is built.

    Args:
        most_bytes: refuse a larger file; our own grow with their history.

    Raises:
        CheckpointError: says which of them is wrong.
    """
    with _opened(path, most_bytes) as file:
        summary = _summary(path, file)
        _check_layout(path, file, summary)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        metadata = dict(file.metadata())
    if metadata.pop("digest") != _digest(tensors, metadata):
        raise CheckpointError("checkpoint-digest", file=path.name)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError("checkpoint-tensors", file=path.name, reason=f"{name!r} is not finite")
    return Checkpoint(summary, tensors)


@contextlib.contextmanager
def _opened(path: Path, most_bytes: float = math.inf) -> Any:
    """The file behind `path`, with every way in which it can be unreadable turned into one sentence."""
    try:
        size = path.stat().st_size
        if size > most_bytes:
            allowed = int(most_bytes) >> 20
            raise CheckpointError("checkpoint-too-large", file=path.name, size=size >> 20, allowed=allowed)
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if size < 8 or header > min(size - 8, _MOST_HEADER_BYTES):
            raise CheckpointError(
                "checkpoint-unreadable", file=path.name, reason="its header is cut off or too long"
            )
        with safetensors.safe_open(path, framework="pt", device="cpu") as opened:
            yield opened
    except (OSError, safetensors.SafetensorError, UnicodeDecodeError) as error:
        raise CheckpointError("checkpoint-unreadable", file=path.name, reason=reason_of(error)) from error


def _summary(path: Path, file: Any) -> Summary:
    metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise CheckpointError("checkpoint-not-ours", file=path.name)
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            "checkpoint-version", file=path.name, found=metadata.get("version"), allowed=VERSION
        )
    try:
        values = json.loads(metadata["config"])
        if (
            not isinstance(values, dict)
            or metadata["kind"] not in ("full", "slim")
            or "digest" not in metadata
        ):
            raise ValueError("its settings are incomplete")
        steps, seconds, epochs = int(metadata["steps"]), float(metadata["seconds"]), float(metadata["epochs"])
        if not all(0 <= counter <= _MOST_COUNTED for counter in (steps, seconds, epochs)):
            raise ValueError("its counters are out of range")
        looks = file.get_slice("looks").get_shape()[0] if "looks" in file.keys() else 0  # noqa: SIM118
        return Summary(RunConfig.from_dict(values), metadata["kind"], steps, seconds, epochs, looks)
    except (KeyError, ValueError, ConfigError) as error:
        reason = str(error) if isinstance(error, GanError) else reason_of(error)
        raise CheckpointError("checkpoint-unreadable", file=path.name, reason=reason.rstrip(".")) from error


def _check_layout(path: Path, file: Any, summary: Summary) -> None:
    """Names, dtypes and shapes of the tensors against what the config asks for."""
    expected = expected_layout(summary)
    names = set(file.keys())

    def refuse(reason: str) -> None:
        raise CheckpointError("checkpoint-tensors", file=path.name, reason=reason)

    generators = {name.split(".")[0] for name in names} & {"generator", "ema"}
    if summary.kind == "slim":
        if len(generators) != 1:
            refuse("a slim checkpoint holds exactly one generator")
        expected = {
            n: v
            for n, v in expected.items()
            if not n.startswith(tuple({"generator.", "ema."} - {f"{g}." for g in generators}))
        }
    for name in sorted(expected.keys() ^ names):
        refuse(f"the tensor {name!r} is {'missing' if name in expected else 'not expected'}")
    for name, (dtype, shape) in expected.items():
        part = file.get_slice(name)
        if part.get_dtype() != dtype:
            refuse(f"{name!r} has type {part.get_dtype()}, expected {dtype}")
        if not _fits(tuple(part.get_shape()), shape):
            refuse(f"{name!r} has shape {tuple(part.get_shape())}, expected {shape}")


def _fits(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(found) == len(expected) and all(e in (ANY, f) for f, e in zip(found, expected, strict=True))


def expected_layout(summary: Summary) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Tensor name -> (dtype, shape) of a checkpoint with this summary, ANY where the size is free.

    Nothing is allocated.
    """
    full = summary.kind == "full"
    config = summary.config
    with torch.device("meta"):
        generator, discriminator = build_networks(config)
    layout: dict[str, tuple[str, tuple[int, ...]]] = {}
    parts = [("generator", generator), ("discriminator", discriminator)]
    if config.ema:
        parts.append(("ema", generator))
    for part, network in parts:
        for name, tensor in network.state_dict().items():
            stored = tensor.dtype if full or not tensor.is_floating_point() else torch.float16
            layout[f"{part}.{name}"] = (_DTYPES[stored], tuple(tensor.shape))
    if full:
        for part, network in (("adam_g", generator), ("adam_d", discriminator)):
            for name, parameter in network.named_parameters():
                layout[f"{part}.step.{name}"] = ("F32", ())
                layout[f"{part}.exp_avg.{name}"] = ("F32", tuple(parameter.shape))
                layout[f"{part}.exp_avg_sq.{name}"] = ("F32", tuple(parameter.shape))
    rows = summary.steps if full else _slim_rows(summary.steps)
    layout["history"] = ("F32", (rows, len(COLUMNS)))
    layout["looks"] = ("F32", (ANY, len(LOOK_COLUMNS)))
    return layout


def _slim_rows(steps: int) -> int:
    size = max(1, -(-steps // SLIM_POINTS))
    return -(-steps // size)


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 over the metadata and the tensors in sorted order: the file's own order varies."""
    digest = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():
            digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
