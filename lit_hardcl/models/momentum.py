"""A key encoder that follows the query encoder slowly."""

import copy

import torch
from torch import nn

from lit_hardcl.errors import Refusal


def momentum_copy(module: nn.Module) -> nn.Module:
    """Copy a module that no optimizer trains; :func:`follow` moves it."""
    return copy.deepcopy(module).requires_grad_(False)


def check_precision(precision: object, otherwise: str = "") -> None:
    """Refuse a trainer's precision that a slow encoder would stand still in.

    Raises:
        ValueError: if the weights are not float32; its advice ends with ``otherwise``.
    """
    if str(precision) in ("bf16-true", "16-true"):
        raise Refusal(
            f"a momentum encoder needs float32 weights, got precision={precision}, in which its small steps are "
            f"rounded away: use bf16-mixed{otherwise}"
        )


def check_momentum(momentum: float) -> None:
    """Raise a refusal unless the share of the old weights that are kept is in [0, 1)."""
    if not 0 <= momentum < 1:
        raise Refusal(f"momentum must be in [0, 1), got {momentum}")


@torch.no_grad()
def follow(slow: nn.Module, module: nn.Module, momentum: float) -> None:
    """Move every parameter: ``slow = momentum * slow + (1 - momentum) * module`` (arXiv:1911.05722, Eq. 2).

    Buffers, such as BatchNorm's statistics, are the slow module's own.
    """
    for behind, ahead in zip(slow.parameters(), module.parameters(), strict=True):
        behind.lerp_(ahead.to(behind.dtype), 1 - momentum)
