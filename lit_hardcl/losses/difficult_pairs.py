"""NT-Xent over two batches of projections whose difficult pairs are treated."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lit_hardcl.distributed import Keys
from lit_hardcl.functional.contrast import check_treatment, nt_xent_rows, pair_logits
from lit_hardcl.functional.selection import check_band
from lit_hardcl.hardness import DifficultRows
from lit_hardcl.losses.fused import fused_nt_xent
from lit_hardcl.losses.row_loss import Rectangle, RowLoss
from lit_hardcl.losses.rows import RowFormula, nan_unless_finite


class DifficultPairLoss(RowLoss):
    """NT-Xent whose difficult pairs get a margin, a temperature of their own, both, or are removed.

    The pairs are chosen by :func:`~lit_hardcl.functional.difficult_pairs` and treated by
    :func:`~lit_hardcl.functional.pair_logits` (arXiv:2501.01317, Eq. 12-16). With ``margin=0`` and
    ``temperature_scale=1`` it is SimCLR's NT-Xent. Swaps in where lightly's ``NTXentLoss(z0, z1)`` stands.
    The matrix of all pairs is never held.

    Args:
        temperature: positive and finite.
        pos_high: rank where an anchor's difficult keys begin, as a fraction of its ranked keys. ``None``: every pair;
            then a margin cancels in the softmax, and removal leaves a constant loss.
        pos_low: rank where they end; 1 or ``None``: no lower end.
        margin: number added to the cosine of difficult pairs.
        temperature_scale: factor of the temperature of difficult pairs; ``inf`` removes them.
        gather_distributed: whether the images of all processes are contrasted. Each must bring equally many.
        chunk_size: anchors contrasted at a time, which changes memory and time but not the loss; ``None``: so many that
            a matrix of them has 4 MB on a CPU, 256 MB elsewhere.

    Raises:
        ValueError: if a setting breaks its rule; see the two functions.

    Example:
        >>> criterion = DifficultPairLoss(0.5, pos_high=0.15, pos_low=0.22, margin=0.03, temperature_scale=0.6)
        >>> z0, z1, h0, h1 = torch.randn(4, 8, 16).unbind()
        >>> criterion(z0, z1, h0, h1).shape
        torch.Size([])
    """

    def __init__(
        self,
        temperature: float,
        pos_high: float | None = None,
        pos_low: float | None = None,
        margin: float = 0.0,
        temperature_scale: float = 1.0,
        gather_distributed: bool = True,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(temperature, gather_distributed, chunk_size)
        check_treatment(temperature, margin, temperature_scale)
        check_band(pos_high, pos_low)
        self.pos_high = pos_high
        self.pos_low = pos_low
        self.margin = margin
        self.temperature_scale = temperature_scale

    @property
    def uses_features(self) -> bool:  # type: ignore[override]
        """Whether pairs are chosen at all: plain NT-Xent treats none."""
        return not (self.margin == 0 and self.temperature_scale == 1)

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """NT-Xent of treated logits, from the functions of :mod:`lit_hardcl.functional`."""
        difficult = self._difficult(rectangle) if self.uses_features else None

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            if difficult is None:
                logits = similarity / self.temperature
            else:
                marks = difficult.marks(rows.start, rows.stop).bool()
                logits = pair_logits(similarity, marks, self.temperature, self.margin, self.temperature_scale)
            return nt_xent_rows(logits, rectangle.positives[rows], rectangle.exclude(similarity, rows))

        return row_losses

    def of_rectangle(self, *rectangle: Tensor | None, **named: Tensor | None) -> Float[Tensor, ""]:
        """The loss of any anchors and keys, such as a queue's; arguments as in :class:`~lit_hardcl.losses.Rectangle`.

        By the fast path, which a test holds equal to the formula; by the formula itself where a subclass has another.
        """
        given = Rectangle(*rectangle, **named)  # type: ignore[arg-type]
        if type(self).formula is not DifficultPairLoss.formula:
            if given.anchor_features is None:
                given = replace(given, anchor_features=given.anchors, key_features=given.keys)
            return super().of_rectangle(*vars(given).values())
        difficult = self._difficult(given) if self.uses_features else None
        loss = fused_nt_xent(given, difficult, self.temperature, self.margin, self.temperature_scale, self.chunk_size)
        return nan_unless_finite(loss, given.anchor_features, given.key_features)

    @torch.no_grad()
    def difficult(
        self, h0: Float[Tensor, "batch width"], h1: Float[Tensor, "batch width"]
    ) -> Bool[Tensor, "anchors keys"]:
        """Which keys are difficult for this process's anchors; both stand view by view, as in ``forward``."""
        rows, keys = torch.cat([h0, h1]), Keys(len(h0), 2, h0.device, self.gather_distributed)
        return DifficultRows(rows, keys.of(rows), keys.own, self.pos_high, self.pos_low).mask(self.chunk_size)

    def _difficult(self, rectangle: Rectangle) -> DifficultRows:
        """By features or, where there are none, by the projections."""
        anchors, keys = rectangle.anchor_features, rectangle.key_features
        if anchors is None:
            anchors, keys = rectangle.anchors, rectangle.keys
        return DifficultRows(anchors, keys, rectangle.own, self.pos_high, self.pos_low, rectangle.same_image)
