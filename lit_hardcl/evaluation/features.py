"""Features of a whole data set, computed once."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from lit_hardcl.contract import Batch, check_targets, unpack
from lit_hardcl.data import ContrastiveDataModule, Images
from lit_hardcl.data.loading import Pick, RandomBatches, as_fetched
from lit_hardcl.errors import Refusal
from lit_hardcl.models import passed


class Features(NamedTuple):
    """Features of images, with the images' targets (-1: no label) and indices."""

    features: Float[Tensor, "images width"]
    targets: Int[Tensor, " images"]
    indices: Int[Tensor, " images"]


@torch.no_grad()
def extract_features(
    model: nn.Module,
    batches: Iterable[Any],
    prepare: Callable[[Any, int], Any] | None = None,
    combine: Callable[[list[Tensor]], Tensor] | None = None,
) -> Features:
    """Pass the first view of every batch through ``model`` in evaluation mode; float32 rows on the CPU.

    Args:
        model: network from images to features, which are flattened. Its device is used and its mode restored.
        batches: positionally ``(views or images, targets, indices)`` once prepared, such as a data loader; without
            indices, images are numbered as they come.
        prepare: turns what ``batches`` yields into that, as a data module's ``on_after_batch_transfer`` does.
        combine: makes one row of the features of all views of an image; all views are passed then.

    Raises:
        ValueError: if there is no image, or targets are no class numbers.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    dtype = next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), None)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for raw in batches:
        views, targets, indices = unpack(prepare(raw, 0) if prepare else raw)
        check_targets(targets)
        if indices is None:
            indices = torch.arange(len(targets)) + sum(len(each[1]) for each in rows)
        features = [
            passed(model, view.to(device, dtype)).flatten(1).float() for view in views[: None if combine else 1]
        ]
        rows.append(((combine(features) if combine else features[0]).cpu(), targets.cpu(), indices.cpu()))
    for module, mode in modes.items():
        module.training = mode
    if not rows:
        raise Refusal("there is no image to extract features of: the data loader is empty")
    return Features(*(torch.cat(column) for column in zip(*rows, strict=True)))


def thinned(loader: DataLoader, limit: int) -> DataLoader:
    """Load at most ``limit`` images of ``loader``'s, evenly spaced: a data set in the order of its classes keeps all.

    In the data set's own order, whatever the loader's sampler.
    """
    images = len(loader.dataset)  # type: ignore[arg-type]
    return of_rows(loader, evenly(images, limit))


def evenly(count: int, most: int) -> Int[Tensor, " chosen"]:
    """At most so many of ``count`` positions, evenly spaced, the first and the last among them."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def of_rows(loader: DataLoader, rows: Int[Tensor, " rows"]) -> DataLoader:
    """Load these rows of ``loader``'s data set, in this order, without a draw from torch's global random numbers."""
    return DataLoader(
        Subset(loader.dataset, rows.tolist()),
        batch_size=loader.batch_size or getattr(loader.batch_sampler, "batch_size", None),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        generator=torch.Generator(),  # else every start of the loader draws a seed
    )


def random_view_batches(
    data: ContrastiveDataModule, images: Images, num_views: int, seed: int, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Random views of every image in the order of ``images``, by the data module's own recipe, made on ``device``."""
    data = copy.copy(data)
    data.clean_view = False
    loader = DataLoader(
        RandomBatches(images, data.making, num_views, seed),
        batch_size=data.eval_batch_size,
        sampler=[Pick(row, row, 0) for row in range(len(images))],
        num_workers=data.num_workers,
        collate_fn=as_fetched,
    )
    for raw in loader:
        yield data.on_after_batch_transfer(type(raw)(*(column.to(device) for column in raw)), 0)
