"""A classifier's margin on each image, and the images of each class on which it is smallest."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal
from lit_hardcl.functional.similarity import at_least_float32


def margins(logits: Float[Tensor, "rows classes"]) -> Float[Tensor, " rows"]:
    """Gap between the two largest softmax outputs of each row, from 0 to 1; the smaller, the more difficult.

    Raises:
        ValueError: if there are not two classes.
    """
    if logits.shape[1] < 2:
        raise Refusal(f"a margin, the gap between the two largest outputs, needs two classes, got {logits.shape[1]}")
    largest = at_least_float32(logits).softmax(dim=1).topk(2, dim=1).values
    return largest[:, 0] - largest[:, 1]


def difficult_examples(
    logits: Float[Tensor, "images classes"], targets: Int[Tensor, " images"], share: float = 0.08
) -> Bool[Tensor, " images"]:
    """Mark, of each class, the share with the smallest gap between the two largest softmax outputs.

    So arXiv:2501.01317 (Sec. 3) finds difficult examples, by a classifier on frozen features.

    Args:
        logits: output of the classifier, at least two classes.
        targets: classes; images without a label (-1) are not marked.
        share: part of each class, in (0, 1); rounded to whole images, at least one and never the whole class.

    Raises:
        ValueError: if ``share`` is out of range or there are not two classes.

    Example:
        >>> difficult_examples(torch.tensor([[9.0, 0.0], [2.0, 1.9], [0.0, 5.0]]), torch.tensor([0, 0, 0]), 0.3)
        tensor([False,  True, False])
    """
    if not 0 < share < 1:
        raise Refusal(f"the share of difficult examples must be in (0, 1), got {share}")
    gaps = margins(at_least_float32(logits).double())
    marked = torch.zeros_like(targets, dtype=torch.bool)
    for each in targets[targets >= 0].unique():
        images = (targets == each).nonzero().flatten()
        count = min(max(1, round(share * len(images))), len(images) - 1)
        marked[images[gaps[images].argsort(stable=True)[:count]]] = True
    return marked
