"""SPACL: a dynamic anchor, hard positives, adversarial and screened negatives."""

import os
from itertools import chain
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.profiler import record_function

from lit_hardcl.distributed import Keys, drawn
from lit_hardcl.errors import Refusal, check_choice, check_seed, check_whole, is_whole
from lit_hardcl.functional import unit_vectors
from lit_hardcl.functional.pools import check_share
from lit_hardcl.hardness import hard_sets
from lit_hardcl.losses import SPACLLoss
from lit_hardcl.losses.adversary import adversarial
from lit_hardcl.models import Discriminator, Generator, feature_width
from lit_hardcl.models.heads import output_width
from lit_hardcl.models.momentum import check_momentum, check_precision, follow, momentum_copy
from lit_hardcl.modules.joint import Joint, JointSchedule
from lit_hardcl.modules.method import Method, Objective, OptimizerCallable, SchedulerCallable
from lit_hardcl.schedules import WarmupCosine, made


class SPACL(Method):
    """SnaPhArd Contrast Learning (ICLR 2026): contrast with hard positives and with the negatives that count.

    A pool is the batch's views of an image, its clean view the last of them (``num_views`` and ``clean_view`` of the
    data module). Negatives are all views of all other images and one generated embedding for each anchor. With
    ``anchor="every"``, ``choose_positives="random"``, ``positives=1``, ``adversarial_negatives=False``,
    ``screening=False``, shared encoders and two views, the loss is SimCLR's NT-Xent, its negatives being both views of
    all other images; ``anchor="fixed"`` is the half of that mean whose anchors are the last views.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        temperature: positive and finite.
        projection_head: network from features to embeddings; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as
            wide as the features, to 128 dims.
        positives: number of hard positives beside the anchor, the paper's λ_P: at least 1 and fewer than views.
        screening_share: share of the negatives' similarity that is kept, the paper's λ_Q, in (0, 1].
        anchor: view that is the anchor: ``"dynamic"``: an image's hardest; ``"fixed"``: its last, the clean one if
            the data module's ``clean_view`` is set; ``"every"``: each in turn.
        choose_positives: ``"farthest"`` of the pool, or ``"random"`` ones.
        adversarial_negatives: whether a generator of negatives is trained against a discriminator.
        screening: whether only the negatives that make up ``screening_share`` are kept.
        screening_similarity: sum that the share is of, see :class:`~lit_hardcl.losses.SPACLLoss`.
        key_encoder: encoder of positives and negatives: the trained encoder (``"shared"``) or a ``"momentum"`` copy
            without gradient; then only anchors pass the trained one.
        momentum: share of the old weights that this copy keeps at an optimizer step, in [0, 1).
        supervision: source of a pool: ``"none"``: an image's own views; ``"labels"`` or ``"coarse"`` labels: the views
            of all images of one label in the batch, which then are no negatives. Anchors stay an image's own.
        coarse_targets: coarse class of each class, in their order; ``None``: the data module's ``coarse_targets``.
        saturating: whether the generator minimises log(1 - D(G(z))), as the paper has it, not -log D(G(z)).
        noise_features: number of random numbers that the generator takes.
        gather_distributed: whether the images of all processes are contrasted.
        seed: seed of the noise and the random positives; ``None`` for that of Lightning's ``seed_everything``, or else
            0.
        optimizer: function from parameters to an optimizer, for the encoder.
        scheduler: function from it to a learning-rate scheduler, stepped with every optimizer step.
        adversary_optimizer: the same for the generator and for the discriminator.
        adversary_scheduler: the same for theirs.

    Raises:
        ValueError: if a setting breaks its rule; in training, if views or labels are missing.
    """

    def __init__(
        self,
        backbone: nn.Module,
        temperature: float,
        projection_head: nn.Module | None = None,
        positives: int = 2,
        screening_share: float = 0.95,
        anchor: Literal["dynamic", "fixed", "every"] = "dynamic",
        choose_positives: Literal["farthest", "random"] = "farthest",
        adversarial_negatives: bool = True,
        screening: bool = True,
        screening_similarity: Literal["exp", "linear"] = "exp",
        key_encoder: Literal["shared", "momentum"] = "shared",
        momentum: float = 0.99,
        supervision: Literal["none", "labels", "coarse"] = "none",
        coarse_targets: list[int] | None = None,
        saturating: bool = False,
        noise_features: int = 32,
        gather_distributed: bool = True,
        seed: int | None = None,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        scheduler: SchedulerCallable | None = WarmupCosine,
        adversary_optimizer: OptimizerCallable = lambda params: Adam(params, lr=2e-4),
        adversary_scheduler: SchedulerCallable | None = None,
    ) -> None:
        check_choice("anchor", anchor, "dynamic", "fixed", "every")
        check_choice("choose_positives", choose_positives, "farthest", "random")
        check_choice("key_encoder", key_encoder, "shared", "momentum")
        check_choice("supervision", supervision, "none", "labels", "coarse")
        check_share(screening_share)
        check_whole(1, positives=positives)
        check_whole(-(2**63), seed=seed)
        if coarse_targets is not None and not all(is_whole(each, 0) for each in coarse_targets):
            raise Refusal(f"coarse_targets must be whole numbers from 0 up, got {coarse_targets}")
        check_momentum(momentum)
        share = screening_share if screening else 1.0
        super().__init__(backbone, projection_head, optimizer, scheduler)
        self.criterion = SPACLLoss(temperature, share, screening_similarity, gather_distributed)
        self.key_encoder: Any = None
        if key_encoder == "momentum":
            self.key_encoder = momentum_copy(nn.Sequential(self.backbone, nn.Flatten(), self.projection_head))
        self.generator = self.discriminator = None
        if adversarial_negatives:
            dim = output_width(self.projection_head, feature_width(backbone, projection_head))
            self.generator, self.discriminator = Generator(dim, noise_features), Discriminator(dim)
        self.positives, self.anchor, self.choose_positives = positives, anchor, choose_positives
        self.momentum, self.saturating = momentum, saturating
        self.supervision, self.coarse_targets = supervision, coarse_targets
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if seed is None else seed
        check_seed(self.seed)
        self.adversary_optimizer, self.adversary_scheduler = adversary_optimizer, adversary_scheduler

    def setup(self, stage: str) -> None:
        """Find the coarse labels, and refuse a precision that a momentum encoder would stand still in."""
        if self.key_encoder is not None:
            check_precision(self.trainer.precision, " or key_encoder=shared")
        if stage == "fit" and self.supervision == "coarse" and self.coarse_targets is None:
            self.coarse_targets = getattr(getattr(self.trainer, "datamodule", None), "coarse_targets", None)

    def configure_optimizers(self) -> Any:
        """The encoder's, the generator's and the discriminator's optimizer as one, and their schedules."""
        encoder = chain(self.backbone.parameters(), self.projection_head.parameters())
        players = [player for player in (self.generator, self.discriminator) if player is not None]
        optimizers = [made("optimizer", self.optimizer, encoder)]
        optimizers += [made("adversary_optimizer", self.adversary_optimizer, each.parameters()) for each in players]
        makers = [self.scheduler] + [self.adversary_scheduler] * len(players)
        pairs = zip(makers, optimizers, strict=True)
        schedules = [made("scheduler", make, each) for make, each in pairs if make is not None]
        joint = Joint(optimizers)
        return self.scheduled(joint, JointSchedule(joint, schedules) if schedules else None)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip each network's gradient by itself."""
        for part in optimizer.parts:
            self.clip_gradients(part, gradient_clip_val, gradient_clip_algorithm)

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Take the step, and let the momentum encoder follow."""
        super().optimizer_step(*arguments, **settings)
        if self.key_encoder is not None:
            follow(self.key_encoder, nn.Sequential(self.backbone, self.projection_head), self.momentum)

    def objective(self, views: list[Tensor], targets: Int[Tensor, " batch"], batch_idx: int) -> Objective:
        """Contrast the anchors, and let generator and discriminator play one round."""
        losses, seen, features = self.losses(views, targets, self.current_epoch, batch_idx)
        loss = losses.pop("train_loss")
        for other in losses.values():
            loss = loss + (other - other.detach())  # the gradient, for one backward; the value is 0, or NaN of a NaN
        return Objective(loss, features, {**losses, **seen})

    def losses(
        self, views: list[Tensor], targets: Int[Tensor, " batch"], epoch: int, batch_idx: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Float[Tensor, "rows width"]]:
        """Losses of the networks, numbers to watch, and features; random numbers depend on seed, epoch and batch only.

        The losses' gradients stay apart: that of ``train_loss`` in the encoder, and each player's in that player.
        """
        if len(views) < 2:
            raise Refusal(f"SPACL needs at least 2 views of an image, got {len(views)}: raise num_views")
        groups, images = self._groups(targets), len(targets)
        gathered = self.criterion.gather_distributed
        labels = Keys(images, 1, views[0].device, gathered).own if groups is None else groups

        def draw(kind: Any, columns: int, stream: int) -> Float[Tensor, "batch columns"]:
            return drawn(kind, images, columns, self.seed, epoch, batch_idx, stream).to(views[0].device)

        keys, features = self._keys(views)
        ranking = draw(torch.rand, len(views), 1).T if self.choose_positives == "random" else None
        pools = keys.unflatten(0, (len(views), images))
        chosen = hard_sets(pools, self.positives, self.anchor, groups, ranking, gathered)
        if features is None:
            features = self.encode([torch.cat(views)[chosen.anchors]])
            anchors = unit_vectors(self.projection_head(features))
        else:
            anchors = keys[chosen.anchors]
        negatives, negative_labels = keys, labels.repeat(len(views))
        losses: dict[str, Tensor] = {}
        seen: dict[str, Tensor] = {}
        if self.generator is not None and self.discriminator is not None:
            per_image = len(anchors) // images
            noise = draw(torch.randn, per_image * self.generator.noise_features, 2)
            noise = torch.cat(noise.chunk(per_image, dim=1))
            players = self.generator, self.discriminator
            generated, losses, seen = adversarial(*players, anchors, chosen.positives, noise, self.saturating)
            negatives = torch.cat([negatives, generated.to(negatives.dtype)])
            negative_labels = torch.cat([negative_labels, torch.full_like(labels, -1).repeat(per_image)])
        losses["train_loss"], seen["negatives_kept"] = self.criterion.with_share_kept(
            anchors, chosen.positives, negatives, labels[chosen.images], negative_labels
        )
        return losses, seen, features

    def _keys(self, views: list[Tensor]) -> tuple[Float[Tensor, "rows dim"], Float[Tensor, "rows width"] | None]:
        """Embeddings of all views and, where the trained encoder made them, its features."""
        with record_function("forward"):
            if self.key_encoder is None:
                features = self.encode(views)
                return unit_vectors(self.projection_head(features)), features
            with torch.no_grad():
                features = self.encode(views, self.key_encoder[0])
                return unit_vectors(self.key_encoder[2](features)), None

    def _groups(self, targets: Int[Tensor, " batch"]) -> Int[Tensor, " batch"] | None:
        """Labels whose images share a pool; ``None`` if no label is used."""
        if self.supervision == "none":
            return None
        if (targets < 0).any():
            raise Refusal(f"supervision={self.supervision!r} needs a label for every image, got -1: use 'none'")
        if self.supervision == "labels":
            return targets
        if self.coarse_targets is None:
            raise Refusal("supervision='coarse' needs coarse_targets, the coarse class of each class, got None")
        if targets.max() >= len(self.coarse_targets):
            raise Refusal(
                f"coarse_targets must have an entry for every class, got {len(self.coarse_targets)} entries and "
                f"class {int(targets.max())}"
            )
        return torch.tensor(self.coarse_targets, device=targets.device)[targets]
