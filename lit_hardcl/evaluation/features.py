"""Features of a whole data set, computed once."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset


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
) -> Features:
    """Pass the first view of every batch through ``model`` in evaluation mode; float32 rows on the CPU.

    Args:
        model: from images to features, which are flattened. Its device is used and its mode restored.
        batches: positionally ``(views, targets, indices)`` once prepared, such as a data loader.
        prepare: turns what ``batches`` yields into that, as a data module's ``on_after_batch_transfer`` does.

    Raises:
        ValueError: if there is no image.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    modes = {module: module.training for module in model.modules()}
    model.eval()
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for raw in batches:
        views, targets, indices = (prepare(raw, 0) if prepare else raw)[:3]
        rows.append((model(views[0].to(device)).flatten(1).float().cpu(), targets.cpu(), indices.cpu()))
    for module, mode in modes.items():
        module.training = mode
    if not rows:
        raise ValueError("there is no image to extract features of: the data loader is empty")
    return Features(*(torch.cat(column) for column in zip(*rows, strict=True)))


def thinned(loader: DataLoader, limit: int) -> DataLoader:
    """Load at most ``limit`` images of ``loader``'s, evenly spaced: a data set in the order of its classes keeps all.

    In the data set's own order, whatever the loader's sampler.
    """
    images = len(loader.dataset)  # type: ignore[arg-type]
    return of_rows(loader, torch.linspace(0, images - 1, min(images, limit)).round().long())


def of_rows(loader: DataLoader, rows: Int[Tensor, " rows"]) -> DataLoader:
    """Load these rows of ``loader``'s data set, in this order, without a draw from torch's global random numbers."""
    return DataLoader(
        Subset(loader.dataset, rows.tolist()),
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        generator=torch.Generator(),  # else every start of the loader draws a seed
    )
