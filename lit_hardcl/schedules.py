"""Learning-rate schedules that a configuration file can name."""

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lit_hardcl.errors import Refusal


class WarmupCosine(LRScheduler):
    """Rises linearly to the optimizer's learning rate, then falls along half a cosine to 0, step by step.

    Args:
        optimizer: whose learning rates are scheduled.
        warmup_ratio: share of the steps that the rise takes, in [0, 1).
        total_steps: optimizer steps of the whole training. ``None``: the LightningModules of this library fill in
            what their trainer will take; until then the rate stands still.

    Raises:
        ValueError: if ``warmup_ratio`` is outside [0, 1) or ``total_steps`` below 1.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        >>> WarmupCosine(optimizer, warmup_ratio=0.5, total_steps=2).get_last_lr()
        [0.5]
    """

    def __init__(self, optimizer: Optimizer, warmup_ratio: float = 0.05, total_steps: int | None = None) -> None:
        if not 0 <= warmup_ratio < 1:
            raise Refusal(f"warmup_ratio must be in [0, 1), got {warmup_ratio}")
        if total_steps is not None and total_steps < 1:
            raise Refusal(f"total_steps must be at least 1, got {total_steps}")
        self.warmup_ratio = warmup_ratio
        self.total_steps = total_steps
        self._is_open = total_steps is None
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """Learning rates of the coming step, one for each group of parameters."""
        return [base * self._factor(self.last_epoch) for base in self.base_lrs]

    def fill_total_steps(self, total_steps: float) -> None:
        """Set ``total_steps`` if it was left open, and the learning rates of the coming step by it.

        May be called again, when a training turns out to be shorter or longer.

        Raises:
            ValueError: if ``total_steps`` is infinite or, as Lightning says it of data without a length, negative: a
                cosine needs an end.
        """
        if not self._is_open:
            return
        if not math.isfinite(total_steps):
            raise Refusal("WarmupCosine needs the end of training: set the trainer's max_epochs or max_steps")
        if total_steps < 0:
            raise Refusal(
                f"WarmupCosine needs the number of steps, got {total_steps}: of data without a length set the "
                "trainer's max_steps or limit_train_batches"
            )
        self.total_steps = int(total_steps)
        self._set_rates()

    def state_dict(self) -> dict[str, Any]:
        """All but ``total_steps``: a resumed training ends where its own trainer says."""
        own = ("total_steps", "_is_open")
        return {name: value for name, value in super().state_dict().items() if name not in own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the saved step, with the rate that it has in this training, whose end may be another."""
        super().load_state_dict(state_dict)
        if self._is_open and self.total_steps is not None:
            self._set_rates()

    def _set_rates(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = self.get_lr()

    def _factor(self, step: int) -> float:
        if self.total_steps is None:
            return 1.0
        warmup = int(self.warmup_ratio * self.total_steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1, self.total_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
