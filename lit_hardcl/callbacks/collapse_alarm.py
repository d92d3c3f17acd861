"""CollapseAlarm: a training that fails while every number is finite."""

import math
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.contract import read_step
from lit_hardcl.errors import Refusal, check_whole
from lit_hardcl.evaluation import rank_me, tolerance
from lit_hardcl.evaluation.features import evenly
from lit_hardcl.functional import unit_vectors
from lit_hardcl.losses import DCLLoss, DifficultPairLoss, SPACLLoss, SupConLoss

REASONS = {
    "point": "all features are one point. Collapse: is the learning rate too high, the backbone blind, or "
    "the loss without negatives?",
    "line": "all features lie on a line. Collapse: try a lower learning rate or a higher temperature",
    "temperature": "the loss is far worse than guessing. The temperature is too low",
    "guessing": "the loss is no better than guessing the positive. The learning rate is too high, or the temperature "
    "unfit",
}


class CollapseAlarm(pl.Callback):
    """Warns, once, where features have become one point or one line, or the loss stays no better than guessing.

    Logs at an epoch's end its last look at the features that a step returned, of length 1: ``feature_std``, the
    mean standard deviation of a dimension, about ``1 / sqrt(width)`` where features fill the sphere;
    ``effective_rank``, RankMe (arXiv:2210.02885) of their differences from their mean, which features that share a
    large part, as after a ReLU, do not lower; ``mean_cosine`` of two rows. Several processes decide together.

    - One point: a mean cosine above 0.9999.
    - One line: an effective rank below 1.5, of 16 rows and 3 dimensions or more.
    - Of a ``criterion`` that is NT-Xent, DCL or SupCon, no better than guessing: over looks of 16 rows or more, a loss
      that stays above the logarithm of the keys and what a margin adds to it. Or ten times that, as of `SPACLLoss`.

    Args:
        every_n_steps: number of steps from look to look, at least 1.
        patience: number of looks in a row that must see the same, at least 1.
        stop: whether to end the training, with an error, instead of warning.
        most: rows of features looked at, at least 2, evenly spaced.

    Raises:
        ValueError: if a number breaks its rule; during training, if ``stop``, with the warning's sentence.
    """

    def __init__(self, every_n_steps: int = 20, patience: int = 5, stop: bool = False, most: int = 128) -> None:
        check_whole(1, every_n_steps=every_n_steps, patience=patience)
        check_whole(2, most=most)
        self.every_n_steps, self.patience, self.stop, self.most = every_n_steps, patience, stop, most

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Forget an earlier training."""
        self._steps, self._looks, self._warned = 0, dict.fromkeys(REASONS, 0), False
        self._first: float | None = None
        self._last: dict[str, float] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the last look, that of an earlier epoch too, so that a resumed training's record is the whole one's."""
        self.log_dict(self._last)  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far, so that a resumed training is looked at in the same steps."""
        return {name: getattr(self, name) for name in ("_steps", "_looks", "_warned", "_first", "_last")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on looking."""
        vars(self).update(state_dict)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Every n-th step, look, log, and say what is wrong."""
        self._steps += 1
        if self._steps % self.every_n_steps:
            return
        features, processes = read_step(outputs).features, distributed.world_size()
        loss = float(outputs.get("loss", math.nan)) * trainer.accumulate_grad_batches  # of which Lightning hands a part
        looked = torch.tensor([*statistics(features, self.most), loss], device=features.device)
        distributed.sum_across(looked)
        deviation, rank, cosine, loss = (looked / processes).tolist()
        self._last = {"feature_std": deviation, "effective_rank": rank, "mean_cosine": cosine}

        keys = len(features) * processes - 1 + len(getattr(pl_module, "queued_indices", ()))
        guess = guessed(getattr(pl_module, "criterion", None), keys)
        is_enough = len(features) >= 16  # of fewer rows both are noise
        self._first = loss if self._first is None else self._first
        is_stuck = loss > guess and loss >= 0.95 * self._first
        seen = {
            "point": cosine > 0.9999,
            "line": rank < 1.5 and is_enough and features.shape[1] >= 3,
            "temperature": loss > max(guess, 10 * math.log(keys)),
            "guessing": is_stuck and is_enough,
        }
        self._looks = {sign: self._looks[sign] + 1 if seen[sign] else 0 for sign in REASONS}
        found = [REASONS[sign] for sign, looks in self._looks.items() if looks >= self.patience]
        if not found or self._warned:
            return
        self._warned = True
        sentence = (
            f"this training fails, though all its numbers are finite: {found[0]} (step {trainer.global_step}: "
            f"loss {loss:.4g}, logarithm of the keys {math.log(keys):.4g}, mean cosine {cosine:.4g}, effective rank "
            f"{rank:.4g}, feature_std {deviation:.4g})"
        )
        if self.stop:
            raise Refusal(sentence)
        rank_zero_warn(sentence)


def guessed(criterion: Any, keys: int) -> float:
    """Loss from which a criterion is no better than guessing among so many keys; infinite where it is not known."""
    if isinstance(criterion, SPACLLoss):  # its adversary's losses are in it
        return 10 * math.log(keys)
    if not isinstance(criterion, (DCLLoss, DifficultPairLoss, SupConLoss)):
        return math.inf
    scale = getattr(criterion, "temperature_scale", 1.0)
    raised = abs(getattr(criterion, "margin", 0.0)) / (criterion.temperature * min(1.0, scale))
    return math.log(keys) - 0.01 + raised


def statistics(features: Float[Tensor, "rows width"], most: int) -> list[float]:
    """The three numbers that are logged, of at most so many rows; NaN where a feature is no number."""
    rows = unit_vectors(features[evenly(len(features), most)])
    if len(rows) < 2 or not rows.isfinite().all():
        return [math.nan] * 3
    differences = rows - rows.mean(dim=0)
    rank = rank_me(differences) if differences.any() else 1.0
    return [rows.std(dim=0).mean().item(), rank, tolerance(rows, torch.zeros_like(rows[:, 0], dtype=torch.long))]
