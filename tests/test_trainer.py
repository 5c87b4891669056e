import copy
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.nn import functional as F

from gan.config import RECIPES, recipe
from gan.data import Digits, load_digits
from gan.errors import ConfigError, TrainingError
from gan.history import COLUMNS
from gan.losses import LOSSES
from gan.runs import RunStore
from gan.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mnist() -> Digits:
    """A thousand real digits."""
    digits = load_digits("mnist", Path("unused"))
    return Digits("mnist", digits.images[:1000], digits.labels[:1000])


def train(trainer, steps):
    for _ in range(steps):
        trainer.step()
    return trainer


def trained(config, digits, steps):
    return train(Trainer(config, digits, CPU), steps)


def weights(network):
    return [parameter.detach().clone() for parameter in network.parameters()]


# -- against the document, written out as it stands there ----------------------------------------------------


class Generator(nn.Module):
    def __init__(self, g_input_dim, g_output_dim):
        super().__init__()
        self.fc1 = nn.Linear(g_input_dim, 256)
        self.fc2 = nn.Linear(self.fc1.out_features, self.fc1.out_features * 2)
        self.fc3 = nn.Linear(self.fc2.out_features, self.fc2.out_features * 2)
        self.fc4 = nn.Linear(self.fc3.out_features, g_output_dim)

    def forward(self, x):
        x = F.leaky_relu(self.fc1(x), 0.2)
        x = F.leaky_relu(self.fc2(x), 0.2)
        x = F.leaky_relu(self.fc3(x), 0.2)
        return torch.tanh(self.fc4(x))


class Discriminator(nn.Module):
    def __init__(self, d_input_dim):
        super().__init__()
        self.fc1 = nn.Linear(d_input_dim, 1024)
        self.fc2 = nn.Linear(self.fc1.out_features, self.fc1.out_features // 2)
        self.fc3 = nn.Linear(self.fc2.out_features, self.fc2.out_features // 2)
        self.fc4 = nn.Linear(self.fc3.out_features, 1)

    def forward(self, x, masks):
        x = F.leaky_relu(self.fc1(x), 0.2)
        x = x * masks[0] / 0.7  # F.dropout(x, 0.3), with a mask that can be given
        x = F.leaky_relu(self.fc2(x), 0.2)
        x = x * masks[1] / 0.7
        x = F.leaky_relu(self.fc3(x), 0.2)
        x = x * masks[2] / 0.7
        return torch.sigmoid(self.fc4(x))


class Document:
    """The loop of the document. What it draws at random comes from outside."""

    def __init__(self, trainer):
        self.G, self.D = Generator(100, 784), Discriminator(784)
        self.G.load_state_dict(trainer.generator.state_dict())
        self.D.load_state_dict(trainer.discriminator.state_dict())
        self.criterion = nn.BCELoss()
        self.G_optimizer = optim.Adam(self.G.parameters(), lr=0.0002)
        self.D_optimizer = optim.Adam(self.D.parameters(), lr=0.0002)

    def train_d(self, x, z, masks_real, masks_fake):
        self.D.zero_grad()
        x_real, y_real = x.view(-1, 784), torch.ones(128, 1)
        output = self.D(x_real, masks_real)
        real_loss, real_score = self.criterion(output, y_real), output
        x_fake, y_fake = self.G(z), torch.zeros(128, 1)
        output = self.D(x_fake, masks_fake)
        fake_loss, fake_score = self.criterion(output, y_fake), output
        loss = real_loss + fake_loss
        loss.backward()
        self.D_optimizer.step()
        return loss.item(), real_score.mean().item(), fake_score.mean().item()

    def train_g(self, z, masks):
        self.G.zero_grad()
        loss = self.criterion(self.D(self.G(z), masks), torch.ones(128, 1))
        loss.backward()
        self.G_optimizer.step()
        return loss.item()


@pytest.mark.parametrize("steps", [1, 3])
def test_classic_steps_are_those_of_the_document(mnist, steps):
    trainer = Trainer(recipe("classic").with_changes(precision="fp32"), mnist, CPU)
    document = Document(trainer)
    start = weights(trainer.generator) + weights(trainer.discriminator)
    for _ in range(steps):
        draws = trainer._drawer.draw(trainer.steps, trainer.discriminator)
        x = (mnist.images[draws.real] / 255 - 0.5) / 0.5  # ToTensor and Normalize(0.5, 0.5)
        masks_real = [mask[:128] for mask in draws.masks_d]
        masks_fake = [mask[128:] for mask in draws.masks_d]
        loss_d, d_real, d_fake = document.train_d(x, draws.latents_d, masks_real, masks_fake)
        loss_g = document.train_g(draws.latents_g, draws.masks_g)
        measured = [value.item() for value in trainer.step()]
        assert measured == pytest.approx([loss_d, loss_g, d_real, d_fake], abs=1e-5)
    ours = weights(trainer.generator) + weights(trainer.discriminator)
    theirs = weights(document.G) + weights(document.D)
    for mine, plain, before in zip(ours, theirs, start, strict=True):
        torch.testing.assert_close(mine, plain, rtol=0, atol=1e-5)
        assert (mine - before).abs().max() > 1e-4  # ten times the tolerance


def test_each_step_draws_fresh_noise_and_masks_for_both_updates(mnist):
    trainer = Trainer(recipe("classic").with_changes(precision="fp32"), mnist, CPU)
    drawn = []
    for _ in range(3):
        draws = trainer._drawer.draw(trainer.steps, trainer.discriminator)
        drawn += [draws.latents_d, draws.latents_g]
        assert not torch.equal(draws.masks_d[0][:128], draws.masks_d[0][128:])
        assert not torch.equal(draws.masks_d[0][:128], draws.masks_g[0])
        trainer.step()
    for one, other in itertools.combinations(drawn, 2):
        assert not torch.equal(one, other)
    noise = torch.stack(drawn)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", RECIPES)
def test_bf16_training_stays_near_fp32(mnist, name):
    # A few steps: rounding differs from machine to machine, and every step feeds on the last one's.
    runs = {p: trained(recipe(name).with_changes(precision=p), mnist, 3) for p in ("fp32", "bf16")}
    exact, rounded = runs["fp32"], runs["bf16"]
    assert all(tensor.dtype != torch.bfloat16 for tensor in rounded.state().values())
    for column in ("loss_d", "loss_g", "d_real", "d_fake"):
        there, here = exact.history.column(column), rounded.history.column(column)
        assert here == pytest.approx(there, abs=0.1, rel=0.05)
        assert (here != there).any()


# -- which digits a step sees --------------------------------------------------------------------------------


def test_an_epoch_visits_whole_batches_of_different_digits_in_an_order_of_its_own(digits, tiny):
    trainer = Trainer(tiny("classic", batch_size=60), digits, CPU)  # 256 digits: 4 batches, 16 left over
    assert trainer.steps_per_epoch == 4
    epochs = []
    for _ in range(3):
        seen = []
        for _ in range(4):
            seen.append(trainer._drawer.draw(trainer.steps, trainer.discriminator).real)
            trainer.step()
        epochs.append(torch.cat(seen))
    assert trainer.epochs == 3
    for order in epochs:
        assert len(order) == 240
        assert len(order.unique()) == 240
    assert len({tuple(order.tolist()) for order in epochs}) == 3
    assert len(torch.cat(epochs).unique()) > 240  # another few are left out each time


def test_a_batch_may_be_the_whole_dataset_but_not_more(digits, tiny):
    assert Trainer(tiny(batch_size=256), digits, CPU).steps_per_epoch == 1
    with pytest.raises(ConfigError, match="batch_size is 257; the dataset has only 256 images"):
        Trainer(tiny(batch_size=257), digits, CPU)


def test_a_conditional_discriminator_is_shown_each_digit_with_its_own_label(digits, tiny):
    trainer = Trainer(tiny("conditional"), digits, CPU)
    shown = []
    trainer.discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[:2]))
    draws = trainer._drawer.draw(trainer.steps, trainer.discriminator)
    trainer.step()
    (real, real_labels), (_, fake_labels), (_, labels_g) = shown
    assert torch.equal(real_labels, digits.labels[draws.real].long())
    assert torch.equal(((real + 1) * 127.5).round().byte().squeeze(1), digits.images[draws.real])
    assert torch.equal(fake_labels, draws.labels_d)
    assert torch.equal(labels_g, draws.labels_g)


# -- what a step changes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_training_is_decided_by_the_seed_alone(digits, tiny, name):
    torch.manual_seed(1)
    first = trained(tiny(name), digits, 3).state()
    torch.manual_seed(2)
    again = trained(tiny(name), digits, 3).state()
    other = trained(tiny(name, seed=1), digits, 3).state()
    for part in first.keys() - {"history"}:
        assert torch.equal(first[part], again[part])
    assert not torch.equal(first["history"][:, :4], other["history"][:, :4])


def test_training_leaves_the_global_generator_alone(digits, tiny):
    before = torch.get_rng_state()
    trained(tiny("classic"), digits, 2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("ema", [0.2, 0.9])
def test_the_ema_moves_by_its_share_of_the_way_and_copies_buffers(digits, tiny, ema):
    trainer = trained(tiny(ema=ema), digits, 2)
    for _ in range(3):
        before = weights(trainer.ema)
        decay = min(ema, (1 + trainer.steps) / (10 + trainer.steps))  # at first it reaches back less far
        trainer.step()
        for old, new, target in zip(before, weights(trainer.ema), weights(trainer.generator), strict=True):
            torch.testing.assert_close(new, decay * old + (1 - decay) * target)
            assert not torch.equal(new, old)
        buffers = list(trainer.generator.buffers())
        assert buffers
        for mine, theirs in zip(trainer.ema.buffers(), buffers, strict=True):
            assert torch.equal(mine, theirs)


def test_a_run_without_ema_keeps_no_second_generator(digits, tiny):
    trainer = trained(tiny(ema=0.0), digits, 1)
    assert trainer.ema is None
    assert not any(name.startswith("ema.") for name in trainer.state())


@pytest.mark.parametrize(("part", "rates"), [("generator", (3e-3, 5e-4)), ("discriminator", (5e-4, 3e-3))])
def test_a_new_learning_rate_scales_the_very_next_step(digits, tiny, part, rates):
    usual, changed = (trained(tiny("classic", lr_g=5e-4, lr_d=5e-4), digits, 2) for _ in range(2))
    changed.set_learning_rates(*rates)
    assert (changed.config.lr_g, changed.config.lr_d) == rates
    moved = []
    for trainer in (usual, changed):
        before = weights(getattr(trainer, part))
        trainer.step()
        moved.append([new - old for new, old in zip(weights(getattr(trainer, part)), before, strict=True)])
    for plain, scaled in zip(*moved, strict=True):
        torch.testing.assert_close(scaled, 6 * plain, rtol=0.01, atol=1e-6)


def test_learning_rates_fall_to_zero_over_the_last_part_of_the_run(digits, tiny):
    plain, falling = (Trainer(tiny("classic", length=10, decay=decay), digits, CPU) for decay in (0.0, 0.5))
    moved = []
    for _ in range(10):
        rates = []
        for trainer in (plain, falling):
            trainer.step()
            rates.append(trainer._adam_g.param_groups[0]["lr"])
        moved.append(rates[1] / rates[0])
    assert moved == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize(
    "changes", [{"loss": loss} for loss in LOSSES] + [{"r1": 1.0}, {"label_smoothing": 0.1}]
)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_loss_and_option_moves_both_networks(digits, tiny, recipe, changes):
    trainer = Trainer(tiny(recipe, **changes), digits, CPU)
    before = [weights(trainer.generator), weights(trainer.discriminator)]
    for _ in range(3):
        trainer.step()
    assert np.isfinite(trainer.history.rows).all()
    for old, network in zip(before, (trainer.generator, trainer.discriminator), strict=True):
        assert not all(torch.equal(*pair) for pair in zip(old, weights(network), strict=True))


def test_a_refused_learning_rate_changes_nothing(digits, tiny):
    usual, asked = (trained(tiny("classic"), digits, 1) for _ in range(2))
    with pytest.raises(ConfigError, match="lr_d"):
        asked.set_learning_rates(1e-2, 5.0)
    assert asked.config == usual.config
    usual.step()
    asked.step()
    assert torch.equal(usual.generator.fc1.weight, asked.generator.fc1.weight)


def test_the_minimax_loss_is_used_where_it_is_asked_for(digits, tiny):
    assert trained(tiny(loss="minimax"), digits, 1).history.column("loss_g")[0] < 0
    assert trained(tiny(loss="non-saturating"), digits, 1).history.column("loss_g")[0] > 0


def test_the_discriminator_learns_to_tell_real_digits_from_fakes(mnist):
    history = trained(recipe("classic").with_changes(precision="fp32"), mnist, 12).history
    assert history.column("d_real")[0] == pytest.approx(0.5, abs=0.05)
    assert history.column("d_real")[10] > history.column("d_fake")[10] + 0.2
    assert (
        history.column("loss_d")[10] < history.column("loss_d")[0] == pytest.approx(2 * math.log(2), abs=0.1)
    )


# -- what is measured ----------------------------------------------------------------------------------------


def test_the_history_holds_what_each_step_returned(digits, tiny):
    trainer = Trainer(tiny(), digits, CPU)
    returned = [[value.item() for value in trainer.step()] for _ in range(19)]
    assert trainer.history.rows[:, :4].tolist() == returned
    seconds = trainer.history.column("seconds")
    assert (seconds > 0).all()
    assert trainer.seconds == pytest.approx(float(seconds.sum()))
    assert trainer.steps == len(trainer.history) == len(returned)


def test_progress_counts_steps_epochs_or_seconds(digits, tiny):
    trainer = trained(tiny(length=12, unit="steps"), digits, 3)
    assert trainer.progress == 0.25
    trainer.set_length(1, "epochs")
    assert trainer.progress == 3 / 32
    trainer.set_length(1000, "seconds")
    assert trainer.progress == trainer.seconds / 1000
    trainer.set_length(2, "steps")
    assert trainer.progress == 1


def test_loss_txt_has_a_line_for_each_epoch_as_in_the_document(digits, tiny, tmp_path):
    store = RunStore(tmp_path)
    trainer = Trainer(tiny("classic", batch_size=100, length=10, unit="epochs"), digits, CPU)
    measured = [trainer.step() for _ in range(5)]  # two whole epochs and a half
    store.save("run", trainer)
    lines = (tmp_path / "run" / "loss.txt").read_text().splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines, 1):
        steps = measured[2 * epoch - 2 : 2 * epoch]
        loss_d = torch.mean(torch.FloatTensor([step.loss_d for step in steps]))
        loss_g = torch.mean(torch.FloatTensor([step.loss_g for step in steps]))
        assert line == "[{}/{}]: loss_d: {:.3f}, loss_g: {:.3f}".format(epoch, 10, loss_d, loss_g)  # noqa: UP032
        assert re.fullmatch(r"\[\d/10\]: loss_d: \d\.\d{3}, loss_g: \d\.\d{3}", line)


# -- when it goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["generator", "discriminator"])
@pytest.mark.parametrize("good_steps", [0, 15, 16])
def test_a_weight_that_is_nan_ends_training_within_16_steps_and_names_the_first_bad_step(
    digits, tiny, part, good_steps
):
    trainer = trained(tiny("classic"), digits, good_steps)
    with torch.no_grad():
        next(getattr(trainer, part).parameters())[0, 0] = math.nan
    with pytest.raises(TrainingError) as caught:
        train(trainer, 16)
    assert caught.value.values["step"] == good_steps + 1
    assert f"became nan at step {good_steps + 1}" in str(caught.value)
    assert str(trainer.config.lr_g) in str(caught.value)
    for ask in (trainer.state, lambda: trainer.history, trainer.step):
        with pytest.raises(TrainingError):
            ask()


def test_a_diverged_run_is_not_saved_over_a_good_one(digits, tiny, tmp_path):
    store = RunStore(tmp_path)
    trainer = trained(tiny("classic"), digits, 2)
    store.save("run", trainer)
    good = store.path("run").read_bytes()
    with torch.no_grad():
        trainer.generator.fc1.weight[0, 0] = math.nan
    trainer.step()
    with pytest.raises(TrainingError, match="step 3"):
        store.save("run", trainer)
    assert store.path("run").read_bytes() == good


@pytest.mark.parametrize("part", ["generator", "discriminator", "ema"])
def test_weights_that_the_last_step_broke_are_not_saved_either(digits, tiny, part):
    trainer = trained(tiny(), digits, 2)
    with torch.no_grad():
        next(getattr(trainer, part).parameters())[0, 0] = math.inf
    with pytest.raises(TrainingError, match=rf"{part}\.\w+\.weight became not finite at step 2"):
        trainer.state()


# -- starting from what is there -----------------------------------------------------------------------------


def test_a_run_from_weights_begins_with_those_networks_and_nothing_else(digits, tiny):
    source = trained(tiny(), digits, 3)
    tensors = copy.deepcopy(source.state())
    fresh = Trainer.from_weights(tiny(lr_g=1e-5), digits, CPU, tensors)
    assert (fresh.steps, fresh.seconds, len(fresh.history)) == (0, 0, 0)
    state = fresh.state()
    for name, tensor in state.items():
        if name.startswith(("generator.", "discriminator.", "ema.")):
            assert torch.equal(tensor, tensors[name])
        else:
            assert not tensor.any()
    assert state["history"].shape == (0, len(COLUMNS))


@pytest.mark.parametrize("kept", ["generator", "ema"])
def test_a_run_can_begin_from_a_file_with_one_generator(digits, tiny, kept):
    source = trained(tiny(), digits, 3)
    tensors = {
        name: t for name, t in source.state().items() if name.startswith((f"{kept}.", "discriminator."))
    }
    fresh = Trainer.from_weights(tiny(), digits, CPU, tensors)
    for part in (fresh.generator, fresh.ema):
        assert torch.equal(part.up1.weight, tensors[f"{kept}.up1.weight"])
