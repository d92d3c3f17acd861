"""What all losses of rows share: their settings, the gather across processes, the treatment of difficult pairs."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.profiler import record_function

from lit_hardcl.contract import check_targets
from lit_hardcl.distributed import Keys
from lit_hardcl.errors import Refusal
from lit_hardcl.functional.contrast import check_treatment, pair_logits
from lit_hardcl.functional.selection import check_band
from lit_hardcl.functional.similarity import whole_float32
from lit_hardcl.hardness import DifficultRows
from lit_hardcl.losses.rectangle import Rectangle, widened
from lit_hardcl.losses.rows import RowFormula, by_rows, check_chunk_size, check_floating, nan_unless_finite


class RowLoss(nn.Module):
    """Mean over this process's anchors of a row formula, over the keys of all processes.

    Whatever the formula, difficult pairs may be treated: it then meets ``(s + margin) / temperature_scale`` where it
    would meet their cosine ``s`` (arXiv:2501.01317, Eq. 16). They are chosen by the features or, where none are given,
    by the projections.

    A loss of one's own says its :meth:`rows` or, to know more of anchors and keys, its :meth:`formula`; what it needs
    besides projections, by the class attributes: it is refused a batch without.

    Args:
        temperature: divisor of the cosines, positive and finite; a loss without one leaves it at 1.
        gather_distributed: whether the images of all processes are contrasted. Each must bring equally many.
        chunk_size: anchors contrasted at a time, which changes memory and time but not the loss; ``None``: so many that
            a matrix of them has 4 MB on a CPU, 256 MB elsewhere.
        band: ranks where an anchor's difficult keys begin and end, as fractions of its keys, such as ``(0.15, 0.22)``
            (:func:`~lit_hardcl.functional.difficult_pairs`); ``None``: every key.
        margin: number added to the cosine of difficult pairs.
        temperature_scale: factor of the temperature of difficult pairs; ``inf`` removes them.

    Raises:
        Refusal: if a setting breaks its rule.
    """

    uses_features: bool = False
    uses_targets: bool = False
    uses_indices: bool = False
    normalize: bool = True  # whether the formula gets cosines, not inner products
    untreatable: str | None = None  # why difficult pairs cannot be treated, if they cannot

    def __init__(
        self,
        temperature: float = 1.0,
        gather_distributed: bool = True,
        chunk_size: int | None = None,
        band: tuple[float | None, float | None] | None = None,
        margin: float = 0.0,
        temperature_scale: float = 1.0,
    ) -> None:
        super().__init__()
        check_treatment(temperature, margin, temperature_scale)
        check_treatment(1.0, margin, temperature_scale)
        check_chunk_size(chunk_size)
        if band is not None and len(band) != 2:
            raise Refusal(f"band must be two ranks, where it begins and where it ends, got {band}")
        self.temperature = temperature
        self.gather_distributed = gather_distributed
        self.chunk_size = chunk_size
        self.pos_high, self.pos_low = (None, None) if band is None else band
        check_band(self.pos_high, self.pos_low)
        self.margin = margin
        self.temperature_scale = temperature_scale
        if self.untreatable and self.treats:
            raise Refusal(
                f"{type(self).__name__} takes no margin and no temperature_scale, got {margin} and "
                f"{temperature_scale}: {self.untreatable}"
            )

    @property
    def treats(self) -> bool:
        """Whether difficult pairs are treated at all."""
        return not (self.margin == 0 and self.temperature_scale == 1)

    def rows(
        self,
        similarity: Float[Tensor, "anchors keys"],
        positives: Int[Tensor, " anchors"],
        exclude: Bool[Tensor, "anchors keys"] | None,
    ) -> Float[Tensor, " anchors"]:
        """Losses of some anchors, from their cosines, their positives' columns and True at what is no key of theirs."""
        raise NotImplementedError(f"{type(self).__name__} has no formula(rectangle) and no rows(similarity, ...)")

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """The row formula for these anchors and keys, as :func:`by_rows` takes it; unless overridden, :meth:`rows`."""

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            return self.rows(similarity, rectangle.positives[rows], rectangle.exclude(similarity, rows))

        return row_losses

    def prepared(self, rectangle: Rectangle) -> Rectangle:
        """Anchors and keys as the formula meets them; a loss with keys of its own, such as centres, adds them here."""
        return rectangle

    def learned(self) -> tuple[Tensor, ...]:
        """Tensors that need a gradient, such as a learned temperature; the row formula takes them after its rows."""
        return ()

    def forward(
        self,
        z0: Float[Tensor, "batch dim"],
        z1: Float[Tensor, "batch dim"],
        h0: Float[Tensor, "batch width"] | None = None,
        h1: Float[Tensor, "batch width"] | None = None,
        targets: Int[Tensor, " batch"] | None = None,
        indices: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean loss of this process's 2 x batch anchors.

        NaN if a feature or a projection is not finite.

        Args:
            z0: projections of the first view of each image.
            z1: projections of the second view, in the same order.
            h0: features before the projector; both or neither.
            h1: the same for the second view.
            targets: classes of the images, -1 where unknown.
            indices: numbers of the images in their data set, -1 where unknown.

        Raises:
            Refusal: if shapes differ, one of ``h0``, ``h1`` or what the loss needs is missing, or there is only one
                image.
        """
        _check_views(z0, z1, h0, h1, targets=targets, indices=indices)
        keys = Keys(len(z0), 2, z0.device, self.gather_distributed)
        named: dict[str, Any] = {}

        def sides(rows: Tensor) -> tuple[Tensor, Tensor | None]:
            return rows, keys.of(rows) if keys.processes > 1 else None

        with record_function("loss"):
            ranks = self.uses_features or self.treats
            if ranks and h0 is not None and h1 is not None:
                named["anchor_features"], named["key_features"] = sides(torch.cat([h0, h1]).detach())
            if self.uses_targets and targets is not None:
                named["anchor_targets"], named["key_targets"] = sides(targets.repeat(2))
            if self.uses_indices and indices is not None:
                named["anchor_images"] = indices.repeat(2)
            loss = self.of_rectangle(*sides(torch.cat([z0, z1])), keys.positives, keys.own, **named)
            return loss if ranks else nan_unless_finite(loss, h0, h1)

    def of_rectangle(self, *parts: Any, **named: Any) -> Float[Tensor, ""]:
        """The loss of any anchors and keys, such as a queue's; arguments as in :class:`Rectangle`."""
        return self.of(Rectangle(*parts, **named))

    def of(self, given: Rectangle) -> Float[Tensor, ""]:
        """The loss of a rectangle, which :meth:`of_rectangle` makes: what a loss with a path of its own overrides."""
        name = type(self).__name__
        if self.uses_features and given.anchor_features is None:
            raise Refusal(f"{name} uses features, got none: give h0 and h1")
        if self.uses_indices and given.anchor_images is None:
            raise Refusal(f"{name} knows images by index, got none: give indices")
        rectangle = self.prepared(given)
        with torch.autocast(given.anchors.device.type, enabled=False), whole_float32():
            formula, difficult = self.formula(rectangle), self._difficult(given)

        def treated(similarity: Tensor, rows: slice, *learned: Tensor) -> Tensor:
            if difficult is not None:
                marks = widened(difficult.marks(rows.start, rows.stop).bool(), similarity)
                similarity = pair_logits(similarity, marks, 1.0, self.margin, self.temperature_scale)
            return formula(similarity, rows, *learned)

        loss = by_rows(
            rectangle.anchors,
            rectangle.keys,
            treated,
            self.chunk_size,
            self.learned(),
            given.known_own_keys(),
            self.normalize,
        )
        return nan_unless_finite(loss, given.anchor_features, given.key_features)

    def _difficult(self, rectangle: Rectangle) -> DifficultRows | None:
        """By features or, where there are none, by the projections; ``None``: nothing is treated."""
        if not self.treats:
            return None
        anchors, keys = rectangle.anchor_features, rectangle.key_features
        if anchors is None:
            anchors, keys = rectangle.anchors, rectangle.keys
        return DifficultRows(anchors, keys, rectangle.own, self.pos_high, self.pos_low, rectangle.same_image)

    def extra_repr(self) -> str:
        """Settings, as ``print`` shows them."""
        return ", ".join(
            f"{name}={value}" for name, value in vars(self).items() if name[0] != "_" and name != "training"
        )


def _check_views(z0: Tensor, z1: Tensor, h0: Tensor | None, h1: Tensor | None, **numbers: Tensor | None) -> None:
    check_floating(z0, z1, *(rows for rows in (h0, h1) if rows is not None))
    if z0.shape != z1.shape:
        raise Refusal(f"both views must have projections of one shape, got {tuple(z0.shape)} and {tuple(z1.shape)}")
    if (h0 is None) != (h1 is None):
        raise Refusal("features must be given for both views or for neither, got one of h0 and h1")
    if h0 is not None and h1 is not None and not len(h0) == len(h1) == len(z0):
        raise Refusal(f"features must belong to the {len(z0)} projections, got {len(h0)} and {len(h1)} rows")
    if numbers["targets"] is not None:
        check_targets(numbers["targets"])
    for name, each in numbers.items():
        if each is not None and len(each) != len(z0):
            raise Refusal(f"{name} must belong to the {len(z0)} projections, got {len(each)}")
