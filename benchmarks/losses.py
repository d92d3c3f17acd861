"""Time and memory of the losses against the usual ways, each line beside its target.

Ratios of time are medians over rounds in which all programs take their turn. Memory is how far the resident size rises
above what it was before one forward and backward pass, each in a process of its own. Lightly is asked if it is there.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.nn import functional as F
from turns import ALLOCATOR, compare, resident, save

from lit_hardcl import DifficultPairLoss

DIM, WIDTH = 128, 512
NAMES = ("naive plain", "plain", "naive combined", "combined", "lightly")
METRIC_LEARNING = "pytorch-metric-learning"


def naive(z0: torch.Tensor, z1: torch.Tensor) -> torch.Tensor:
    """NT-Xent: normalise, the full matrix, mask, cross-entropy."""
    z = F.normalize(torch.cat([z0, z1]))
    logits = (z @ z.T / 0.5).masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z)).roll(len(z0)))


def naive_combined(z0: torch.Tensor, z1: torch.Tensor, h0: torch.Tensor, h1: torch.Tensor) -> torch.Tensor:
    """Eq. 12 and 16 of arXiv:2501.01317: a full sort of the features' similarities, masks, where."""
    itself = torch.eye(2 * len(z0), dtype=torch.bool)
    h = F.normalize(torch.cat([h0, h1]))
    similarity = (h @ h.T).masked_fill(itself, -torch.inf)
    ranked = similarity.sort(dim=1, descending=True).values
    count = len(h) - 1
    high, low = ranked[:, [int(0.15 * count)]], ranked[:, [int(0.22 * count)]]
    difficult = (similarity >= low) & (similarity < high)
    z = F.normalize(torch.cat([z0, z1]))
    s = z @ z.T
    logits = torch.where(difficult, (s + 0.03) / (0.5 * 0.6), s / 0.5).masked_fill(itself, -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z)).roll(len(z0)))


def program(name: str, images: int) -> Callable[[], object]:
    """Forward and backward of one loss on random projections and features."""
    generator = torch.Generator().manual_seed(0)
    z = [torch.randn(images, DIM, generator=generator).requires_grad_() for _ in range(2)]
    h = [torch.randn(images, WIDTH, generator=generator) for _ in range(2)]
    if name == "lightly":
        from lightly.loss import NTXentLoss

        criterion = NTXentLoss(0.5)
        return lambda: criterion(*z).backward()
    if name == METRIC_LEARNING:
        from pytorch_metric_learning.losses import NTXentLoss as PairLoss
        from pytorch_metric_learning.losses import SelfSupervisedLoss

        pairs = SelfSupervisedLoss(PairLoss(0.5))
        return lambda: pairs(*z).backward()
    if name == "naive plain":
        return lambda: naive(*z).backward()
    if name == "naive combined":
        return lambda: naive_combined(*z, *h).backward()
    plain, combined = DifficultPairLoss(0.5), DifficultPairLoss(0.5, 0.15, 0.22, 0.03, 0.6)
    return (lambda: combined(*z, *h).backward()) if name == "combined" else lambda: plain(*z).backward()


def extra_memory(name: str, images: int) -> float:
    """Of this process, which must be a fresh one: what one pass adds to its resident size, in MB."""
    program(name, 8)()  # what is loaded and started once is no matter of the batch
    run = program(name, images)
    Path("/proc/self/clear_refs").write_text("5")  # the highest size starts anew
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def memory(name: str, images: int) -> float:
    """:func:`extra_memory` in a process that gives memory back, so that none is hidden."""
    environment = {key: value for key, value in os.environ.items() if key not in ALLOCATOR}
    command = [sys.executable, __file__, "--memory", name, str(images)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def measure(names: tuple[str, ...]) -> list[dict[str, object]]:
    """Every line: what, measured, target."""
    time = compare({name: program(name, 512) for name in names})
    small = {}  # its memory grows with the cube of N
    if find_spec("pytorch_metric_learning"):
        small = compare({name: program(name, 128) for name in (METRIC_LEARNING, "plain")}, rounds=5)
    at = {(name, images): memory(name, images) for name in ("plain", "combined") for images in (2048, 4096, 8192)}
    usual = {name: memory(name, 4096) for name in names if name not in ("plain", "combined")}
    lines: list[tuple[str, float | None, float | None]] = [
        ("plain, N = 512: time / naive", time["plain"], 0.65),
        ("plain, N = 512: time / lightly", time["plain"] / time["lightly"] if "lightly" in time else None, 0.45),
        ("combined, N = 512: time / naive combined", time["combined"] / time["naive combined"], 0.60),
        ("combined, N = 512: time / naive plain", time["combined"], 2.5),
        ("plain, N = 4096: extra MB", at["plain", 4096], 60),
        ("combined, N = 4096: extra MB", at["combined", 4096], 120),
        ("plain: memory, N = 8192 / N = 2048", at["plain", 8192] / at["plain", 2048], 4.5),
        ("combined: memory, N = 8192 / N = 2048", at["combined", 8192] / at["combined", 2048], 4.5),
        *((f"{name}, N = 4096: extra MB", value, None) for name, value in usual.items()),
        (f"plain, N = 128: time / {METRIC_LEARNING}", small.get("plain"), None),
        (f"{METRIC_LEARNING}, N = 256: extra MB", memory(METRIC_LEARNING, 256) if small else None, None),
    ]
    return [{"what": what, "measured": measured, "target": target} for what, measured, target in lines]


def main() -> None:
    """Print each line beside its target, and save them."""
    if "--memory" in sys.argv:
        print(extra_memory(sys.argv[2], int(sys.argv[3])))
        return
    if any(os.environ.get(key) != value for key, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    lines = measure(tuple(name for name in NAMES if name != "lightly" or find_spec("lightly")))
    for line in lines:
        measured = "not installed" if line["measured"] is None else f"{line['measured']:.2f}"
        print(f"  {line['what']:46}{measured:>14}   {'' if line['target'] is None else '<= ' + str(line['target'])}")
    save("losses", threads=torch.get_num_threads(), lines=lines)


if __name__ == "__main__":
    main()
