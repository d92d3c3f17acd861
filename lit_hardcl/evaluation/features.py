"""Features of a whole data set, computed once."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


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
    limit: int | None = None,
) -> Features:
    """Pass the first view of every batch through ``model`` in evaluation mode; float32 rows on the CPU.

    Args:
        model: from images to features, which are flattened. Its device is used and its mode restored.
        batches: positionally ``(views, targets, indices)`` once prepared, such as a data loader.
        prepare: turns what ``batches`` yields into that, as a data module's ``on_after_batch_transfer`` does.
        limit: stop after this many images.

    Raises:
        ValueError: if there is no image.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    modes = {module: module.training for module in model.modules()}
    model.eval()
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    seen = 0
    for raw in batches:
        views, targets, indices = (prepare(raw, 0) if prepare else raw)[:3]
        rows.append((model(views[0].to(device)).flatten(1).float().cpu(), targets.cpu(), indices.cpu()))
        seen += len(targets)
        if limit is not None and seen >= limit:
            break
    for module, mode in modes.items():
        module.training = mode
    if not rows:
        raise ValueError("there is no image to extract features of: the data loader is empty")
    return Features(*(torch.cat(column)[:limit] for column in zip(*rows, strict=True)))
