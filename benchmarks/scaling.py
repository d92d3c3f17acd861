"""How a step grows with batch, image size, classes and processes: ``python benchmarks/scaling.py``."""

import os
import subprocess
import sys
import time
from statistics import median

import lightning.pytorch as pl
import torch
from programs import our_data, sgd
from torch import nn
from torch.nn import functional as F
from turns import ALLOCATOR, alternate, argument, save

from lit_hardcl import SimCLRCombined
from lit_hardcl.models import ResNet

ROUNDS = argument("rounds", 5)


def module() -> SimCLRCombined:
    """The combined method over the network of the other comparisons."""
    band = {"pos_high": 0.15, "pos_low": 0.22, "margin": 0.03, "temperature_scale": 0.6}
    return SimCLRCombined(backbone=ResNet(18, width=16), temperature=0.5, optimizer=sgd, scheduler=None, **band)


def parts(batch: int, size: int) -> dict[str, list[float]]:
    """Seconds of the views, of the network and of the loss for so many images."""
    data, net = our_data(batch, size, batch), module()
    raw = next(iter(data.train_dataloader()))
    views = torch.cat(data.on_after_batch_transfer(raw, 0).views)
    z, h = torch.randn(2 * batch, 128, requires_grad=True), torch.randn(2 * batch, 128)
    return alternate(
        {
            "views": lambda: data.on_after_batch_transfer(raw, 0),
            "network": lambda: net.projection_head(net(views)).square().mean().backward(),
            "loss": lambda: net.criterion(*z.chunk(2), *h.chunk(2)).backward(),
        },
        ROUNDS,
    )


def probe(classes: int) -> float:
    """Milliseconds of the online probe's step on 512 features of 128."""
    linear, features = nn.Linear(128, classes), torch.randn(512, 128)
    optimizer, targets = torch.optim.Adam(linear.parameters()), torch.randint(0, classes, (512,))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(linear(features), targets).backward()
        optimizer.step()

    return 1000 * median(alternate({"probe": step}, 5 * ROUNDS)["probe"])


class Clock(pl.Callback):
    """Images per second of all processes after the third step."""

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *rest: object) -> None:
        """Start after three steps; print at the end."""
        step = trainer.global_step
        if step == 3:
            self.since = time.perf_counter()
        if step == trainer.max_steps and trainer.is_global_zero:
            rate = (step - 3) * 256 / (time.perf_counter() - self.since)
            print(f"rate {rate}", flush=True)


def processes(count: int) -> float:
    """Images per second at 256 images a step, the cores shared out among the processes."""
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))}
    text = subprocess.run(
        [sys.executable, __file__, "--worker", str(count)],
        env={**os.environ, **ALLOCATOR, **threads},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return float(text.split("rate ")[1].split()[0])


def worker(count: int) -> None:
    """A short training in so many processes."""
    pl.Trainer(
        accelerator="cpu",
        devices=count,
        strategy="ddp_fork" if count > 1 else "auto",
        max_steps=3 + 3 * ROUNDS,
        limit_val_batches=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        callbacks=[Clock()],
    ).fit(module(), our_data(256 // count))


def main() -> None:
    """Measure, and save."""
    save(
        "scaling",
        batch={batch: parts(batch, 32) for batch in (64, 128, 256, 512, 1024)},
        size={size: parts(128, size) for size in (32, 64, 96)},
        classes={classes: probe(classes) for classes in (10, 100, 1000)},
        processes={count: processes(count) for count in (1, 2)},
    )


if __name__ == "__main__":
    if count := argument("worker", 0):
        worker(count)
    else:
        main()
