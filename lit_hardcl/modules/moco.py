"""MoCo: queries against the keys of a momentum encoder, the batch's and a queue of earlier ones."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import SGD

from lit_hardcl import distributed
from lit_hardcl.contract import step_output, unpack
from lit_hardcl.errors import Refusal
from lit_hardcl.functional import unit_vectors
from lit_hardcl.losses import DifficultPairLoss
from lit_hardcl.models import ProjectionHead, feature_width
from lit_hardcl.models.heads import output_width
from lit_hardcl.models.momentum import check_precision, follow, momentum_copy
from lit_hardcl.modules.contrastive import (
    ContrastiveModule,
    OptimizerCallable,
    SchedulerCallable,
)
from lit_hardcl.schedules import WarmupCosine


class MoCo(ContrastiveModule):
    """Momentum contrast (arXiv:1911.05722, arXiv:2003.04297), difficult pairs treated where asked (arXiv:2501.01317).

    Both views of an image are queries. The positive is the key of the other view; negatives are the keys of both views
    of the batch's other images, on all processes, and those in the queue. So without a queue it is SimCLR with a slow
    encoder of keys; the MoCo papers take one view as query and the queue alone. Pairs are ranked by the slow encoder's
    features, of queries as of keys, since of earlier images the queue has no others.

    BatchNorm is not shuffled between processes, as both encoders see whole batches: against statistics that give the
    positive away use the trainer's ``sync_batchnorm``.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        temperature: positive and finite.
        projection_head: from features to projections; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as wide
            as the features, to 128 dims.
        queue_size: how many earlier keys are kept, at least 0; what is not filled yet does not count. Fewer than the
            views of an epoch, or an image's own earlier keys are among its negatives.
        momentum: of the slow encoder, which follows every optimizer step, in [0, 1). Long trainings on ImageNet take
            0.999 (arXiv:1911.05722, Sec. 4.1); short ones need less.
        margin: added to the cosine of difficult pairs.
        temperature_scale: multiplies the temperature of difficult pairs; ``inf`` removes them.
        pos_high: where a query's difficult keys begin among its ranked keys, as a fraction; ``None``: every pair.
        pos_low: where they end.
        channels_last: keep the backbone's weights in the memory format that convolutions are fastest in.
        optimizer: from parameters to an optimizer.
        scheduler: from an optimizer to a learning-rate scheduler, stepped with every optimizer step.

    Raises:
        ValueError: if a number breaks its rule; in training, unless images have two views.
    """

    queued_projections: Tensor
    queued_features: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        temperature: float,
        projection_head: nn.Module | None = None,
        queue_size: int = 4096,
        momentum: float = 0.99,
        margin: float = 0.0,
        temperature_scale: float = 1.0,
        pos_high: float | None = None,
        pos_low: float | None = None,
        channels_last: bool = True,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        scheduler: SchedulerCallable | None = WarmupCosine,
    ) -> None:
        if queue_size < 0:
            raise Refusal(f"queue_size must be at least 0, got {queue_size}")
        if not 0 <= momentum < 1:
            raise Refusal(f"momentum must be in [0, 1), got {momentum}")
        super().__init__(backbone, optimizer, scheduler, channels_last)
        self.criterion = DifficultPairLoss(temperature, pos_high, pos_low, margin, temperature_scale)
        width = feature_width(backbone)
        self.projection_head = ProjectionHead(width) if projection_head is None else projection_head
        self.key_backbone, self.key_head = momentum_copy(self.backbone), momentum_copy(self.projection_head)
        self.register_buffer("queued_projections", torch.zeros(queue_size, output_width(self.projection_head, width)))
        self.register_buffer("queued_features", torch.zeros(queue_size, width))
        self.momentum = momentum
        self._enqueued = 0

    def setup(self, stage: str) -> None:
        """Refuse a precision that the slow encoder would stand still in."""
        check_precision(self.trainer.precision)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Contrast the queries with the keys, and queue the keys."""
        views, targets, indices = unpack(batch)
        if len(views) != 2:
            raise Refusal(f"MoCo contrasts 2 views of an image, got {len(views)}: set num_views=2")
        loss, features = self.contrast(torch.cat(views))
        self.watch(loss)
        self.log("train_loss", loss, prog_bar=True, sync_dist=True, batch_size=len(targets))
        return {"loss": loss, **step_output(features, targets, indices, views=2)}

    def contrast(
        self, images: Float[Tensor, "queries channels rows columns"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "queries width"]]:
        """Loss and features of queries, which stand view by view; their keys go to the queue."""
        features = self(images)
        queries = self.projection_head(features)
        with torch.no_grad():
            local_features = self.key_backbone(images.to(self.dtype)).flatten(1)
            rows = [unit_vectors(self.key_head(local_features)), unit_vectors(local_features)]
            # As the data module deals images: the first of every process, the second of every process, ...
            dealt = [gathered_in_turn(torch.stack(row.chunk(2), dim=1)) for row in rows]
            filled = min(self._enqueued, len(self.queued_features))
            queues = self.queued_projections[:filled], self.queued_features[:filled]
            keys, key_features = (
                torch.cat([*row.unbind(dim=1), queue.to(row.dtype)]) for row, queue in zip(dealt, queues, strict=True)
            )
        batch, everywhere = len(images) // 2, len(dealt[0])
        if everywhere < 2:
            raise Refusal("a contrastive batch needs at least 2 images, got 1: there is nothing to contrast")
        first = torch.arange(batch, device=images.device) * distributed.world_size() + distributed.rank()
        own, positives = torch.cat([first, first + everywhere]), torch.cat([first + everywhere, first])
        loss = self.criterion.of_rectangle(queries, keys, positives, own, rows[1], key_features)
        self._enqueue(*(row.flatten(0, 1) for row in dealt))
        return loss, features

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Take the step, and let the slow encoder follow."""
        super().optimizer_step(*arguments, **settings)
        follow(self.key_backbone, self.backbone, self.momentum)
        follow(self.key_head, self.projection_head, self.momentum)

    def get_extra_state(self) -> Tensor:
        """How many keys were ever queued; a number of the host, since a device would have to be waited for."""
        return torch.tensor(self._enqueued)

    def set_extra_state(self, state: Tensor) -> None:
        """Go on queueing behind the newest key."""
        self._enqueued = int(state)

    @torch.no_grad()
    def _enqueue(self, projections: Float[Tensor, "keys dim"], features: Float[Tensor, "keys width"]) -> None:
        """Replace the oldest keys; in a ring, so that any number fits any size."""
        size = len(self.queued_features)
        if size == 0:
            return
        kept = min(size, len(features))
        self._enqueued += len(features)
        places = torch.arange(self._enqueued - kept, self._enqueued, device=features.device) % size
        for queue, rows in ((self.queued_projections, projections), (self.queued_features, features)):
            queue[places] = rows[-kept:].to(queue.dtype)


def gathered_in_turn(rows: Float[Tensor, "rows *rest"]) -> Float[Tensor, "all_rows *rest"]:
    """Rows of all processes, the first of each, then the second of each: what one process would have in its batch."""
    return distributed.gather(rows).unflatten(0, (distributed.world_size(), -1)).transpose(0, 1).flatten(0, 1)
