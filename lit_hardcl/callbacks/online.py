"""What the online evaluators share: reading the steps' outputs, counting held-out images once, logging."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.contract import check_targets, evaluated
from lit_hardcl.errors import Refusal, check_whole


class HeldOut(pl.Callback):
    """Reads the features of held-out images, each image once, and logs what a subclass makes of them.

    Works with any LightningModule. If its evaluation steps do not return ``{"features", "targets"}``, with
    ``"indices"`` where there are several processes, batches must be ``(views or images, targets, indices)`` and the
    module is called on them. Of several evaluation loaders the first counts.
    """

    def __init__(self) -> None:
        self._read: list[tuple[Tensor, Tensor, Tensor]] = []

    def row_of(self, features: Float[Tensor, "batch width"]) -> Shaped[Tensor, "batch columns"] | None:
        """What is remembered of each image until the end of the epoch; ``None``: nothing."""
        raise NotImplementedError

    def log_rows(self, rows: Shaped[Tensor, "images columns"], targets: Int[Tensor, " images"], stage: str) -> None:
        """Log what these say; ``stage`` is ``"val"`` or ``"test"``."""
        raise NotImplementedError

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from nothing."""
        self._read = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Remember every image."""
        if dataloader_idx > 0:
            return
        features, targets, indices = evaluated(pl_module, outputs, batch)
        row = self.row_of(features.float())
        if row is not None:
            if indices is None:  # then nothing can tell a repeated image: count every row of every process
                rows = torch.arange(len(targets), device=targets.device) + sum(len(read[0]) for read in self._read)
                indices = rows * distributed.world_size() + distributed.rank()
            self._read.append((row, targets, indices))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what was read."""
        self._log("val")

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what was read."""
        self._log("test")

    def _log(self, stage: str) -> None:
        if self._read:
            read = (distributed.gather_uneven(torch.cat(column)) for column in zip(*self._read, strict=True))
            rows, targets, indices = read
            counted = first_of_each(indices)
            self.log_rows(rows[counted], targets[counted], stage)


class OnlineEvaluator(HeldOut):
    """Counts the held-out images that a classifier on the features gets right.

    Args:
        num_classes: number of classes; ``None``: the data module's ``num_classes``.

    Raises:
        ValueError: before training, if neither says the number of classes, or if the data module's
            ``train_images`` or ``held_out_images`` have no label.
    """

    name = ""

    def __init__(self, num_classes: int | None = None) -> None:
        super().__init__()
        check_whole(1, num_classes=num_classes)
        self.num_classes = num_classes
        self._classes = num_classes or 0

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

    def row_of(self, features: Float[Tensor, "batch width"]) -> Shaped[Tensor, "batch columns"] | None:
        """The classes of the highest scores."""
        scores = self.scores(features)
        return None if scores is None else scores.topk(min(5, scores.shape[1]), dim=1).indices

    def log_rows(self, rows: Shaped[Tensor, "images columns"], targets: Int[Tensor, " images"], stage: str) -> None:
        """Log the shares of labelled images that are right."""
        check_targets(targets, self._classes)
        labelled = targets >= 0
        if not labelled.any():
            return
        hits = (rows == targets.unsqueeze(1))[labelled]
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
