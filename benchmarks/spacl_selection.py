"""Share of a SPACL training step that its selections take: ``python benchmarks/spacl_selection.py --batch 256``.

Selection is all that plain contrast would not do: anchors, farthest points, screening. Programs take turns within one
run, and a share is the median of the rounds' shares, with its quartiles.
"""

import torch
from turns import alternate, options, ratio, save

from lit_hardcl import SPACL
from lit_hardcl.functional import cosine_similarity, unit_vectors
from lit_hardcl.losses import hard_sets
from lit_hardcl.models import ResNet


def share(batch: int, views: int, supervision: str) -> tuple[float, float, float]:
    """Of a step (forward, selection, losses, backward) of the quick start's network on so many images."""
    torch.manual_seed(0)
    backbone = ResNet(10, width=32, stem="imagenet", in_channels=1)
    module = SPACL(backbone, temperature=0.5, seed=0, supervision=supervision)
    images = list(torch.randn(views, batch, 1, 32, 32))
    targets = torch.arange(batch) % 10
    candidates = unit_vectors(torch.randn(views, batch, 128))
    groups = targets if supervision == "labels" else None

    def step() -> None:
        losses, _, _ = module.losses(images, targets, 0, 0)
        torch.stack(list(losses.values())).sum().backward()

    keys = torch.cat([candidates.flatten(0, 1), unit_vectors(torch.randn(batch, 128))])  # a generated one per anchor
    own = torch.arange(batch) if groups is None else groups
    exclude = own.unsqueeze(1) == torch.cat([own.repeat(views), torch.full((batch,), -1)])
    similarity = cosine_similarity(keys[:batch], keys)

    def selection() -> None:
        hard_sets(candidates, 2, "dynamic", groups)
        module.criterion.kept(similarity, exclude)

    return ratio(alternate({"step": step, "selection": selection}, rounds=15), "selection", "step")


def main() -> None:
    """Print the shares, and save them."""
    batch = options(batch=256).batch
    shares = {supervision: share(batch, 4, supervision) for supervision in ("none", "labels")}
    for supervision, (value, *_) in shares.items():
        print(f"  supervision {supervision:8}{value:7.1%} of a step, pools of 4 views, batch {batch}")
    save("spacl_selection", batch=batch, shares=shares)


if __name__ == "__main__":
    main()
