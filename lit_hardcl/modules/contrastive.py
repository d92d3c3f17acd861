"""What every method shares: a backbone, its features for callbacks and users, optimizers, and two safeguards."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lit_hardcl.contract import step_output, unpack
from lit_hardcl.errors import Refusal
from lit_hardcl.models import misfit
from lit_hardcl.schedules import WarmupCosine

OptimizerCallable = Callable[[Iterable], Optimizer]
SchedulerCallable = Callable[[Optimizer], LRScheduler]


class ContrastiveModule(pl.LightningModule):
    """A backbone trained by contrast; subclasses bring ``training_step``.

    Batches are positionally ``(views, targets, indices)``. The steps return ``{"features", "targets", "indices"}``,
    one row per view and image, view by view, for callbacks such as an online probe; training adds ``"loss"``.
    """

    def __init__(
        self,
        backbone: nn.Module,
        optimizer: OptimizerCallable,
        scheduler: SchedulerCallable | None,
        channels_last: bool,
    ) -> None:
        super().__init__()
        self.backbone = backbone.to(memory_format=torch.channels_last) if channels_last else backbone
        self.optimizer = optimizer
        self.scheduler = scheduler
        self._failed_at = torch.tensor(math.inf)

    def forward(self, images: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch width"]:
        """Backbone features, before any head."""
        return self.backbone(images.to(self.dtype)).flatten(1)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Features of the clean view, for callbacks."""
        views, targets, indices = unpack(batch)
        return step_output(self(views[0]), targets, indices)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """As in validation."""
        return self.validation_step(batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Float[Tensor, "batch width"]:
        """Features of the clean view."""
        return self(unpack(batch)[0][0])

    def configure_optimizers(self) -> Any:
        """The optimizer and, stepped with it, the scheduler."""
        return self.scheduled(self.optimizer([p for p in self.parameters() if p.requires_grad]), self.scheduler)

    def scheduled(self, optimizer: Optimizer, scheduler: SchedulerCallable | None) -> dict[str, Any]:
        """An optimizer with its scheduler, as Lightning wants them."""
        if scheduler is None:
            return {"optimizer": optimizer}
        schedule = scheduler(optimizer)
        if isinstance(schedule, WarmupCosine):
            schedule.fill_total_steps(self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def watch(self, loss: Float[Tensor, ""]) -> None:
        """Stop a training whose loss is no number, before a checkpoint of it replaces a good one.

        On a GPU the answer is awaited only every ``log_every_n_steps`` and before a checkpoint is written; the step
        named is the first bad one all the same.

        Raises:
            ValueError: naming the step.
        """
        step = torch.where(loss.detach().isfinite(), math.inf, float(self.global_step))
        self._failed_at = torch.minimum(self._failed_at.to(step.device), step)
        if loss.device.type == "cpu" or self.global_step % max(1, self.trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            self._stop_if_failed()

    def on_fit_start(self) -> None:
        """Forget what an earlier training came to."""
        self._failed_at = torch.tensor(math.inf)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to write weights that a NaN has reached.

        Raises:
            ValueError: naming the step.
        """
        self._stop_if_failed()
        weights = {name for name, _ in self.named_parameters()}
        spoilt = [
            # A buffer may hold -inf, as attention masks do; what training has spoilt is infinite upwards, too.
            (~value.isfinite() if name in weights else value.isnan() | value.isposinf()).any()
            for name, value in checkpoint.get("state_dict", {}).items()
            if isinstance(value, Tensor) and value.is_floating_point()  # a backbone's extra state may be anything
        ]
        if spoilt and torch.stack(spoilt).any():
            self._failed_at = torch.tensor(float(self.global_step))
            self._stop_if_failed()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that belong to another model.

        Raises:
            ValueError: naming what is missing, unexpected or of another shape.
        """
        if wrong := misfit(self.state_dict(), checkpoint.get("state_dict", {})):
            raise Refusal(f"the checkpoint does not fit this {type(self).__name__}: {wrong}")

    def _stop_if_failed(self) -> None:
        if self._failed_at.isfinite():
            raise Refusal(
                f"the loss, the features or the weights stopped being finite at step {int(self._failed_at)}: training "
                "ends here, the last checkpoint is kept. Try a lower learning rate, a higher temperature or "
                "gradient_clip_val"
            )
