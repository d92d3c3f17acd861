"""SPACL's adversarial negatives: a generator against a discriminator, for embeddings of any kind."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


class Adversarial(NamedTuple):
    """What a round of the game gives.

    Attributes:
        generated: negatives, one for each anchor, a unit vector, without gradient.
        losses: losses of the generator and of the discriminator, by log name; each has its gradient in its own player
            alone.
        seen: numbers to watch, by log name.
    """

    generated: Float[Tensor, "anchors dim"]
    losses: dict[str, Tensor]
    seen: dict[str, Tensor]


def adversarial(
    generator: nn.Module,
    discriminator: nn.Module,
    anchors: Float[Tensor, "anchors dim"],
    positives: Float[Tensor, "anchors positives dim"],
    noise: Float[Tensor, "anchors noise"],
    saturating: bool = False,
) -> Adversarial:
    """Play one round (SPACL, ICLR 2026, Sec. 2, step 4): ``min_G max_D E log D(z+) + E log(1 - D(G(z)))``.

    Args:
        generator: network from embeddings and noise to unit vectors.
        discriminator: network from embeddings to logits of being a hard positive.
        anchors: unit vectors; no gradient reaches them.
        positives: hard positives of each anchor; nor them.
        noise: random numbers of each anchor.
        saturating: whether the generator minimises log(1 - D(G(z))), as the paper has it, not -log D(G(z)).
    """
    generated = generator(anchors.detach(), noise)
    real, fake = discriminator(positives.detach().flatten(0, 1)), discriminator(generated.detach())
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    fooled = functional_call(discriminator, frozen, (generated,))
    losses = {
        "train_generator_loss": generator_loss(fooled, saturating),
        "train_discriminator_loss": discriminator_loss(real, fake),
    }
    with torch.no_grad():
        seen = {
            "discriminator_accuracy": ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2,
            "generated_similarity": (anchors * generated).sum(dim=1).mean(),
        }
    return Adversarial(generated.detach(), losses, seen)


def discriminator_loss(real: Float[Tensor, " real"], generated: Float[Tensor, " generated"]) -> Float[Tensor, ""]:
    """``-(E log D(z+) + E log(1 - D(G(z))))`` of logits: what the discriminator makes small.

    Example:
        >>> discriminator_loss(torch.zeros(3), torch.zeros(2))
        tensor(1.3863)
    """
    return F.softplus(-_at_least_float32(real)).mean() + F.softplus(_at_least_float32(generated)).mean()


def generator_loss(generated: Float[Tensor, " generated"], saturating: bool = False) -> Float[Tensor, ""]:
    """What the generator makes small: ``-E log D(G(z))``, or the paper's ``E log(1 - D(G(z)))`` if saturating.

    Both have the same fixed point; the second has hardly a gradient while the discriminator wins.

    Example:
        >>> generator_loss(torch.zeros(2)), generator_loss(torch.zeros(2), saturating=True)
        (tensor(0.6931), tensor(-0.6931))
    """
    generated = _at_least_float32(generated)
    return -F.softplus(generated).mean() if saturating else F.softplus(-generated).mean()


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
