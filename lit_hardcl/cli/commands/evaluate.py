"""``lit-hardcl evaluate``: what the features of a checkpoint's backbone are worth, as a table and as JSON."""

from dataclasses import asdict
from pathlib import Path

from torch import nn

from lit_hardcl.cli.commands.trained import best_device, defaults, trained_backbone
from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.errors import check_seed
from lit_hardcl.evaluation import (
    CATALOGUE,
    NeighbourSettings,
    ProbeSettings,
    cache_key,
    cached,
    frozen_features,
    measured,
)
from lit_hardcl.files import check_place, write_json

__all__ = ["command", "defaults"]


def command(
    checkpoint: str,
    backbone: nn.Module | None = None,
    data: ContrastiveDataModule | None = None,
    prefix: str | None = None,
    classifier: str | None = None,
    probe: ProbeSettings = ProbeSettings(),  # noqa: B008 (frozen)
    neighbours: NeighbourSettings = NeighbourSettings(),  # noqa: B008
    output: str | None = None,
    cache: str | None = None,
    seed: int = 0,
    trust: str | None = None,
) -> None:
    """Evaluate the frozen features of a checkpoint's backbone.

    A linear probe, weighted nearest neighbours and scikit-learn's logistic regression (on at most 5,000 images) are
    trained on clean views of the training images, and their top-1 on held-out images is shown, with the alignment of
    two random views of these, and uniformity and effective rank (RankMe) of their clean views.

    Args:
        checkpoint: file of a run of this library, beside its config.yaml; or any file of a backbone's weights.
        backbone: class or function that makes the backbone; the run's own if its config.yaml lies beside it.
        data: images to evaluate on; those the run was trained on and held out.
        prefix: beginning of the backbone's names in the checkpoint, such as `module.encoder.`; found if not given.
        classifier: part of the backbone to leave out, such as torchvision's `fc`, since features come before it.
        trust: packages whose classes the run's configuration may name, besides this library, torch.nn, torch.optim,
            torchvision and timm; separated by commas.
        probe: settings of the linear probe; `--config configs/evaluate/cifar10.yaml` has the paper's.
        neighbours: settings of the vote.
        output: JSON file; evaluation.json beside the checkpoint.
        cache: file to keep the features in for the next time.
        seed: seed of the probe's order of images and of the random views.
    """
    check_seed(seed)
    file = check_place(Path(checkpoint).with_name("evaluation.json") if output is None else output)
    kept = None if cache is None else check_place(cache, "cache")
    backbone, data, digest = trained_backbone(checkpoint, backbone, data, prefix, classifier)
    device = best_device()

    def compute():  # type: ignore[no-untyped-def]
        return frozen_features(backbone, data, device, seed)

    frozen = cached(kept, cache_key(backbone, data, seed), compute) if kept else compute()
    numbers = measured(frozen, data.num_classes, probe, neighbours, seed, device)
    held_out, width = frozen.held_out.features.shape
    print(f"{checkpoint} on {data.dataset}: {len(frozen.train.targets)} training and {held_out} held-out images")
    for row in CATALOGUE:
        what = f"  of {row.limit(held_out, width)}" if row.limit else ""
        value = f"{numbers[row.name]:10.4f}{what}" if row.name in numbers else f"{'-':>10}  (no labels)"
        print(f"{row.label:20}{value}")
    write_json(
        file,
        {
            "checkpoint": checkpoint,
            "sha256": digest,
            "dataset": data.dataset,
            "images": {"train": len(frozen.train.targets), "held_out": held_out},
            "width": width,
            **numbers,
            "probe": asdict(probe),
            "neighbours": asdict(neighbours),
            "seed": seed,
        },
    )
    print(f"numbers     {file}")
