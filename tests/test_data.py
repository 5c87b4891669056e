import gzip
import shutil
import struct
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
import torch

from gan.data import ASSETS, load_bundled_mnist, load_digits
from gan.errors import DataError

TEST_PART = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
FASHION = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", *TEST_PART)


# Published with the dataset: how often each digit occurs, and mean and deviation of its pixels.
@pytest.mark.parametrize(
    ("train", "histogram", "mean", "deviation"),
    [
        (True, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], 0.1307, 0.3081),
        (False, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], 0.1325, 0.3105),
    ],
)
def test_the_bundled_digits_are_the_real_mnist(tmp_path, train, histogram, mean, deviation):
    digits = load_digits("mnist", tmp_path, train)
    assert digits.name == "mnist"
    assert len(digits) == sum(histogram) == (60_000 if train else 10_000)
    assert digits.images.shape == (len(digits), 28, 28)
    assert digits.labels.shape == (len(digits),)
    assert digits.images.dtype == digits.labels.dtype == torch.uint8
    assert digits.labels.bincount().tolist() == histogram
    pixels = digits.images.float() / 255
    assert pixels.mean().item() == pytest.approx(mean, abs=1e-4)
    assert pixels.std().item() == pytest.approx(deviation, abs=1e-4)


def test_the_first_training_digits_are_those_of_mnist(tmp_path):
    assert load_digits("mnist", tmp_path).labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def change_a_pixel(content: bytes) -> bytes:
    return gzip.compress(flip_a_bit(gzip.decompress(content)), 1)


def empty(_: bytes) -> bytes:
    return b""


def replace_by_text(_: bytes) -> bytes:
    return b"<html>404 Not Found</html>"


@pytest.mark.parametrize("damage", [cut, flip_a_bit, change_a_pixel, empty, replace_by_text])
@pytest.mark.parametrize("name", TEST_PART)
def test_a_damaged_file_is_refused_by_its_name(tmp_path, name, damage):
    for each in TEST_PART:
        shutil.copy(ASSETS / f"{each}.gz", tmp_path)
    assert len(load_bundled_mnist(tmp_path, train=False)) == 10_000
    file = tmp_path / f"{name}.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError) as caught:
        load_bundled_mnist(tmp_path, train=False)
    assert caught.value.values["file"] == file.name
    assert file.name in str(caught.value)


@pytest.mark.parametrize("name", TEST_PART)
def test_a_missing_file_is_named(tmp_path, name):
    for each in set(TEST_PART) - {name}:
        shutil.copy(ASSETS / f"{each}.gz", tmp_path)
    with pytest.raises(DataError, match=rf"{name}\.gz .*No such file"):
        load_bundled_mnist(tmp_path, train=False)


# -- Fashion-MNIST: torchvision's own class, on files put there by hand --------------------------------------


@pytest.fixture
def downloads(monkeypatch):
    """The addresses that were asked for, on a machine without a network."""
    asked = []

    def no_network(request, *_, **__):
        asked.append(getattr(request, "full_url", request))
        raise URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    return asked


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    return folder


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def clothes():
    rng = np.random.default_rng(3)
    arrays = {}
    for name in FASHION:
        count = 30 if name.startswith("train") else 20
        images = "images" in name
        arrays[name] = rng.integers(
            256 if images else 10, size=(count, 28, 28) if images else count, dtype=np.uint8
        )
    return arrays


def put(folder, clothes, packed):
    for name, array in clothes.items():
        content = idx(array)
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("train", [True, False], ids=["train", "test"])
def test_fashion_mnist_files_put_there_by_hand_are_used_without_a_network(
    tmp_path, raw, clothes, downloads, packed, train
):
    put(raw, clothes, packed)
    loaded = load_digits("fashion-mnist", tmp_path, train)
    images, labels = FASHION[:2] if train else FASHION[2:]
    assert loaded.name == "fashion-mnist"
    assert loaded.images.dtype == loaded.labels.dtype == torch.uint8
    assert np.array_equal(loaded.images.numpy(), clothes[images])
    assert np.array_equal(loaded.labels.numpy(), clothes[labels])
    assert downloads == []


def test_without_fashion_mnist_and_network_the_error_says_which_files_to_put_where(tmp_path, downloads):
    with pytest.raises(DataError) as caught:
        load_digits("fashion-mnist", tmp_path)
    assert all("train-images" in address for address in downloads)
    assert downloads
    message = str(caught.value)
    assert str(tmp_path / "FashionMNIST" / "raw") in message
    assert all(f"{name}.gz" in message for name in FASHION)


@pytest.mark.usefixtures("downloads")
def test_files_put_there_after_a_failed_download_are_found(tmp_path, clothes):
    with pytest.raises(DataError):
        load_digits("fashion-mnist", tmp_path)
    put(tmp_path / "FashionMNIST" / "raw", clothes, packed=True)
    assert len(load_digits("fashion-mnist", tmp_path)) == 30


@pytest.mark.usefixtures("downloads")
def test_one_missing_fashion_mnist_file_is_asked_for(tmp_path, raw, clothes):
    put(raw, {name: array for name, array in clothes.items() if name != FASHION[3]}, packed=True)
    with pytest.raises(DataError) as caught:
        load_digits("fashion-mnist", tmp_path)
    assert caught.value.key == "data-missing"


@pytest.mark.parametrize("damage", [cut, empty, replace_by_text])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("name", FASHION[:2])
def test_a_damaged_fashion_mnist_file_is_called_damaged(
    tmp_path, raw, clothes, downloads, name, packed, damage
):
    put(raw, clothes, packed)
    file = raw / (f"{name}.gz" if packed else name)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError) as caught:
        load_digits("fashion-mnist", tmp_path)
    assert caught.value.key == "data-damaged"
    assert caught.value.values["file"] in (file.name, str(raw))
    assert downloads == []


@pytest.mark.usefixtures("downloads")
def test_a_good_file_in_the_place_of_a_damaged_one_is_used(tmp_path, raw, clothes):
    put(raw, clothes, packed=True)
    file = raw / f"{FASHION[0]}.gz"
    good = file.read_bytes()
    file.write_bytes(cut(good))
    with pytest.raises(DataError):
        load_digits("fashion-mnist", tmp_path)
    file.write_bytes(good)
    assert len(load_digits("fashion-mnist", tmp_path)) == 30


@pytest.mark.usefixtures("downloads")
def test_labels_of_another_part_are_refused(tmp_path, raw, clothes):
    put(raw, clothes | {FASHION[1]: clothes[FASHION[3]]}, packed=True)
    with pytest.raises(DataError, match="images and labels do not belong together"):
        load_digits("fashion-mnist", tmp_path)
