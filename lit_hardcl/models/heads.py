"""Heads: what stands between a backbone's features and a loss, and the two players of SPACL's adversarial game."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lit_hardcl.errors import Refusal, is_whole
from lit_hardcl.functional import unit_vectors


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
        _check_widths(in_features, hidden, out_features)
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
            raise Refusal(
                f"this head takes {self[0].in_features} features, got {features.shape[1]}: where a backbone's width "
                "depends on the size of the images, pass a projection_head of its width"
            )
        return super().forward(features)


class Generator(nn.Module):
    """From an anchor's embedding and noise to a unit vector: an adversarial negative (SPACL, Sec. 2, step 4).

    Args:
        dim: width of the embeddings.
        noise_features: number of random numbers it takes for each embedding.
        hidden_features: width of its two hidden layers.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(self, dim: int, noise_features: int = 32, hidden_features: int = 256) -> None:
        super().__init__()
        _check_widths(dim, noise_features, hidden_features)
        self.noise_features = noise_features
        self.layers = _perceptron(dim + noise_features, hidden_features, dim)

    def forward(
        self, embeddings: Float[Tensor, "rows dim"], noise: Float[Tensor, "rows noise"]
    ) -> Float[Tensor, "rows dim"]:
        """One generated embedding for each that comes in, in float32 or better."""
        inputs = torch.cat([embeddings, noise.to(embeddings.dtype)], dim=1)
        return unit_vectors(self.layers(inputs.to(_dtype(self))))


class Discriminator(nn.Module):
    """From an embedding to the logit of its being a hard positive, not a generated one (SPACL, Sec. 2, step 4).

    Args:
        dim: width of the embeddings.
        hidden_features: width of its two hidden layers.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(self, dim: int, hidden_features: int = 256) -> None:
        super().__init__()
        _check_widths(dim, hidden_features)
        self.layers = _perceptron(dim, hidden_features, 1)

    def forward(self, embeddings: Float[Tensor, "rows dim"]) -> Float[Tensor, " rows"]:
        """Positive where a hard positive is believed in."""
        return self.layers(embeddings.to(_dtype(self))).squeeze(1)


@torch.no_grad()
def output_width(head: nn.Module, in_features: int) -> int:
    """How many numbers a head gives for one row of features. The head is left as it was."""
    modes = {module: module.training for module in head.modules()}
    first = next(head.parameters(), torch.empty(0))
    head.eval()
    try:
        return head(torch.zeros(2, in_features, dtype=first.dtype, device=first.device)).shape[1]
    finally:
        for module, mode in modes.items():
            module.training = mode


def _perceptron(in_features: int, hidden: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_features, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, out_features),
    )


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


def _check_widths(*widths: int) -> None:
    if not all(map(is_whole, widths)):
        raise Refusal(f"widths must be at least 1, got {', '.join(map(str, widths[:-1]))} and {widths[-1]}")
