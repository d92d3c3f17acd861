"""How a step grows with batch, image size, classes and processes: ``python benchmarks/scaling.py``.

All batches, or all sizes, take turns within one process; what is printed are milliseconds, or images per second.
"""

import os
import subprocess
import sys
from collections.abc import Callable

import torch
from programs import Clock, combined_module, our_data, quiet_trainer
from torch import nn
from torch.nn import functional as F
from turns import ALLOCATOR, alternate, options, save

TOGETHER = 256  # images a step, of all processes


def parts(batch: int, size: int) -> dict[str, Callable[[], object]]:
    """The views, the network and the combined loss for so many images."""
    data, net = our_data(batch, size, batch), combined_module()
    raw = next(iter(data.train_dataloader()))
    views = torch.cat(data.on_after_batch_transfer(raw, 0).views)
    z, h = torch.randn(2 * batch, 128, requires_grad=True), torch.randn(2 * batch, 128)
    return {
        "views": lambda: data.on_after_batch_transfer(raw, 0),
        "network": lambda: net.projection_head(net(views)).square().mean().backward(),
        "loss": lambda: net.criterion(*z.chunk(2), *h.chunk(2)).backward(),
    }


def probe(classes: int) -> Callable[[], None]:
    """The online probe's step on 512 features of 128."""
    linear, features = nn.Linear(128, classes), torch.randn(512, 128)
    optimizer, targets = torch.optim.Adam(linear.parameters()), torch.randint(0, classes, (512,))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(linear(features), targets).backward()
        optimizer.step()

    return step


def processes(count: int) -> float:
    """Images per second, the cores shared out among so many processes."""
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
    trainer = quiet_trainer(
        accelerator="cpu",
        devices=count,
        strategy="ddp_fork" if count > 1 else "auto",
        max_steps=15,
        limit_val_batches=0,
        callbacks=[Clock(3, TOGETHER, lambda rate: print(f"rate {rate}", flush=True))],
    )
    trainer.fit(combined_module(), our_data(TOGETHER // count))


def main() -> None:
    """Measure, and save."""
    given = options(rounds=5, worker=0)
    if given.worker:
        worker(given.worker)
        return
    cases = {"batch": [(batch, 32) for batch in (64, 128, 256, 512, 1024)], "size": [(128, s) for s in (32, 64, 96)]}
    seconds = {}
    for kind, settings in cases.items():
        programs = {(*case, name): part for case in settings for name, part in parts(*case).items()}
        times = alternate(programs, given.rounds)
        place = 0 if kind == "batch" else 1
        seconds[kind] = {case[place]: {n: times[*case, n] for n in ("views", "network", "loss")} for case in settings}
    classes = alternate({count: probe(count) for count in (10, 100, 1000)}, 5 * given.rounds)
    rates = [{count: processes(count) for count in (1, 2)} for _ in range(3)]
    save("scaling", **seconds, classes=classes, processes={count: [rate[count] for rate in rates] for count in (1, 2)})


if __name__ == "__main__":
    main()
