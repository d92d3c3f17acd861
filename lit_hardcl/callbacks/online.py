"""What the online evaluators share: reading the steps' outputs, counting held-out images once, logging."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.contract import evaluated
from lit_hardcl.errors import Refusal


class OnlineEvaluator(pl.Callback):
    """Counts, once each, the held-out images that a classifier on the features gets right.

    Works with any LightningModule whose ``training_step`` returns ``{"features", "targets"}``: rows of features, and
    their classes (-1: no label). If its evaluation steps do not return the same, with ``"indices"`` where there are
    several processes, batches must be ``(views or images, targets, indices)`` and the module is called on them. Of
    several evaluation loaders the first counts.

    Args:
        num_classes: number of classes; ``None``: the data module's ``num_classes``.

    Raises:
        ValueError: before training, if neither says the number of classes, or if the data module's
            ``train_images`` or ``held_out_images`` have no label.
    """

    name = ""

    def __init__(self, num_classes: int | None = None) -> None:
        if num_classes is not None and num_classes < 1:
            raise Refusal(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self._classes = num_classes or 0
        self._ranked: list[tuple[Tensor, Tensor, Tensor]] = []

    def scores(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"] | None:
        """One score per class, or ``None`` while there is nothing to score with."""
        raise NotImplementedError

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find out the number of classes."""
        classes = self.num_classes or getattr(getattr(trainer, "datamodule", None), "num_classes", None)
        if classes is None:
            raise Refusal(f"{type(self).__name__} needs num_classes: the data module does not say it")
        self._classes = int(classes)
        for name in ("train_images", "held_out_images") if stage == "fit" else ():
            images = getattr(trainer.datamodule, name, None)  # type: ignore[attr-defined]
            if images is not None and not (images.targets >= 0).any():
                raise Refusal(
                    f"{type(self).__name__} needs labels, but of the {name.replace('_', ' ')} none has one: leave the "
                    "callback out"
                )

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from nothing."""
        self._ranked = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Rank the classes of every image."""
        if dataloader_idx > 0:
            return
        features, targets, indices = evaluated(pl_module, outputs, batch)
        scores = self.scores(features.float())
        if scores is not None:
            ranked = scores.topk(min(5, scores.shape[1]), dim=1).indices
            if indices is None:  # then nothing can tell a repeated image: count every row of every process
                rows = torch.arange(len(targets), device=targets.device) + sum(len(rows[0]) for rows in self._ranked)
                indices = rows * distributed.world_size() + distributed.rank()
            self._ranked.append((ranked, targets, indices))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the shares that are right."""
        self._log_accuracy("val")

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the shares that are right."""
        self._log_accuracy("test")

    def _log_accuracy(self, stage: str) -> None:
        if not self._ranked:
            return
        ranked, targets, indices = (
            distributed.gather_uneven(torch.cat(column)) for column in zip(*self._ranked, strict=True)
        )
        counted = first_of_each(indices) & (targets >= 0)
        if not counted.any():
            return
        hits = (ranked == targets.unsqueeze(1))[counted]
        for top in (1, 5):
            if top == 1 or self._classes > top:
                share = hits[:, :top].sum() / len(hits)
                self.log(f"{stage}_{self.name}_top{top}", share, sync_dist=True, prog_bar=top == 1)  # type: ignore[attr-defined]


def first_of_each(indices: Int[Tensor, " rows"]) -> Bool[Tensor, " rows"]:
    """True at the first row of every index. Samplers of several processes repeat images to fill the last batch."""
    _, group = indices.unique(return_inverse=True)
    places = torch.arange(len(indices), device=indices.device)
    first = torch.full_like(indices, len(indices)).scatter_reduce(0, group, places, "amin")
    return places == first[group]
