"""Anchors and keys, and what is known of them: what a row formula is made for."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lit_hardcl.errors import Refusal
from lit_hardcl.losses.rows import OwnKeys


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
        own_keys: maker of keys for each anchor alone, such as synthetic ones. They stand behind the others in a row of
            similarities, are nobody's positive and of no label.
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
    own_keys: OwnKeys | None = None

    def exclude(
        self, similarity: Float[Tensor, "some_anchors keys"], rows: slice
    ) -> Bool[Tensor, "some_anchors keys"] | None:
        """True at each anchor itself and at other keys of its image; ``None`` if there are none to be known."""
        if (same := self.same_image(rows)) is None:
            if self.own is None:
                return None
            same = torch.zeros_like(similarity, dtype=torch.bool)
        same = widened(same, similarity)
        return same if self.own is None else same.scatter_(1, self.own[rows].unsqueeze(1), True)

    def known_own_keys(self) -> OwnKeys | None:
        """Their maker, which looks at these keys' cosines alone, whatever other keys a loss adds."""
        if self.own_keys is None:
            return None
        (make, made), count = self.own_keys, len(self.anchors if self.keys is None else self.keys)
        return OwnKeys(lambda rows, similarity: make(rows, similarity[:, :count]), made)

    def same_image(self, rows: slice) -> Bool[Tensor, "some_anchors keys"] | None:
        """True at each anchor's keys that show its image, but for its positive; ``None`` if images are not known."""
        if self.anchor_images is None or self.key_images is None:
            return None
        images = self.anchor_images[rows].unsqueeze(1)
        same = images.masked_fill(images < 0, -2) == self.key_images  # -1 is nobody's
        return same.scatter_(1, self.positives[rows].unsqueeze(1), False)

    def known_targets(self) -> Int[Tensor, " keys"]:
        """The keys' classes, without which a loss of labels is refused."""
        if self.anchor_targets is None:
            raise Refusal("a loss of labels needs targets, got none")
        return self.anchor_targets if self.key_targets is None else self.key_targets

    def same_label(
        self, similarity: Float[Tensor, "some_anchors keys"], rows: slice
    ) -> Bool[Tensor, "some_anchors keys"]:
        """True at each anchor's positive and at every key of its label that is not excluded."""
        of_keys = self.known_targets()
        targets = self.anchor_targets[rows].unsqueeze(1)  # type: ignore[index]
        same = (targets == of_keys) & (targets >= 0)
        same = widened(same.scatter(1, self.positives[rows].unsqueeze(1), True), similarity)
        exclude = self.exclude(similarity, rows)
        return same if exclude is None else same & ~exclude


def widened(
    marks: Bool[Tensor, "some_anchors keys"], similarity: Float[Tensor, "some_anchors more_keys"]
) -> Bool[Tensor, "some_anchors more_keys"]:
    """False at keys beyond those that are marked, such as synthetic ones."""
    more = similarity.shape[1] - marks.shape[1]
    return nn.functional.pad(marks, (0, more)) if more else marks
