"""The one loop back from a callback to the data: which images are kept, the loader and schedules that follow."""

import math
from typing import Any

import lightning.pytorch as pl
from jaxtyping import Int
from torch import Tensor

from lit_hardcl.data.reload import ReloadOnce


class KeptImages:
    """Hands kept images to a data module and, in training, lets the trainer go on with as many steps as are left.

    Args:
        data: data module with a method ``keep(indices)``, ``None`` for all images, after which its ``train_dataloader``
            is asked anew.

    Attributes:
        since: epoch and step since when the present images are trained on; ``None``: since the beginning.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self.since: tuple[int, int] | None = None
        self._reload = ReloadOnce()

    def keep(self, indices: Int[Tensor, " images"] | None, since: tuple[int, int] | None) -> None:
        """Train on these images from an epoch and step on."""
        self.data.keep(indices)
        self.since = since

    def ask_anew(self, trainer: pl.Trainer) -> None:
        """Have the loader asked for at the next epoch, also of a data module that does not see to it."""
        self._reload.ask(trainer)

    def go_on(self, trainer: pl.Trainer) -> None:
        """Fit the schedules to the loader that is there now, at the beginning of an epoch."""
        self._reload.done(trainer)
        if self.since is not None:
            fit_schedules(trainer, *self.since)


def fit_schedules(trainer: pl.Trainer, epoch: int, step: int) -> None:
    """Let the trainer's schedules end with its training, whose epochs have had other numbers of steps until ``epoch``.

    Every schedule that has ``fill_total_steps`` is asked; a `WarmupCosine` with ``total_steps`` keeps it.

    Args:
        trainer: whose loader of the present epoch is there.
        epoch: since which the epochs have as many steps as the present one.
        step: number of the step with which that epoch began.
    """
    if trainer.max_epochs in (None, -1):
        return
    total = step + (trainer.max_epochs - epoch) * math.ceil(
        trainer.num_training_batches / trainer.accumulate_grad_batches
    )
    total = total if trainer.max_steps == -1 else min(total, trainer.max_steps)
    for config in trainer.lr_scheduler_configs:
        if hasattr(config.scheduler, "fill_total_steps"):
            config.scheduler.fill_total_steps(total)
