"""False negatives by a threshold for each image of the data set, learned with the network."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lit_hardcl.distributed import gather
from lit_hardcl.errors import Refusal, check_positive, check_range, check_whole
from lit_hardcl.functional import nt_xent_rows
from lit_hardcl.functional.thresholds import Thresholds, follow_quantile
from lit_hardcl.losses.rectangle import Rectangle, widened
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class GloFNDLoss(RowLoss):
    """NT-Xent without global false negatives (GloFND, arXiv:2502.20612), which needs the images' indices.

    Each image has a threshold that learns, in training and where a gradient is asked for, to have a share alpha of its
    negatives' cosines above it; those are taken for false ones and leave its sum. Every process learns from the images
    of all. An image of index -1 loses no negative; one that is in a batch twice learns from the mean of both.

    Args:
        temperature: positive and finite.
        images: number of images of the data set, whose indices are below it.
        alpha: share of an image's negatives that are taken for false ones, in [0, 1).
        learning_rate: size of a threshold's step, positive; as thresholds are cosines, about 0.05.
        warm_up: number of steps, an epoch each, that an image's threshold learns before it is used.
        settings: ``gather_distributed`` and ``chunk_size`` of :class:`RowLoss`.

    Attributes:
        thresholds: cosine for each image, 1 at the beginning; above 1 nothing is left out.

    Raises:
        Refusal: if a setting breaks its rule; in training, without indices or (on a CPU) with one that is no image's.

    Example:
        >>> criterion = GloFNDLoss(0.5, images=100)
        >>> criterion(*torch.randn(2, 8, 16), indices=torch.arange(8)).shape
        torch.Size([])
    """

    uses_indices = True
    untreatable = "its thresholds follow true cosines, and would chase treated ones"

    thresholds: Tensor
    means: Tensor
    squares: Tensor
    updates: Tensor

    def __init__(
        self,
        temperature: float,
        images: int,
        alpha: float = 0.01,
        learning_rate: float = 0.05,
        warm_up: int = 5,
        **settings: Any,
    ) -> None:
        check_whole(1, 10**10, images=images)
        check_whole(0, warm_up=warm_up)
        check_range("[0, 1)", alpha=alpha)
        check_positive(learning_rate=learning_rate)
        super().__init__(temperature, **settings)
        self.images, self.alpha, self.learning_rate, self.warm_up = images, alpha, learning_rate, warm_up
        self.register_buffer("thresholds", torch.ones(images))
        self.register_buffer("means", torch.zeros(images))
        self.register_buffer("squares", torch.zeros(images))
        self.register_buffer("updates", torch.zeros(images, dtype=torch.long))

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """NT-Xent of cosines by temperature, without the keys above the threshold."""
        numbers: Tensor = rectangle.anchor_images  # type: ignore[assignment]  # none is refused before
        known = numbers.clamp(min=0)
        limits = self.thresholds[known]
        limits = limits.where((numbers >= 0) & (self.updates[known] >= self.warm_up), torch.inf)
        keys = len(rectangle.anchors if rectangle.keys is None else rectangle.keys)
        self._above = rectangle.anchors.new_zeros(len(numbers), dtype=self.thresholds.dtype)

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            exclude, positives = rectangle.exclude(similarity, rows), rectangle.positives[rows]
            cosines = similarity.detach()[:, :keys]
            is_negative = torch.ones_like(cosines, dtype=torch.bool) if exclude is None else ~exclude[:, :keys]
            is_negative = is_negative.scatter(1, positives.unsqueeze(1), False)
            above = is_negative & (cosines > self.thresholds[known[rows]].unsqueeze(1))
            self._above[rows] = above.to(self._above.dtype).sum(dim=1) / is_negative.sum(dim=1).clamp(min=1)
            false = widened(above & (cosines > limits[rows].unsqueeze(1)), similarity)
            return nt_xent_rows(similarity / self.temperature, positives, false if exclude is None else false | exclude)

        return row_losses

    def of(self, given: Rectangle) -> Float[Tensor, ""]:
        """The loss with the thresholds as they are, which then take a step."""
        numbers = given.anchor_images
        if numbers is not None and numbers.device.type == "cpu" and len(numbers) and int(numbers.max()) >= self.images:
            raise Refusal(f"indices must be below the number of images, {self.images}, got {int(numbers.max())}")
        loss = super().of(given)
        if self.training and torch.is_grad_enabled() and numbers is not None:
            self._learn(gather(numbers), gather(self._above))
        return loss

    @torch.no_grad()
    def _learn(self, numbers: Int[Tensor, " anchors"], above: Float[Tensor, " anchors"]) -> None:
        """A step of the thresholds of these images, by the mean of their anchors' shares."""
        images, place, counts = numbers.unique(return_inverse=True, return_counts=True)
        shares = above.new_zeros(len(images)).index_add(0, place, above) / counts
        images, shares = images[images >= 0], shares[images >= 0]
        buffers = self.thresholds, self.means, self.squares, self.updates
        state = Thresholds(*(buffer[images] for buffer in buffers))
        for buffer, new in zip(buffers, follow_quantile(state, shares, self.alpha, self.learning_rate), strict=True):
            buffer[images] = new
