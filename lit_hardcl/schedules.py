"""Schedules of learning rates and of other numbers, and what is refused of anybody's rates."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lit_hardcl.errors import Refusal, check_whole


def made(what: str, make: Callable[[Any], Any], of: Any) -> Any:
    """What the settings make: an optimizer of parameters, or a schedule of an optimizer.

    Raises:
        Refusal: with the words of whoever refuses the settings, or if they are taken though no descent follows: a
            learning rate or weight decay that is negative or infinite, a momentum outside [0, 1), a NaN, a schedule's
            ``gamma`` that is not above 0 or its ``step_size`` or ``T_max`` below 1.
    """
    try:
        found = make(of)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise Refusal(f"the {what} refuses its settings: {error}") from error
    for group in getattr(getattr(found, "optimizer", found), "param_groups", []):
        for name, value in group.items():
            limit = _BELOW.get(name)
            if (limit is not None and not 0 <= value < limit) or (isinstance(value, float) and math.isnan(value)):
                raise Refusal(f"{name} of the {what} must be in [0, {limit or math.inf}), got {value}")
    for name, value in vars(found).items():
        if (name in ("step_size", "T_max") and not value >= 1) or (name == "gamma" and not 0 < value < math.inf):
            raise Refusal(f"{name} of the {what} must be {'above 0' if name == 'gamma' else 'at least 1'}, got {value}")
    return found


_BELOW = {"lr": math.inf, "weight_decay": math.inf, "momentum": 1}


def ramp(start: float, end: float, progress: float) -> float:
    """From ``start`` straight to ``end`` while ``progress`` goes from 0 to 1; ``end`` from then on."""
    return start + (end - start) * min(1.0, progress)


def wave(start: float, end: float, progress: float) -> float:
    """From ``start`` to ``end`` and back along a cosine for every 1 of ``progress``.

    ``(start - end) * (1 + cos(2π progress)) / 2 + end`` (arXiv:2303.13664).
    """
    return (start - end) * (1 + math.cos(2 * math.pi * progress)) / 2 + end


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
        check_whole(1, total_steps=total_steps)
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
