"""A frozen backbone on a data set: its features once, kept in a file if asked, and all that is measured on them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.errors import Refusal
from lit_hardcl.evaluation.catalogue import ACCURACIES, CATALOGUE, Split
from lit_hardcl.evaluation.classify import NeighbourSettings, ProbeSettings
from lit_hardcl.evaluation.features import Features, extract_features, random_view_batches
from lit_hardcl.files import whole


class FrozenFeatures(NamedTuple):
    """Features of clean images, and of two random views of each held-out image, side by side in a row."""

    train: Features
    held_out: Features
    pairs: Float[Tensor, "images twice_width"]


def frozen_features(
    backbone: nn.Module, data: ContrastiveDataModule, device: torch.device | str = "cpu", seed: int = 0
) -> FrozenFeatures:
    """Pass the images of ``data``, but mixed ones, once through ``backbone``; ``seed`` is that of the random views."""
    backbone = backbone.to(device)
    views = random_view_batches(data, data.held_out_images, 2, seed, device)
    return FrozenFeatures(
        unmixed(extract_features(backbone, data.clean_train_dataloader()), data),
        extract_features(backbone, data.val_dataloader()),
        extract_features(backbone, views, combine=lambda pair: torch.cat(pair, dim=1)).features,
    )


def unmixed(train: Features, data: Any) -> Features:
    """Leave out images that ``data`` has mixed of two classes: half of such a label is wrong."""
    mixed = torch.isin(train.indices, getattr(data, "mixed_indices", train.indices[:0]).to(train.indices.device))
    return Features(*(column[~mixed] for column in train))


def accuracies(
    train: Features,
    held_out: Features,
    num_classes: int,
    probe: ProbeSettings,
    neighbours: NeighbourSettings,
    seed: int = 0,
) -> dict[str, float]:
    """The ``ACCURACIES`` of the catalogue; empty if a split has no label."""
    split = Split(train, held_out, num_classes, probe, neighbours, seed)
    return {row.name: row.function(split) for row in CATALOGUE if row.name in ACCURACIES and split.is_labelled}


def measured(
    frozen: FrozenFeatures,
    num_classes: int,
    probe: ProbeSettings,
    neighbours: NeighbourSettings,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Every row of the catalogue, of frozen features; what needs labels only where there are some.

    What needs neither labels nor pairs is that of clean held-out images.
    """
    train, held_out = (Features(*(column.to(device) for column in split)) for split in (frozen.train, frozen.held_out))
    split = Split(train, held_out, num_classes, probe, neighbours, seed)
    given: dict[str, tuple[Any, ...]] = {
        "features": (held_out.features,),
        "pairs": frozen.pairs.chunk(2, dim=1),
    }
    if (labelled := held_out.targets >= 0).any():
        given["labels"] = held_out.features[labelled], held_out.targets[labelled]
    if split.is_labelled:
        given["training images"] = (split,)
    return {row.name: row.function(*given[row.needs]) for row in CATALOGUE if row.needs in given}


def cached(file: Path, key: dict[str, str], compute: Callable[[], FrozenFeatures]) -> FrozenFeatures:
    """Read the features in ``file``, or make them and write it.

    Raises:
        ValueError: if the file is not such a file, or its features are of something else, naming what differs.
    """
    if not file.exists():
        frozen = compute()
        with whole(file) as part:
            torch.save({"key": key, "features": [list(frozen.train), list(frozen.held_out), frozen.pairs]}, part)
        return frozen
    try:
        saved = torch.load(file, weights_only=True)
        before, (train, held_out, pairs) = saved["key"], saved["features"]
    except Exception as error:  # whatever a foreign file makes torch raise
        raise Refusal(f"cache must be a file of features, but {file} is none: name another one") from error
    if stale := sorted(name for name in key.keys() | before.keys() if key.get(name) != before.get(name)):
        raise Refusal(
            f"cache must be of the same features, but {', '.join(stale)} changed since {file} was written: "
            "remove it, or name another one"
        )
    return FrozenFeatures(Features(*train), Features(*held_out), pairs)


def cache_key(backbone: nn.Module, data: ContrastiveDataModule, seed: int) -> dict[str, str]:
    """What features depend on: the backbone's layers and weights, the images' content, and how views are made."""
    views = (data.image_size, data.augmentation, data.source.mean, data.source.std, seed)
    weights = [part for name, value in backbone.state_dict().items() for part in (name, value)]
    splits = (data.train_images, data.held_out_images)
    images = [part for split in splits for part in (split.targets, split.indices, *split.source.content())]
    return {
        "the backbone": _digest(repr(backbone), *weights),
        "the images": _digest(*images),
        "the views": _digest(repr(views)),
    }


def _digest(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(repr((part.shape, part.dtype)).encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
