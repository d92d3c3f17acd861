"""NT-Xent over two batches of projections whose difficult pairs are treated."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.errors import Refusal
from lit_hardcl.functional.contrast import check_treatment
from lit_hardcl.functional.selection import check_band
from lit_hardcl.hardness.difficult_rows import DifficultRows
from lit_hardcl.losses.fused import check_chunk_size, difficult_pair_loss, nan_unless_finite
from lit_hardcl.losses.rows import RowLoss

TREATMENT = ("temperature", "pos_high", "pos_low", "margin", "temperature_scale")


class DifficultPairLoss(RowLoss):
    """NT-Xent whose difficult pairs get a margin, a temperature of their own, both, or are removed.

    The pairs are chosen by :func:`~lit_hardcl.functional.difficult_pairs` and treated by
    :func:`~lit_hardcl.functional.pair_logits` (arXiv:2501.01317, Eq. 12-16). With ``margin=0`` and
    ``temperature_scale=1`` it is SimCLR's NT-Xent. Swaps in where lightly's ``NTXentLoss(z0, z1)`` stands.
    The matrix of all pairs is never held: see :func:`~lit_hardcl.losses.difficult_pair_loss`.

    Args:
        temperature: positive and finite.
        pos_high: where an anchor's difficult keys begin, as a fraction of its ranked keys. ``None``: every pair; then
            a margin cancels in the softmax, and removal leaves a constant loss.
        pos_low: where they end; 1 or ``None``: no lower end.
        margin: added to the cosine of difficult pairs.
        temperature_scale: multiplies the temperature of difficult pairs; ``inf`` removes them.
        gather_distributed: contrast with the images of all processes. Each must bring equally many.
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
        super().__init__()
        check_treatment(temperature, margin, temperature_scale)
        check_band(pos_high, pos_low)
        check_chunk_size(chunk_size)
        self.temperature = temperature
        self.pos_high = pos_high
        self.pos_low = pos_low
        self.margin = margin
        self.temperature_scale = temperature_scale
        self.gather_distributed = gather_distributed
        self.chunk_size = chunk_size

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
            h0: features before the projector, by which pairs are chosen; both or neither. Without them the
                projections choose, which does worse (arXiv:2501.01317, Table 7).
            h1: the same for the second view.
            targets: not used; every criterion is given them.

        Raises:
            ValueError: if shapes differ, one of ``h0``, ``h1`` is missing, or there is only one image.
        """
        _check_views(z0, z1, h0, h1)
        own, positives = self._places(len(z0), z0.device)
        rectangle = *self._rectangle(z0, z1), positives, own
        if h0 is None or h1 is None:
            return self.of_rectangle(*rectangle)
        if self.margin == 0 and self.temperature_scale == 1:  # nothing to choose: no gather, no copies
            return nan_unless_finite(self.of_rectangle(*rectangle), h0, h1)
        return self.of_rectangle(*rectangle, *self._rectangle(h0.detach(), h1.detach()))

    def of_rectangle(self, *rectangle: Tensor | None) -> Float[Tensor, ""]:
        """The loss of any anchors and keys, such as a queue's: :func:`~lit_hardcl.losses.difficult_pair_loss`."""
        treatment = {name: getattr(self, name) for name in TREATMENT}
        return difficult_pair_loss(*rectangle, chunk_size=self.chunk_size, **treatment)  # type: ignore[arg-type]

    @torch.no_grad()
    def difficult(
        self, h0: Float[Tensor, "batch width"], h1: Float[Tensor, "batch width"]
    ) -> Bool[Tensor, "anchors keys"]:
        """Which keys are difficult for this process's anchors; both stand view by view, as in ``forward``."""
        anchors, keys = self._rectangle(h0, h1)
        own, _ = self._places(len(h0), h0.device)
        return DifficultRows(anchors, keys, own, self.pos_high, self.pos_low).mask(self.chunk_size)

    def _rectangle(
        self, rows0: Float[Tensor, "batch any"], rows1: Float[Tensor, "batch any"]
    ) -> tuple[Float[Tensor, "anchors any"], Float[Tensor, "keys any"] | None]:
        """Local anchors and, unless they are the same, all keys: first every image's first view, then every second."""
        anchors = torch.cat([rows0, rows1])
        if not self._is_gathered():
            return anchors, None
        return anchors, torch.cat(distributed.gather_with_gradient(torch.stack([rows0, rows1], dim=1)).unbind(dim=1))

    def _places(self, batch: int, device: torch.device) -> tuple[Int[Tensor, " anchors"], Int[Tensor, " anchors"]]:
        """Among the keys: the column of each local anchor itself, and of its positive."""
        processes, rank = (distributed.world_size(), distributed.rank()) if self._is_gathered() else (1, 0)
        images = batch * processes
        if images < 2:
            raise Refusal(f"a contrastive batch needs at least 2 images, got {images}: there is nothing to contrast")
        first = torch.arange(batch, device=device) + rank * batch
        return torch.cat([first, first + images]), torch.cat([first + images, first])

    def _is_gathered(self) -> bool:
        return self.gather_distributed and distributed.world_size() > 1

    def extra_repr(self) -> str:
        """Settings, as ``print`` shows them."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in (*TREATMENT, "gather_distributed", "chunk_size"))


def _check_views(z0: Tensor, z1: Tensor, h0: Tensor | None, h1: Tensor | None) -> None:
    if z0.shape != z1.shape:
        raise Refusal(f"both views must have projections of one shape, got {tuple(z0.shape)} and {tuple(z1.shape)}")
    if (h0 is None) != (h1 is None):
        raise Refusal("features must be given for both views or for neither, got one of h0 and h1")
    if h0 is not None and h1 is not None and not len(h0) == len(h1) == len(z0):
        raise Refusal(f"features must belong to the {len(z0)} projections, got {len(h0)} and {len(h1)} rows")
