"""``lit-hardcl select``: a core of the training images, as a JSON file that ``--data.train_indices`` reads."""

from pathlib import Path
from typing import Literal

import sklearn
import torch
from torch import nn

from lit_hardcl.cli.commands.running import ASKED
from lit_hardcl.cli.commands.trained import best_device, defaults, trained_backbone
from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.errors import Refusal, check_choice, check_seed, check_whole
from lit_hardcl.evaluation import (
    extract_features,
    latent_classes,
    mean_direction,
    random_view_batches,
    select_core,
)
from lit_hardcl.files import check_place, write_json
from lit_hardcl.version import __version__

__all__ = ["command", "defaults"]

VARIANT = ("train_size", "mix_fraction", "remove_mixed", "imbalance", "train_indices", "seed")
VERSIONS = {"lit-hardcl": __version__, "torch": str(torch.__version__), "scikit-learn": sklearn.__version__}


def command(
    checkpoint: str,
    share: float | None = None,
    by: Literal["clusters", "labels"] = "clusters",
    clusters: int | None = None,
    views: int = 4,
    redundancy: float = 0.5,
    seed: int = 0,
    output: str | None = None,
    backbone: nn.Module | None = None,
    data: ContrastiveDataModule | None = None,
    prefix: str | None = None,
    classifier: str | None = None,
    trust: str | None = None,
) -> None:
    """Choose the training images that are most similar to their class, in the manner of SAS (arXiv:2302.09195).

    The backbone of the checkpoint is the proxy that tells how similar random views of two images are.

    Args:
        checkpoint: file of a run of this library, beside its config.yaml; or any file of a backbone's weights.
        share: part of each class, to be given, above 0 and below 1. arXiv:2501.01317 (Fig. 1) took 0.2 of CIFAR-10,
            0.95 of CIFAR-100, 0.8 of STL-10 and 0.6 of TinyImageNet.
        by: classes by k-means on the features, or by the labels.
        clusters: number of clusters; as many as the data have classes if not given.
        views: random views of each image.
        redundancy: weight with which similarity among the chosen counts against them; 1 is the paper's sum, above 0.5
            good for small shares only.
        seed: seed of the views and the clusters.
        output: JSON file; core.json beside the checkpoint.
        backbone: class or function that makes the backbone; the run's own if its config.yaml lies beside it.
        data: images to choose from; those the run was trained on.
        prefix: beginning of the backbone's names in the checkpoint, such as `module.encoder.`; found if not given.
        classifier: part of the backbone to leave out, such as torchvision's `fc`, since features come before it.
        trust: packages whose classes the run's configuration may name, besides this library, torch.nn, torch.optim,
            torchvision and timm; separated by commas.
    """
    if share is None or not 0 < share < 1:  # before any image is looked at; the choice itself asks again
        raise Refusal(f"share must be above 0 and below 1, got {share}")
    check_whole(1, views=views)
    check_seed(seed)
    check_choice("by", by, "clusters", "labels")
    if by == "labels" and clusters is not None:
        raise Refusal(f"clusters are of use with --by clusters only, got {clusters} with --by labels; leave it out")
    file = check_place(Path(checkpoint).with_name("core.json") if output is None else output)
    backbone, data, digest = trained_backbone(checkpoint, backbone, data, prefix, classifier)
    images = data.train_images
    if by == "labels" and (unlabelled := int((images.targets < 0).sum())):
        raise Refusal(f"--by labels needs a label on every image, got {unlabelled} without one; take --by clusters")
    device = best_device()
    batches = random_view_batches(data, images, views, seed, device)
    features = extract_features(backbone.to(device), batches, combine=mean_direction).features
    if by == "labels":
        classes = images.targets
    else:
        classes = latent_classes(features, data.num_classes if clusters is None else clusters, seed)
    rows = select_core(features, classes, share, redundancy)
    write_json(
        file,
        {
            "indices": images.indices[rows].tolist(),
            "dataset": data.dataset,
            "variant": {name: getattr(data, name) for name in VARIANT},
            "images": len(images),
            "share": share,
            "by": by,
            "clusters": None if by == "labels" else len(classes.unique()),
            "views": views,
            "redundancy": redundancy,
            "seed": seed,
            "checkpoint": checkpoint,
            "sha256": digest,
            "command": ["lit-hardcl", *ASKED.get()],
            "versions": VERSIONS,
        },
    )
    print(f"{len(rows)} of {len(images)} images of {data.dataset}, from {len(classes.unique())} {by}")
    print(f"core        {file}\nto train on it: --data.train_indices {file}")
