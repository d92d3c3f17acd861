"""Which images are the hardest, which may go, and how well that finds mixed ones."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal
from lit_hardcl.hardness.image_scores import ImageScores


def hardest(
    values: Float[Tensor, " images"], targets: Int[Tensor, " images"], share: float, per_class: bool
) -> Bool[Tensor, " images"]:
    """Mark ``round(share * images)`` images of the highest values, of all or of each class; ties by place.

    A NaN is never marked.

    Raises:
        ValueError: if all images, with ``per_class`` all of one class, or more than have a value would be marked; if
            ``per_class`` and an image with a value has no class.

    Example:
        >>> hardest(torch.tensor([0.1, 0.9, 0.5, torch.nan]), torch.tensor([0, 0, 1, 1]), 0.25, per_class=False)
        tensor([False,  True, False, False])
    """
    if not 0 <= share <= 1:
        raise Refusal(f"share must be in 0 ... 1, got {share}")
    if per_class and (unlabelled := int((~values.isnan() & (targets < 0)).sum())):
        raise Refusal(f"per_class needs a label on every image, got {unlabelled} without one: leave it out")
    marked = torch.zeros_like(values, dtype=torch.bool)
    for group in targets[targets >= 0].unique().tolist() if per_class else [None]:
        rows = torch.arange(len(values)) if group is None else (targets == group).nonzero().flatten()
        count, scored = round(share * len(rows)), rows[~values[rows].isnan()]
        of = "" if group is None else f" of class {group}"
        if count == len(rows) and count:
            raise Refusal(f"share must leave an image, but {share} of {len(rows)} images{of} are {count}: lower it")
        if count > len(scored):
            raise Refusal(
                f"share asks for {count} of {len(rows)} images{of}, but only {len(scored)} have been scored: score for "
                "longer, or lower share"
            )
        marked[scored[values[scored].argsort(descending=True, stable=True)[:count]]] = True
    return marked


def check_classes(removed: Bool[Tensor, " images"], targets: Int[Tensor, " images"]) -> None:
    """Raise a ValueError that names the classes of which no image is left, if there are any."""
    left = set(targets[~removed].tolist())
    if gone := [number for number in targets.unique().tolist() if number >= 0 and number not in left]:
        raise Refusal(
            f"a filter must leave images of every class, but {int(removed.sum())} of {len(removed)} images are all of "
            f"class {', '.join(map(str, gone))}: lower share or set per_class"
        )


def check_shares(scores: ImageScores, share: float, per_class: bool, smallest: int) -> None:
    """Raise what filtering would: `hardest` for any scores, `check_classes` for the scores there are.

    Raises:
        ValueError: also if fewer than ``smallest`` images would be left.
    """
    is_scored = not scores.values.isnan().all()
    removed = hardest(scores.values if is_scored else scores.indices.double(), scores.targets, share, per_class)
    if is_scored:
        check_classes(removed, scores.targets)
    if (left := int((~removed).sum())) < smallest:
        raise Refusal(
            f"share must leave a whole batch to every process, {smallest} images, got {share}, which leaves {left}: "
            "lower share or batch_size"
        )


def shares(
    indices: Int[Tensor, " images"], removed: Bool[Tensor, " images"], mixed_indices: Int[Tensor, " mixed"] | None
) -> dict[str, Tensor]:
    """How many images are out and, if some are and some are mixed, precision and recall of finding the mixed ones."""
    logged = {"filter_removed": removed.sum().float(), "filter_removed_share": removed.float().mean()}
    if removed.any() and mixed_indices is not None and len(mixed_indices):
        mixed = torch.isin(indices, mixed_indices.cpu())
        logged |= {
            "filter_mixed_share": mixed.float().mean(),
            "filter_mixed_precision": mixed[removed].float().mean(),
            "filter_mixed_recall": removed[mixed].float().mean(),
        }
    return logged
