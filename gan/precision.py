"""Which device, how many threads, fp32 or bf16. What is faster is measured, not guessed from a name."""

import math
import os
import threading
import time
from collections.abc import Mapping

import torch

from gan.config import RunConfig
from gan.data import Digits
from gan.errors import ConfigError
from gan.trainer import Trainer

_WARM_UP_STEPS = 2
_TIMED_STEPS = 3
_MOST_SECONDS = 3.0  # for one precision; large networks are not timed so exactly

_measuring = threading.Lock()
_settled: dict[tuple[object, ...], str] = {}


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one, else the CPU; anything else is a torch device that must exist.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" holds no values, and some names need a module
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ConfigError("cuda-missing", device=name) from error
    return device


def available_cores(environment: Mapping[str, str] = os.environ) -> int:
    """Cores this process may use. Spaces says it in CPU_CORES, where the kernel counts the whole host."""
    stated = environment.get("CPU_CORES", "")
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serving_threads(cores: int) -> int:
    """Training threads beside a page: a busy neighbour costs two threads two thirds, one thread a tenth."""
    return max(1, cores - 1)


def settle_precision(config: RunConfig, digits: Digits, device: torch.device) -> RunConfig:
    """`config` with "auto" replaced by the faster of fp32 and bf16, timed on a throwaway trainer.

    Runs of the same networks and batch share one measurement in each process. A CPU that has no bf16
    instructions is not even tried: twenty times as slow, it could still win by a neighbour's bad moment.
    """
    if config.precision != "auto":
        return config
    key = (config.network, config.conditional, config.latent_dim, config.batch_size, device)
    with _measuring:
        if key not in _settled:
            _settled[key] = _faster(config, digits, device) if _may_have_bf16(device) else "fp32"
        return config.with_changes(precision=_settled[key])


def _may_have_bf16(device: torch.device) -> bool:
    """False where bf16 would be computed by way of fp32."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _faster(config: RunConfig, digits: Digits, device: torch.device) -> str:
    fp32 = _step_seconds(config.with_changes(precision="fp32"), digits, device, math.inf)
    bf16 = _step_seconds(config.with_changes(precision="bf16"), digits, device, 3 * fp32)
    return "bf16" if bf16 < fp32 else "fp32"


def _step_seconds(config: RunConfig, digits: Digits, device: torch.device, give_up: float) -> float:
    """Shortest time of a step; infinite as soon as a warmed-up one takes longer than `give_up` seconds."""
    trainer = Trainer(config, digits, device)
    times = []
    begun = time.perf_counter()
    for number in range(_WARM_UP_STEPS + _TIMED_STEPS):
        started = time.perf_counter()
        if started - begun > _MOST_SECONDS:
            break
        trainer.step().loss_g.item()  # waits until the device is done
        times.append(time.perf_counter() - started)
        if number and times[-1] > give_up:
            return math.inf
    return min(times[_WARM_UP_STEPS:] or times[1:] or times)
