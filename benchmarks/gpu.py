"""On a GPU: images per second, share of the limit, time to an accuracy, losses: ``python benchmarks/gpu.py``."""

import time

import lightning.pytorch as pl
import torch
from programs import Clock, our_data, quiet_trainer, sgd
from torch import nn
from turns import COMBINED, save

from lit_hardcl import ContrastiveDataModule, DifficultPairLoss, OnlineLinearProbe, SimCLR
from lit_hardcl.callbacks import ChannelsLast
from lit_hardcl.losses import Rectangle, RowLoss
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


PLAIN, TREATED = DifficultPairLoss(0.5), DifficultPairLoss(0.5, **COMBINED)
LOSSES = {  # of projections and features of two views
    "plain, fused": lambda z, h: PLAIN(*z),
    "plain, by rows": lambda z, h: RowLoss.of(PLAIN, Rectangle(*sides(z))),
    "combined, fused": lambda z, h: TREATED(*z, *h),
    "combined, by rows": lambda z, h: RowLoss.of(TREATED, Rectangle(*sides(z), *sides(h)[:2])),
}


def sides(rows: list[torch.Tensor]) -> tuple[torch.Tensor, None, torch.Tensor, torch.Tensor]:
    """Anchors, which are the keys too, and the columns of their positives and of themselves."""
    anchors = torch.cat(rows)
    own = torch.arange(len(anchors), device=anchors.device)
    return anchors, None, own.roll(len(rows[0])), own


def of_loss(name: str, images: int) -> list[dict[str, object]]:
    """Milliseconds of forward and backward, the median of seven, and the memory added; 128 dims, 512 features."""
    z = [torch.randn(images, 128, device="cuda").requires_grad_() for _ in range(2)]
    h = [torch.randn(images, 512, device="cuda") for _ in range(2)]
    times = []
    for _ in range(9):
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        since = time.perf_counter()
        LOSSES[name](z, h).backward()
        torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - since))
        added = (torch.cuda.max_memory_allocated() - before) / 1e6
    what = f"{name}, N = {images}"
    return [
        {"what": f"{what}: milliseconds", "measured": sorted(times[2:])[3]},
        {"what": f"{what}: extra MB", "measured": added},
    ]


def main() -> None:
    """Measure, and save."""
    if not torch.cuda.is_available():
        print("no GPU: nothing measured")
        return
    rates: list[float] = []
    clock = Clock(FIRST, BATCH, rates.append)
    trainer = quiet_trainer(
        max_steps=STEPS, precision="bf16-mixed", limit_val_batches=0, callbacks=[ChannelsLast(), clock], **ONE
    )
    trainer.fit(SimCLR(ResNet(18), 0.5, optimizer=sgd, scheduler=None), our_data(BATCH, images=10 * BATCH))
    since = time.perf_counter()
    learner = quiet_trainer(max_epochs=100, callbacks=[ChannelsLast(), OnlineLinearProbe(), Reached()], **ONE)
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
    for images in (4096, 16384, 65536):
        for name in LOSSES:
            lines += of_loss(name, images)
    save("gpu", device=torch.cuda.get_device_name(), lines=lines)


if __name__ == "__main__":
    main()
