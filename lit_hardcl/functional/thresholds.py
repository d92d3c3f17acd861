"""Thresholds that are learned: each follows a quantile of what it is compared with."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

MEAN_DECAY, SQUARE_DECAY = 0.9, 0.98


class Thresholds(NamedTuple):
    """Thresholds with the state of their optimiser, Adam.

    Attributes:
        values: thresholds, in [-1, 1] as cosines are.
        means: running means of the gradients.
        squares: running means of their squares.
        updates: number of steps that each has taken.
    """

    values: Float[Tensor, " images"]
    means: Float[Tensor, " images"]
    squares: Float[Tensor, " images"]
    updates: Int[Tensor, " images"]


def follow_quantile(
    thresholds: Thresholds, above: Float[Tensor, " images"], alpha: float, learning_rate: float
) -> Thresholds:
    """One step of each threshold to where a share alpha of the similarities is above it (arXiv:2502.20612).

    The gradient of the quantile's convex problem is ``alpha - above``; it is followed by Adam, as in the authors' code,
    which counts epochs where here each threshold counts its own steps.

    Args:
        thresholds: state before.
        above: share of similarities above each now, in [0, 1].
        alpha: share that is wanted, in [0, 1].
        learning_rate: size of a step, positive.

    Example:
        >>> import torch
        >>> new = Thresholds(torch.ones(1), torch.zeros(1), torch.zeros(1), torch.zeros(1, dtype=torch.long))
        >>> follow_quantile(new, torch.zeros(1), alpha=0.1, learning_rate=0.05).values
        tensor([0.9500])
    """
    gradient, updates = alpha - above, thresholds.updates + 1
    steps = updates.to(above.dtype)
    means = MEAN_DECAY * thresholds.means + (1 - MEAN_DECAY) * gradient
    squares = SQUARE_DECAY * thresholds.squares + (1 - SQUARE_DECAY) * gradient.square()
    mean, square = means / (1 - MEAN_DECAY**steps), squares / (1 - SQUARE_DECAY**steps)
    values = thresholds.values - learning_rate * mean / (square.sqrt() + 1e-8)
    return Thresholds(values.clamp(-1, 1), means, squares, updates)
