"""The programs that a comparison alternates: ``python benchmarks/programs.py NAME``, driven by `turns.py`.

All train one ResNet-18 of width 16 with a projection head, each library's own, on the same images, at batch 256 and two
views of 32x32 colour pixels, with the recipe of SimCLR for CIFAR-10. Peers are used as their documentation shows.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.trainer.connectors import callback_connector
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from turns import ALLOCATOR, COMBINED, Turns

from lit_hardcl import ContrastiveDataModule, OnlineLinearProbe, SimCLR, SimCLRCombined
from lit_hardcl.callbacks import ChannelsLast
from lit_hardcl.data import DATASETS
from lit_hardcl.data.images import in_memory
from lit_hardcl.models import ProjectionHead, ResNet

IMAGES, BATCH, SIZE, WORKERS, WARMUP = 5120, 256, 32, 2, 4
MEAN, STD = DATASETS["cifar10"].mean, DATASETS["cifar10"].std


def pixels(images: int = IMAGES, size: int = SIZE) -> Tensor:
    """Random colour images."""
    return torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def our_data(batch: int = BATCH, size: int = SIZE, images: int = IMAGES, **settings: object) -> ContrastiveDataModule:
    """The data module with these images in place of CIFAR-10's."""
    data = ContrastiveDataModule("cifar10", batch_size=batch, image_size=size, seed=0, **settings)  # type: ignore[arg-type]
    names = data.class_names
    targets = torch.arange(images) % len(names)
    data.train_images = data.held_out_images = in_memory(pixels(images, size), targets, names)  # type: ignore[misc]
    return data


class Pictures(Dataset):
    """The images as PIL pictures with their class, as torchvision's CIFAR-10 gives them."""

    def __init__(self, transform: object = None) -> None:
        self.arrays, self.transform = pixels().permute(0, 2, 3, 1).contiguous().numpy(), transform

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, row: int) -> tuple:
        picture = Image.fromarray(self.arrays[row])
        return (picture if self.transform is None else self.transform(picture)), row % 10


def loader(dataset: Dataset, workers: int = WORKERS) -> DataLoader:
    """Batches as a peer's documentation makes them."""
    return DataLoader(dataset, BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0)


def backbone() -> ResNet:
    """The network of all programs."""
    torch.manual_seed(0)
    return ResNet(18, width=16)


def sgd(parameters: object) -> torch.optim.Optimizer:
    """The optimizer of all programs."""
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4)  # type: ignore[arg-type]


class AfterEachStep(pl.Callback):
    """Take turns within a Trainer's loop; the last of the callbacks, so that the others' time counts."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_batch_end(self, *_: object) -> None:
        """Count the step."""
        self.turns()


class Clock(pl.Callback):
    """Images per second of all processes, from the end of step ``first`` to that of the last."""

    def __init__(self, first: int, batch: int, report: Callable[[float], object]) -> None:
        self.first, self.batch, self.report = first, batch, report

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *rest: object) -> None:
        """Wait for the device at both ends only, and report at the last."""
        if trainer.global_step in (self.first, trainer.max_steps):
            if module.device.type == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            if trainer.global_step == self.first:
                self.since = now
            elif trainer.is_global_zero:
                self.report((trainer.max_steps - self.first) * self.batch / (now - self.since))


def quiet_trainer(**settings: object) -> pl.Trainer:
    """A Trainer that neither saves nor prints."""
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(**{"logger": False, **quiet, **settings})  # type: ignore[arg-type]


def train(module: pl.LightningModule, data: object, turns: Turns, *callbacks: pl.Callback) -> None:
    """Train without end in a Trainer that does not validate."""
    trainer = quiet_trainer(
        accelerator="cpu",
        max_epochs=-1,
        limit_val_batches=0,
        log_every_n_steps=10,
        logger=CSVLogger(tempfile.mkdtemp()),
        callbacks=[ChannelsLast(), *callbacks, AfterEachStep(turns)],
    )
    trainer.fit(module, data)  # type: ignore[arg-type]


def limit(turns: Turns) -> None:
    """Forward, backward and optimizer of the network and its head alone, on one batch of views that is there."""
    net = nn.Sequential(backbone().to(memory_format=torch.channels_last), ProjectionHead(128))
    optimizer = sgd(net.parameters())
    views = torch.randn(2 * BATCH, 3, SIZE, SIZE)
    while True:
        optimizer.zero_grad()
        net(views).square().mean().backward()
        optimizer.step()
        turns()


def plain(turns: Turns) -> None:
    """Our SimCLR."""
    train(SimCLR(backbone(), 0.5, optimizer=sgd, scheduler=None), our_data(), turns)


def given_back(turns: Turns) -> None:
    """Our SimCLR in a process that started without the allocator settings of the others."""
    if ALLOCATOR.items() <= os.environ.items():
        environment = {key: value for key, value in os.environ.items() if key not in ALLOCATOR}
        os.dup2(turns.out.fileno(), 1)
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    plain(turns)


def combined_module() -> SimCLRCombined:
    """Our combined method."""
    return SimCLRCombined(backbone=backbone(), temperature=0.5, optimizer=sgd, scheduler=None, **COMBINED)


def combined(turns: Turns) -> None:
    """Our combined loss, with the online probe."""
    train(combined_module(), our_data(), turns, OnlineLinearProbe())


def our_views(turns: Turns) -> None:
    """Our loader and views."""
    data = our_data()
    while True:
        for raw in data.train_dataloader():
            data.on_after_batch_transfer(raw, 0)
            turns()


def torchvision_views(turns: Turns) -> None:
    """Torchvision's transforms of PIL pictures, 2 workers."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, scale=(0.2, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(0.2),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    iterate(loader(Pictures(lambda picture: (transform(picture), transform(picture)))), turns)


def iterate(batches: DataLoader, turns: Turns) -> None:
    """Ask for batches only."""
    while True:
        for _ in batches:
            turns()


OURS = {
    "limit": limit,
    "ours, plain": plain,
    "ours, plain, memory given back": given_back,
    "ours, combined loss and probe": combined,
    "our views": our_views,
    "torchvision views, 2 workers": torchvision_views,
}

if __name__ == "__main__":
    name = sys.argv[1]
    if not name.startswith("stable-pretraining"):
        # Lightning gives every trainer the callbacks of whatever is installed: these are that library's own.
        if not hasattr(callback_connector, "_load_external_callbacks"):
            raise RuntimeError("Lightning loads foreign callbacks in another way now: keep them out in that way")
        callback_connector._load_external_callbacks = lambda group: []
    if name not in OURS:
        sys.path.insert(0, str(Path(__file__).parent))
        from peers import PEERS

        OURS.update(PEERS)
    OURS[name](Turns(WARMUP))
