"""Tiny data sets in the formats in which the real ones lie on a disk."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100, STL10


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def cifar10(tmp_path, random, monkeypatch):
    """Five training batches of 8 images and one of 6 to hold out; returns the rows of bytes and the labels."""
    names = [f"data_batch_{number}" for number in range(1, 6)]
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    written = {name: _cifar_batch(folder / name, "labels", 8, 10, random) for name in names}
    written["test_batch"] = _cifar_batch(folder / "test_batch", "labels", 6, 10, random)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": classes}))
    # torchvision compares the files with checksums of the real ones.
    monkeypatch.setattr(CIFAR10, "train_list", [[name, None] for name in names])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})
    return written


@pytest.fixture
def cifar100(tmp_path, random, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    written = {
        name: _cifar_batch(folder / name, "fine_labels", count, 100, random)
        for name, count in (("train", 12), ("test", 5))
    }
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"class {number}" for number in range(100)]}))
    monkeypatch.setattr(CIFAR100, "train_list", [["train", None]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", None]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": None})
    return written


@pytest.fixture
def stl10(tmp_path, random, monkeypatch):
    """Four labelled, seven unlabelled and three held-out images; returns them as (images, 3, 96, 96)."""
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    written = {}
    for name, count in (("train", 4), ("unlabeled", 7), ("test", 3)):
        pixels = random.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8)
        pixels.transpose(0, 1, 3, 2).tofile(folder / f"{name}_X.bin")  # columns first
        labels = random.integers(0, 10, count, dtype=np.uint8)
        (labels + 1).tofile(folder / f"{name}_y.bin")  # counted from one
        written[name] = torch.from_numpy(pixels), torch.from_numpy(labels).long()
    names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
    (folder / "class_names.txt").write_text("\n".join(names) + "\n")
    monkeypatch.setattr(STL10, "train_list", [[name, None] for name, _ in STL10.train_list])
    monkeypatch.setattr(STL10, "test_list", [[name, None] for name, _ in STL10.test_list])
    return written


@pytest.fixture
def fashion_mnist(tmp_path, random):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    written = {}
    for name, count in (("train", 9), ("t10k", 4)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        header = np.array([0x803, count, 28, 28], dtype=">i4").tobytes()
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        header = np.array([0x801, count], dtype=">i4").tobytes()
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
        written[name] = torch.from_numpy(pixels), torch.from_numpy(labels).long()
    return written


@pytest.fixture
def tiny_imagenet(tmp_path):
    """Two classes of three training images, the value of a pixel telling class and place; two held-out images."""
    folder = tmp_path / "tiny-imagenet-200"
    for number, label in enumerate(("n01443537", "n01629819")):
        for place in range(3):
            plain_image(
                folder / "train" / label / "images" / f"{label}_{place}.JPEG", 100 * number + 20 * place, 64, 64
            )
    for place, value in enumerate((50, 250)):
        plain_image(folder / "val" / "images" / f"val_{place}.JPEG", value, 64, 64)
    lines = ("val_1.JPEG\tn01443537\t0\t0\t62\t62", "val_0.JPEG\tn01629819\t0\t0\t62\t62")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (folder / "words.txt").write_text("n00001740\tentity\nn01443537\tgoldfish, Carassius auratus\n")
    return folder


@pytest.fixture
def image_folder(tmp_path, random):
    """Three classes of six training and two held-out PNGs of several sizes."""
    for split, count in (("train", 6), ("val", 2)):
        for label in ("cat", "dog", "emu"):
            for place in range(count):
                shape = (40 + 7 * place, 50, 3)
                file = tmp_path / split / label / f"{place}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(file)
    return tmp_path


def plain_image(file, value, height, width):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, dtype=np.uint8)).save(file)


def _cifar_batch(file, key, count, classes, random):
    rows = random.integers(0, 256, (count, 3072), dtype=np.uint8)
    labels = random.integers(0, classes, count).tolist()
    file.write_bytes(pickle.dumps({"data": rows, key: labels}))
    return torch.from_numpy(rows).reshape(-1, 3, 32, 32), torch.tensor(labels)
