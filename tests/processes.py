"""What each process of a distributed test runs; importable, so that a started process finds it."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from nets import FlatHead, FlatNet
from torch import distributed as dist
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from lit_hardcl.losses import MoCHi, SynCo


def in_two(job: Callable[..., Any], folder: Path, *arguments: Any, count: int = 2) -> list[Any]:
    """Run ``job(rank, *arguments)`` in two (or more) gloo processes; what they return, in the order of their ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_process, args=(job, count, port, str(folder), arguments), nprocs=count)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(count)]


def _process(
    rank: int, job: Callable[..., Any], count: int, port: int, folder: str, arguments: tuple[Any, ...]
) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=count)
    torch.save(job(rank, *arguments), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


class Both(torch.nn.Module):
    """Backbone and head in one, as DistributedDataParallel wants them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.head = FlatNet(20).double(), FlatHead().double()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.backbone(images)
        return self.head(features), features


def views(images: int = 10) -> torch.Tensor:
    """Two views of some images, float64."""
    return torch.randn(2, images, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def step(model: torch.nn.Module, settings: dict[str, Any], images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Loss, chosen pairs and parameter gradients of one training step on these views."""
    from lit_hardcl import DifficultPairLoss

    criterion = DifficultPairLoss(0.5, **settings)
    model.zero_grad()
    projections, features = model(images.flatten(0, 1))
    loss = criterion(*projections.chunk(2), *features.detach().chunk(2))
    loss.backward()
    return {
        "loss": loss.detach(),
        "chosen": criterion.difficult(*features.chunk(2)),
        "gradient": torch.cat([parameter.grad.flatten() for parameter in model.parameters()]),
    }


def steps(
    rank: int, all_settings: list[dict[str, Any]], count: int = 2, images: int = 10
) -> list[dict[str, torch.Tensor]]:
    """A step of each treatment on this process's share of the images, under DistributedDataParallel."""
    model = DistributedDataParallel(Both())
    return [step(model, settings, views(images).chunk(count, dim=1)[rank]) for settings in all_settings]


def row_losses(rank: int, count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Every loss of rows on this process's share of eight images: its value, and its part of all processes' mean."""
    from losses.test_rows import LABELS, LOSSES

    results = []
    for criterion, _ in LOSSES.values():
        z = torch.randn(2, 8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).chunk(count, dim=1)
        own = z[rank].clone().requires_grad_()
        loss = criterion(*own, targets=torch.tensor([*LABELS, 2, 5]).chunk(count)[rank])
        loss.backward()
        results.append((loss.detach(), own.grad / count))
    return results


def row_losses_both_ways(rank: int, count: int) -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
    """:func:`row_losses` where the backend can reduce and scatter at once, and where it cannot."""

    def not_needed(*tensors: torch.Tensor) -> None:
        raise AssertionError("an all-reduce moves twice as much")

    def cannot(*tensors: torch.Tensor) -> None:
        raise RuntimeError("Backend gloo does not support this")

    all_reduce, dist.all_reduce = dist.all_reduce, not_needed
    results = [row_losses(rank, count)]
    dist.all_reduce, dist.reduce_scatter_single, dist.reduce_scatter_tensor = all_reduce, cannot, cannot
    return [*results, row_losses(rank, count)]


def centres_gradient(rank: int, count: int = 2) -> torch.Tensor:
    """Gradient of PaCo's centres on this process's share of eight images."""
    from lit_hardcl.losses import PaCoLoss

    torch.manual_seed(0)
    criterion = PaCoLoss(0.5, num_classes=3, dim=5).double()
    z = torch.randn(2, 8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).chunk(count, dim=1)
    criterion(*z[rank], targets=(torch.arange(8) % 3).chunk(count)[rank]).backward()
    return criterion.centres.grad


def thresholds_of(rank: int, count: int = 2) -> torch.Tensor:
    """GloFND's loss and thresholds after three steps on this process's share of eight images."""
    from lit_hardcl.distributed import gather
    from lit_hardcl.losses import GloFNDLoss

    criterion = GloFNDLoss(0.5, images=12, alpha=0.3, learning_rate=0.2, warm_up=1).double()
    for step in range(3):
        z = torch.randn(2, 8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        own = z.chunk(count, dim=1)[rank].requires_grad_()
        loss = criterion(*own, indices=torch.arange(2, 10).chunk(count)[rank])
    return torch.cat([gather(loss[None]).mean()[None], criterion.thresholds])


def uneven(rank: int) -> torch.Tensor:
    """Gather one row of rank 0 and three of rank 1."""
    from lit_hardcl.distributed import gather_uneven

    return gather_uneven(torch.full((1 + 2 * rank, 2), float(rank)))


def unindexed(rank: int) -> torch.Tensor:
    """Log the accuracy of rows without indices, all right on rank 0 and all wrong on rank 1."""
    import lightning.pytorch as pl
    from nets import Foreign

    from lit_hardcl.callbacks.online import OnlineEvaluator

    class Zero(OnlineEvaluator):
        name = "zero"
        logged: torch.Tensor

        def scores(self, features: torch.Tensor) -> torch.Tensor:
            return torch.eye(2)[torch.zeros(len(features), dtype=torch.long)]

        def log(self, name: str, value: torch.Tensor, **settings: Any) -> None:
            self.logged = value

    evaluator, trainer = Zero(num_classes=2), pl.Trainer(accelerator="cpu", logger=False, max_epochs=1)
    evaluator._classes = 2
    outputs = {"features": torch.zeros(3, 4), "targets": torch.full((3,), rank)}
    for batch_idx in range(2):
        evaluator.on_validation_batch_end(trainer, Foreign(), outputs, None, batch_idx)
    evaluator.on_validation_epoch_end(trainer, Foreign())
    return evaluator.logged


SPACL_SETTINGS: list[dict[str, Any]] = [
    {},
    {"choose_positives": "random", "anchor": "fixed"},
    {"supervision": "labels"},
    {"supervision": "labels", "choose_positives": "random", "anchor": "every"},
    {"key_encoder": "momentum"},
    {"adversarial_negatives": False, "screening": False},
]


class SPACLStep(torch.nn.Module):
    """SPACL's losses as a forward pass, as DistributedDataParallel wants it, with the players frozen."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        from lit_hardcl import SPACL

        torch.manual_seed(0)
        self.spacl = SPACL(FlatNet(20), 0.2, FlatHead(), **{"seed": 0, "screening_share": 0.7, **settings}).double()
        for player in (self.spacl.generator, self.spacl.discriminator):
            if player is not None:
                player.requires_grad_(False)

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses, seen, _ = self.spacl.losses(list(images), targets, 0, 0)
        return losses["train_loss"], seen["negatives_kept"]


def spacl_step(model: torch.nn.Module, rank: int = 0, processes: int = 1) -> dict[str, torch.Tensor]:
    """Loss and encoder gradients on every processes-th image, as the data module deals them."""
    images = torch.randn(4, 12, 1, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss, kept = model(images[:, rank::processes], (torch.arange(12) % 5)[rank::processes])
    loss.backward()
    gradients = [parameter.grad.flatten() for parameter in model.parameters() if parameter.requires_grad]
    return {"loss": loss.detach(), "kept": kept, "gradient": torch.cat(gradients)}


def spacl_steps(rank: int, count: int = 2) -> list[dict[str, torch.Tensor]]:
    """A step of each of the settings under DistributedDataParallel."""
    return [spacl_step(DistributedDataParallel(SPACLStep(settings)), rank, count) for settings in SPACL_SETTINGS]


MOCO_SETTINGS: list[dict[str, Any]] = [
    {"queue_size": 100},
    {"queue_size": 37, "margin": 0.1, "temperature_scale": 0.6, "pos_high": 0.15, "pos_low": 0.6},
    {"queue_size": 0, "margin": 0.1, "temperature_scale": 0.6, "pos_high": 0.15, "pos_low": 0.6},
    {"queue_size": 37, "mask_own": False},
    {"queue_size": 37, "synthetic": SynCo(8, 3, 2, 3, 2, 2, 2, seed=1)},
    {"queue_size": 37, "synthetic": MoCHi(8, 3, 2, seed=1), "margin": 0.1, "pos_high": 0.15, "pos_low": 0.6},
]


class MoCoStep(torch.nn.Module):
    """MoCo's loss as a forward pass, as DistributedDataParallel wants it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        from lit_hardcl import MoCo

        torch.manual_seed(0)
        self.moco = MoCo(FlatNet(20), 0.2, FlatHead(), **settings).double()

    def forward(self, images: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        return self.moco.contrast(images, indices)[0]


def moco_step(model: torch.nn.Module, rank: int = 0, processes: int = 1) -> dict[str, torch.Tensor]:
    """The last of three steps' loss and gradients, and the queue, on every processes-th image."""
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(2, 12, 1, 4, 5, dtype=torch.float64, generator=generator)[:, rank::processes]
        model.zero_grad()
        indices = (torch.arange(12) * (1 + 2 * seed) % 17)[rank::processes]  # some of them again, on other processes
        loss = model(images.flatten(0, 1), indices)
        loss.backward()
    gradients = [parameter.grad.flatten() for parameter in model.parameters() if parameter.requires_grad]
    moco: Any = getattr(model, "module", model)
    queued = moco.moco.queued_projections, moco.moco.queued_features, moco.moco.queued_indices[:, None]
    queue = torch.cat(queued, dim=1)
    return {"loss": loss.detach(), "gradient": torch.cat(gradients), "queue": queue}


def moco_steps(rank: int, count: int = 2) -> list[dict[str, torch.Tensor]]:
    """Three steps of each of the settings under DistributedDataParallel."""
    return [moco_step(DistributedDataParallel(MoCoStep(settings)), rank, count) for settings in MOCO_SETTINGS]


def watched(rank: int) -> list[int]:
    """Whether this process stops at its third step, at which only the first process's loss is no number."""
    from lit_hardcl.modules.safeguards import Safeguarded

    module = Safeguarded()
    for loss in (1.0, 2.0, float("nan") if rank == 0 else 3.0):
        try:
            module.watch(torch.tensor(loss))
        except ValueError as stop:
            return [int(loss != 1.0), int("stopped being finite at step" in str(stop))]
    return [0, 0]
