"""The judge: a small classifier of digits, whose features tell how alike two sets of digits are."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from gan.errors import DataError, reason_of
from gan.networks import without_global_randomness

WEIGHTS = Path(__file__).parents[1] / "assets" / "judge.safetensors"
WEIGHTS_SHA256 = "b2a1416719690b22408614d5a938523a5c5eec189bf15e42913662819d67029b"
FEATURES = 128
BATCH = 1000

Images = NDArray[np.uint8]


class JudgeNetwork(nn.Module):
    """Images (N, 1, 28, 28) in [0, 1] -> features (N, 128) and logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(64)
        self.hidden = nn.Linear(64 * 7 * 7, FEATURES)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(FEATURES, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = max_pool2d(relu(self.norm1(self.conv1(images))), 2)
        x = max_pool2d(relu(self.norm2(self.conv2(x))), 2)
        x = relu(self.norm3(self.conv3(x)))
        features = relu(self.hidden(x.flatten(1)))
        return features, self.out(self.drop(features))


def save_weights(network: JudgeNetwork, path: Path) -> None:
    """Write the weights in half precision."""
    tensors = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    safetensors.torch.save_file(tensors, path)


@cache
def load_network() -> JudgeNetwork:
    """The bundled judge, in evaluation mode, on the CPU.

    Raises:
        DataError: its file is missing or damaged.
    """
    try:
        content = WEIGHTS.read_bytes()
    except OSError as error:
        raise DataError("data-damaged", file=WEIGHTS.name, reason=reason_of(error)) from error
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise DataError("data-damaged", file=WEIGHTS.name, reason="its checksum is wrong")
    with without_global_randomness():
        network = JudgeNetwork()
    network.load_state_dict(safetensors.torch.load(content))
    return network.eval().requires_grad_(False)


def judge(images: Images) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (N, 128) and class probabilities (N, 10) of images uint8 (N, 28, 28)."""
    network = load_network()
    features, probabilities = [], []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            pixels = torch.from_numpy(images[start : start + BATCH]).unsqueeze(1).float() / 255
            seen, logits = network(pixels)
            features.append(seen)
            probabilities.append(logits.softmax(1))
    return torch.cat(features).numpy(), torch.cat(probabilities).numpy()
