"""Variants of a training set: fewer images, images mixed across classes or without those, classes of unequal size."""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from lit_hardcl.data.images import Images
from lit_hardcl.data.settings import check_imbalance, check_mix_fraction
from lit_hardcl.data.sources import Files, InMemory
from lit_hardcl.errors import Refusal, check_seed


def keep(images: Images, indices: Sequence[int] | Tensor) -> Images:
    """Return only the images with these original indices, in their old order.

    Raises:
        ValueError: if the indices are empty, repeated, or not all there.
    """
    return images.take(rows_of(images, indices))


def rows_of(images: Images, indices: Sequence[int] | Tensor) -> Tensor:
    """Return the rows at which these original indices stand, ascending; raises as `keep`."""
    wanted = torch.as_tensor(indices).flatten()
    if len(wanted) == 0:
        raise Refusal("indices to keep must name at least one image, got none")
    if wanted.dtype == torch.bool or wanted.is_floating_point():
        raise Refusal(f"indices to keep must be whole numbers, got {wanted.dtype}; for a mask, pass mask.nonzero()")
    values, counts = wanted.cpu().long().unique(return_counts=True)
    if (counts > 1).any():
        raise Refusal(f"indices to keep must not repeat, got more than one {_some(values[counts > 1])}")
    there = torch.isin(values, images.indices)
    if not there.all():
        raise Refusal(
            f"indices to keep must be among the {len(images)} training images "
            f"({int(images.indices.min())} ... {int(images.indices.max())}), got {_some(values[~there])}"
        )
    return torch.isin(images.indices, values).nonzero().flatten()


def subset(images: Images, size: int | None, seed: int) -> Images:
    """Choose this many images at random, of each class its share; None for all.

    Raises:
        ValueError: unless ``size`` is at most the number of images and at least that of classes, of two images each.
    """
    check_seed(seed)
    if size is None or size == len(images):
        return images
    classes, counts = images.targets.unique(return_counts=True)
    if not len(classes) <= size <= len(images) - len(classes) or counts.min() < 2:
        raise Refusal(
            f"train_size must leave images of every class in and out, or be all {len(images)} images, got {size} with "
            f"{len(classes)} classes, the smallest of {counts.min()} images"
        )
    rows, _ = train_test_split(np.arange(len(images)), train_size=size, stratify=images.targets, random_state=seed)
    return images.take(torch.from_numpy(np.sort(rows)))


def mix_classes(images: Images, fraction: float, seed: int) -> Images:
    """Mix a fraction of the images half and half with an image of another class (ω-Mixed, arXiv:2501.01317, Sec. 5).

    A mixed image keeps its own label; `Images.mixed_indices` lists them. Partners are unmixed images.

    Raises:
        ValueError: unless ``0 <= fraction <= 1``, every image has a label, there are two classes, and the images lie
            in memory.
    """
    check_mix_fraction(fraction)
    check_seed(seed)
    if fraction == 0:
        return images
    if not isinstance(images.source, InMemory):
        where = "files" if isinstance(images.source, Files) else f"a {type(images.source).__name__}"
        raise Refusal(f"mix_fraction needs images in memory, got {fraction} with images in {where}; set it to 0")
    classes = _labels(images, "mix_fraction")
    if classes.min() == classes.max():
        raise Refusal("mix_fraction needs images of at least two classes, got one")
    random = np.random.default_rng((seed, 1))
    chosen = np.sort(random.permutation(len(images))[: round(fraction * len(images))])
    partners = np.empty_like(chosen)
    for number in np.unique(classes[chosen]):
        own = classes[chosen] == number
        partners[own] = random.choice(np.flatnonzero(classes != number), size=own.sum())
    unmixed = images.source.pixels
    pixels = unmixed.clone()
    halves = unmixed[chosen].int() + unmixed[partners].int()
    pixels[chosen] = ((halves + 1) // 2).to(torch.uint8)
    mixed = torch.zeros(len(images), dtype=torch.bool)
    mixed[chosen] = True
    return Images(images.targets, images.class_names, images.indices, pixels=pixels, mixed=mixed)


def without_mixed(images: Images) -> Images:
    """Leave the mixed images out again (arXiv:2501.01317, Fig. 2).

    Raises:
        ValueError: if every image is mixed.
    """
    if images.mixed is None:
        return images
    if images.mixed.all():
        raise Refusal(f"remove_mixed must leave an image, but all {len(images)} are mixed; lower mix_fraction")
    return images.take((~images.mixed).nonzero().flatten())


def long_tail(images: Images, imbalance: float, seed: int) -> Images:
    """Thin out the classes until their sizes fall exponentially with the class number.

    Class ``c`` of ``C`` keeps ``largest * imbalance ** (-c / (C - 1))`` images chosen at random, or all it has if
    they are fewer, so that on balanced data the first class is ``imbalance`` times as large as the last.

    Raises:
        ValueError: unless ``imbalance >= 1`` and finite, and every image has a label.
    """
    check_imbalance(imbalance)
    check_seed(seed)
    if imbalance == 1:
        return images
    classes = _labels(images, "imbalance")
    numbers, counts = np.unique(classes, return_counts=True)
    random = np.random.default_rng((seed, 2))
    rows = []
    for place, number in enumerate(numbers):
        size = counts.max() * imbalance ** (-place / max(len(numbers) - 1, 1))
        rows.append(random.permutation(np.flatnonzero(classes == number))[: max(1, round(size))])
    return images.take(torch.from_numpy(np.sort(np.concatenate(rows))))


def _labels(images: Images, option: str) -> np.ndarray:
    unlabelled = int((images.targets < 0).sum())
    if unlabelled:
        raise Refusal(f"{option} needs a label on every image, got {unlabelled} images without one; leave it out")
    return images.targets.numpy()


def _some(values: Tensor) -> str:
    return ", ".join(str(value) for value in values[:5].tolist()) + (", ..." if len(values) > 5 else "")
