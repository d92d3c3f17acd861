"""Validation images: a fixed fifth of each class, or the data set's own, and never trained on."""

import dataclasses

import pytest
import torch

from lit_hardcl import ContrastiveDataModule
from lit_hardcl.data import DATASETS
from lit_hardcl.data.images import in_memory


@pytest.mark.parametrize("seed", [0, 7])
def test_a_fifth_of_each_class_is_held_out_whatever_the_seed(seed):
    whole = ContrastiveDataModule()
    data = ContrastiveDataModule(split="validation", seed=seed)
    trained, held_out = data.train_images, data.held_out_images
    assert not torch.isin(trained.indices, held_out.indices).any()
    together = torch.cat([trained.indices, held_out.indices])
    assert torch.equal(together.sort().values, whole.train_images.indices)
    assert not torch.isin(whole.held_out_images.indices, together).any()
    counts = whole.train_images.targets.bincount()
    assert torch.equal(held_out.targets.bincount(), counts // 5)
    assert torch.equal(held_out.indices, ContrastiveDataModule(split="validation").held_out_images.indices)
    assert torch.equal(held_out.indices, held_out.indices.sort().values)


def test_variants_are_of_the_images_that_are_left():
    data = ContrastiveDataModule(split="validation", train_size=500, mix_fraction=0.1)
    assert len(data.train_images) == 500
    assert not torch.isin(data.train_images.indices, data.held_out_images.indices).any()
    assert data.held_out_images.mixed is None


def test_images_without_a_label_are_held_out_as_a_class_of_theirs(monkeypatch):
    images = in_memory(torch.zeros(30, 1, 8, 8, dtype=torch.uint8), torch.tensor([-1, 0, 1] * 10), ("a", "b"))
    monkeypatch.setitem(
        DATASETS, "bare", dataclasses.replace(DATASETS["digits"], load=lambda root, train, load: images)
    )
    data = ContrastiveDataModule("bare", split="validation")
    assert data.held_out_images.targets.unique(return_counts=True)[1].tolist() == [2, 2, 2]
    assert len(data.train_images) == 24


def test_a_data_sets_own_validation_images_are_taken_and_all_training_images_kept(monkeypatch):
    own = in_memory(
        torch.zeros(20, 1, 32, 32, dtype=torch.uint8), torch.arange(20) % 10, DATASETS["digits"].class_names
    )
    entry = dataclasses.replace(DATASETS["digits"], validation=lambda root, download: own)
    monkeypatch.setitem(DATASETS, "with_own", entry)
    data = ContrastiveDataModule("with_own", split="validation")
    assert len(data.held_out_images) == 20
    assert len(data.train_images) == len(ContrastiveDataModule().train_images)
    wrong = dataclasses.replace(entry, validation=lambda root, download: own.pixels)
    monkeypatch.setitem(DATASETS, "wrong", wrong)
    with pytest.raises(ValueError, match="a data set's load must give Images, got a Tensor"):
        _ = ContrastiveDataModule("wrong", split="validation").held_out_images


def test_another_split_is_refused(unchecked_shapes):
    with pytest.raises(ValueError, match="split must be 'test' or 'validation', got 'train'"):
        ContrastiveDataModule(split="train")
