"""Heads: what stands between a backbone's features and a loss."""

from jaxtyping import Float
from torch import Tensor, nn


class ProjectionHead(nn.Sequential):
    """SimCLR's projector: two linear layers with a ReLU between (arXiv:2002.05709, Sec. 4.2).

    Args:
        in_features: width of the features that come in.
        hidden_features: width between the layers; ``None``: as wide as what comes in.
        out_features: dim of the projections.
        batch_norm: normalise the hidden layer over the batch.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self, in_features: int, hidden_features: int | None = None, out_features: int = 128, batch_norm: bool = True
    ) -> None:
        hidden = in_features if hidden_features is None else hidden_features
        if min(in_features, hidden, out_features) < 1:
            raise ValueError(f"widths must be at least 1, got {in_features}, {hidden} and {out_features}")
        super().__init__(
            nn.Linear(in_features, hidden, bias=not batch_norm),
            nn.BatchNorm1d(hidden) if batch_norm else nn.Identity(),
            nn.ReLU(),
            nn.Linear(hidden, out_features),
        )

    def forward(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch dim"]:
        """Projections, not normalised.

        Raises:
            ValueError: if the features have another width than the head was made for.
        """
        if features.shape[1] != self[0].in_features:
            raise ValueError(
                f"this head takes {self[0].in_features} features, got {features.shape[1]}: where a backbone's width "
                "depends on the size of the images, pass a projection_head of its width"
            )
        return super().forward(features)
