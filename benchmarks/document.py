"""The loop of the document that the project began with, as it is typed there.

Two fully connected networks, one forward pass for real and one for generated digits, a `DataLoader` that
transforms every digit anew, `.item()` after every step.
"""

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torchvision import datasets, transforms

from gan.data import ASSETS
from gan.sampling import Images, to_bytes

BATCH = 128
LATENT_DIM = 100
EPOCHS = 10


class Generator(nn.Module):
    """100-256-512-1024-784."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(LATENT_DIM, 256)
        self.fc2 = nn.Linear(256, 512)
        self.fc3 = nn.Linear(512, 1024)
        self.fc4 = nn.Linear(1024, 784)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.fc1(x), 0.2)
        x = F.leaky_relu(self.fc2(x), 0.2)
        x = F.leaky_relu(self.fc3(x), 0.2)
        return torch.tanh(self.fc4(x))


class Discriminator(nn.Module):
    """784-1024-512-256-1."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 1024)
        self.fc2 = nn.Linear(1024, 512)
        self.fc3 = nn.Linear(512, 256)
        self.fc4 = nn.Linear(256, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.leaky_relu(self.fc1(x), 0.2), 0.3)
        x = F.dropout(F.leaky_relu(self.fc2(x), 0.2), 0.3)
        x = F.dropout(F.leaky_relu(self.fc3(x), 0.2), 0.3)
        return torch.sigmoid(self.fc4(x))


class Loop:
    """The document's globals as one object, over the batches of its `DataLoader` without the short one."""

    def __init__(self, batches: "torch.utils.data.DataLoader[list[Tensor]]", seed: int = 0) -> None:
        torch.manual_seed(seed)
        self._loader = batches
        self._batches: Iterator[list[Tensor]] = iter(())
        self.generator, self._discriminator = Generator(), Discriminator()
        self._criterion = nn.BCELoss()
        self._optimizer_g = optim.Adam(self.generator.parameters(), lr=0.0002)
        self._optimizer_d = optim.Adam(self._discriminator.parameters(), lr=0.0002)

    def step(self) -> None:
        """One batch: D, then G."""
        batch = next(self._batches, None)
        if batch is None or len(batch[0]) != BATCH:
            self._batches = iter(self._loader)
            batch = next(self._batches)
        self._train_discriminator(batch[0])
        self._train_generator()

    def _train_discriminator(self, x: Tensor) -> float:
        self._discriminator.zero_grad()
        real_loss = self._criterion(self._discriminator(x.view(-1, 784)), torch.ones(BATCH, 1))
        fake = self.generator(torch.randn(BATCH, LATENT_DIM))
        fake_loss = self._criterion(self._discriminator(fake), torch.zeros(BATCH, 1))
        loss = real_loss + fake_loss
        loss.backward()
        self._optimizer_d.step()
        return float(loss.data.item())

    def _train_generator(self) -> float:
        self.generator.zero_grad()
        output = self._discriminator(self.generator(torch.randn(BATCH, LATENT_DIM)))
        loss = self._criterion(output, torch.ones(BATCH, 1))
        loss.backward()
        self._optimizer_g.step()
        return float(loss.data.item())

    def digits(self, count: int) -> Images:
        """Generated digits, uint8 (count, 28, 28), the same latents every time; training is not disturbed."""
        latents = torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            return to_bytes(self.generator(latents).view(-1, 1, 28, 28))


@contextmanager
def loader() -> "Iterator[torch.utils.data.DataLoader[list[Tensor]]]":
    """The document's `train_loader`, over the bundled files."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for packed in ASSETS.glob("*-ubyte.gz"):
            with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
                shutil.copyfileobj(source, target)
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
        dataset = datasets.MNIST(folder, train=True, transform=transform)
        yield torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True)
