"""Nearest neighbours among the features of the training steps."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.callbacks.online import OnlineEvaluator
from lit_hardcl.contract import check_targets, read_step
from lit_hardcl.errors import check_positive, check_whole
from lit_hardcl.evaluation import extract_features, thinned
from lit_hardcl.evaluation.classify import knn_scores
from lit_hardcl.functional import unit_vectors


class OnlineKNN(OnlineEvaluator):
    """Classifies held-out images by their nearest neighbours among the features of this epoch's training steps.

    Logs ``val_knn_top1`` and, with more than five classes, ``val_knn_top5``. No second forward in training: the bank
    holds the features that the steps returned, of all processes, the newest ``bank_size`` rows. Rows without a label
    do not vote. Outside ``fit`` (``validate``, ``test``), the bank is filled with the clean views of the data module's
    ``clean_train_dataloader``, if it has one: the same weights then score a little differently.

    Args:
        num_classes: number of classes; ``None``: the data module's ``num_classes``.
        k: neighbours that vote, at least 1.
        temperature: divisor in the votes' weights ``exp(cosine / temperature)``, positive.
        bank_size: rows kept by all processes together, at least 1: ``4 * width * bank_size`` bytes.

    Raises:
        ValueError: if a number breaks its rule or, before training, the number of classes is unknown.
    """

    name = "knn"

    def __init__(
        self, num_classes: int | None = None, k: int = 20, temperature: float = 0.1, bank_size: int = 65536
    ) -> None:
        super().__init__(num_classes)
        check_whole(1, k=k, bank_size=bank_size)
        check_positive(temperature=temperature)
        self.k = k
        self.temperature = temperature
        self.bank_size = bank_size
        self._rows: list[tuple[Tensor, Tensor]] = []
        self._bank: tuple[Tensor, Tensor] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find out the number of classes, and forget the features of an earlier run."""
        super().setup(trainer, pl_module, stage)
        self._rows = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the features of older weights."""
        self._rows = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Remember the features of this step."""
        features, targets, _ = read_step(outputs)
        check_targets(targets if self._rows else targets.cpu(), self._classes)
        self._rows.append((unit_vectors(features.float()), targets))
        while sum(len(rows[1]) for rows in self._rows[1:]) >= self._own_size():
            del self._rows[0]

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the processes' features together."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._bank = None
        if self._rows:
            columns = [torch.cat(column)[-self._own_size() :] for column in zip(*self._rows, strict=True)]
            bank, targets = (distributed.gather_uneven(column) for column in columns)
            self._bank = (bank, targets) if (targets >= 0).any() else None
        elif not trainer.sanity_checking and hasattr(trainer.datamodule, "clean_train_dataloader"):  # type: ignore[attr-defined]
            data = trainer.datamodule  # type: ignore[attr-defined]
            loader = thinned(data.clean_train_dataloader(), self.bank_size)
            rows, targets, _ = extract_features(pl_module, loader, data.on_after_batch_transfer)
            if (targets >= 0).any():
                self._bank = rows.to(pl_module.device), targets.to(pl_module.device)

    on_test_epoch_start = on_validation_epoch_start

    def scores(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"] | None:
        """Votes for each class; ``None`` while the bank is empty."""
        if self._bank is None:
            return None
        return knn_scores(features, *self._bank, self._classes, self.k, self.temperature)

    def _own_size(self) -> int:
        """Rows that this process keeps."""
        return max(1, self.bank_size // distributed.world_size())
