"""A frozen backbone on a data set: its features once, kept in a file if asked, and all that is measured on them."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lit_hardcl.data import ContrastiveDataModule, Images
from lit_hardcl.errors import Refusal
from lit_hardcl.evaluation.classify import fit_linear_probe, knn_predict, logistic_predict
from lit_hardcl.evaluation.features import Features, extract_features, random_view_batches
from lit_hardcl.evaluation.geometry import alignment, rank_me, uniformity
from lit_hardcl.files import whole


@dataclass(frozen=True)
class ProbeSettings:
    """How a linear probe is trained; see :func:`~lit_hardcl.evaluation.fit_linear_probe`.

    Attributes:
        epochs: passes over the images.
        batch_size: images a step.
        learning_rate: its start, falling to 0.
        standardise: train on standardised features, with the rate divided by the root of their number.
    """

    epochs: int = 100
    batch_size: int = 512
    learning_rate: float = 1.0
    standardise: bool = True


@dataclass(frozen=True)
class NeighbourSettings:
    """How nearest neighbours vote; see :func:`~lit_hardcl.evaluation.knn_predict`.

    Attributes:
        k: neighbours.
        temperature: the smaller, the more the nearest count.
    """

    k: int = 20
    temperature: float = 0.1


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
    """Top-1 on held-out features by a linear probe and by nearest neighbours; empty if a split has no label."""
    labelled = held_out.targets >= 0
    if not labelled.any() or not (train.targets >= 0).any():
        return {}
    bank = (train.features, train.targets, num_classes)
    predicted = {
        "val_linear_top1": fit_linear_probe(*bank, **asdict(probe), seed=seed)(held_out.features).argmax(dim=1),
        "val_knn_top1": knn_predict(held_out.features, *bank, **asdict(neighbours)),
    }
    return {name: share_right(classes, held_out.targets) for name, classes in predicted.items()}


def share_right(predicted: Tensor, targets: Tensor) -> float:
    """Share of the images with a label whose class is the predicted one."""
    return (predicted == targets)[targets >= 0].float().mean().item()


def measured(
    frozen: FrozenFeatures,
    num_classes: int,
    probe: ProbeSettings,
    neighbours: NeighbourSettings,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Everything that is measured on frozen features; the accuracies only where there are labels.

    Uniformity and effective rank are those of clean held-out images.
    """
    train, held_out = (Features(*(column.to(device) for column in split)) for split in (frozen.train, frozen.held_out))
    first, second = frozen.pairs.chunk(2, dim=1)
    numbers = accuracies(train, held_out, num_classes, probe, neighbours, seed)
    if numbers:
        classes = logistic_predict(held_out.features, train.features, train.targets)
        numbers["val_logistic_top1"] = share_right(classes, held_out.targets)
    return {
        **numbers,
        "alignment": alignment(first, second),
        "uniformity": uniformity(held_out.features),
        "rank_me": rank_me(held_out.features),
    }


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
    images = [part for split in (data.train_images, data.held_out_images) for part in _content(split)]
    return {
        "the backbone": _digest(repr(backbone), *weights),
        "the images": _digest(*images),
        "the views": _digest(repr(views)),
    }


def _content(images: Images) -> list[object]:
    if images.files is None:
        return [images.targets, images.indices, images.pixels]
    changes = [(file, Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in images.files.tolist()]
    return [images.targets, images.indices, changes]


def _digest(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(repr((part.shape, part.dtype)).encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
