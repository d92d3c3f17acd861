"""What flows between data, modules and callbacks: a batch, and what a step returns, with its one writer and reader."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from lit_hardcl.errors import Refusal


class Batch(NamedTuple):
    """What ``training_step``, ``validation_step`` and callbacks receive, positionally ``(views, targets, indices)``.

    Attributes:
        views: normalised float images; several random views in training, one clean view otherwise.
        targets: class numbers, -1 where an image has no label.
        indices: row numbers of the images in the data set as it was published.
    """

    views: list[Float[Tensor, "batch channels height width"]]
    targets: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]


class StepOutput(NamedTuple):
    """What a step says of its images, one row per view and image, view by view.

    Attributes:
        features: rows before any head, without gradient.
        targets: class numbers, -1 where an image has no label.
        indices: row numbers of the images in their data set; ``None``: the batch had none.
    """

    features: Float[Tensor, "rows width"]
    targets: Int[Tensor, " rows"]
    indices: Int[Tensor, " rows"] | None


def unpack(batch: Any) -> tuple[list[Tensor], Tensor, Tensor | None]:
    """Views, targets and indices of a batch; a foreign one may hold images instead of views, and no indices.

    A third entry that is not one whole number an image is none of indices.

    Raises:
        Refusal: if it is not positional, as a mapping, or has no targets.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        found = f"a {type(batch).__name__}" + (
            f" of {', '.join(map(str, batch))}" if isinstance(batch, Mapping) else ""
        )
        raise Refusal(
            f"batches are (views or images, targets, indices), the last if there are, got {found}: let the data "
            "module's on_after_batch_transfer, or the loader's collate_fn, put it so"
        )
    views, targets, *rest = batch
    given = rest[0] if rest and isinstance(rest[0], Tensor) else None
    is_index = given is not None and given.shape == (len(targets),) and not given.is_floating_point()
    indices = given if is_index else None
    return list(views) if isinstance(views, (list, tuple)) else [views], targets, indices


def step_output(features: Tensor, targets: Tensor, indices: Tensor | None, views: int = 1) -> dict[str, Any]:
    """What a step returns for callbacks beside its loss: features without gradient, the rest repeated for each view."""
    check_targets(targets)
    repeated = None if indices is None else indices.repeat(views)
    return {"features": features.detach(), "targets": targets.repeat(views), "indices": repeated}


_NO_NUMBERS = (torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_targets(targets: Any, num_classes: int | None = None) -> None:
    """Refuse targets that are no class numbers, such as one-hot or soft ones, or are beyond ``num_classes``.

    How large they are is looked at on a CPU only: elsewhere the look would wait for the device.
    """
    if not isinstance(targets, Tensor) or targets.ndim != 1 or targets.dtype in _NO_NUMBERS:
        found = f"{targets.dtype} of shape {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets)
        raise Refusal(
            f"targets must be a tensor of class numbers, one for each image, got {found}; of one-hot or soft labels, "
            "give targets.argmax(dim=1), -1 where an image has none"
        )
    if num_classes is None or targets.device.type != "cpu":
        return
    if len(targets) and (highest := int(targets.max())) >= num_classes:
        raise Refusal(f"targets must be below the number of classes, {num_classes}, got {highest}")


def has_step_output(outputs: Any) -> bool:
    """Whether a step returned features and targets."""
    return isinstance(outputs, dict) and {"features", "targets"} <= outputs.keys()


def read_step(outputs: Any, indexed: bool = False) -> StepOutput:
    """Read what a step returned: the one reader, of this library's modules and of anybody's.

    A foreign step may return one target and one index per image instead of one per row, and leave indices out.

    Args:
        outputs: object that Lightning hands to callbacks.
        indexed: whether indices are needed.

    Raises:
        Refusal: if features, targets or needed indices are missing, not as many per image, or no class numbers.
    """
    if not has_step_output(outputs):
        found = sorted(map(str, outputs)) if isinstance(outputs, dict) else type(outputs).__name__
        raise Refusal(f'callbacks need a training_step that returns {{"loss", "features", "targets"}}, got {found}')
    features, targets, indices = outputs["features"].detach(), outputs["targets"], outputs.get("indices")
    if len(targets) == 0 or len(features) % len(targets):
        raise Refusal(f"features must be one row per view and image, got {len(features)} for {len(targets)} targets")
    check_targets(targets)
    targets = targets.repeat(len(features) // len(targets))
    if indices is not None and len(indices) and len(features) % len(indices) == 0:
        return StepOutput(features, targets, indices.repeat(len(features) // len(indices)))
    if indexed:
        found = "none" if indices is None else f"{len(indices)} for {len(features)} rows of features"
        raise Refusal(
            'the training images must be known by index: training_step must return "indices", one per image or per '
            f"row of features, got {found}; batches are (views, targets, indices)"
        )
    return StepOutput(features, targets, None)


def evaluated(module: Any, outputs: Any, batch: Any) -> StepOutput:
    """Read an evaluation step, or, where it returned nothing, call ``module`` on its batch, (images, targets, ...)."""
    if has_step_output(outputs):
        return read_step(outputs)
    views, targets, indices = unpack(batch)
    check_targets(targets)
    with torch.no_grad():
        return StepOutput(module(views[0]).flatten(1), targets, indices)
