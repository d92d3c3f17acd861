"""Every data set is read from the files that it comes as, and missing ones are asked for by name."""

import hashlib
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import avg_pool2d, conv2d, pad
from torchvision.datasets import CIFAR100

from lit_hardcl.data import DATASETS, ContrastiveDataModule, Images


def load(name, root, train):
    return DATASETS[name].load(root, train, False)


def assert_holds(images, pixels, targets):
    assert torch.equal(images.pixels, pixels)
    assert torch.equal(images.targets, targets)
    assert torch.equal(images.indices, torch.arange(len(targets)))


def test_digits_are_scikit_learns_with_a_fifth_held_out_of_every_class(tmp_path):
    train, held_out = load("digits", tmp_path, True), load("digits", tmp_path, False)

    assert sorted(train.indices.tolist() + held_out.indices.tolist()) == list(range(1797))
    pixels, targets = load_digits(return_X_y=True)
    for images in (train, held_out):
        assert torch.equal(images.targets, torch.from_numpy(targets)[images.indices])
        assert images.pixels.shape == (len(images), 1, 32, 32)
        # The middle of a bilinearly enlarged pixel is a known mixture of the pixel and its neighbours.
        inner = avg_pool2d(images.pixels.float()[:, :, 1:-1, 1:-1], 2, stride=4).mul(16 / 255)
        original = torch.from_numpy(pixels).float()[images.indices].reshape(-1, 1, 8, 8)
        weights = torch.tensor([1.0, 14.0, 1.0]) / 16
        mixture = conv2d(pad(original, (1, 1, 1, 1), mode="replicate"), weights.outer(weights)[None, None])
        torch.testing.assert_close(inner, mixture, rtol=0, atol=0.04)
    assert (train.targets.bincount() / (train.targets.bincount() + held_out.targets.bincount())).sub(
        0.8
    ).abs().max() < 0.01


def test_cifar10_is_read_from_its_batches_in_order(tmp_path, cifar10):
    batches = [cifar10[f"data_batch_{number}"] for number in range(1, 6)]
    pixels, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert_holds(load("cifar10", tmp_path, True), pixels, targets)
    assert_holds(load("cifar10", tmp_path, False), *cifar10["test_batch"])
    assert load("cifar10", tmp_path, False).class_names == DATASETS["cifar10"].class_names


def test_cifar100_is_read_with_its_fine_labels(tmp_path, cifar100):
    assert_holds(load("cifar100", tmp_path, True), *cifar100["train"])
    assert_holds(load("cifar100", tmp_path, False), *cifar100["test"])
    assert load("cifar100", tmp_path, False).class_names[7] == "class 7"


def test_stl10_trains_on_its_labelled_and_then_its_unlabelled_images(tmp_path, stl10):
    (labelled, labels), (unlabelled, _) = stl10["train"], stl10["unlabeled"]
    train = load("stl10", tmp_path, True)
    assert_holds(train, torch.cat([labelled, unlabelled]), torch.cat([labels, torch.full((7,), -1)]))
    assert_holds(load("stl10", tmp_path, False), *stl10["test"])
    assert train.class_names == DATASETS["stl10"].class_names


def test_fashion_mnist_is_read_from_its_four_files(tmp_path, fashion_mnist):
    for train, name in ((True, "train"), (False, "t10k")):
        pixels, targets = fashion_mnist[name]
        assert_holds(load("fashion_mnist", tmp_path, train), pixels[:, None], targets)


def test_tiny_imagenet_is_read_with_its_annotations_and_words(tmp_path, tiny_imagenet):
    train, held_out = load("tiny_imagenet", tmp_path, True), load("tiny_imagenet", tmp_path, False)

    assert train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert train.pixels.shape == (6, 3, 64, 64)
    assert train.pixels.float().mean(dim=(1, 2, 3)).round().tolist() == [0, 20, 40, 100, 120, 140]
    assert held_out.pixels.float().mean(dim=(1, 2, 3)).round().tolist() == [50, 250]
    assert held_out.targets.tolist() == [1, 0]
    assert held_out.class_names == ("goldfish, Carassius auratus", "n01629819")


def test_tiny_imagenet_without_words_has_its_folders_as_class_names(tmp_path, tiny_imagenet):
    (tiny_imagenet / "words.txt").unlink()
    assert load("tiny_imagenet", tmp_path, True).class_names == ("n01443537", "n01629819")


def test_an_image_folder_keeps_paths_and_numbers_its_classes_by_name(image_folder):
    train, held_out = load("image_folder", image_folder, True), load("image_folder", image_folder, False)

    assert train.class_names == held_out.class_names == ("cat", "dog", "emu")
    assert train.targets.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert held_out.targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert [str(file) for file in held_out.files[:2]] == [
        str(image_folder / "val" / "cat" / f"{n}.png") for n in (0, 1)
    ]
    assert train.pixels is None


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10", "cifar100", "stl10", "tiny_imagenet"])
@pytest.mark.parametrize("train", [True, False])
def test_missing_data_are_asked_for_with_folder_name_and_remedy(tmp_path, name, train):
    with pytest.raises(ValueError, match=f"(?i)data_dir must hold {name.replace('_', '_?')}") as error:
        load(name, tmp_path, train)
    assert str(tmp_path) in str(error.value)
    assert "--data.download=true" in str(error.value)


def test_missing_fashion_mnist_names_the_folder_for_its_files(tmp_path):
    with pytest.raises(ValueError, match=f"four unpacked files into {tmp_path / 'FashionMNIST' / 'raw'}"):
        load("fashion_mnist", tmp_path, True)


def test_data_of_which_a_file_is_missing_count_as_missing(tmp_path, cifar10, tiny_imagenet):
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    (tiny_imagenet / "val" / "val_annotations.txt").unlink()
    for name in ("cifar10", "tiny_imagenet"):
        with pytest.raises(ValueError, match="not all of it|does not hold all of it"):
            load(name, tmp_path, True)


def test_a_missing_image_folder_says_which_layout_is_wanted(tmp_path):
    with pytest.raises(ValueError, match=r"data_dir must hold image_folder as train/CLASS/\* and val/CLASS/\*"):
        load("image_folder", tmp_path, True)
    with pytest.raises(ValueError, match="image_folder cannot be downloaded"):
        DATASETS["image_folder"].load(tmp_path, True, True)


def test_an_image_folder_without_images_is_refused(tmp_path):
    (tmp_path / "train" / "cat").mkdir(parents=True)
    with pytest.raises(ValueError, match="at least one image, got none in .*train"):
        load("image_folder", tmp_path, True)


def test_a_held_out_class_that_is_not_trained_on_is_refused(image_folder):
    (image_folder / "val" / "yak").mkdir()
    with pytest.raises(ValueError, match=r"held-out classes must be among the training classes, got \['yak'\]"):
        load("image_folder", image_folder, False)


def test_a_corrupt_tiny_imagenet_file_is_named(tmp_path, tiny_imagenet):
    broken = tiny_imagenet / "train" / "n01443537" / "images" / "n01443537_1.JPEG"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(ValueError, match="an image file cannot be read: .*n01443537_1.JPEG"):
        load("tiny_imagenet", tmp_path, True)


def test_images_are_pixels_or_files_and_never_none():
    one = torch.zeros(1, dtype=torch.long)
    pixels = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="either pixels or files"):
        Images(one, ("a",), one)
    with pytest.raises(ValueError, match="at least one image, got none"):
        Images(one[:0], ("a",), one[:0], pixels=pixels[:0])
    with pytest.raises(ValueError, match="2 images, 1 targets, 1 indices"):
        Images(one, ("a",), one, files=np.array(["a.png", "b.png"]))


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_fits_itself(name):
    entry = DATASETS[name]
    assert len(entry.mean) == len(entry.std) == entry.channels
    if entry.class_names is not None:
        assert len(entry.class_names) == entry.num_classes


@pytest.mark.parametrize("name", ["digits"])
def test_mean_and_deviation_are_those_of_the_training_images(name, tmp_path):
    pixels = load(name, tmp_path, True).pixels.float() / 255
    assert DATASETS[name].mean[0] == pytest.approx(pixels.mean().item(), abs=2e-3)
    assert DATASETS[name].std[0] == pytest.approx(pixels.std().item(), abs=2e-3)


def test_cifar100_says_the_superclass_of_each_class(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    fine = list(range(100)) * 2
    given = pickle.dumps({"fine_labels": fine, "coarse_labels": [7 * f % 20 for f in fine]})
    (folder / "train").write_bytes(given)
    monkeypatch.setattr(CIFAR100, "train_list", [["train", hashlib.md5(given).hexdigest()]])
    data = ContrastiveDataModule("cifar100", data_dir=str(tmp_path))
    assert data.coarse_targets == [7 * label % 20 for label in range(100)]
    assert ContrastiveDataModule("digits").coarse_targets is None
    with pytest.raises(ValueError, match="data_dir must hold CIFAR100, but there is no file .*train"):
        ContrastiveDataModule("cifar100", data_dir=str(tmp_path / "elsewhere")).coarse_targets  # noqa: B018
    (folder / "train").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")  # a pickle that runs a command
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="train has not its published MD5 sum"):
        ContrastiveDataModule("cifar100", data_dir=str(tmp_path)).coarse_targets  # noqa: B018
    assert not (tmp_path / "ran").exists()
