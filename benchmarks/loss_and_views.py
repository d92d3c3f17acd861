"""Time of the losses and of the views, as ratios: ``make bench``.

Programs take turns within one run, and a ratio is the median of the rounds' ratios, because machines are noisy. The
naive losses are what the papers' equations look like when they are written down; torchvision's views are made image by
image, as its documentation shows.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F
from torchvision.transforms import v2

from lit_hardcl import DifficultPairLoss
from lit_hardcl.data import Augmentation, draw, random_views

ROUNDS = 15


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


def compare(programs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median ratio of each program's time to the first one's, over rounds in which all take their turn."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS + 2):
        for name, program in programs.items():
            start = time.perf_counter()
            program()
            times[name].append(time.perf_counter() - start)
    first, *_ = times.values()
    return {n: statistics.median(t / f for t, f in zip(ts[2:], first[2:], strict=True)) for n, ts in times.items()}


def losses(images: int) -> dict[str, float]:
    """Forward and backward, 128 dims, features of 512."""
    z = [torch.randn(images, 128, requires_grad=True) for _ in range(2)]
    h = [torch.randn(images, 512) for _ in range(2)]
    plain, combined = DifficultPairLoss(0.5), DifficultPairLoss(0.5, 0.15, 0.22, 0.03, 0.6)
    return compare(
        {
            "naive plain": lambda: naive(*z).backward(),
            "plain": lambda: plain(*z, *h).backward(),
            "naive combined": lambda: naive_combined(*z, *h).backward(),
            "combined": lambda: combined(*z, *h).backward(),
        }
    )


def views(images: int = 256) -> dict[str, float]:
    """Two views of 32x32 colour images."""
    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8)
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    one_by_one = v2.Compose(
        [
            v2.RandomResizedCrop(32, scale=(0.2, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    generator = torch.Generator().manual_seed(0)
    return compare(
        {
            "torchvision, image by image": lambda: [one_by_one(image) for image in pixels for _ in range(2)],
            "batched": lambda: random_views(pixels, draw(2, images, generator), Augmentation(), 32, mean, std),
        }
    )


def main() -> None:
    """Print the tables."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, CPU; medians of {ROUNDS} interleaved rounds")
    for title, ratios in (("loss, N = 512", losses(512)), ("two views, 256 images", views())):
        print(f"\n{title}")
        for name, ratio in ratios.items():
            print(f"  {name:30}{ratio:7.2f}")


if __name__ == "__main__":
    main()
