"""Digits as one uint8 tensor: bundled MNIST first, torchvision for the rest."""

import gzip
import hashlib
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from gan.errors import DataError, reason_of

ASSETS = Path(__file__).parent / "assets"
IMAGE_SIZE = 28

# MD5 of the unpacked IDX files, as published with the datasets.
_MNIST = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@dataclass(frozen=True)
class Digits:
    """Labelled pictures: `images` uint8 (N, 28, 28), 0 is background; `labels` uint8 (N,), 0 to 9."""

    name: str
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)


_loading = Lock()


def load_digits(dataset: str, folder: Path, train: bool = True) -> Digits:
    """The training or test part of "mnist" (bundled) or "fashion-mnist" (through torchvision).

    Args:
        folder: where torchvision keeps its datasets; not used for bundled MNIST.

    Raises:
        DataError: a file is damaged, or missing where no network can bring it.
    """
    with _loading:  # one download at a time, and nobody reads what another thread still writes
        return _loaded(dataset, folder, train)


@cache
def _loaded(dataset: str, folder: Path, train: bool) -> Digits:
    if dataset == "mnist":
        return load_bundled_mnist(ASSETS, train)
    return _load_fashion_mnist(folder, train)


def load_bundled_mnist(folder: Path, train: bool) -> Digits:
    """MNIST from four gzipped IDX files in `folder`.

    Raises:
        DataError: a file is missing, cannot be unpacked or has another checksum.
    """
    part = "train" if train else "t10k"
    images = _unpacked(folder, f"{part}-images-idx3-ubyte")
    labels = _unpacked(folder, f"{part}-labels-idx1-ubyte")
    (count,) = struct.unpack(">I", images[4:8])
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(count, IMAGE_SIZE, IMAGE_SIZE)
    return Digits(
        "mnist",
        torch.from_numpy(pixels.copy()),
        torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).copy()),
    )


def _unpacked(folder: Path, name: str) -> bytes:
    path = folder / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("data-damaged", file=path.name, reason=reason_of(error)) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != _MNIST[name]:
        raise DataError("data-damaged", file=path.name, reason="its checksum is wrong")
    return content


def _load_fashion_mnist(folder: Path, train: bool) -> Digits:
    # torchvision takes a second to import, and only this dataset needs it.
    from torchvision.datasets import FashionMNIST

    raw = folder / "FashionMNIST" / "raw"
    names = [
        f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    try:
        for name in names:
            # Files put here by hand may be packed by another gzip than the one whose checksum torchvision
            # knows, so they are unpacked here, where only the content counts.
            if (raw / f"{name}.gz").exists() and not (raw / name).exists():
                (raw / name).write_bytes(gzip.decompress((raw / f"{name}.gz").read_bytes()))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("data-damaged", file=f"{name}.gz", reason=reason_of(error)) from error
    present = all((raw / name).exists() for name in names)
    try:
        data = FashionMNIST(str(folder), train=train, download=not present)
        if data.data.shape != (len(data.targets), IMAGE_SIZE, IMAGE_SIZE):
            raise ValueError("its images and labels do not belong together")
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError) as error:
        if present:
            raise DataError("data-damaged", file=str(raw), reason=reason_of(error)) from error
        files = ", ".join(f"{name}.gz" for name in names)
        raise DataError("data-missing", dataset="Fashion-MNIST", files=files, folder=str(raw)) from error
    return Digits("fashion-mnist", data.data, data.targets.to(torch.uint8))
