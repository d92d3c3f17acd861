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
from turns import ALLOCATOR, COMBINED, alternate, ratio, resident, save

from lit_hardcl import DifficultPairLoss
from lit_hardcl.losses import RowLoss

DIM, WIDTH, ROUNDS = 128, 512, 15
NAMES = ("naive plain", "plain", "plain by rows", "naive combined", "combined", "combined by rows", "lightly")
METRIC_LEARNING = "pytorch-metric-learning"


class ByRows(DifficultPairLoss):
    """The formula run by the engine, not its fast path."""

    of = RowLoss.of


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
    high, low = (ranked[:, [int(COMBINED[end] * count)]] for end in ("pos_high", "pos_low"))
    difficult = (similarity >= low) & (similarity < high)
    z = F.normalize(torch.cat([z0, z1]))
    s = z @ z.T
    treated = (s + COMBINED["margin"]) / (0.5 * COMBINED["temperature_scale"])
    logits = torch.where(difficult, treated, s / 0.5).masked_fill(itself, -torch.inf)
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
    kind = ByRows if name.endswith("by rows") else DifficultPairLoss
    plain, combined = kind(0.5), kind(0.5, **COMBINED)
    return (lambda: combined(*z, *h).backward()) if name.startswith("combined") else lambda: plain(*z).backward()


def extra_memory(name: str, images: int) -> float:
    """Of this process, which must be a fresh one: what one pass adds to its resident size, in MB."""
    return high_water(program(name, 8), program(name, images))


def high_water(warm: Callable[[], object], run: Callable[[], object]) -> float:
    """How far one run raises this process's resident size, in MB; another before it loads what is needed once."""
    warm()
    Path("/proc/self/clear_refs").write_text("5")  # the highest size starts anew
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def memory(name: str, images: int) -> float:
    """:func:`extra_memory` in a process that gives memory back, so that none is hidden."""
    environment = {key: value for key, value in os.environ.items() if key not in ALLOCATOR}
    command = [sys.executable, __file__, "--memory", name, str(images)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def times(images: int, *names: str, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of those losses that are installed."""
    return alternate({name: program(name, images) for name in names if is_here(name)}, rounds)


def is_here(name: str) -> bool:
    """Whether a peer's package is installed."""
    return name not in (METRIC_LEARNING, "lightly") or find_spec(name.replace("-", "_")) is not None


def timed(seconds: dict[str, list[float]], n: int, name: str, other: str, at_most: float | None = None) -> dict:
    """A line: the one's time by the other's, if that one is installed."""
    measured, *quartiles = ratio(seconds, name, other) if other in seconds else (None,)
    return {
        "what": f"{name}, N = {n}: time / {other}",
        "measured": measured,
        "quartiles": quartiles,
        "at_most": at_most,
    }


def measure() -> list[dict[str, object]]:
    """Every line beside its target."""
    seconds = times(512, *NAMES)
    small = times(128, METRIC_LEARNING, "plain", rounds=5)  # its memory grows with the cube of N
    at = {(name, images): memory(name, images) for name in ("plain", "combined") for images in (2048, 4096, 8192)}
    usual = [(name, 4096) for name in seconds if name not in ("plain", "combined")]
    usual += [(METRIC_LEARNING, 256)] if METRIC_LEARNING in small else []
    grown = {name: at[name, 8192] / at[name, 2048] for name in ("plain", "combined")}
    return [
        timed(seconds, 512, "plain", "naive plain", 0.65),
        timed(seconds, 512, "plain", "lightly", 0.45),
        timed(small, 128, "plain", METRIC_LEARNING),
        timed(seconds, 512, "combined", "naive combined", 0.60),
        timed(seconds, 512, "combined", "naive plain", 2.5),
        *(timed(seconds, 512, f"{name} by rows", name) for name in ("plain", "combined")),
        {"what": "plain, N = 4096: extra MB", "measured": at["plain", 4096], "at_most": 60},
        {"what": "combined, N = 4096: extra MB", "measured": at["combined", 4096], "at_most": 120},
        *({"what": f"{name}: extra MB, N = 8192 / 2048", "measured": grown[name], "at_most": 4.5} for name in grown),
        *({"what": f"{name}, N = {n}: extra MB", "measured": memory(name, n)} for name, n in usual),
    ]


def main() -> None:
    """Print each line beside its target, and save them."""
    if "--memory" in sys.argv:
        print(extra_memory(sys.argv[2], int(sys.argv[3])))
        return
    if any(os.environ.get(key) != value for key, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    lines = measure()
    for line in lines:
        measured = "not installed" if line["measured"] is None else f"{line['measured']:.4g}"
        print(f"  {line['what']:46}{measured:>14}   {'<= ' + str(line['at_most']) if line.get('at_most') else ''}")
    save("losses", threads=torch.get_num_threads(), lines=lines)


if __name__ == "__main__":
    main()
