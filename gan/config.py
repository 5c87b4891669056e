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
    raise ConfigError("wrong-type", field=name, value=value, allowed=words[expected])


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


@dataclass(frozen=True)
class ServerSettings:
    """How and where the page is served; read from the environment once, in app.py."""

    host: str = "127.0.0.1"
    port: int = 7860
    checkpoints: Path = Path("checkpoints")
    data: Path = Path("data")  # where torchvision's datasets are looked for and put
    device: str = "auto"
    autosave_seconds: float = 10.0
    upload_megabytes: int = 64

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ServerSettings":
        """Settings from HOST, PORT, GAN_CHECKPOINTS, GAN_DATA and GAN_DEVICE; gradio's own names for host and
        port are the fallback.

        Raises:
            ConfigError: names the variable, its value and what is allowed.
        """
        default = cls()
        root = Path(__file__).resolve().parent.parent
        variable = "PORT" if environment.get("PORT") else "GRADIO_SERVER_PORT"
        port = environment.get(variable) or str(default.port)
        if not port.isdecimal() or len(port) > 5 or int(port) not in Range(1, 65_535):
            raise ConfigError("bad-environment", variable=variable, value=port, allowed="1 to 65535")
        return cls(
            host=environment.get("HOST") or environment.get("GRADIO_SERVER_NAME") or default.host,
            port=int(port),
            checkpoints=Path(environment.get("GAN_CHECKPOINTS") or root / default.checkpoints),
            data=Path(environment.get("GAN_DATA") or root / default.data),
            device=environment.get("GAN_DEVICE") or default.device,
        )
