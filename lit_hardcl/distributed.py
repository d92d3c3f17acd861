"""Rows of all processes, with the gradient that belongs to them, and who is whose key among them."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch import distributed as dist

from lit_hardcl.errors import Refusal
from lit_hardcl.views.draws import generator_of


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


def drawn(kind: Any, images: int, columns: int, *key: int) -> Float[Tensor, "images columns"]:
    """Random numbers for this process's images, on the CPU; an image's do not depend on the number of processes.

    Every processes-th row of what one process would draw: as the data module deals images.

    Args:
        kind: function that draws, ``torch.rand`` or ``torch.randn``.
        images: number of this process's images.
        columns: amount of numbers for each.
        key: numbers that tell streams apart, the seed first (:func:`~lit_hardcl.views.draws.generator_of`).
    """
    return kind(images * world_size(), columns, generator=generator_of(*key))[rank() :: world_size()]


def drawn_apart(kind: Any, columns: int, numbers: Iterable[int], *key: int) -> Float[Tensor, "numbers columns"]:
    """As :func:`drawn`, of a stream for each of some numbers: slower, but what is not needed yet is not held."""
    return torch.stack([kind(columns, generator=generator_of(*key, number)) for number in numbers])


class Keys:
    """The keys of this process's anchors: all processes' rows, view by view, in each view process by process.

    Anchors stand view by view as well: row ``view * batch + image``.

    Args:
        batch: images of this process; every process must have equally many.
        views: number of views of each image.
        device: device of the columns.
        gathered: whether other processes' rows are keys too.
        fewest: images there must be.

    Attributes:
        images: numbers of all processes' images whose rows are keys.
        own: column of each anchor itself.
        positives: column of each anchor's next view; of two views, the other one.

    Raises:
        Refusal: if there is only one image.
    """

    def __init__(self, batch: int, views: int, device: torch.device, gathered: bool = True, fewest: int = 2) -> None:
        self.batch, self.views = batch, views
        self.processes, self.rank = (world_size(), rank()) if gathered else (1, 0)
        self.images = batch * self.processes
        if self.images < fewest:
            raise Refusal(
                f"a contrastive batch needs at least 2 images, got {self.images}: there is nothing to contrast"
            )
        first = torch.arange(batch, device=device) + self.rank * batch
        self.own: Int[Tensor, " anchors"] = torch.cat([first + view * self.images for view in range(views)])
        self.positives: Int[Tensor, " anchors"] = (self.own + self.images) % (views * self.images)

    @property
    def image(self) -> Int[Tensor, " images"]:
        """Numbers of all images, in the order of a view's columns."""
        return torch.arange(self.images, device=self.own.device)

    def anchors_at(self, columns: Int[Tensor, " columns"]) -> Int[Tensor, " columns"]:
        """The anchors that stand at these columns, which are this process's own."""
        return columns // self.images * self.batch + columns % self.images - self.rank * self.batch

    def of(self, rows: Shaped[Tensor, "anchors *rest"]) -> Shaped[Tensor, "keys *rest"]:
        """What stands at the keys, if ``rows`` stands at the anchors; with its gradient."""
        if self.processes == 1:
            return rows
        by_image = rows.unflatten(0, (self.views, self.batch)).transpose(0, 1).contiguous()
        gathered = gather_with_gradient(by_image) if rows.requires_grad else gather(by_image)
        return gathered.transpose(0, 1).flatten(0, 1)

    def in_turn(self, keys: Shaped[Tensor, "keys *rest"]) -> Shaped[Tensor, "keys *rest"]:
        """The keys image by image, as one process with all images has them: every process's first, then second."""
        return keys.unflatten(0, (self.views, self.processes, self.batch)).transpose(0, 2).flatten(0, 2)


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
        gradient = gradient.contiguous()
        own = gradient.new_empty(len(gradient) // world_size(), *gradient.shape[1:])
        scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor  # its older name
        try:
            scatter(own, gradient)  # half the traffic of an all-reduce
        except RuntimeError as error:  # older versions of gloo cannot
            if "support" not in str(error) and "implement" not in str(error):
                raise
            gradient = gradient.clone()
            dist.all_reduce(gradient)
            own = gradient.chunk(world_size())[rank()]
        return own
