"""Gather rows across processes, with the gradient that belongs to them."""

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch import distributed as dist


def world_size() -> int:
    """Number of processes that train together; 1 outside distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, counted from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def gather(rows: Shaped[Tensor, "rows *rest"]) -> Shaped[Tensor, "all_rows *rest"]:
    """Rows of all processes in the order of their ranks, without gradient. Every process must bring equally many."""
    if world_size() == 1:
        return rows.detach()
    gathered = [torch.empty_like(rows) for _ in range(world_size())]
    dist.all_gather(gathered, rows.detach().contiguous())
    return torch.cat(gathered)


def gather_with_gradient(rows: Float[Tensor, "rows *rest"]) -> Float[Tensor, "all_rows *rest"]:
    """As :func:`gather`, differentiable: a row's gradient is the **sum** of what all processes' losses send it.

    With a loss that is the mean over the local anchors, and the mean over processes that DDP takes of the parameters'
    gradients, training equals that of one process holding the whole batch.
    """
    return rows if world_size() == 1 else _GatherWithGradient.apply(rows)


def gather_uneven(rows: Shaped[Tensor, "rows *rest"]) -> Shaped[Tensor, "all_rows *rest"]:
    """As :func:`gather`, where processes may bring different numbers of rows. Slow: for the end of an epoch."""
    if world_size() == 1:
        return rows.detach()
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, rows.detach().cpu())
    return torch.cat(gathered).to(rows.device)


def sum_across(*tensors: Tensor) -> None:
    """Replace each tensor by its sum over the processes, in place."""
    if world_size() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


class _GatherWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return gather(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient.chunk(world_size())[rank()]
