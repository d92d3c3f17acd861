"""Several optimizers under manual optimisation that heed the trainer's options as a single automatic one does."""

from typing import Any

import lightning.pytorch as pl
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from lit_hardcl.modules.contrastive import ContrastiveModule


class SeveralOptimizers(ContrastiveModule):
    """Networks with an optimizer each, stepped together after one backward of the sum of their losses.

    One backward, so that DistributedDataParallel reduces every gradient before any step. The networks' losses must not
    depend on each other's parameters. The trainer's accumulate_grad_batches, gradient_clip_val (for each network by
    itself), precision and the schedulers work as under automatic optimisation, and the trainer counts one step, not
    one for each optimizer. Two differences remain: DistributedDataParallel reduces the gradients of every accumulated
    batch, not of the last one only, and in 16-mixed the scale of the loss is reconsidered once for each optimizer.
    """

    def configure_callbacks(self) -> list[pl.Callback]:
        """Add none. Called before the trainer looks at its options, which it would refuse under manual optimisation."""
        self.automatic_optimization = True
        return []

    def setup(self, stage: str) -> None:
        """Take over optimisation, after the trainer has looked at its options."""
        self.automatic_optimization = False

    def optimise(self, loss: Float[Tensor, ""], batch_idx: int) -> bool:
        """Take the gradients of ``loss`` and, if enough are accumulated, a step with every optimizer.

        Returns:
            Whether a step was taken.
        """
        trainer = self.trainer
        accumulated = trainer.accumulate_grad_batches
        self.manual_backward(loss / accumulated)
        is_last = trainer.is_last_batch or batch_idx + 1 >= trainer.num_training_batches
        if (batch_idx + 1) % accumulated and not is_last:
            return False
        optimizers = self.optimizers()
        first, *others = optimizers if isinstance(optimizers, list) else [optimizers]
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scale = scaler.get_scale() if scaler else 1.0
        first.step()
        for other in others:
            if scaler and (change := scaler.get_scale() / scale) != 1:
                _multiply_gradients(other.optimizer, change)  # they have the scale of before the first step
            # Not other.step(): the trainer would count it.
            trainer.strategy.optimizer_step(other.optimizer, lambda: None)
        for optimizer in (first, *others):
            optimizer.zero_grad()
        schedulers: Any = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            if scheduler is not None:
                scheduler.step()
        return True

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip as the trainer says; gradients are no longer scaled here."""
        self.configure_gradient_clipping(
            optimizer, self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
        )


def _multiply_gradients(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
