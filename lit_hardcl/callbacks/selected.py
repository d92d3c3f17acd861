"""The pairs selected in a training step, read off what the step returned."""

from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.callbacks.online import trained
from lit_hardcl.functional import cosine_similarity, difficult_pairs


class SelectedPairs(NamedTuple):
    """This process's views as anchors, the views of all processes as keys; keys stand process by process."""

    selected: Bool[Tensor, "anchors keys"]
    similarity: Float[Tensor, "anchors keys"]
    anchor_indices: Int[Tensor, " anchors"]
    key_indices: Int[Tensor, " keys"]
    anchor_targets: Int[Tensor, " anchors"]
    key_targets: Int[Tensor, " keys"]


def step_rows(outputs: Any) -> tuple[Float[Tensor, "rows width"], Int[Tensor, " rows"], Int[Tensor, " rows"]]:
    """Features, detached, targets and indices of a training step, one row per view and image.

    Raises:
        ValueError: if the step did not return them all.
    """
    _, targets = trained(outputs)
    features = outputs["features"].detach()
    indices = outputs.get("indices")
    if indices is None or len(indices) == 0 or len(features) % len(indices):
        found = "none" if indices is None else f"{len(indices)} for {len(features)} rows of features"
        raise ValueError(
            'the training images must be known by index: training_step must return "indices", one per image or per '
            f"row of features, got {found}; batches are (views, targets, indices)"
        )
    return features, targets, indices.repeat(len(features) // len(indices))


def selected_pairs(outputs: Any, pos_high: float | None, pos_low: float | None, gather: bool = True) -> SelectedPairs:
    """Select among all views of a step as the loss does: by cosine of the features, a view itself excluded.

    Every process must bring equally many rows, unless ``gather`` is off and each looks at its own alone.

    Raises:
        ValueError: as `step_rows` and :func:`~lit_hardcl.functional.difficult_pairs`.
    """
    features, targets, indices = step_rows(outputs)
    keys, key_targets, key_indices, first = features, targets, indices, 0
    if gather and distributed.world_size() > 1:
        keys, key_targets, key_indices = (distributed.gather(rows) for rows in (features, targets, indices))
        first = distributed.rank() * len(features)
    similarity = cosine_similarity(features, keys)
    itself = torch.zeros_like(similarity, dtype=torch.bool)
    itself.diagonal(first).fill_(True)
    selected = difficult_pairs(similarity, pos_high, pos_low, itself)
    return SelectedPairs(selected, similarity, indices, key_indices, targets, key_targets)


def band(
    pl_module: pl.LightningModule, pos_high: float | None, pos_low: float | None
) -> tuple[float | None, float | None]:
    """The band of selection: the given one or, without ``pos_high``, that of the module's ``criterion``."""
    if pos_high is not None:
        return pos_high, pos_low
    criterion = getattr(pl_module, "criterion", None)
    return getattr(criterion, "pos_high", None), getattr(criterion, "pos_low", None)
