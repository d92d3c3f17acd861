"""``theory collapse``: the second paper's condition for collapse, on random vectors or a checkpoint's projections."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_hardcl import plots, theory
from lit_hardcl.cli.commands.printing import print_table, save_figure
from lit_hardcl.cli.commands.trained import load_run
from lit_hardcl.errors import Refusal, check_seed, check_whole

Vectors = NDArray[np.float64]


def collapse(
    checkpoint: Path | None = None,
    positives: int = 64,
    negatives: int | None = None,
    dim: int | None = None,
    tau: float | None = None,
    tolerance: float = 5.0,
    seed: int = 0,
    output: str = "theory_collapse.png",
    trust: str | None = None,
) -> None:
    """How far positives are from being the best anchor for the loss, and from the hull of their negatives.

    With ``--checkpoint``, one training batch of its run is projected: an image's first view is the anchor, the second
    its positive, and all views of the other images are the negatives. Without, all vectors are random.

    Args:
        checkpoint: file of a run, with its config.yaml beside it.
        positives: number to examine, from the batch's first ones on; 30 ms each with 510 negatives in 128 dimensions.
        negatives: number beside each random positive, 510 by default.
        dim: width of the random vectors, 128 by default.
        tau: temperature of the loss; by default the checkpoint's, or else .5.
        tolerance: degrees up to which the best anchor counts as on its positive.
        seed: seed of the random vectors.
        output: the figure's file; none if empty.
        trust: packages whose classes the run's configuration may name, besides this library, torch.nn, torch.optim,
            torchvision and timm; separated by commas.

    Raises:
        ValueError: if a number is out of range, or the checkpoint's loss has no temperature and none is given.
    """
    plots.check_figure_file(output)
    check_whole(1, positives=positives)
    check_seed(seed)
    if not 0 < tolerance <= 180:
        raise Refusal(f"tolerance is an angle in degrees, above 0 and at most 180, got {tolerance}")
    if checkpoint is None:
        shape = positives, 510 if negatives is None else negatives, 128 if dim is None else dim
        theory.hull_miss_probability(*shape[1:])  # refuses counts out of range
        rng = np.random.default_rng(seed)
        own, others = (_unit(rng.normal(size=size)) for size in (shape[::2], shape))
        tau, measured, source = 0.5 if tau is None else tau, None, "random vectors"
    elif negatives is not None or dim is not None:
        raise Refusal(f"negatives and dim are a checkpoint's own: leave out negatives={negatives}, dim={dim}")
    else:
        views, tau = _projected_views(checkpoint, tau, trust)
        count, images = min(positives, len(views[0])), np.arange(len(views[0]))
        own = views[1][:count]
        others = np.stack([np.concatenate([view[images != image] for view in views]) for image in range(count)])
        measured = np.degrees(np.arccos(np.clip(np.sum(views[0][:count] * own, axis=1), -1, 1)))
        source = f"the first of {len(images)} images of a training batch of {checkpoint}"
    found = theory.collapse_statistics(own, others, tau)
    angle, (count, number, width) = np.degrees(found.angle), others.shape
    print(f"{count} positives: {source}; {number} negatives of each, {width} dimensions, tau = {tau:g}\n")
    columns = {"from a positive to its best anchor, degrees": angle}
    if measured is not None:
        columns["from a positive to the encoder's anchor, degrees"] = measured
    columns["residual of the condition for collapse"] = found.residual
    columns["from the positive's line to the negatives' hull"] = found.distance
    head = ["", "5 %", "median", "95 %"]
    print_table(head, ([name, *(f"{q:.4g}" for q in np.quantile(x, [0.05, 0.5, 0.95]))] for name, x in columns.items()))
    chance = theory.hull_miss_probability(number, width)
    print(f"\nnearly stationary (best anchor within {tolerance:g} degrees): {np.mean(angle <= tolerance):.1%}")
    print(f"line misses the hull, so that collapse is ruled out: {np.mean(found.distance > 0):.1%}")
    print(f"the same for negatives spread at random: probability {chance:.3g}")
    save_figure(plots.collapse_histograms(angle, found.distance, tolerance, measured), output)


@torch.no_grad()
def _projected_views(checkpoint: Path, tau: float | None, trust: str | None) -> tuple[list[Vectors], float]:
    """Unit vectors of every view of a checkpoint's first training batch, and its loss's temperature."""
    module, data = load_run(checkpoint, trust)
    if tau is None:
        tau = getattr(getattr(module, "criterion", None), "temperature", None)
    if tau is None:
        raise Refusal(f"{type(module).__name__} names no temperature of its loss: give --tau")
    data.setup("fit")
    views: list[Tensor] = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)[0]
    if len(views) < 2:
        raise Refusal(f"anchors and positives need 2 views of an image, this run's batches have {len(views)}")
    head = getattr(module, "projection_head", torch.nn.Identity())
    return [_unit(head(module(view)).double().numpy()) for view in views], tau


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
