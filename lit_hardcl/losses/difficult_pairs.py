"""NT-Xent over two batches of projections whose difficult pairs are treated."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lit_hardcl import distributed
from lit_hardcl.functional import cosine_similarity, difficult_pairs, nt_xent, pair_logits
from lit_hardcl.functional.contrast import check_treatment
from lit_hardcl.functional.selection import check_band


class DifficultPairLoss(nn.Module):
    """NT-Xent whose difficult pairs get a margin, a temperature of their own, both, or are removed.

    The pairs are chosen by :func:`~lit_hardcl.functional.difficult_pairs` and treated by
    :func:`~lit_hardcl.functional.pair_logits` (arXiv:2501.01317, Eq. 12-16). With ``margin=0`` and
    ``temperature_scale=1`` it is SimCLR's NT-Xent. Swaps in where lightly's ``NTXentLoss(z0, z1)`` stands.

    Args:
        temperature: positive and finite.
        pos_high: where an anchor's difficult keys begin, as a fraction of its ranked keys. ``None``: every pair; then
            a margin cancels in the softmax, and removal leaves a constant loss.
        pos_low: where they end; 1 or ``None``: no lower end.
        margin: added to the cosine of difficult pairs.
        temperature_scale: multiplies the temperature of difficult pairs; ``inf`` removes them.
        gather_distributed: contrast with the images of all processes. Each must bring equally many.

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
    ) -> None:
        super().__init__()
        check_treatment(temperature, margin, temperature_scale)
        check_band(pos_high, pos_low)
        self.temperature = temperature
        self.pos_high = pos_high
        self.pos_low = pos_low
        self.margin = margin
        self.temperature_scale = temperature_scale
        self.gather_distributed = gather_distributed

    def forward(
        self,
        z0: Float[Tensor, "batch dim"],
        z1: Float[Tensor, "batch dim"],
        h0: Float[Tensor, "batch width"] | None = None,
        h1: Float[Tensor, "batch width"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean loss of this process's 2 x batch anchors.

        NaN if a feature or a projection is not finite.

        Args:
            z0: projections of the first view of each image.
            z1: projections of the second view, in the same order.
            h0: features before the projector, by which pairs are chosen; both or neither. Without them the
                projections choose, which does worse (arXiv:2501.01317, Table 7).
            h1: the same for the second view.

        Raises:
            ValueError: if shapes differ, one of ``h0``, ``h1`` is missing, or there is only one image.
        """
        _check_views(z0, z1, h0, h1)
        anchors, keys = self._rectangle(z0, z1)
        own, positives = self._places(len(z0), len(keys), z0.device)
        is_itself = _marked(own, len(keys))

        similarity = cosine_similarity(anchors, keys)
        if self.margin == 0 and self.temperature_scale == 1:
            difficult = torch.zeros_like(is_itself)
        else:
            difficult = self.difficult(z0 if h0 is None else h0, z1 if h1 is None else h1)
        logits = pair_logits(similarity, difficult, self.temperature, self.margin, self.temperature_scale)
        loss = nt_xent(logits, positives, exclude=is_itself)
        return loss if h0 is None or h1 is None else _nan_unless_finite(loss, h0, h1)

    @torch.no_grad()
    def difficult(
        self, h0: Float[Tensor, "batch width"], h1: Float[Tensor, "batch width"]
    ) -> Bool[Tensor, "anchors keys"]:
        """Which keys are difficult for this process's anchors; both stand view by view, as in ``forward``."""
        anchors, keys = self._rectangle(h0, h1)
        itself = _marked(self._places(len(h0), len(keys), h0.device)[0], len(keys))
        return difficult_pairs(cosine_similarity(anchors, keys), self.pos_high, self.pos_low, itself)

    def _rectangle(
        self, rows0: Float[Tensor, "batch any"], rows1: Float[Tensor, "batch any"]
    ) -> tuple[Float[Tensor, "anchors any"], Float[Tensor, "keys any"]]:
        """Local anchors and all keys, both view by view: first every image's first view, then every second."""
        anchors = torch.cat([rows0, rows1])
        if not self._is_gathered():
            return anchors, anchors
        return anchors, torch.cat(distributed.gather_with_gradient(torch.stack([rows0, rows1], dim=1)).unbind(dim=1))

    def _places(
        self, batch: int, keys: int, device: torch.device
    ) -> tuple[Int[Tensor, " anchors"], Int[Tensor, " anchors"]]:
        """Among the keys: the column of each local anchor itself, and of its positive."""
        images = keys // 2
        if images < 2:
            raise ValueError(f"a contrastive batch needs at least 2 images, got {images}: there is nothing to contrast")
        first = torch.arange(batch, device=device) + (distributed.rank() * batch if self._is_gathered() else 0)
        return torch.cat([first, first + images]), torch.cat([first + images, first])

    def _is_gathered(self) -> bool:
        return self.gather_distributed and distributed.world_size() > 1

    def extra_repr(self) -> str:
        """Settings, as ``print`` shows them."""
        names = ("temperature", "pos_high", "pos_low", "margin", "temperature_scale", "gather_distributed")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


def _marked(columns: Int[Tensor, " anchors"], keys: int) -> Bool[Tensor, "anchors {keys}"]:
    """True at each row's column."""
    return columns.unsqueeze(1) == torch.arange(keys, device=columns.device)


def _check_views(z0: Tensor, z1: Tensor, h0: Tensor | None, h1: Tensor | None) -> None:
    if z0.shape != z1.shape:
        raise ValueError(f"both views must have projections of one shape, got {tuple(z0.shape)} and {tuple(z1.shape)}")
    if (h0 is None) != (h1 is None):
        raise ValueError("features must be given for both views or for neither, got one of h0 and h1")
    if h0 is not None and h1 is not None and not len(h0) == len(h1) == len(z0):
        raise ValueError(f"features must belong to the {len(z0)} projections, got {len(h0)} and {len(h1)} rows")


def _nan_unless_finite(loss: Float[Tensor, ""], *features: Tensor) -> Float[Tensor, ""]:
    """A NaN feature compares as False and would quietly select nothing. No look at values here: it would wait."""
    finite = torch.stack([rows.isfinite().all() for rows in features]).all()
    return torch.where(finite, loss, torch.full_like(loss, torch.nan))
