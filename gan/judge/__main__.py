"""python -m gan.judge: train the judge on the bundled MNIST and write its weights. About two minutes.

Same PyTorch, machine and thread count: same weights; others need the digest that is printed in
gan/judge/network.py.
Only the training set is used; the accuracy on the test set is printed and decides nothing.
"""

import hashlib
import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from gan.data import load_digits
from gan.judge.network import WEIGHTS, WEIGHTS_SHA256, JudgeNetwork, save_weights

EPOCHS = 12
BATCH = 128
PEAK_RATE = 4e-3
SEED = 0


def main() -> int:
    """Train, print the test accuracy, write the weights."""
    started = time.perf_counter()
    torch.manual_seed(SEED)
    train, test = (load_digits("mnist", Path(), part) for part in (True, False))
    network = JudgeNetwork().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=0.05, fused=True)
    batches = len(train) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=EPOCHS * batches)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(train))
        for number in range(batches):
            chosen = order[number * BATCH : (number + 1) * BATCH]
            images = moved(train.images[chosen].unsqueeze(1).float() / 255)
            _, logits = network(images)
            loss = cross_entropy(logits, train.labels[chosen].long(), label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        accuracy = accuracy_of(network, test.images, test.labels)
        print(f"epoch {epoch + 1}: test accuracy {accuracy:.2%}, {time.perf_counter() - started:.0f} s")
    save_weights(network, WEIGHTS)
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    print(f"{WEIGHTS.name}: {'as before' if digest == WEIGHTS_SHA256 else f'WEIGHTS_SHA256 is now {digest}'}")
    return 0


def moved(images: Tensor) -> Tensor:
    """Each image turned by up to 12 degrees, scaled by up to 10 % and shifted by up to 2 pixels."""
    count = len(images)
    angle = (torch.rand(count) * 2 - 1) * math.radians(12)
    scale = 1 + (torch.rand(count) * 2 - 1) * 0.1
    shift = (torch.rand(count, 2) * 2 - 1) * 2 / 14
    cos, sin = angle.cos() * scale, angle.sin() * scale
    first = torch.stack([cos, -sin, shift[:, 0]], dim=1)
    second = torch.stack([sin, cos, shift[:, 1]], dim=1)
    grid = affine_grid(torch.stack([first, second], dim=1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def accuracy_of(network: JudgeNetwork, images: Tensor, labels: Tensor) -> float:
    """Share of `images` uint8 (N, 28, 28) that are read as their label."""
    network.eval()
    with torch.inference_mode():
        right = network(images.unsqueeze(1).float() / 255)[1].argmax(1) == labels
    network.train()
    return float(right.float().mean())


if __name__ == "__main__":
    sys.exit(main())
