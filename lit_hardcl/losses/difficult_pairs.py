"""NT-Xent over two batches of projections whose difficult pairs are treated."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lit_hardcl.distributed import Keys
from lit_hardcl.functional import nt_xent_rows
from lit_hardcl.hardness import DifficultRows
from lit_hardcl.losses.fused import fused_nt_xent
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import nan_unless_finite


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
        super().__init__(temperature, gather_distributed, chunk_size, (pos_high, pos_low), margin, temperature_scale)

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """NT-Xent, :func:`~lit_hardcl.functional.nt_xent_rows`, of cosines by temperature."""
        return nt_xent_rows(similarity / self.temperature, positives, exclude)

    def of(self, given: Rectangle) -> Float[Tensor, ""]:
        """By the fast path, which a test holds equal to the formula; by that where a subclass has another."""
        is_own = type(self).formula is not RowLoss.formula or type(self).rows is not DifficultPairLoss.rows
        if is_own or given.own_keys is not None:
            return super().of(given)
        treatment = self.temperature, self.margin, self.temperature_scale
        loss = fused_nt_xent(given, self._difficult(given), *treatment, self.chunk_size)
        return nan_unless_finite(loss, given.anchor_features, given.key_features)

    @torch.no_grad()
    def difficult(
        self, h0: Float[Tensor, "batch width"], h1: Float[Tensor, "batch width"]
    ) -> Bool[Tensor, "anchors keys"]:
        """Which keys are difficult for this process's anchors; both stand view by view, as in ``forward``."""
        rows, keys = torch.cat([h0, h1]), Keys(len(h0), 2, h0.device, self.gather_distributed)
        return DifficultRows(rows, keys.of(rows), keys.own, self.pos_high, self.pos_low).mask(self.chunk_size)
