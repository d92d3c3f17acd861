"""Variants of a training set, and the original indices they keep."""

import numpy as np
import pytest
import torch

from lit_hardcl.data import Images, keep, long_tail, mix_classes, subset, without_mixed


def some_images(classes=4, each=50, first_index=1000):
    targets = torch.arange(classes).repeat(each)
    indices = torch.arange(len(targets)) + first_index
    pixels = torch.randint(
        0, 256, (len(targets), 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Images(targets, tuple("abcdefgh"[:classes]), indices, pixels=pixels)


def unlabelled():
    images = some_images()
    images.targets[3] = -1
    return images


def in_files():
    images = some_images(each=2)
    files = [f"{number}.png" for number in range(8)]
    return Images(images.targets, images.class_names, images.indices, files=np.array(files))


def test_a_mixed_image_is_half_itself_and_half_an_unmixed_image_of_another_class():
    images = some_images()

    mixed = mix_classes(images, 0.3, seed=0)

    assert mixed.mixed_indices.shape == (60,)
    assert torch.equal(mixed.targets, images.targets)
    assert torch.equal(mixed.indices, images.indices)
    original = images.pixels.float()
    for row in range(200):
        if mixed.indices[row] not in mixed.mixed_indices:
            assert torch.equal(mixed.pixels[row], images.pixels[row])
            continue
        halves = (original[row] + original) / 2
        partners = ((mixed.pixels[row] - halves).abs().amax(dim=(1, 2, 3)) <= 0.5).nonzero().flatten()
        assert len(partners) == 1
        assert images.targets[partners] != images.targets[row]


def test_mixing_leaves_the_images_it_was_given_alone():
    images = some_images()
    before = images.pixels.clone()
    mix_classes(images, 1.0, seed=0)
    assert torch.equal(images.pixels, before)


def test_one_seed_mixes_the_same_images_and_another_does_not():
    first, again, other = (mix_classes(some_images(), 0.2, seed) for seed in (1, 1, 2))
    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.mixed_indices, other.mixed_indices)


def test_a_fraction_of_none_changes_nothing():
    images = some_images()
    assert torch.equal(mix_classes(images, 0.0, seed=0).pixels, images.pixels)
    assert mix_classes(images, 0.0, seed=0).mixed_indices.tolist() == []


def test_what_is_mixed_stays_known_after_other_variants():
    mixed = mix_classes(some_images(), 0.5, seed=0)
    thinned = long_tail(mixed, 5.0, seed=0)
    assert set(thinned.mixed_indices.tolist()) == set(mixed.mixed_indices.tolist()) & set(thinned.indices.tolist())


def test_a_long_tail_falls_exponentially_from_the_first_class_to_the_last():
    images = some_images(classes=5, each=160)

    thinned = long_tail(images, 16.0, seed=0)

    assert thinned.targets.bincount().tolist() == [160, 80, 40, 20, 10]
    for row, index in enumerate(thinned.indices.tolist()):
        assert torch.equal(thinned.pixels[row], images.pixels[index - 1000])
        assert thinned.targets[row] == images.targets[index - 1000]


def test_the_images_of_a_long_tail_are_a_matter_of_the_seed():
    first, again, other = (long_tail(some_images(), 10.0, seed).indices for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_class_of_a_long_tail_has_an_image_and_an_imbalance_of_one_changes_nothing():
    assert long_tail(some_images(each=5), 1000.0, seed=0).targets.bincount().tolist() == [5, 1, 1, 1]
    assert len(long_tail(some_images(), 1.0, seed=0)) == 200


def test_kept_images_have_their_old_order_and_their_original_indices():
    images = some_images()
    kept = keep(images, [1150, 1003, 1042])
    assert kept.indices.tolist() == [1003, 1042, 1150]
    assert torch.equal(kept.pixels, images.pixels[[3, 42, 150]])
    assert keep(kept, torch.tensor([1042])).indices.tolist() == [1042]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([], "at least one image, got none"),
        ([1001, 1002, 1001], "must not repeat, got more than one 1001$"),
        ([1001, 5, -1], r"among the 200 training images \(1000 ... 1199\), got -1, 5$"),
        (list(range(20)), r"got 0, 1, 2, 3, 4, \.\.\.$"),
        (torch.ones(200, dtype=torch.bool), "whole numbers, got torch.bool; for a mask, pass mask.nonzero()"),
        (torch.tensor([1001.5]), "whole numbers, got torch.float32"),
    ],
)
def test_indices_that_cannot_be_kept_are_named(indices, message):
    with pytest.raises(ValueError, match=message):
        keep(some_images(), indices)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(ValueError, match=r"mix_fraction must lie in 0 \.\.\. 1, got"):
        mix_classes(some_images(), fraction, seed=0)


@pytest.mark.parametrize("imbalance", [0.5, float("inf"), float("nan")])
def test_an_imbalance_outside_its_range_is_refused(imbalance):
    with pytest.raises(ValueError, match="imbalance, .* must be at least 1, got"):
        long_tail(some_images(), imbalance, seed=0)


def test_variants_that_need_labels_say_how_many_are_missing():
    with pytest.raises(ValueError, match="mix_fraction needs a label on every image, got 1 images without one"):
        mix_classes(unlabelled(), 0.1, seed=0)
    with pytest.raises(ValueError, match="imbalance needs a label on every image, got 1 images without one"):
        long_tail(unlabelled(), 2.0, seed=0)


def test_mixing_needs_images_in_memory_and_two_classes():
    with pytest.raises(ValueError, match="mix_fraction needs images in memory"):
        mix_classes(in_files(), 0.1, seed=0)
    with pytest.raises(ValueError, match="at least two classes, got one"):
        mix_classes(some_images(classes=1), 0.1, seed=0)


def test_images_in_files_can_be_kept():
    assert keep(in_files(), [1002, 1005]).files.tolist() == ["2.png", "5.png"]


def test_a_subset_has_of_each_class_its_share_and_its_original_indices():
    images = some_images(classes=4, each=50)
    fewer = subset(images, 40, seed=0)
    assert fewer.targets.bincount().tolist() == [10] * 4
    rows = fewer.indices - 1000
    assert torch.equal(fewer.pixels, images.pixels[rows])
    assert torch.equal(fewer.indices, fewer.indices.sort().values)
    assert torch.equal(fewer.indices, subset(images, 40, seed=0).indices)
    assert not torch.equal(fewer.indices, subset(images, 40, seed=1).indices)
    assert subset(images, None, seed=0) is images
    assert subset(images, 200, seed=0) is images


@pytest.mark.parametrize("size", [0, 3, 199, 201, -5])
def test_a_subset_of_no_possible_size_is_refused(size):
    with pytest.raises(ValueError, match=f"train_size must leave images of every class .* got {size} with 4 classes"):
        subset(some_images(classes=4, each=50), size, seed=0)


def test_without_the_mixed_images_the_others_are_as_they_were():
    images = some_images()
    mixed = mix_classes(images, 0.3, seed=0)
    rest = without_mixed(mixed)
    assert len(rest) == 140
    assert not torch.isin(rest.indices, mixed.mixed_indices).any()
    assert torch.equal(rest.pixels, images.pixels[rest.indices - 1000])
    assert without_mixed(images) is images
    with pytest.raises(ValueError, match="remove_mixed must leave an image, but all 200 are mixed"):
        without_mixed(mix_classes(images, 1.0, seed=0))
