"""Several networks with an optimizer each as one optimizer, and their schedules as one, for automatic optimisation."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lit_hardcl.errors import Refusal


class Joint(Optimizer):
    """One optimizer made of parts, which are stepped together; its groups of parameters are theirs.

    Args:
        parts: optimizers of parameters that no two of them share.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = list(parts)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse a group that would be no part's.

        Raises:
            Refusal: but while the parts are put together.
        """
        if hasattr(self, "parts"):
            raise Refusal("parameters are added to a part of a joint optimizer, got the whole")
        super().add_param_group(param_group)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "parts": self.parts}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take the closure's gradients, and a step of every part."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Of every part."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Of every part."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the parts' states.

        Raises:
            Refusal: if they are not of as many parts.
        """
        _load(self.parts, state_dict, "optimizers")
        self.param_groups = [group for part in self.parts for group in part.param_groups]


class JointSchedule(LRScheduler):
    """One schedule made of those of a joint optimizer's parts."""

    def __init__(self, optimizer: Joint, parts: Sequence[LRScheduler]) -> None:
        self.optimizer, self.parts = optimizer, list(parts)  # not the base's: a part counts its own steps

    def step(self, epoch: int | None = None) -> None:
        """Of every part."""
        for part in self.parts:
            part.step()

    def fill_total_steps(self, total_steps: float) -> None:
        """Tell the parts that want to know when the training ends."""
        for part in self.parts:
            if hasattr(part, "fill_total_steps"):
                part.fill_total_steps(total_steps)

    def get_last_lr(self) -> list[Any]:
        """Of every part, in their order."""
        return [rate for part in self.parts for rate in part.get_last_lr()]

    def state_dict(self) -> dict[str, Any]:
        """Of every part."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the parts' states.

        Raises:
            Refusal: if they are not of as many parts.
        """
        _load(self.parts, state_dict, "schedules")


def _load(parts: Sequence[Any], state: dict[str, Any], what: str) -> None:
    there = state.get("parts", [])
    if len(there) != len(parts):
        raise Refusal(
            f"the training can be gone on with only with the same {what}, {len(parts)} of networks trained together, "
            f"got {len(there)} in the checkpoint: it is of an earlier version or of other settings; its weights can be "
            "loaded"
        )
    for part, one in zip(parts, there, strict=True):
        part.load_state_dict(one)
