"""What all losses of rows share: their settings, the gather across processes, the rectangle of anchors and keys."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.profiler import record_function

from lit_hardcl.contract import check_targets
from lit_hardcl.distributed import Keys
from lit_hardcl.errors import Refusal
from lit_hardcl.functional.contrast import check_treatment
from lit_hardcl.losses.rows import RowFormula, by_rows, check_chunk_size, check_floating, nan_unless_finite


@dataclass(frozen=True)
class Rectangle:
    """Anchors and keys, and what is known of them.

    Attributes:
        anchors: projections.
        keys: projections, with or without gradient; ``None``: the anchors.
        positives: the column of each anchor's positive.
        own: the column of each anchor itself, which is no key of its own; ``None``: it is not among the keys.
        anchor_features: before the projector, without gradient; ``None``: not known.
        key_features: the same of the keys; ``None`` where ``keys`` is.
        anchor_targets: classes, -1 where unknown; ``None``: not known.
        key_targets: the same of the keys; ``None`` where ``keys`` is.
        anchor_images: number of each anchor's image, -1 where unknown. A key of this image that is not its positive,
            such as an older one in a queue, is no key of its. ``None``: not known.
        key_images: the same of the keys, -1 where unknown or never to be left out.
    """

    anchors: Float[Tensor, "anchors dim"]
    keys: Float[Tensor, "keys dim"] | None
    positives: Int[Tensor, " anchors"]
    own: Int[Tensor, " anchors"] | None = None
    anchor_features: Float[Tensor, "anchors width"] | None = None
    key_features: Float[Tensor, "keys width"] | None = None
    anchor_targets: Int[Tensor, " anchors"] | None = None
    key_targets: Int[Tensor, " keys"] | None = None
    anchor_images: Int[Tensor, " anchors"] | None = None
    key_images: Int[Tensor, " keys"] | None = None

    def exclude(
        self, similarity: Float[Tensor, "some_anchors keys"], rows: slice
    ) -> Bool[Tensor, "some_anchors keys"] | None:
        """True at each anchor itself and at other keys of its image; ``None`` if there are none to be known."""
        if (same := self.same_image(rows)) is None:
            if self.own is None:
                return None
            same = torch.zeros_like(similarity, dtype=torch.bool)
        return same if self.own is None else same.scatter_(1, self.own[rows].unsqueeze(1), True)

    def same_image(self, rows: slice) -> Bool[Tensor, "some_anchors keys"] | None:
        """True at each anchor's keys that show its image, but for its positive; ``None`` if images are not known."""
        if self.anchor_images is None or self.key_images is None:
            return None
        images = self.anchor_images[rows].unsqueeze(1)
        same = images.masked_fill(images < 0, -2) == self.key_images  # -1 is nobody's
        return same.scatter_(1, self.positives[rows].unsqueeze(1), False)

    def same_label(
        self, similarity: Float[Tensor, "some_anchors keys"], rows: slice
    ) -> Bool[Tensor, "some_anchors keys"]:
        """True at each anchor's positive and at every key of its label that is not excluded."""
        if self.anchor_targets is None:
            raise Refusal("a loss of labels needs targets, got none")
        targets = self.anchor_targets[rows].unsqueeze(1)
        same = (targets == (self.anchor_targets if self.key_targets is None else self.key_targets)) & (targets >= 0)
        same = same.scatter(1, self.positives[rows].unsqueeze(1), True)
        exclude = self.exclude(similarity, rows)
        return same if exclude is None else same & ~exclude


class RowLoss(nn.Module):
    """Mean over this process's anchors of a row formula, over the keys of all processes.

    A loss of one's own says its :meth:`formula`; what it needs besides projections, by the two class attributes: it is
    refused a batch without.

    Args:
        temperature: divisor of the cosines, positive and finite; a loss without one leaves it at 1.
        gather_distributed: whether the images of all processes are contrasted. Each must bring equally many.
        chunk_size: anchors contrasted at a time, which changes memory and time but not the loss; ``None``: so many that
            a matrix of them has 4 MB on a CPU, 256 MB elsewhere.

    Raises:
        Refusal: if a setting breaks its rule.
    """

    uses_features: bool = False
    uses_targets: bool = False

    def __init__(
        self, temperature: float = 1.0, gather_distributed: bool = True, chunk_size: int | None = None
    ) -> None:
        super().__init__()
        check_treatment(temperature, margin=0.0, temperature_scale=1.0)
        check_chunk_size(chunk_size)
        self.temperature = temperature
        self.gather_distributed = gather_distributed
        self.chunk_size = chunk_size

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """The row formula for these anchors and keys, as :func:`by_rows` takes it."""
        raise NotImplementedError(f"{type(self).__name__} has no formula(rectangle)")

    def forward(
        self,
        z0: Float[Tensor, "batch dim"],
        z1: Float[Tensor, "batch dim"],
        h0: Float[Tensor, "batch width"] | None = None,
        h1: Float[Tensor, "batch width"] | None = None,
        targets: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean loss of this process's 2 x batch anchors.

        NaN if a feature or a projection is not finite.

        Args:
            z0: projections of the first view of each image.
            z1: projections of the second view, in the same order.
            h0: features before the projector; both or neither.
            h1: the same for the second view.
            targets: classes of the images, -1 where unknown.

        Raises:
            Refusal: if shapes differ, one of ``h0``, ``h1`` or what the loss needs is missing, or there is only one
                image.
        """
        _check_views(z0, z1, h0, h1, targets)
        keys = Keys(len(z0), 2, z0.device, self.gather_distributed)

        def sides(rows: Tensor) -> tuple[Tensor, Tensor | None]:
            return rows, keys.of(rows) if keys.processes > 1 else None

        with record_function("loss"):
            features: tuple[Tensor | None, Tensor | None] = (None, None)
            if self.uses_features and h0 is not None and h1 is not None:
                features = sides(torch.cat([h0, h1]).detach())
            labels = sides(targets.repeat(2)) if self.uses_targets and targets is not None else (None, None)
            loss = self.of_rectangle(*sides(torch.cat([z0, z1])), keys.positives, keys.own, *features, *labels)
            return loss if self.uses_features else nan_unless_finite(loss, h0, h1)

    def of_rectangle(
        self,
        anchors: Float[Tensor, "anchors dim"],
        keys: Float[Tensor, "keys dim"] | None,
        positives: Int[Tensor, " anchors"],
        own: Int[Tensor, " anchors"] | None = None,
        anchor_features: Float[Tensor, "anchors width"] | None = None,
        key_features: Float[Tensor, "keys width"] | None = None,
        anchor_targets: Int[Tensor, " anchors"] | None = None,
        key_targets: Int[Tensor, " keys"] | None = None,
        anchor_images: Int[Tensor, " anchors"] | None = None,
        key_images: Int[Tensor, " keys"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of any anchors and keys, such as a queue's; arguments as in :class:`Rectangle`."""
        given = (anchors, keys, positives, own, anchor_features, key_features, anchor_targets, key_targets)
        if self.uses_features and anchor_features is None:
            raise Refusal(f"{type(self).__name__} uses features, got none: give h0 and h1")
        rectangle = Rectangle(*given, anchor_images, key_images)
        loss = by_rows(anchors, keys, self.formula(rectangle), self.chunk_size)
        return nan_unless_finite(loss, anchor_features, key_features)

    def extra_repr(self) -> str:
        """Settings, as ``print`` shows them."""
        return ", ".join(
            f"{name}={value}" for name, value in vars(self).items() if name[0] != "_" and name != "training"
        )


def _check_views(z0: Tensor, z1: Tensor, h0: Tensor | None, h1: Tensor | None, targets: Tensor | None) -> None:
    check_floating(z0, z1, *(rows for rows in (h0, h1) if rows is not None))
    if z0.shape != z1.shape:
        raise Refusal(f"both views must have projections of one shape, got {tuple(z0.shape)} and {tuple(z1.shape)}")
    if (h0 is None) != (h1 is None):
        raise Refusal("features must be given for both views or for neither, got one of h0 and h1")
    if h0 is not None and h1 is not None and not len(h0) == len(h1) == len(z0):
        raise Refusal(f"features must belong to the {len(z0)} projections, got {len(h0)} and {len(h1)} rows")
    if targets is not None:
        check_targets(targets)
    if targets is not None and len(targets) != len(z0):
        raise Refusal(f"targets must belong to the {len(z0)} projections, got {len(targets)}")
