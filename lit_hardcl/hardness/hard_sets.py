"""Which embeddings of a batch are SPACL's anchors and hard positives; the pools may span all processes."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.profiler import record_function

from lit_hardcl.distributed import Keys
from lit_hardcl.errors import check_choice
from lit_hardcl.functional import farthest_points, hardest_candidate
from lit_hardcl.functional.pools import check_count

Anchor = Literal["dynamic", "fixed", "every"]


class HardSets(NamedTuple):
    """What is contrasted.

    Attributes:
        anchors: rows of the local candidates, view by view: row ``view * images + image``.
        images: image of each anchor, counted on this process.
        positives: embeddings of the hard positives, with gradient.
    """

    anchors: Int[Tensor, " anchors"]
    images: Int[Tensor, " anchors"]
    positives: Float[Tensor, "anchors positives dim"]


def hard_sets(
    candidates: Float[Tensor, "views images dim"],
    count: int,
    anchor: Anchor = "dynamic",
    labels: Int[Tensor, " images"] | None = None,
    ranking: Float[Tensor, "views images"] | None = None,
    gather_distributed: bool = True,
) -> HardSets:
    """Choose anchors and hard positives (SPACL, ICLR 2026, Sec. 2, steps 1-3).

    An image's pool is its own candidates or, with labels, those of all images of its label, on all processes. Its
    anchor is always one of its own, though hardness is measured against the pool: all images of a label share a pool
    and would otherwise share one anchor.

    Args:
        candidates: unit vectors; the clean view last, if there is one.
        count: positives beside the anchor, the paper's λ_P.
        anchor: ``"dynamic"``: the hardest candidate; ``"fixed"``: the last one, the clean view; ``"every"``: each
            candidate in turn, so that an image has as many anchors as views.
        labels: classes of the images; ``None``: self-supervised.
        ranking: uniform random numbers, of which the largest of a pool are its positives, with labels after adding the
            anchor's own, modulo 1; ``None``: the farthest points are.
        gather_distributed: whether pools may hold images of other processes.

    Raises:
        ValueError: if ``anchor`` is none of these, or unless every image has ``count`` candidates beside its anchor.
    """
    views, images, _ = candidates.shape
    check_choice("anchor", anchor, "dynamic", "fixed", "every")
    check_count(count, views)
    keys = Keys(images, views, candidates.device, gather_distributed and labels is not None, fewest=1)
    rows = candidates.flatten(0, 1)
    pool, pool_images = keys.of(rows), keys.image.repeat(views)
    own = keys.own[:images]  # an image's number is the column of its first view
    groups, pool_groups = (own, pool_images) if labels is None else (labels, keys.of(labels.repeat(views)))
    pool_ranking = None if ranking is None else keys.of(ranking.flatten())

    with torch.no_grad(), record_function("selection"):
        present = groups.unsqueeze(1) == pool_groups
        if anchor == "dynamic":
            chosen = hardest_candidate(pool.detach(), present, among=own.unsqueeze(1) == pool_images)
        elif anchor == "fixed":
            chosen = keys.own[-images:]
        else:
            chosen, present = keys.own, present.repeat(views, 1)
        if pool_ranking is None:
            positives = farthest_points(pool.detach(), chosen, count, present)
        else:
            scores = pool_ranking.expand(len(chosen), -1)
            if labels is not None:  # images of one label share a pool: turned by the anchor's number, not a ranking
                scores = (scores + pool_ranking[chosen].unsqueeze(1)) % 1
            scores = scores.masked_fill(~present, -torch.inf)
            positives = scores.scatter(1, chosen.unsqueeze(1), -torch.inf).topk(count).indices
    anchors = keys.anchors_at(chosen)
    return HardSets(anchors, anchors % images, pool[positives])
