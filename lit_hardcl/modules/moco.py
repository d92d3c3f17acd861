"""MoCo: queries against the keys of a momentum encoder, the batch's and a queue of earlier ones."""

from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.optim import SGD
from torch.profiler import record_function

from lit_hardcl.distributed import Keys, drawn, drawn_apart, rank, world_size
from lit_hardcl.errors import Refusal, check_whole
from lit_hardcl.functional import unit_vectors
from lit_hardcl.losses import DifficultPairLoss, Rectangle, RowLoss, SynCo
from lit_hardcl.losses.rows import OwnKeys
from lit_hardcl.models import feature_width
from lit_hardcl.models.heads import output_width
from lit_hardcl.models.momentum import check_momentum, check_precision, follow, momentum_copy
from lit_hardcl.modules.method import Method, Objective, OptimizerCallable, SchedulerCallable
from lit_hardcl.schedules import WarmupCosine


class MomentumContrast(Method):
    """Momentum contrast (arXiv:1911.05722, arXiv:2003.04297) by any criterion of anchors and other keys.

    Both views of an image are queries. The positive is the key of the other view; negatives are the keys of both views
    of the batch's other images, on all processes, and those in the queue. So without a queue it is SimCLR with a slow
    encoder of keys; the MoCo papers take one view as query and the queue alone. Pairs are ranked by the slow encoder's
    features, of queries as of keys, since of earlier images the queue has no others.

    BatchNorm is not shuffled between processes, as both encoders see whole batches: against statistics that give the
    positive away use the trainer's ``sync_batchnorm``.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        criterion: loss with ``of_rectangle``, such as every :class:`~lit_hardcl.losses.RowLoss` that needs no targets.
        projection_head: network from features to projections; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as
            wide as the features, to 128 dims.
        queue_size: number of earlier keys that are kept, at least 0; what is not filled yet does not count. With more
            than the views of an epoch, an image meets its own earlier keys: ``own_keys_in_queue``, which is logged, is
            their share of the pairs of queries and queued keys.
        momentum: share of the old weights that the slow encoder keeps at an optimizer step, in [0, 1). Long trainings
            on ImageNet take 0.999 (arXiv:1911.05722, Sec. 4.1); short ones need less.
        optimizer: function from parameters to an optimizer.
        scheduler: function from an optimizer to a learning-rate scheduler, stepped with every optimizer step.
        mask_own: whether an image's own earlier keys are left out, of the ranking and of the sum; known by the batches'
            indices. Otherwise they are negatives.
        synthetic: maker of negatives of each query out of its hardest ones,
            :class:`~lit_hardcl.losses.MoCHi` or :class:`~lit_hardcl.losses.SynCo`; ``None``: nothing.

    Raises:
        Refusal: if a number breaks its rule; in training, unless images have two views.
    """

    queued_indices: Tensor
    queued_projections: Tensor
    queued_features: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        criterion: RowLoss,
        projection_head: nn.Module | None = None,
        queue_size: int = 4096,
        momentum: float = 0.99,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        scheduler: SchedulerCallable | None = WarmupCosine,
        mask_own: bool = True,
        synthetic: SynCo | None = None,
    ) -> None:
        check_whole(0, queue_size=queue_size)
        check_momentum(momentum)
        if criterion.uses_targets:
            raise Refusal(f"a queue holds no targets, which {type(criterion).__name__} needs: take Contrastive")
        super().__init__(backbone, projection_head, optimizer, scheduler)
        self.criterion = criterion
        width = feature_width(backbone, projection_head)
        self.key_backbone, self.key_head = momentum_copy(self.backbone), momentum_copy(self.projection_head)
        self.register_buffer("queued_projections", torch.zeros(queue_size, output_width(self.projection_head, width)))
        self.register_buffer("queued_features", torch.zeros(queue_size, width))
        self.register_buffer("queued_indices", torch.full((queue_size,), -1))
        self.momentum, self.mask_own, self.synthetic = momentum, mask_own, synthetic
        self._enqueued = 0

    def setup(self, stage: str) -> None:
        """Refuse a precision that the slow encoder would stand still in, and queues that differ between processes."""
        check_precision(self.trainer.precision)
        processes = self.trainer.world_size
        if processes > 1 and len(self.queued_indices) and not self.criterion.gather_distributed:
            raise Refusal(
                f"the queue of {processes} processes needs a criterion with gather_distributed, got one without"
            )

    def objective(self, views: list[Tensor], targets: Int[Tensor, " batch"], batch_idx: int) -> Objective:
        """Contrast the queries with the keys, and queue the keys."""
        self.check_two(views)
        loss, features, share = self._contrast(views, self.indices, batch_idx)
        return Objective(loss, features, {} if share is None else {"own_keys_in_queue": share})

    def contrast(
        self, views: list[Tensor] | Shaped[Tensor, "queries *image"], indices: Int[Tensor, " images"] | None = None
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "queries width"]]:
        """Loss and features of queries; their keys go to the queue.

        Args:
            views: two of each image; as one tensor, they stand view by view.
            indices: numbers of the images; ``None``: not known, so that none is found again in the queue.
        """
        return self._contrast(list(views.chunk(2)) if isinstance(views, Tensor) else views, indices)[:2]

    def _contrast(
        self, views: list[Tensor], indices: Int[Tensor, " images"] | None, batch_idx: int = 0
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "queries width"], Float[Tensor, ""] | None]:
        """`contrast`, and the share of own keys in the queue, if there is one and indices are known."""
        with record_function("forward"):
            features = self.encode(views)
            queries = self.projection_head(features)
            with torch.no_grad():
                of_queries = self.encode(views, self.key_backbone)
                rows = [unit_vectors(self.key_head(of_queries)), unit_vectors(of_queries)]
        everybody = Keys(len(features) // 2, 2, features.device, self.criterion.gather_distributed)
        gathered = [everybody.of(row) for row in rows]
        filled = self._filled
        queues = self.queued_projections[:filled], self.queued_features[:filled]
        keys, key_features = (
            torch.cat([row, queue.to(row.dtype)]) for row, queue in zip(gathered, queues, strict=True)
        )
        images = torch.full_like(everybody.own, -1) if indices is None else indices.repeat(2)
        share = self._own_share(indices) if len(self.queued_indices) and indices is not None else None
        named: dict[str, Any] = {} if indices is None else {"anchor_images": images}
        # On a CPU, where a look does not wait, only if there are some. Of the batch itself no key is left out.
        if self.mask_own and filled and share is not None and (images.device.type != "cpu" or share):
            of_batch = images.new_full((len(keys) - filled,), -1)
            named["key_images"] = torch.cat([of_batch, self.queued_indices[:filled]])
        given = (queries, keys, everybody.positives, everybody.own, rows[1], key_features)
        if (own_keys := self._synthetic_keys(Rectangle(*given, **named), batch_idx)) is not None:
            named["own_keys"] = own_keys
        loss = self.criterion.of_rectangle(*given, **named)
        if len(self.queued_indices):
            self._enqueue(*(everybody.in_turn(row) for row in [*gathered, everybody.of(images)]))
        return loss, features, share

    def _synthetic_keys(self, rectangle: Rectangle, batch_idx: int) -> OwnKeys | None:
        """Of random numbers that depend on seed, epoch and batch only; both views of an image have its own."""
        if self.synthetic is None or self.current_epoch < self.synthetic.warm_up:
            return None
        key = self.synthetic.seed, self.current_epoch, batch_idx
        batch, device = len(rectangle.anchors) // 2, rectangle.anchors.device

        def draw(kind: Any, columns: int, stream: int, rows: slice | None = None) -> Float[Tensor, "queries columns"]:
            if rows is None:
                return torch.cat(drawn(kind, batch, 2 * columns, *key, stream).chunk(2, dim=1)).to(device)
            places = [divmod(row, batch) for row in range(*rows.indices(2 * batch))]
            numbers = [2 * (image * world_size() + rank()) + view for view, image in places]
            return drawn_apart(kind, columns, numbers, *key, stream).to(device)

        return self.synthetic.of(rectangle, draw)

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

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As every method's; a queue of an earlier version does not know whose its keys are."""
        self._fill_indices(checkpoint.get("state_dict", {}), "")
        super().on_load_checkpoint(checkpoint)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        self._fill_indices(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def _fill_indices(self, state: dict[str, Any], prefix: str) -> None:
        if f"{prefix}queued_features" in state:
            state.setdefault(f"{prefix}queued_indices", torch.full_like(self.queued_indices, -1))

    @property
    def _filled(self) -> int:
        return min(self._enqueued, len(self.queued_indices))

    def _own_share(self, indices: Int[Tensor, " images"]) -> Float[Tensor, ""]:
        """Of the pairs of these images and the queued keys, the share that is of one image."""
        queued = self.queued_indices[: self._filled].sort().values
        found = torch.searchsorted(queued, indices, right=True) - torch.searchsorted(queued, indices)
        return (found * (indices >= 0)).sum() / max(1, len(indices) * len(queued))

    @torch.no_grad()
    def _enqueue(
        self,
        projections: Float[Tensor, "keys dim"],
        features: Float[Tensor, "keys width"],
        indices: Int[Tensor, " keys"],
    ) -> None:
        """Replace the oldest keys; in a ring, so that any number fits any size."""
        size = len(self.queued_indices)
        kept = min(size, len(features))
        self._enqueued += len(features)
        places = torch.arange(self._enqueued - kept, self._enqueued, device=features.device) % size
        queues = self.queued_projections, self.queued_features, self.queued_indices
        for queue, rows in zip(queues, (projections, features, indices), strict=True):
            queue[places] = rows[-kept:].to(queue.dtype)


class MoCo(MomentumContrast):
    """Momentum contrast whose difficult pairs are treated where asked (arXiv:2501.01317, Table 5).

    Args:
        backbone: any module from images to features; what it returns is flattened.
        temperature: positive and finite.
        projection_head: network from features to projections; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as
            wide as the features, to 128 dims.
        queue_size: number of earlier keys that are kept, at least 0.
        momentum: share of the old weights that the slow encoder keeps at an optimizer step, in [0, 1).
        margin: number added to the cosine of difficult pairs.
        temperature_scale: factor of the temperature of difficult pairs; ``inf`` removes them.
        pos_high: rank where a query's band begins among its ranked keys, as a fraction; ``None``: every pair.
        pos_low: rank where it ends.
        gather_distributed: whether the images of all processes are contrasted, which a queue needs.
        settings: ``optimizer``, ``scheduler``, ``mask_own`` and ``synthetic`` of :class:`MomentumContrast`.

    Raises:
        Refusal: if a number breaks its rule; in training, unless images have two views.
    """

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
        gather_distributed: bool = True,
        **settings: Any,
    ) -> None:
        criterion = DifficultPairLoss(temperature, pos_high, pos_low, margin, temperature_scale, gather_distributed)
        super().__init__(backbone, criterion, projection_head, queue_size, momentum, **settings)
