"""Trainer: one adversarial step, and the exact state to go on from.

Knows no threads, files, page or printing. What is random comes from gan/draws.py.
"""

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gan import losses
from gan.config import RunConfig
from gan.data import Digits
from gan.draws import Drawer, Draws
from gan.errors import ConfigError, TrainingError
from gan.history import COLUMNS, LOOK_COLUMNS, Array, History
from gan.losses import LOSSES
from gan.networks import Discriminator, build_networks
from gan.sampling import Networks, frozen

# Losses are read back together this often: reading one value waits for the device.
STEPS_BETWEEN_CHECKS = 16


class StepMetrics(NamedTuple):
    """What one step measured, as 0-d tensors on the training device; D's scores are from its own update."""

    loss_d: Tensor
    loss_g: Tensor
    d_real: Tensor
    d_fake: Tensor


class Trainer:
    """Trains G and D on `digits` as `config` says, one `step()` at a time.

    Args:
        config: `precision` must be settled ("fp32" or "bf16"); see gan/precision.py.
        digits: the training set; its images and labels are moved to `device` once.
        device: where everything is computed.

    Raises:
        ConfigError: the batch is larger than the dataset.
    """

    def __init__(self, config: RunConfig, digits: Digits, device: torch.device) -> None:
        if config.batch_size > len(digits):
            raise ConfigError("batch-too-large", value=config.batch_size, allowed=len(digits))
        self.config = config
        self.device = device
        generator, discriminator = build_networks(config)
        self.generator: nn.Module = generator.to(device)
        self.discriminator: Discriminator = discriminator.to(device)
        self.ema: nn.Module | None = deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self._adam_g = self._adam(self.generator, config.lr_g)
        self._adam_d = self._adam(self.discriminator, config.lr_d)
        self._images = digits.images.to(device)
        self._labels = digits.labels.to(device)
        self._loss = LOSSES[config.loss]
        self._drawer = Drawer(config, len(digits), device)
        self._history = History()
        self._looks = np.empty((0, len(LOOK_COLUMNS)), np.float32)
        self._pending: list[tuple[Tensor, float]] = []
        self._recorded_seconds = 0.0
        self._pending_seconds = 0.0

    def _adam(self, network: nn.Module, rate: float) -> torch.optim.Adam:
        betas = (self.config.beta1, self.config.beta2)
        return torch.optim.Adam(network.parameters(), rate, betas, fused=True)

    # -- where the run stands ------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self._history) + len(self._pending)

    @property
    def seconds(self) -> float:
        """Training time used, in seconds: the sum of all steps, in every session of this run."""
        return self._recorded_seconds + self._pending_seconds

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the dataset; the last short one is dropped."""
        return self._drawer.steps_per_epoch

    @property
    def epochs(self) -> float:
        """Epochs done, with the fraction of the current one."""
        return self.steps / self.steps_per_epoch

    @property
    def progress(self) -> float:
        """Share of the run's length that is done, 0 to 1."""
        return self.config.progress(self.steps, self.epochs, self.seconds)

    @property
    def history(self) -> History:
        """Measurements of every step so far.

        Raises:
            TrainingError: a measurement is NaN or infinite; names its step.
        """
        self._record()
        return self._history

    @property
    def looks(self) -> Array:
        """What the judge found so far, shape (looks, len(LOOK_COLUMNS)); never changed in place."""
        return self._looks

    def add_look(self, distance: float, noise: float, confidence: float, shares: Sequence[float]) -> None:
        """Note what the judge found of the generator as it is now."""
        row = np.array([[self.steps, distance, noise, confidence, *shares]], np.float32)
        self._looks = np.concatenate([self._looks, row])

    def networks(self, run: str) -> Networks:
        """Copies in evaluation mode that training never touches, for sampling as `run`."""
        return Networks(
            run,
            self.config.dataset,
            self.config.latent_dim,
            self.config.conditional,
            frozen(deepcopy(self.generator)),
            None if self.ema is None else frozen(deepcopy(self.ema)),
            frozen(deepcopy(self.discriminator)),
        )

    def set_learning_rates(self, lr_g: float, lr_d: float) -> None:
        """Change both rates from the next step on.

        Raises:
            ConfigError: a rate is out of range; nothing has changed then.
        """
        self.config = self.config.with_changes(lr_g=lr_g, lr_d=lr_d)

    def set_length(self, length: float, unit: str) -> None:
        """Change the run's total length.

        Raises:
            ConfigError: the length is out of range; nothing has changed then.
        """
        self.config = self.config.with_changes(length=length, unit=unit)

    # -- one step ------------------------------------------------------------------------------------------

    def step(self) -> StepMetrics:
        """One update of D on real and fake, then one of G with fresh latents, as in the document.

        Raises:
            TrainingError: a recent loss is NaN or infinite; names its step.
        """
        started = time.perf_counter()
        draws = self._drawer.draw(self.steps, self.discriminator)
        self._set_rates()
        loss_d, d_real, d_fake = self._update_discriminator(draws)
        loss_g = self._update_generator(draws)
        self._move_ema()
        metrics = StepMetrics(loss_d, loss_g, d_real, d_fake)
        seconds = time.perf_counter() - started
        self._pending.append((torch.stack(metrics), seconds))
        self._pending_seconds += seconds
        if len(self._pending) >= STEPS_BETWEEN_CHECKS:
            self._record()
        return metrics

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _set_rates(self) -> None:
        """Learning rates fall to zero over the last part of the run, linearly in its progress."""
        config = self.config
        factor = min(1.0, (1 - self.progress) / config.decay) if config.decay else 1.0
        self._adam_g.param_groups[0]["lr"] = config.lr_g * factor
        self._adam_d.param_groups[0]["lr"] = config.lr_d * factor

    def _update_discriminator(self, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        real = self._images[draws.real].unsqueeze(1).float().div_(127.5).sub_(1.0)
        real.requires_grad_(self.config.r1 > 0)
        labels = self._labels[draws.real].long() if self.config.conditional else None
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(draws.latents_d, draws.labels_d).to(real.dtype)
            real_logits, fake_logits = self._judge_both(real, labels, fake, draws)
        loss = self._loss.discriminator(real_logits, fake_logits, self.config.label_smoothing)
        total = loss + self._penalty(real, labels, real_logits, fake, draws)
        self._adam_d.zero_grad()
        total.backward()
        self._adam_d.step()
        with torch.no_grad():
            return loss.detach(), real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()

    def _judge_both(
        self, real: Tensor, labels: Tensor | None, fake: Tensor, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """D's logits of the real and the generated batch."""
        if self.discriminator.separate_passes:
            real_logits = self.discriminator(real, labels)
            return real_logits.float(), self.discriminator(fake, draws.labels_d).float()
        both_labels = None
        if labels is not None and draws.labels_d is not None:
            both_labels = torch.cat([labels, draws.labels_d])
        logits = self.discriminator(torch.cat([real, fake]), both_labels, draws.masks_d).float()
        real_logits, fake_logits = logits.chunk(2)
        return real_logits, fake_logits

    def _penalty(
        self, real: Tensor, labels: Tensor | None, real_logits: Tensor, fake: Tensor, draws: Draws
    ) -> Tensor | float:
        """What the settings add to D's loss for steep gradients."""
        total: Tensor | float = 0.0
        if self.config.r1:
            total = self.config.r1 * losses.r1_penalty(real_logits, real)
        if self._loss.penalty:
            between = (draws.mix * real.detach() + (1 - draws.mix) * fake).requires_grad_()
            with self._autocast():
                logits = self.discriminator(between, labels, draws.masks_g).float()
            total = total + self._loss.penalty * losses.gradient_penalty(logits, between)
        return total

    def _update_generator(self, draws: Draws) -> Tensor:
        with self._autocast():
            fake = self.generator(draws.latents_g, draws.labels_g)
            logits = self.discriminator(fake, draws.labels_g, draws.masks_g).float()
        loss = self._loss.generator(logits)
        self._adam_g.zero_grad()
        # Naming the inputs keeps autograd from computing gradients of D's weights, which nobody would use.
        loss.backward(inputs=list(self.generator.parameters()))
        self._adam_g.step()
        return loss.detach()

    def _move_ema(self) -> None:
        """EMA of the parameters; buffers (batch norm's statistics) are copied, as in StyleGAN3.

        At first the average reaches back over a tenth of the steps so far: the noise of the beginning would
        stay in it for long.
        """
        if self.ema is None:
            return
        decay = min(self.config.ema, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            averaged: list[Tensor] = list(self.ema.parameters())
            current: list[Tensor] = list(self.generator.parameters())
            torch._foreach_lerp_(averaged, current, 1 - decay)
            for mine, theirs in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
                mine.copy_(theirs)

    def _record(self) -> None:
        """Move pending measurements into the history, or say which step went wrong and keep them pending."""
        if not self._pending:
            return
        values = torch.stack([row for row, _ in self._pending]).cpu().numpy()
        for offset, row in enumerate(values):
            for quantity, value in zip(COLUMNS, row, strict=False):
                if not np.isfinite(value):
                    raise self._not_finite(quantity, str(value), len(self._history) + offset + 1)
        seconds = np.array([[spent] for _, spent in self._pending], np.float32)
        self._history.extend(np.hstack([values, seconds]))
        self._recorded_seconds += self._pending_seconds
        self._pending, self._pending_seconds = [], 0.0

    def _not_finite(self, quantity: str, value: str, step: int) -> TrainingError:
        rates = {"lr_g": self.config.lr_g, "lr_d": self.config.lr_d}
        return TrainingError("not-finite", quantity=quantity, value=value, step=step, **rates)

    # -- exact state ---------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Every tensor the run needs to go on bit for bit: networks, EMA, both Adam states, history
        (S, 5), looks (L, 14).

        Values are references, not copies: use them before the next step.

        Raises:
            TrainingError: a measurement or weight is NaN or infinite; a broken run is never saved over a good
                one.
        """
        tables = {"history": self.history.rows, "looks": self.looks}
        tensors = self._network_state() | self._adam_state()
        tensors |= {name: torch.from_numpy(np.ascontiguousarray(rows)) for name, rows in tables.items()}
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():  # the losses show what the last update broke only one step later
                raise self._not_finite(name, "not finite", self.steps)
        return tensors

    def _network_state(self) -> dict[str, Tensor]:
        networks = {"generator": self.generator, "discriminator": self.discriminator, "ema": self.ema}
        return {
            f"{part}.{name}": tensor
            for part, network in networks.items()
            if network is not None
            for name, tensor in network.state_dict().items()
        }

    def _adam_state(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for part, network, adam in (
            ("adam_g", self.generator, self._adam_g),
            ("adam_d", self.discriminator, self._adam_d),
        ):
            for name, parameter in network.named_parameters():
                moments = adam.state[parameter]
                if not moments:  # before the first step Adam holds nothing
                    moments = self._empty_moments(parameter)
                for kind, tensor in moments.items():
                    tensors[f"{part}.{kind}.{name}"] = tensor
        return tensors

    @staticmethod
    def _empty_moments(parameter: Tensor) -> dict[str, Tensor]:
        return {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        }

    @classmethod
    def from_state(
        cls,
        config: RunConfig,
        digits: Digits,
        device: torch.device,
        tensors: Mapping[str, Tensor],
        seconds: float,
    ) -> "Trainer":
        """A trainer that goes on where `state()` was taken.

        Args:
            tensors: from `state()`, possibly on another device; names and shapes must fit `config`.
            seconds: training time used so far.
        """
        trainer = cls(config, digits, device)
        trainer._load_networks(tensors)
        trainer._load_adam("adam_g", trainer.generator, trainer._adam_g, tensors)
        trainer._load_adam("adam_d", trainer.discriminator, trainer._adam_d, tensors)
        trainer._history = History(tensors["history"].numpy())
        trainer._looks = tensors["looks"].numpy().copy()
        trainer._recorded_seconds = seconds
        return trainer

    @classmethod
    def from_weights(
        cls, config: RunConfig, digits: Digits, device: torch.device, tensors: Mapping[str, Tensor]
    ) -> "Trainer":
        """A new run that begins with the networks of another one: fresh optimizers, step 0."""
        trainer = cls(config, digits, device)
        trainer._load_networks(tensors)
        return trainer

    def _load_networks(self, tensors: Mapping[str, Tensor]) -> None:
        # copy_ into what is there keeps each parameter's memory format, on which the last bits depend.
        with torch.no_grad():
            for name, target in self._network_state().items():
                source = tensors.get(name, tensors.get(name.replace("ema.", "generator.", 1)))
                if source is None:  # a slim checkpoint holds its one generator under the name "ema"
                    source = tensors[name.replace("generator.", "ema.", 1)]
                target.copy_(source)

    def _load_adam(
        self, part: str, network: nn.Module, adam: torch.optim.Adam, tensors: Mapping[str, Any]
    ) -> None:
        for name, parameter in network.named_parameters():
            moments = self._empty_moments(parameter)
            for kind, target in moments.items():
                target.copy_(tensors[f"{part}.{kind}.{name}"])
            adam.state[parameter] = moments
