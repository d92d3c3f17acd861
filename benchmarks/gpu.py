"""On a GPU: images per second, share of the limit, time to an accuracy. ``python benchmarks/gpu.py``; else nothing."""

import time

import lightning.pytorch as pl
import torch
from programs import Clock, our_data, quiet_trainer, sgd
from torch import nn
from turns import save

from lit_hardcl import ContrastiveDataModule, OnlineLinearProbe, SimCLR
from lit_hardcl.models import ProjectionHead, ResNet

BATCH, STEPS, WANTED = 512, 100, 0.96
FIRST = 20  # step from which the clock runs
ONE = {"accelerator": "gpu", "devices": 1}


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
        if step == FIRST:
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
    rates: list[float] = []
    clock = Clock(FIRST, BATCH, rates.append)
    trainer = quiet_trainer(max_steps=STEPS, precision="bf16-mixed", limit_val_batches=0, callbacks=[clock], **ONE)
    trainer.fit(SimCLR(ResNet(18), 0.5, optimizer=sgd, scheduler=None), our_data(BATCH, images=10 * BATCH))
    since = time.perf_counter()
    learner = quiet_trainer(max_epochs=100, callbacks=[OnlineLinearProbe(), Reached()], **ONE)
    module = SimCLR(ResNet(10, 32, "imagenet", 1), 0.5, optimizer=sgd, scheduler=None)
    learner.fit(module, ContrastiveDataModule("digits", batch_size=128))
    seconds = time.perf_counter() - since
    share = (STEPS - FIRST) * BATCH / rates[0] / limit()
    lines = [
        {"what": f"ResNet-18, 32x32, batch {BATCH}, bf16: images per second", "measured": rates[0], "at_least": 4200},
        {"what": "its step relative to the limit", "measured": share, "at_most": 1.10},
    ]
    if learner.should_stop:
        lines.append({"what": f"seconds to val_linear_top1 {WANTED} on digits", "measured": seconds})
    save("gpu", device=torch.cuda.get_device_name(), lines=lines)


if __name__ == "__main__":
    main()
