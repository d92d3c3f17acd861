"""The engine: any row formula, a few anchors at a time."""

from torch import Tensor, nn


class RowLoss(nn.Module):
    """A contrastive loss that is a mean over anchors of a formula on each anchor's similarities to all keys."""

    def forward(
        self,
        z0: Tensor,
        z1: Tensor,
        h0: Tensor | None = None,
        h1: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """Mean loss of this process's anchors: projections, features and targets of two views of a batch."""
        raise NotImplementedError
