"""Draw the README's pictures: ``python docs/figures.py COMBINED.ckpt SPACL.ckpt``, both of the quick start."""

import sys
from pathlib import Path

import torch
from torch import Tensor

from lit_hardcl import SPACL, ContrastiveDataModule, SimCLRCombined, SimilarityStatistics
from lit_hardcl.callbacks.similarities import subset
from lit_hardcl.evaluation import extract_features, of_rows
from lit_hardcl.functional import cosine_similarity, difficult_pairs, unit_vectors
from lit_hardcl.losses import hard_sets
from lit_hardcl.plots import hard_sets_of, similarity_ranking

IMAGES = Path(__file__).parent / "images"


def held_out_views(**settings: object) -> tuple[list[Tensor], Tensor]:
    """Views of 128 held-out digits, made as a training step's, and the digits' classes."""
    data = ContrastiveDataModule(batch_size=128, **settings)  # type: ignore[arg-type]
    raw = next(iter(data.train_dataloader()))._replace(images=data.held_out_images.pixels[:128])
    return data.on_after_batch_transfer(raw, 0).views, data.held_out_images.targets[:128]


@torch.no_grad()
def ranking(checkpoint: str) -> None:
    """The keys of the anchor whose selection is of median precision: neither the best of the batch nor the worst."""
    module = SimCLRCombined.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    views, targets = held_out_views()
    targets = targets.repeat(2)
    similarity = cosine_similarity(module(torch.cat(views)))
    itself = torch.eye(256, dtype=torch.bool)
    difficult = difficult_pairs(similarity, module.criterion.pos_high, module.criterion.pos_low, itself)
    precision = (difficult & (targets != targets[:, None])).sum(dim=1) / difficult.sum(dim=1)
    anchor = int(precision.argsort()[128])
    keys = ~itself[anchor]
    shown = torch.cat(views)[:, 0]
    same_class = (targets == targets[anchor])[keys]
    chosen = difficult[anchor, keys]
    figure = similarity_ranking(similarity[anchor, keys], same_class, chosen, shown[anchor], shown[keys])
    figure.savefig(IMAGES / "ranking.png", dpi=130)


def similarities(checkpoint: str) -> None:
    """As `SimilarityStatistics` draws them at the end of a run, with its defaults."""
    module = SimCLRCombined.load_from_checkpoint(checkpoint, map_location="cpu")
    data, statistics = ContrastiveDataModule(), SimilarityStatistics()
    rows = subset(data.train_images.targets, statistics.subset_size, statistics.seed)
    statistics.measure(extract_features(module, of_rows(data.clean_train_dataloader(), rows)))
    statistics.drawn(statistics.band(module)).savefig(IMAGES / "similarity.png", dpi=130)


@torch.no_grad()
def spacl(checkpoint: str) -> None:
    """Pool, anchor, positives and screened negatives of the first held-out digit."""
    module = SPACL.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    views, _ = held_out_views(num_views=3, clean_view=True)
    embeddings = unit_vectors(module.projection_head(module(torch.cat(views)))).unflatten(0, (4, 128))
    chosen = hard_sets(embeddings, module.positives)
    anchor = embeddings.flatten(0, 1)[chosen.anchors[0]]
    others = embeddings[:, 1:].flatten(0, 1)
    similarity = cosine_similarity(anchor.unsqueeze(0), others)
    kept = module.criterion.kept(similarity, torch.zeros_like(similarity, dtype=torch.bool))
    order = similarity[0].argsort(descending=True)
    positives = [int((embeddings[:, 0] == row).all(dim=1).nonzero()[0]) for row in chosen.positives[0]]
    pool, negatives = torch.stack(views)[:, 0, 0], torch.stack(views)[:, 1:, 0].flatten(0, 1)[order]
    figure = hard_sets_of(pool, int(chosen.anchors[0]) // 128, positives, negatives, int(kept.sum()))
    figure.savefig(IMAGES / "spacl.png", dpi=130)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    ranking(sys.argv[1])
    similarities(sys.argv[1])
    spacl(sys.argv[2])
