"""Synthetic negatives of each anchor, for the queue of a momentum encoder: SynCo's six kinds and MoCHi's two."""

import os
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lit_hardcl.errors import Refusal, check_positive, check_range, check_seed, check_whole
from lit_hardcl.functional import unit_vectors
from lit_hardcl.functional.synthetic import KINDS, pick_hard, synthetic_negative
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.rows import OwnKeys

Draw = Callable[..., Float[Tensor, "anchors columns"]]


class SynCo:
    """Makes synthetic negatives of six kinds for each anchor alone, out of its hardest ones (arXiv:2410.02401).

    What is made of them is :func:`~lit_hardcl.functional.synthetic.synthetic_negative`. Neither queries nor keys get a
    gradient through it. Negatives are all of the anchor's keys but its positive and those of its image; they are ranked
    by the cosines of projections. An anchor without negatives gets its own opposite, the easiest key there is.

    Args:
        hardest: number of an anchor's hardest negatives that are used.
        interpolated: number of synthetic negatives between a hard one and the query.
        extrapolated: number beyond a hard one, seen from the query.
        mixed: number between two hard ones.
        noised: number of hard ones with noise.
        perturbed: number of hard ones moved along the gradient of their similarity.
        adversarial: number of hard ones moved along the sign of that gradient.
        sizes: largest coefficients or lengths of the six kinds, in this order; the paper's.
        warm_up: number of epochs without synthetic negatives.
        seed: seed of the draws; ``None``: that of ``seed_everything``, or else 0.

    Raises:
        Refusal: if a setting breaks its rule.
    """

    def __init__(
        self,
        hardest: int = 1024,
        interpolated: int = 256,
        extrapolated: int = 256,
        mixed: int = 256,
        noised: int = 64,
        perturbed: int = 64,
        adversarial: int = 64,
        sizes: tuple[float, float, float, float, float, float] = (0.5, 1.5, 1.0, 0.01, 0.01, 0.01),
        warm_up: int = 0,
        seed: int | None = None,
    ) -> None:
        numbers = (interpolated, extrapolated, mixed, noised, perturbed, adversarial)
        check_whole(1, hardest=hardest)
        check_whole(0, 10**6, **dict(zip(KINDS, numbers, strict=True)))
        check_whole(0, warm_up=warm_up)
        if len(sizes) != len(KINDS):
            raise Refusal(f"sizes must be {len(KINDS)} numbers, of {', '.join(KINDS)}, got {sizes}")
        check_range("[0, 1]", **{"sizes of interpolated": sizes[0], "sizes of mixed": sizes[2]})
        check_range("[1, 1e6]", **{"sizes of extrapolated": sizes[1]})
        check_positive(**{f"sizes of {kind}": size for kind, size in zip(KINDS[3:], sizes[3:], strict=True)})
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if seed is None else seed
        check_seed(self.seed)
        self.hardest, self.warm_up = hardest, warm_up
        self.counts = {kind: number for kind, number in zip(KINDS, numbers, strict=True) if number}
        self.sizes = dict(zip(KINDS, sizes, strict=True))

    def of(self, rectangle: Rectangle, draw: Draw) -> OwnKeys | None:
        """The function that makes the keys of some anchors; ``None`` if none are made.

        Args:
            rectangle: anchors and keys.
            draw: function from ``torch.rand`` or ``torch.randn``, a number of columns, a number of the stream and, for
                some anchors only, their slice to random numbers of anchors, the same for any number of processes.
        """
        if not self.counts:
            return None
        queries = unit_vectors(rectangle.anchors.detach())
        keys = queries if rectangle.keys is None else unit_vectors(rectangle.keys.detach())
        drawn = {kind: draw(torch.rand, 3 * count, 2 * KINDS.index(kind)) for kind, count in self.counts.items()}

        def make(rows: slice, similarity: Tensor) -> Float[Tensor, "some_anchors made dim"]:
            exclude, query = rectangle.exclude(similarity, rows), queries[rows].unsqueeze(1)
            is_negative = torch.ones_like(similarity, dtype=torch.bool) if exclude is None else ~exclude
            is_negative.scatter_(1, rectangle.positives[rows].unsqueeze(1), False)
            made = []
            for kind, count in self.counts.items():
                one, two, third = drawn[kind][rows].split(count, dim=1)
                columns = pick_hard(similarity, is_negative, self.hardest, torch.cat([one, two], dim=1))
                negative, other = keys[columns.clamp(min=0)].split(count, dim=1)
                noise = negative
                if kind == "noised":  # a number for each dim: too many to draw for all anchors at once
                    noise = draw(torch.randn, count * keys.shape[1], 2 * KINDS.index(kind) + 1, rows)
                    noise = noise.unflatten(1, (count, -1))
                numbers = third.unsqueeze(2).to(keys.dtype)
                new = synthetic_negative(kind, query, negative, other, numbers, noise.to(keys.dtype), self.sizes[kind])
                made.append(new.where(columns[:, :count].unsqueeze(2) >= 0, -query))
            return torch.cat(made, dim=1)

        return OwnKeys(make, sum(self.counts.values()))


class MoCHi(SynCo):
    """Mixes hard negatives with each other and with the query (MoCHi, arXiv:2010.01028).

    Args:
        hardest: number of an anchor's hardest negatives that are used, the paper's N.
        mixed: number of synthetic negatives between two hard ones, its s.
        mixed_with_query: number between a hard one and the query, nearer to the hard one, its s'.
        settings: ``sizes``, ``warm_up`` and ``seed`` of :class:`SynCo`.

    Raises:
        Refusal: if a setting breaks its rule.
    """

    def __init__(self, hardest: int = 1024, mixed: int = 1024, mixed_with_query: int = 128, **settings: Any) -> None:
        check_whole(0, 10**6, mixed_with_query=mixed_with_query)
        super().__init__(hardest, mixed_with_query, 0, mixed, 0, 0, 0, **settings)
