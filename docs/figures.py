"""Draw the README's pictures: ``python docs/figures.py CHECKPOINT`` with a checkpoint of the quick start."""

import sys
from pathlib import Path

import torch

from lit_hardcl import ContrastiveDataModule, SimCLRCombined
from lit_hardcl.functional import cosine_similarity, difficult_pairs
from lit_hardcl.plots import similarity_ranking


@torch.no_grad()
def main(checkpoint: str) -> None:
    """Rank 128 held-out digits, two views each, by a trained backbone, as a training step would."""
    module = SimCLRCombined.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    data = ContrastiveDataModule(batch_size=128)
    images = data.held_out_images
    pixels = images.pixels[:128]
    raw = next(iter(data.train_dataloader()))._replace(images=pixels)
    views = data.on_after_batch_transfer(raw, 0).views
    features = module(torch.cat(views))
    similarity = cosine_similarity(features)
    itself = torch.eye(256, dtype=torch.bool)
    difficult = difficult_pairs(similarity, module.criterion.pos_high, module.criterion.pos_low, itself)

    targets = images.targets[:128].repeat(2)
    right = (difficult & (targets != targets[:, None])).sum(dim=1) / difficult.sum(dim=1)
    anchor = int(right.argsort()[128])  # neither the best choice of the batch nor the worst: the median
    keys = ~itself[anchor]
    shown = torch.cat(views)[:, 0]
    figure = similarity_ranking(
        similarity[anchor, keys],
        (targets == targets[anchor])[keys],
        difficult[anchor, keys],
        shown[anchor],
        shown[keys],
    )
    target = Path(__file__).parent / "images/ranking.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1])
