"""SPACL: a dynamic anchor, hard positives, adversarial and screened negatives, in one training step."""

import os
from itertools import chain
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import SGD, Adam

from lit_hardcl import distributed
from lit_hardcl.contract import step_output, unpack
from lit_hardcl.errors import Refusal
from lit_hardcl.functional import unit_vectors
from lit_hardcl.functional.pools import check_share
from lit_hardcl.losses import SPACLLoss, hard_sets
from lit_hardcl.models import Discriminator, Generator, ProjectionHead, feature_width
from lit_hardcl.models.heads import discriminator_loss, generator_loss, output_width
from lit_hardcl.models.momentum import check_precision, follow, momentum_copy
from lit_hardcl.modules.contrastive import OptimizerCallable, SchedulerCallable
from lit_hardcl.modules.manual import SeveralOptimizers
from lit_hardcl.schedules import WarmupCosine
from lit_hardcl.views.draws import generator_of


class SPACL(SeveralOptimizers):
    """SnaPhArd Contrast Learning (ICLR 2026): contrast with hard positives and with the negatives that count.

    A pool is the batch's views of an image, its clean view the last of them (``num_views`` and ``clean_view`` of the
    data module). Negatives are all views of all other images and one generated embedding for each anchor. With
    ``anchor="every"``, ``choose_positives="random"``, ``positives=1``, ``adversarial_negatives=False``,
    ``screening=False``, shared encoders and two views, the loss is SimCLR's NT-Xent, its negatives being both views of
    all other images; ``anchor="fixed"`` is the half of that mean whose anchors are the last views.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        temperature: positive and finite.
        projection_head: from features to embeddings; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as wide
            as the features, to 128 dims.
        positives: hard positives beside the anchor, the paper's λ_P: at least 1 and fewer than views.
        screening_share: share of the negatives' similarity that is kept, the paper's λ_Q, in (0, 1].
        anchor: ``"dynamic"``: an image's hardest view; ``"fixed"``: its last, the clean one if
            the data module's ``clean_view`` is set; ``"every"``: each in turn.
        choose_positives: the ``"farthest"`` of the pool, or ``"random"`` ones.
        adversarial_negatives: train a generator of negatives against a discriminator.
        screening: keep only the negatives that make up ``screening_share``.
        screening_similarity: what the share is of, see :class:`~lit_hardcl.losses.SPACLLoss`.
        key_encoder: positives and negatives are embedded by the trained encoder (``"shared"``) or by a ``"momentum"``
            copy without gradient; then only anchors pass the trained one.
        momentum: of that copy, in [0, 1).
        supervision: ``"none"``: pools of an image's own views; by ``"labels"`` or ``"coarse"`` labels: of the views of
            all images of one label in the batch, which then are no negatives. Anchors stay an image's own.
        coarse_targets: coarse class of each class, in their order; ``None``: the data module's ``coarse_targets``.
        saturating: the generator minimises log(1 - D(G(z))), as the paper has it, not -log D(G(z)).
        noise_features: random numbers that the generator takes.
        gather_distributed: contrast with the images of all processes.
        channels_last: keep the backbone's weights in the memory format that convolutions are fastest in.
        seed: of the noise and the random positives; ``None`` for that of Lightning's ``seed_everything``, or else 0.
        optimizer: of the encoder.
        scheduler: of its learning rate, stepped with every optimizer step.
        adversary_optimizer: of the generator and of the discriminator, one each.
        adversary_scheduler: of their learning rates.

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
        channels_last: bool = True,
        seed: int | None = None,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        scheduler: SchedulerCallable | None = WarmupCosine,
        adversary_optimizer: OptimizerCallable = lambda params: Adam(params, lr=2e-4),
        adversary_scheduler: SchedulerCallable | None = None,
    ) -> None:
        _check_choice("anchor", anchor, "dynamic", "fixed", "every")
        _check_choice("choose_positives", choose_positives, "farthest", "random")
        _check_choice("key_encoder", key_encoder, "shared", "momentum")
        _check_choice("supervision", supervision, "none", "labels", "coarse")
        check_share(screening_share)
        if positives < 1:
            raise Refusal(f"positives must be at least 1, got {positives}")
        if not 0 <= momentum < 1:
            raise Refusal(f"momentum must be in [0, 1), got {momentum}")
        super().__init__(backbone, optimizer, scheduler, channels_last)
        self.criterion = SPACLLoss(
            temperature, screening_share if screening else 1.0, screening_similarity, gather_distributed
        )
        self.projection_head = ProjectionHead(feature_width(backbone)) if projection_head is None else projection_head
        self.key_encoder = None
        if key_encoder == "momentum":
            self.key_encoder = momentum_copy(nn.Sequential(self.backbone, nn.Flatten(), self.projection_head))
        self.generator = self.discriminator = None
        if adversarial_negatives:
            dim = output_width(self.projection_head, feature_width(backbone))
            self.generator, self.discriminator = Generator(dim, noise_features), Discriminator(dim)
        self.positives, self.anchor, self.choose_positives = positives, anchor, choose_positives
        self.momentum, self.saturating = momentum, saturating
        self.supervision, self.coarse_targets = supervision, coarse_targets
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if seed is None else seed
        self.adversary_optimizer, self.adversary_scheduler = adversary_optimizer, adversary_scheduler

    def setup(self, stage: str) -> None:
        """Find the coarse labels, and refuse a precision that a momentum encoder would stand still in."""
        super().setup(stage)
        if self.key_encoder is not None:
            check_precision(self.trainer.precision, " or key_encoder=shared")
        if stage == "fit" and self.supervision == "coarse" and self.coarse_targets is None:
            self.coarse_targets = getattr(getattr(self.trainer, "datamodule", None), "coarse_targets", None)

    def configure_optimizers(self) -> Any:
        """The encoder's, the generator's and the discriminator's."""
        encoder = chain(self.backbone.parameters(), self.projection_head.parameters())
        players = [player for player in (self.generator, self.discriminator) if player is not None]
        return [self.scheduled(self.optimizer(encoder), self.scheduler)] + [
            self.scheduled(self.adversary_optimizer(player.parameters()), self.adversary_scheduler)
            for player in players
        ]

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Contrast the anchors, and let generator and discriminator play one round."""
        views, targets, indices = unpack(batch)
        losses, seen, features = self.losses(views, targets, self.current_epoch, batch_idx)
        total = torch.stack(list(losses.values())).sum()
        contrast = losses.pop("train_loss")
        self.watch(total)
        if self.optimise(total, batch_idx) and self.key_encoder is not None:
            follow(self.key_encoder, nn.Sequential(self.backbone, self.projection_head), self.momentum)
        self.log("train_loss", contrast, prog_bar=True, sync_dist=True, batch_size=len(targets))
        self.log_dict({**losses, **seen}, sync_dist=True, batch_size=len(targets))
        outputs = step_output(features, targets, indices, views=len(features) // len(targets))
        return {"loss": contrast.detach(), **outputs}

    def losses(
        self, views: list[Tensor], targets: Int[Tensor, " batch"], epoch: int, batch_idx: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Float[Tensor, "rows width"]]:
        """Losses of the networks, numbers to watch, and features; random numbers depend on seed, epoch and batch only.

        The losses' gradients stay apart: that of ``train_loss`` in the encoder, and each player's in that player.
        """
        if len(views) < 2:
            raise Refusal(f"SPACL needs at least 2 views of an image, got {len(views)}: raise num_views")
        pixels, groups = torch.cat(views), self._groups(targets)
        images, processes, rank = len(targets), distributed.world_size(), distributed.rank()
        if images * (processes if self.criterion.gather_distributed else 1) < 2:
            raise Refusal("a contrastive batch needs at least 2 images, got 1: there is nothing to contrast")

        def drawn(kind: Any, columns: int, stream: int) -> Float[Tensor, "batch columns"]:
            generator = generator_of(self.seed, epoch, batch_idx, stream)
            # Every processes-th row: as the data module deals images, so that an image's do not depend on their number.
            return kind(images * processes, columns, generator=generator)[rank::processes].to(pixels.device)

        if self.key_encoder is None:
            features = self(pixels)
            keys = unit_vectors(self.projection_head(features))
        else:
            with torch.no_grad():
                keys = unit_vectors(self.key_encoder(pixels.to(self.dtype)))
        ranking = drawn(torch.rand, len(views), 1).T if self.choose_positives == "random" else None
        chosen = hard_sets(
            keys.unflatten(0, (len(views), images)),
            self.positives,
            self.anchor,
            groups,
            ranking,
            self.criterion.gather_distributed,
        )
        if self.key_encoder is None:
            anchors = keys[chosen.anchors]
        else:
            features = self(pixels[chosen.anchors])
            anchors = unit_vectors(self.projection_head(features))
        labels = torch.arange(images, device=keys.device) + rank * images if groups is None else groups
        negatives, negative_labels = keys, labels.repeat(len(views))
        losses: dict[str, Tensor] = {}
        seen: dict[str, Tensor] = {}
        if self.generator is not None and self.discriminator is not None:
            per_image = len(anchors) // images
            noise = drawn(torch.randn, per_image * self.generator.noise_features, 2)
            generated = self.generator(anchors.detach(), torch.cat(noise.chunk(per_image, dim=1)))
            real = self.discriminator(chosen.positives.detach().flatten(0, 1))
            fake = self.discriminator(generated.detach())
            frozen = {name: value.detach() for name, value in self.discriminator.named_parameters()}
            fooled = functional_call(self.discriminator, frozen, (generated,))
            losses["train_generator_loss"] = generator_loss(fooled, self.saturating)
            losses["train_discriminator_loss"] = discriminator_loss(real, fake)
            with torch.no_grad():
                seen["discriminator_accuracy"] = ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
                seen["generated_similarity"] = (anchors * generated).sum(dim=1).mean()
            negatives = torch.cat([negatives, generated.detach().to(negatives.dtype)])
            negative_labels = torch.cat([negative_labels, torch.full_like(labels, -1).repeat(per_image)])
        losses["train_loss"], seen["negatives_kept"] = self.criterion.with_share_kept(
            anchors, chosen.positives, negatives, labels[chosen.images], negative_labels
        )
        return losses, seen, features

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


def _check_choice(name: str, value: str, *choices: str) -> None:
    if value not in choices:
        raise Refusal(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
