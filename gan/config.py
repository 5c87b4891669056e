"""RunConfig, RECIPES and ServerSettings: validated, and the only place where a default is written."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gan.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Allowed values of a number, both ends included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.12g} to {self.high:.12g}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """Allowed values of a name."""

    options: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.options)

    def __contains__(self, value: str) -> bool:
        return value in self.options


def _setting(default: Any, *options: str, low: float | None = None, high: float | None = None) -> Any:
    allowed: object = None
    if low is not None and high is not None:
        allowed = Range(low, high)
    elif options:
        allowed = Choice(options)
    return field(default=default, metadata={"allowed": allowed})


LENGTH_LIMITS = {
    "epochs": Range(0.001, 10_000),
    "steps": Range(1, 50_000_000),
    "seconds": Range(0.1, 604_800),
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes. An instance is always valid: the constructor checks."""

    recipe: str = _setting("fast")  # where the settings came from; a name for people, decides nothing
    dataset: str = _setting("mnist", "mnist", "fashion-mnist")
    network: str = _setting("fast", "fast", "mlp", "dcgan")
    width: int = _setting(
        48, low=8, high=256
    )  # channels of the "fast" networks; D's last layer has twice as many
    conditional: bool = _setting(False)  # labels go into G and D, so that a digit can be chosen
    latent_dim: int = _setting(64, low=1, high=512)
    loss: str = _setting("non-saturating", "non-saturating", "minimax", "lsgan", "hinge", "wgan-gp")
    label_smoothing: float = _setting(
        0.0, low=0.0, high=0.5
    )  # one-sided: how far the label of real is below 1
    r1: float = _setting(0.0, low=0.0, high=100.0)  # weight of D's gradient penalty at real digits; 0 is none
    lr_g: float = _setting(4e-3, low=1e-6, high=0.1)
    lr_d: float = _setting(4e-3, low=1e-6, high=0.1)
    beta1: float = _setting(0.3, low=0.0, high=0.999)
    beta2: float = _setting(0.95, low=0.0, high=0.99999)
    batch_size: int = _setting(64, low=2, high=1024)
    decay: float = _setting(
        0.0, low=0.0, high=1.0
    )  # last share of the run, over which both rates fall to zero
    ema: float = _setting(0.998, low=0.0, high=0.99999)  # decay per step; 0 keeps no averaged copy of G
    seed: int = _setting(0, low=0, high=2**32 - 1)
    precision: str = _setting("auto", "auto", "fp32", "bf16")  # "auto" is measured once, at the start
    length: float = _setting(60.0)  # the run's total, in `unit`
    unit: str = _setting("seconds", *LENGTH_LIMITS)

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = _checked_type(spec.name, spec.type, getattr(self, spec.name))
            object.__setattr__(self, spec.name, value)
            allowed = spec.metadata["allowed"]
            if allowed is not None and value not in allowed:
                raise ConfigError("out-of-range", field=spec.name, value=value, allowed=str(allowed))
        if self.length not in LENGTH_LIMITS[self.unit]:
            allowed = f"{LENGTH_LIMITS[self.unit]} {self.unit}"
            raise ConfigError("out-of-range", field="length", value=self.length, allowed=allowed)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """A config from plain values; fields that are left out take their defaults.

        Raises:
            ConfigError: names the field, the value and what is allowed.
        """
        names = [spec.name for spec in fields(cls)]
        for name in values:
            if name not in names:
                raise ConfigError("unknown-field", field=name, allowed=", ".join(names))
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def done(self, steps: int, epochs: float, seconds: float) -> float:
        """How much of the run is done, in its own unit."""
        return {"steps": float(steps), "epochs": epochs, "seconds": seconds}[self.unit]

    def progress(self, steps: int, epochs: float, seconds: float) -> float:
        """Share of the run's length that is done, 0 to 1."""
        return min(1.0, self.done(steps, epochs, seconds) / self.length)

    def with_changes(self, **changes: Any) -> "RunConfig":
        """A copy with some fields changed; checked as `from_dict` checks."""
        return self.from_dict({**self.to_dict(), **changes})


def _checked_type(name: str, expected: Any, value: Any) -> Any:
    """`value` as the field's type. A whole float is accepted for an int, an int for a float; NaN and
    infinity never are."""
    if expected is bool and isinstance(value, bool):
        return value
    if expected is str and isinstance(value, str):
        return value
    if expected in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        if expected is float and abs(value) <= sys.float_info.max:  # an int may be larger than any float
            return float(value)
        if expected is int and (isinstance(value, int) or value.is_integer()):
            return int(value)
    words = {bool: "true or false", str: "a word", int: "a whole number", float: "a number"}
    raise ConfigError(
        "empty" if value is None else "wrong-type", field=name, value=value, allowed=words[expected]
    )


def allowed_values(name: str) -> Range | Choice:
    """What `RunConfig.name` may be, for sliders, menus and help texts."""
    allowed = next(spec.metadata["allowed"] for spec in fields(RunConfig) if spec.name == name)
    assert isinstance(allowed, Range | Choice), f"{name} has no bounds"
    return allowed


def parse_setting(name: str, text: str) -> Any:
    """The value written as `text` on a command line, for the field `name`.

    Raises:
        ConfigError: no such field, or the text cannot be read as its type.
    """
    spec = next((spec for spec in fields(RunConfig) if spec.name == name), None)
    if spec is None:
        names = ", ".join(spec.name for spec in fields(RunConfig))
        raise ConfigError("unknown-field", field=name, allowed=names)
    if spec.type is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if spec.type in (int, float):
        try:
            return _checked_type(name, spec.type, float(text))
        except ValueError:
            pass  # not a number at all: the check below says so with the text as it was typed
    return _checked_type(name, spec.type, text)


_FAST = RunConfig(recipe="fast")
_CLASSIC = RunConfig(
    recipe="classic",
    network="mlp",
    latent_dim=100,
    lr_g=2e-4,
    lr_d=2e-4,
    beta1=0.9,
    beta2=0.999,
    batch_size=128,
    ema=0.0,
    length=10,
    unit="epochs",
)
_DCGAN = replace(
    _FAST, recipe="dcgan", network="dcgan", lr_g=5e-4, lr_d=5e-4, beta1=0.5, beta2=0.999, ema=0.995
)
_CONDITIONAL = replace(_FAST, recipe="conditional", conditional=True)

RECIPES = {config.recipe: config for config in (_FAST, _CLASSIC, _DCGAN, _CONDITIONAL)}
DEFAULT_RECIPE = "fast"
DEFAULT_SECONDS = 60.0  # what the page offers: long enough for digits, short enough to wait for


def recipe(name: str) -> RunConfig:
    """The settings of a recipe.

    Raises:
        ConfigError: no recipe has that name.
    """
    if name not in RECIPES:
        raise ConfigError("unknown-recipe", recipe=name, allowed=", ".join(RECIPES))
    return RECIPES[name]


_LOOPBACK = ("localhost", "::1")
_SHARED_WITH_KEY = "1 where GAN_PRESENTER_KEY is set"
_BUCKET = Path("/data")  # where a Space mounts its storage


@dataclass(frozen=True)
class ServerSettings:
    """How, where and for whom the page is served; read from the environment once, in app.py.

    A limit of 0 is no limit.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    checkpoints: Path = Path("checkpoints")
    data: Path = Path("data")  # where torchvision's datasets are looked for and put
    device: str = "auto"
    autosave_seconds: float = 10.0  # of training
    space: bool = False  # a Hugging Face Space, which only its own proxy can reach
    shared: bool = False  # several people use the page: runs belong to those who started them
    presenter_key: str = ""  # where there is one, only who knows it may train
    secret: str = ""  # signs the visitors' tokens; empty means one that is kept beside the runs
    active_runs: int = 8  # share the training thread
    waiting_runs: int = 50
    runs_per_visitor: int = 1  # active or waiting
    minutes_per_run: float = 0.0  # of training, in one go
    upload_megabytes: int = 64
    disk_megabytes: int = 0  # for all runs

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ServerSettings":
        """Settings from the environment.

        HOST, PORT (gradio's own names are the fallback), GAN_CHECKPOINTS, GAN_DATA, GAN_DEVICE, GAN_SHARED,
        GAN_PRESENTER_KEY, GAN_SECRET and the limits in _LIMITS. The page is shared unless it is only for this
        machine and not behind a proxy (GRADIO_ROOT_PATH); on a Space the limits are those of a public server.

        Raises:
            ConfigError: names the variable, its value and what is allowed.
        """
        default = cls()
        root = Path(__file__).resolve().parent.parent
        space = bool(environment.get("SPACE_ID"))
        port = "PORT" if environment.get("PORT") else "GRADIO_SERVER_PORT"
        host = environment.get("HOST") or environment.get("GRADIO_SERVER_NAME") or default.host
        presenter_key = environment.get("GAN_PRESENTER_KEY", "")
        only_here = host in _LOOPBACK or host.startswith("127.")
        behind_proxy = bool(environment.get("GRADIO_ROOT_PATH"))
        alone = only_here and not behind_proxy and not space and not presenter_key
        shared = bool(_number(environment, "GAN_SHARED", not alone, Range(0, 1)))
        if presenter_key and not shared:
            raise ConfigError("bad-environment", variable="GAN_SHARED", value="0", allowed=_SHARED_WITH_KEY)
        bucket = _BUCKET if space and os.access(_BUCKET, os.W_OK) else root
        return cls(
            host=host,
            port=int(_number(environment, port, default.port, Range(1, 65_535))),
            checkpoints=Path(environment.get("GAN_CHECKPOINTS") or bucket / default.checkpoints),
            data=Path(environment.get("GAN_DATA") or root / default.data),
            device=environment.get("GAN_DEVICE") or default.device,
            space=space,
            shared=shared,
            presenter_key=presenter_key,
            secret=environment.get("GAN_SECRET", ""),
            **{
                name: _number(environment, variable, on_a_space if space else getattr(default, name), allowed)
                for name, (variable, on_a_space, allowed) in _LIMITS.items()
            },
        )


# field of ServerSettings: its variable, its value on a Space, what is allowed
_LIMITS: dict[str, tuple[str, int, Range]] = {
    "active_runs": ("GAN_ACTIVE_RUNS", 8, Range(1, 64)),
    "waiting_runs": ("GAN_WAITING_RUNS", 50, Range(0, 10_000)),
    "runs_per_visitor": ("GAN_RUNS_PER_VISITOR", 1, Range(0, 1000)),
    "minutes_per_run": ("GAN_MINUTES_PER_RUN", 15, Range(0, 100_000)),
    "upload_megabytes": ("GAN_UPLOAD_MEGABYTES", 48, Range(1, 512)),
    "disk_megabytes": ("GAN_DISK_MEGABYTES", 5000, Range(0, 100_000_000)),
}


def _number(environment: Mapping[str, str], variable: str, default: int, allowed: Range) -> int:
    """The whole number in an environment variable; one that is empty counts as left out."""
    text = environment.get(variable) or str(int(default))
    if not text.isdecimal() or len(text) > 9 or int(text) not in allowed:
        raise ConfigError("bad-environment", variable=variable, value=text, allowed=str(allowed))
    return int(text)
