"""On a GPU: images per second, share of the limit, time to an accuracy. ``python benchmarks/gpu.py``; else nothing."""

import time

import lightning.pytorch as pl
import torch
from programs import our_data, sgd
from torch import nn
from turns import save

from lit_hardcl import ContrastiveDataModule, OnlineLinearProbe, SimCLR
from lit_hardcl.models import ProjectionHead, ResNet

BATCH, STEPS, WANTED = 512, 100, 0.96
QUIET = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False, "logger": False}
ONE = {"accelerator": "gpu", "devices": 1, **QUIET}


class Clock(pl.Callback):
    """Seconds from step 20 to the last."""

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *rest: object) -> None:
        """Wait for the GPU at both ends only."""
        if trainer.global_step in (20, trainer.max_steps):
            torch.cuda.synchronize()
            self.since, self.seconds = time.perf_counter(), time.perf_counter() - getattr(self, "since", 0.0)


class Reached(pl.Callback):
    """Stops at the wanted accuracy of the online probe."""

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Look after every epoch."""
        trainer.should_stop = trainer.callback_metrics.get("val_linear_top1", 0.0) >= WANTED


def limit() -> float:
    """Seconds of the network's own steps, bfloat16 and channels_last."""
    net = nn.Sequential(ResNet(18), ProjectionHead(512)).cuda().to(memory_format=torch.channels_last)
    optimizer, views = sgd(net.parameters()), torch.randn(2 * BATCH, 3, 32, 32, device="cuda")
    for step in range(STEPS):
        if step == 20:
            torch.cuda.synchronize()
            since = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = net(views).float().square().mean()
        loss.backward()
        optimizer.step()
    torch.cuda.synchronize()
    return time.perf_counter() - since


def main() -> None:
    """Measure, and save."""
    if not torch.cuda.is_available():
        print("no GPU: nothing measured")
        return
    clock = Clock()
    trainer = pl.Trainer(max_steps=STEPS, precision="bf16-mixed", limit_val_batches=0, callbacks=[clock], **ONE)
    trainer.fit(SimCLR(ResNet(18), 0.5, optimizer=sgd, scheduler=None), our_data(BATCH, images=10 * BATCH))
    since = time.perf_counter()
    learner = pl.Trainer(max_epochs=100, callbacks=[OnlineLinearProbe(), Reached()], **ONE)
    module = SimCLR(ResNet(10, 32, "imagenet", 1), 0.5, optimizer=sgd, scheduler=None)
    learner.fit(module, ContrastiveDataModule("digits", batch_size=128))
    seconds = f"{time.perf_counter() - since:.1f}" if learner.should_stop else "not reached"
    rate = (STEPS - 20) * BATCH / clock.seconds
    numbers = {
        "device": torch.cuda.get_device_name(),
        "images per second, ResNet-18, 32x32, batch 512, bf16 (target: above 4,200)": f"{rate:,.0f}",
        "step relative to the limit (target: at most 1.10)": f"{clock.seconds / limit():.2f}",
        f"seconds to val_linear_top1 {WANTED} on digits": seconds,
    }
    save("gpu", numbers=numbers)


if __name__ == "__main__":
    main()
